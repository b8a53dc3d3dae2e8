"""Every setting of a run, once: its label, unit, bounds, help and default.

The form, the JSON file and the command line all build the same frozen `Settings`, so they cannot drift apart. The
groups are in `core/sections.py`; here is the whole, and what spans several groups. Nothing here imports torch or looks
at a file: settings are checked before anything is loaded or allocated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field, model_validator

from core.sections import (
    DataSettings,
    GlueSource,
    LossSettings,
    MaskingSettings,
    Section,
    StudentSettings,
    TeacherSettings,
    TrainingSettings,
)
from core.terms import TERMS
from core.terms.declaration import Objective

DEPTH_OF_TEACHER = {"minilm": 6}
"""Encoder layers of the teachers whose depth is known without looking at a file."""

GLUE_SOURCES: tuple[GlueSource, ...] = ("glue_folder", "glue_hub")
SOURCES_WITH_PATH = ("glue_folder", "csv", "text")
MASK = "[MASK]"


def _weight_presets() -> dict[str, dict[str, float]]:
    paper = {term.name: term.paper_weight for term in TERMS}
    used = [term for term in TERMS if term.paper_weight]
    return {
        f"Paper {'/'.join(f'{term.paper_weight:g}' for term in used)}": paper,
        "Equal": {name: float(weight > 0) for name, weight in paper.items()},
        **{f"Without {term.label.lower()}": paper | {term.name: 0.0} for term in used},
        CONTROL: {term.name: float(term in used and not term.asks_teacher) for term in TERMS},
    }


CONTROL = "No teacher (control)"
WEIGHT_PRESETS = _weight_presets()
"""Loss weights by name of the mixture: the paper's own, its ablations, and the control that every claim needs."""

EVERY_LAYER = "Every layer"
TASK_WEIGHTS = {term.name: term.task_weight for term in TERMS}
TASK_TRAINING: dict[str, int | float] = {"copies": 2, "epochs": 4, "learning_rate": 3e-4, "warmup": 0.1}
"""The recipe for a task of one's own (`benchmarks/students.md` has what it was worth): each layer is compared, and the
teacher labels two changed copies of each text. A small student bears a larger learning rate than its teacher."""

Probe = str
DEFAULT_PROBES: dict[Objective, tuple[Probe, ...]] = {
    "labels": (
        "A warm, funny and moving film.",
        "A dull, lifeless mess from start to finish.",
        "It is not without charm, but it is far too long.",
        "I expected nothing, and I was still surprised by how good it is.",
        "The actors do their best with a script that gives them nothing.",
    ),
    "masked_words": (
        "The movie was absolutely [MASK].",
        "I have never been so [MASK] in my life.",
        "The [MASK] was great, but the story was weak.",
        "She goes to the [MASK] to watch a film.",
    ),
}


class Settings(Section):
    """One run, complete. Frozen into the run's config.json when it starts."""

    name: str = Field("", max_length=80, title="Name", description="A name for this run, for your own eyes.")
    objective: Objective = Field(
        "labels",
        title="What is learned",
        description="Labels: to sort texts, as the teacher does. Masked words: to fill in hidden words, which is how "
        "DistilBERT itself was distilled.",
        json_schema_extra={"options": {"labels": "Labels", "masked_words": "Masked words"}},
    )
    data: DataSettings = DataSettings()
    teacher: TeacherSettings = TeacherSettings()
    student: StudentSettings = StudentSettings()
    loss: LossSettings = LossSettings()
    masking: MaskingSettings = MaskingSettings()
    training: TrainingSettings = TrainingSettings()
    probes: tuple[Probe, ...] = Field(
        DEFAULT_PROBES["labels"],
        strict=False,
        max_length=8,
        title="Sentences to watch",
        description="The student answers these again and again while it learns. One a line, up to 8, "
        "300 characters each. Where words are learned, each needs a [MASK].",
    )

    @model_validator(mode="before")
    @classmethod
    def _probes_suit_the_objective(cls, raw: Any) -> Any:
        if isinstance(raw, dict) and raw.get("objective") == "masked_words" and "probes" not in raw:
            return raw | {"probes": DEFAULT_PROBES["masked_words"]}
        return raw

    @model_validator(mode="before")
    @classmethod
    def _weights_suit_the_objective(cls, raw: Any) -> Any:
        given = raw.get("loss", {}) if isinstance(raw, dict) else None
        if not isinstance(given, dict) or raw.get("objective") != "masked_words":
            return raw
        defaults = {term.name: term.weight.get("masked_words", 0.0) for term in TERMS}
        return raw | {"loss": defaults | given}

    @model_validator(mode="after")
    def _data_is_named(self) -> Settings:
        check_data(self.data, self.objective)
        return self

    @model_validator(mode="after")
    def _terms_suit_the_objective(self) -> Settings:
        for term in self.loss.in_use():
            if not term.suits(self.objective):
                raise ValueError(f"loss.{term.name} says nothing where {self.objective} are learned; set it to 0")
        return self

    @model_validator(mode="after")
    def _copies_have_answers(self) -> Settings:
        if self.training.copies and self.objective != "labels":
            raise ValueError("training.copies is for labels; masked words are hidden anew in each epoch. Set it to 0")
        return self

    @model_validator(mode="after")
    def _student_fits_teacher(self) -> Settings:
        if self.teacher.source == "folder" and not self.teacher.path.strip():
            raise ValueError("teacher.path is empty; name the folder that holds the model")
        depth = DEPTH_OF_TEACHER.get(self.teacher.source)
        if depth is not None:
            check_layer_map(self.student, depth)
        check_copied_shape(self.student)
        return self

    @model_validator(mode="after")
    def _probes_can_be_asked(self) -> Settings:
        for number, probe in enumerate(self.probes, 1):
            if not probe.strip() or len(probe) > 300:
                raise ValueError(f"probes: sentence {number} has {len(probe)} characters; write between 1 and 300")
            # Half of a surrogate pair, as broken JSON brings it: no tokeniser and no file could take it.
            if any("\ud800" <= character <= "\udfff" for character in probe):
                raise ValueError(f"probes: sentence {number} holds a broken character; type it again")
            if self.objective == "masked_words" and MASK not in probe:
                raise ValueError(f"probes: sentence {number} has no {MASK}; write {MASK} in place of the word to guess")
        return self

    @property
    def layer_map(self) -> tuple[int, ...] | None:
        """Teacher layer (from 0) behind each student layer; None where only the teacher's files could say."""
        depth = DEPTH_OF_TEACHER.get(self.teacher.source)
        return self.student.layer_map(depth) if depth else self.student.teacher_layers


