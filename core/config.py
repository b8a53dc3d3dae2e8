"""Every setting of a run, once: its label, unit, bounds, help and default.

The form, the JSON file and the command line all build the same frozen `Settings`, so they cannot drift apart.
Nothing here imports torch: settings are checked before anything is loaded or allocated.
"""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

DEPTH_OF_TEACHER = {"minilm": 6}
"""Encoder layers of each teacher that can be chosen."""

WEIGHT_PRESETS: dict[str, tuple[float, float, float]] = {
    "Paper 5/2/1": (5.0, 2.0, 1.0),
    "Equal": (1.0, 1.0, 1.0),
    "Without soft targets": (0.0, 2.0, 1.0),
    "Without hard targets": (5.0, 0.0, 1.0),
    "Without cosine": (5.0, 2.0, 0.0),
    "No teacher (control)": (0.0, 1.0, 0.0),
}
"""Loss weights (soft, hard, cosine) by name; the paper's own ablations and the control every claim needs."""


class Section(BaseModel):
    """A group of settings: frozen, strict about types, closed to unknown names, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class DataSettings(Section):
    """What the models read."""

    source: Literal["rotten_tomatoes", "imdb"] = Field(
        "rotten_tomatoes",
        title="Data",
        description="The labelled text that both models read. Sentences take minutes, whole reviews take much longer.",
        json_schema_extra={
            "options": {
                "rotten_tomatoes": "Movie sentences (Rotten Tomatoes, 8 530)",
                "imdb": "Movie reviews (IMDb, 25 000)",
            }
        },
    )
    max_examples: int | None = Field(
        None,
        ge=200,
        le=100_000,
        title="Use at most",
        description="Take only this many examples, balanced by label. Empty means all of them.",
        json_schema_extra={"unit": "examples", "step": 500},
    )
    max_tokens: int = Field(
        128,
        ge=8,
        le=512,
        title="Longest input",
        description="Longer texts are cut after this many word pieces, [CLS] and [SEP] included.",
        json_schema_extra={"unit": "word pieces", "step": 8},
    )
    split_seed: int = Field(
        0,
        ge=0,
        le=2**31 - 1,
        title="Seed of the split",
        description="Decides which tenth is held out for validation and which for the test. Keep it to compare runs.",
    )


class TeacherSettings(Section):
    """How the large model is first fine-tuned on the task."""

    source: Literal["minilm"] = Field(
        "minilm",
        title="Teacher",
        description="The large model that the student learns from.",
        json_schema_extra={"options": {"minilm": "MiniLM, 6 layers (bundled)"}},
    )
    epochs: int = Field(
        1,
        ge=1,
        le=20,
        title="Teacher epochs",
        description="How often the teacher reads all the data while it learns the task.",
        json_schema_extra={"unit": "epochs"},
    )
    batch_size: int = Field(
        16,
        ge=1,
        le=1024,
        title="Teacher batch",
        description="Sentences per update of the teacher.",
        json_schema_extra={"unit": "sentences"},
    )
    learning_rate: float = Field(
        1e-4,
        ge=1e-7,
        le=1e-2,
        title="Teacher learning rate",
        description="The largest step the teacher's optimiser takes.",
        json_schema_extra={"format": "%.1e", "step": 1e-5},
    )
    seed: int = Field(
        0,
        ge=0,
        le=2**31 - 1,
        title="Teacher seed",
        description="Order and dropout of the teacher's training. Keep it to reuse a trained teacher.",
    )


class StudentSettings(Section):
    """What the small model is made of."""

    layers: int = Field(
        3,
        ge=1,
        le=48,
        title="Student layers",
        description="How deep the student is. Fewer layers are smaller and faster, and lose more.",
        json_schema_extra={"unit": "layers"},
    )
    teacher_layers: tuple[int, ...] | None = Field(
        None,
        strict=False,
        title="Copied from teacher layers",
        description="Which teacher layers the student's layers start from, counted from 0. "
        "Empty means evenly spread, first and last included: round(linspace(0, last, layers)).",
    )
    initial_weights: Literal["copied", "random"] = Field(
        "copied",
        title="Initial weights",
        description="Copied: each student layer starts as the teacher layer it comes from. Random: the student "
        "starts knowing nothing, which on little data costs more than any loss term (paper, Table 4: −3.69).",
        json_schema_extra={"options": {"copied": "Copied from the teacher", "random": "Random"}},
    )

    def layer_map(self, teacher_depth: int) -> tuple[int, ...]:
        """Teacher layer (from 0) that each student layer comes from, shallowest first."""
        return self.teacher_layers or spread_layers(self.layers, teacher_depth)


class LossSettings(Section):
    """How the three ways of learning are mixed: loss = soft · L_ce + hard · L_hard + cosine · L_cos."""

    soft: float = Field(
        5.0,
        ge=0,
        le=100,
        title="Soft targets (L_ce)",
        description="How strongly the student copies the teacher's doubts: "
        "KL(teacher ‖ student) of both models' probabilities at temperature T, times T².",
        json_schema_extra={"symbol": "L_ce", "step": 0.5},
    )
    hard: float = Field(
        2.0,
        ge=0,
        le=100,
        title="Hard targets (L_hard)",
        description="How strongly the student learns from the true labels: cross-entropy with the label. "
        "The paper's L_mlm, with labels in place of masked words.",
        json_schema_extra={"symbol": "L_hard", "step": 0.5},
    )
    cosine: float = Field(
        1.0,
        ge=0,
        le=100,
        title="Hidden cosine (L_cos)",
        description="How strongly the student's inner picture of each word points the same way as the teacher's: "
        "1 − cos of the last hidden states, averaged over all words.",
        json_schema_extra={"symbol": "L_cos", "step": 0.5},
    )
    temperature: float = Field(
        2.0,
        ge=0.1,
        le=100,
        title="Temperature (T)",
        description="Softens the teacher's answer before it is copied. At 1 the student sees the plain "
        "probabilities; higher values show more of the teacher's doubts. The paper uses 2.",
        json_schema_extra={"symbol": "T", "step": 0.5},
    )

    @model_validator(mode="after")
    def _something_to_learn(self) -> LossSettings:
        if self.soft == self.hard == self.cosine == 0:
            raise ValueError("all three loss weights are 0, so the student would learn nothing; raise at least one")
        return self


class TrainingSettings(Section):
    """How the student trains."""

    epochs: int = Field(
        2,
        ge=1,
        le=100,
        title="Epochs",
        description="How often the student reads all the data.",
        json_schema_extra={"unit": "epochs"},
    )
    batch_size: int = Field(
        32,
        ge=1,
        le=1024,
        title="Batch",
        description="Sentences per update: the effective batch, since every batch is one update.",
        json_schema_extra={"unit": "sentences"},
    )
    learning_rate: float = Field(
        1e-4,
        ge=1e-7,
        le=1e-2,
        title="Learning rate",
        description="The largest step of the optimiser (AdamW); it warms up, then falls linearly to 0.",
        json_schema_extra={"format": "%.1e", "step": 1e-5},
    )
    warmup: float = Field(
        0.05,
        ge=0,
        le=0.5,
        title="Warm-up",
        description="Share of the steps in which the learning rate rises from 0. The paper uses 5 %.",
        json_schema_extra={"step": 0.01},
    )
    seed: int = Field(
        0,
        ge=0,
        le=2**31 - 1,
        title="Seed",
        description="Order of the data, dropout and random weights. The same seed here gives the same run.",
    )
    device: Literal["auto", "cuda", "mps", "cpu"] = Field(
        "auto",
        title="Device",
        description="Where the models compute. Automatic takes a GPU where there is one.",
        json_schema_extra={
            "options": {"auto": "Automatic", "cuda": "NVIDIA GPU", "mps": "Apple GPU", "cpu": "Processor"}
        },
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto",
        title="Precision",
        description="bf16 is faster where the device supports it; losses are always computed in fp32.",
        json_schema_extra={"options": {"auto": "Automatic", "fp32": "32-bit (fp32)", "bf16": "16-bit (bf16)"}},
    )
    checkpoint_every: int = Field(
        200,
        ge=1,
        le=100_000,
        title="Checkpoint every",
        description="How often everything is saved, so that a run that was cut off can go on from there. "
        "A stop saves too.",
        json_schema_extra={"unit": "steps", "step": 50},
    )
    threads: int | None = Field(
        None,
        ge=1,
        le=256,
        title="Compute threads",
        description="Processor threads for training. Empty means all cores. "
        "Changing it changes the last digits of a run.",
        json_schema_extra={"unit": "threads"},
    )


Probe = str
DEFAULT_PROBES: tuple[Probe, ...] = (
    "A warm, funny and moving film.",
    "A dull, lifeless mess from start to finish.",
    "It is not without charm, but it is far too long.",
    "I expected nothing, and I was still surprised by how good it is.",
    "The actors do their best with a script that gives them nothing.",
)


class Settings(Section):
    """One run, complete. Frozen into the run's config.json when it starts."""

    name: str = Field("", max_length=80, title="Name", description="A name for this run, for your own eyes.")
    data: DataSettings = DataSettings()
    teacher: TeacherSettings = TeacherSettings()
    student: StudentSettings = StudentSettings()
    loss: LossSettings = LossSettings()
    training: TrainingSettings = TrainingSettings()
    probes: tuple[Probe, ...] = Field(
        DEFAULT_PROBES,
        strict=False,
        max_length=8,
        title="Sentences to watch",
        description="The student answers these again and again while it learns. One a line, up to 8, "
        "300 characters each.",
    )

    @model_validator(mode="after")
    def _layers_exist(self) -> Settings:
        depth = DEPTH_OF_TEACHER[self.teacher.source]
        check_layer_map(self.student, depth)
        return self

    @model_validator(mode="after")
    def _probes_are_short(self) -> Settings:
        for number, probe in enumerate(self.probes, 1):
            if not probe.strip() or len(probe) > 300:
                raise ValueError(f"probes: sentence {number} has {len(probe)} characters; write between 1 and 300")
            # Half of a surrogate pair, as broken JSON brings it: no tokeniser and no file could take it.
            if any("\ud800" <= character <= "\udfff" for character in probe):
                raise ValueError(f"probes: sentence {number} holds a broken character; type it again")
        return self

    @property
    def layer_map(self) -> tuple[int, ...]:
        """Teacher layer (from 0) behind each student layer."""
        return self.student.layer_map(DEPTH_OF_TEACHER[self.teacher.source])


def spread_layers(layers: int, teacher_depth: int) -> tuple[int, ...]:
    """Evenly spread teacher layers, round(linspace(0, last, layers)): (0, 2, 4, 7, 9, 11) for 6 of 12, as released."""
    if layers == 1:
        return (0,)
    return tuple(round(i * (teacher_depth - 1) / (layers - 1)) for i in range(layers))


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
    return loss.soft == 0 and loss.cosine == 0


def bounds(section: type[BaseModel], name: str) -> tuple[float, float]:
    """Smallest and largest value a numeric field takes."""
    low, high = -math.inf, math.inf
    for rule in section.model_fields[name].metadata:
        low, high = getattr(rule, "ge", low), getattr(rule, "le", high)
    return low, high


def extra(section: type[BaseModel], name: str) -> dict[str, Any]:
    """A field's unit, symbol, step, format and options, where it has them."""
    return dict(section.model_fields[name].json_schema_extra or {})
