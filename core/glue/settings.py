"""What one GLUE job scores and how, once: page, command line and the job's config.json build the same object."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from core.glue.cells import Role
from core.numbers import rate
from core.sections import LONGEST_PATH, GlueSource, GlueTask, Section, TeacherSettings
from core.settings_file import SettingsError, parse_as

BundledTask = Literal["Rotten Tomatoes", "IMDb"]
TaskName = Literal[GlueTask, BundledTask]
"""The nine tasks of GLUE, and the two bundled ones, which are never part of a GLUE score."""

MOST_SEEDS = 5
RATES = (5e-5, 1e-4, 3e-4)
"""The learning rates that are tried: the paper's own, and two for small models, which bear larger ones (the small
BERTs' authors tried up to 3e-4)."""


class TeacherModel(Section):
    """A large model as it comes, before it has learned any task."""

    kind: Literal["teacher"] = "teacher"
    teacher: TeacherSettings = TeacherSettings()


class StudentModel(Section):
    """The student of a run that has finished; a run in which the teacher had no say is the control."""

    kind: Literal["student"] = "student"
    run: str = Field(min_length=1, max_length=100, title="Run", description="The run whose student is scored.")


ScoredModel = Annotated[TeacherModel | StudentModel, Field(discriminator="kind")]


class GlueSettings(Section):
    """One GLUE job, complete. Frozen into the job's config.json when it is queued."""

    job: Literal["glue"] = "glue"
    name: str = Field("", max_length=80, title="Name", description="A name for this job, for your own eyes.")
    source: GlueSource = Field(
        "glue_folder",
        title="Where GLUE is",
        description="A folder with the official files, or the Hub. The two bundled tasks need neither.",
        json_schema_extra={"options": {"glue_folder": "A folder on this machine", "glue_hub": "The Hub (network)"}},
    )
    path: str = Field(
        "",
        max_length=LONGEST_PATH,
        title="GLUE folder",
        description="The folder that holds SST-2/, MRPC/ and so on as downloaded.",
    )
    tasks: tuple[TaskName, ...] = Field(
        ("MRPC", "RTE"), strict=False, min_length=1, title="Tasks", description="What the models are scored on."
    )
    models: tuple[ScoredModel, ...] = Field(
        (TeacherModel(),), strict=False, min_length=1, max_length=8, title="Models", description="What is scored."
    )
    way: Literal["fine-tuned", "zero-shot"] = Field(
        "fine-tuned",
        title="How",
        description="Fine-tuned: each model learns each task first, as in the paper. Zero-shot: a model that has "
        "learned to sort sentences in two answers another task as it is, without learning it.",
        json_schema_extra={"options": {"fine-tuned": "Fine-tune, then score", "zero-shot": "Zero-shot"}},
    )
    seeds: int = Field(
        1,
        ge=1,
        le=MOST_SEEDS,
        title="Seeds",
        description="How often each model learns each task. The paper reports the median of 5.",
    )
    epochs: int = Field(
        3, ge=1, le=20, title="Epochs", description="How often the training examples of a task are read."
    )
    batch_size: int = Field(32, ge=1, le=512, title="Batch size", description="Examples in one update.")
    learning_rate: float = Field(
        5e-5,
        ge=1e-7,
        le=0.01,
        title="Learning rate",
        description="How far one update goes.",
        json_schema_extra={"step": 1e-5, "format": "%.1e"},
    )
    choose_rate: bool = Field(
        False,
        title="Choose the learning rate",
        description=f"Each model first tries {', '.join(map(rate, RATES))} on nine tenths of the training examples, "
        "and learns all of them with the one that did best on the last tenth. The same for every model, so that none "
        "is favoured; it takes almost four times as long.",
        json_schema_extra={"before": False},
    )
    warmup: float = Field(
        0.1, ge=0, le=0.5, title="Warm-up", description="Share of the updates over which the learning rate rises."
    )
    max_tokens: int = Field(
        128, ge=16, le=512, title="Longest input", description="Word pieces; what is longer is cut.",
        json_schema_extra={"unit": "word pieces"},
    )  # fmt: skip
    max_examples: int | None = Field(
        None,
        ge=100,
        le=500_000,
        title="At most",
        description="Training examples used of each task, drawn at random; empty means all. With fewer than all a "
        "score is demo scale. Scores are always taken over the whole development set.",
        json_schema_extra={"unit": "examples"},
    )
    second_distillation: bool = Field(
        False,
        title="Distil again",
        description="A student learns each task not from its labels alone but also from the first teacher of this "
        "job after that has learned the task: the paper's second distillation.",
    )
    every_layer: bool = Field(
        False,
        title="Match every layer",
        description="When a student is distilled again, each of its layers is compared with the teacher's layer that "
        "it stands for, beside the answers (weights 3 for the layers, 1 for soft, 1 for hard targets).",
        json_schema_extra={"before": False},
    )
    copies: int = Field(
        0,
        ge=0,
        le=10,
        title="Changed copies",
        description="When a student is distilled again, how often it also reads each text with words left out, moved "
        "or taken from another text; only the teacher's answer to such a copy is learned. A control reads the texts "
        "themselves as often.",
        json_schema_extra={"unit": "of each text", "before": 0},
    )
    timing: bool = Field(
        False,
        title="Measure size and speed",
        description="Time every model the paper's way: all of STS-B's development set on the processor, one pair "
        "at a time.",
    )
    threads: int | None = Field(
        None, ge=1, le=256, title="Compute threads", description="Processor threads; empty means one fewer than cores."
    )

    @model_validator(mode="after")
    def _makes_sense(self) -> GlueSettings:
        bundled = {"Rotten Tomatoes", "IMDb"}
        needs_files = self.timing or set(self.tasks) - bundled
        if self.source == "glue_folder" and needs_files and not self.path.strip():
            raise ValueError("path is empty; name the folder that holds the GLUE tasks")
        if self.second_distillation and not any(model.kind == "teacher" for model in self.models):
            raise ValueError("second_distillation needs a teacher; add one to the models")
        if self.second_distillation and self.way == "zero-shot":
            raise ValueError("second_distillation is on, but zero-shot means learning nothing; switch one of them off")
        if self.choose_rate and self.way == "zero-shot":
            raise ValueError("choose_rate is on, but zero-shot means learning nothing; switch one of them off")
        for name in ("copies", "every_layer"):
            if getattr(self, name) and not self.second_distillation:
                raise ValueError(f"{name} is for students that are distilled again; switch second_distillation on")
        if len(set(self.tasks)) < len(self.tasks):
            raise ValueError("tasks holds a task twice; choose each once")
        return self

    def readings(self, role: Role) -> int:
        """How often in an epoch a model of this role reads each text, changed copies included."""
        return 1 if role == "teacher" else 1 + self.copies


def parse_glue(raw: Any) -> GlueSettings:
    """Settings of a GLUE job from plain JSON values. Raises SettingsError."""
    if not isinstance(raw, dict):
        raise SettingsError({"": "Settings of a GLUE job are a JSON object."})
    return parse_as(GlueSettings, raw)