def starting_point(objective: Objective) -> Settings:
    """Settings that work at once: for labels the demo, for masked words half an hour on the bundled reviews."""
    if objective == "labels":
        return Settings()
    return Settings(
        objective="masked_words",
        data=DataSettings(source="imdb", max_examples=4_000),
        teacher=TeacherSettings(batch_size=16, learning_rate=3e-4),
        training=TrainingSettings(epochs=1, batch_size=16, learning_rate=5e-4),
        probes=DEFAULT_PROBES["masked_words"],
    )


def check_data(data: DataSettings, objective: Objective) -> None:
    """Raise ValueError, naming the field, where the data settings contradict each other or the objective."""
    if data.source in SOURCES_WITH_PATH and not data.path.strip():
        raise ValueError("data.path is empty; name the file or folder that holds the data")
    if data.source == "text" and objective == "labels":
        raise ValueError("data.source is text, which has no labels; choose other data, or the objective masked_words")
    if data.split in ("official", "merged") and data.source not in GLUE_SOURCES:
        raise ValueError(f"data.split is {data.split}, which only GLUE has; choose auto or random")


def check_copied_shape(student: StudentSettings) -> None:
    """Raise ValueError if copied weights are asked for in a student of another shape than its teacher."""
    if student.initial_weights == "random":
        return
    for name in ("width", "heads"):
        if (value := getattr(student, name)) is not None:
            raise ValueError(
                f"student.{name} is {value}, but weights can only be copied into the teacher's own shape; leave "
                f"student.{name} empty or set student.initial_weights to random"
            )


def check_layer_map(student: StudentSettings, teacher_depth: int) -> None:
    """Raise ValueError, naming the field, if the student asks for layers that the teacher does not have."""
    if student.layers > teacher_depth:
        raise ValueError(
            f"student.layers is {student.layers}, but the teacher has {teacher_depth} layers; "
            f"choose from 1 to {teacher_depth}"
        )
    chosen = student.teacher_layers
    if chosen is None:
        return
    if len(chosen) != student.layers:
        raise ValueError(
            f"student.teacher_layers names {len(chosen)} layers for a student of {student.layers}; "
            f"choose exactly {student.layers}"
        )
    outside = [layer for layer in chosen if not 0 <= layer < teacher_depth]
    if outside:
        raise ValueError(
            f"student.teacher_layers holds {outside[0]}, but the teacher's layers are 0 to {teacher_depth - 1}"
        )
    if len(set(chosen)) != len(chosen):
        raise ValueError("student.teacher_layers holds a layer twice; choose each at most once")


def is_control(loss: LossSettings) -> bool:
    """True if the teacher has no say: the same student trained on labels alone."""
    return not loss.asks_teacher()


def matters(objective: Objective, options: Mapping[str, Any], name: str) -> bool:
    """True if an option of the loss means something for what is learned and beside the other options."""
    more = extra(LossSettings, name)
    fits = all(options[other] == value for other, value in more.get("only_if", {}).items())
    return more.get("objective", objective) == objective and fits


def bounds(section: type[BaseModel], name: str) -> tuple[float, float]:
    """Smallest and largest value a numeric field takes."""
    low, high = -math.inf, math.inf
    for rule in section.model_fields[name].metadata:
        low, high = getattr(rule, "ge", low), getattr(rule, "le", high)
    return low, high


def title(section: type[BaseModel], name: str) -> str:
    """A field's label; the name of a field that has none."""
    return section.model_fields[name].title or name


def extra(section: type[BaseModel], name: str) -> dict[str, Any]:
    """A field's unit, symbol, step, format and options, where it has them."""
    more = section.model_fields[name].json_schema_extra
    return dict(more) if isinstance(more, dict) else {}
