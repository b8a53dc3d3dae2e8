"""What there is to learn: labels or masked words. The stages of a job ask an objective and know nothing else of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

from numpy.typing import NDArray
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core.data.tokens import Tokens
from core.distill.loop import Lesson

HeldOut = Literal["validation", "test"]


class Objective(Protocol):
    """Models, training and measure of one way to learn.

    `metric` names the score, `counted` what it is taken over, `test_split` the part it is taken from, and `notes` what
    a reader of the result should know about the data.
    """

    metric: str
    counted: str
    test_split: str
    notes: tuple[str, ...]
    tokenizer: PreTrainedTokenizerBase

    def new_teacher(self) -> PreTrainedModel:
        """The teacher before its own stage, on the processor."""

    def teacher_lesson(self, teacher: PreTrainedModel) -> Lesson:
        """The teacher's own stage."""

    def new_student(self, teacher: PreTrainedModel) -> PreTrainedModel:
        """The student before it learns, on the processor."""

    def student_lesson(
        self, student: PreTrainedModel, maps: Mapping[str, nn.Module], teacher: PreTrainedModel, kept: Path
    ) -> Lesson:
        """The student's stage; `maps` take its states to the teacher's width.

        `kept` is a folder for what the teacher needs to be asked only once.
        """

    def count(self, part: HeldOut) -> int:
        """How many answers there are in a part."""

    def answers(self, model: PreTrainedModel, part: HeldOut, doing: str) -> NDArray:
        """A model's answers for a part, in an order that is always the same. StopRequested may end it early.

        `doing` says what it is for, where it takes so long that somebody waits: the beginning of a sentence.
        """

    def score(self, answers: NDArray, part: HeldOut) -> float | None:
        """How right answers are; None where that is undefined."""

    def agreement(self, student: NDArray, teacher: NDArray) -> float | None:
        """How alike two models' answers are, right or wrong; None where that is undefined."""

    def majority(self, part: HeldOut) -> float | None:
        """Score of always giving the most frequent answer; None where such an answer has no score."""

    def timed_texts(self) -> Tokens:
        """Texts of the test part, to measure with how long one of them takes."""

    def probe(self, model: PreTrainedModel) -> list[Any]:
        """A model's answers to the watched sentences, one entry each, as the run folder keeps them."""


def learner_of(student: PreTrainedModel, maps: Mapping[str, nn.Module]) -> nn.Module:
    """All that is trained in the student's stage: the student, and what makes its states comparable."""
    return nn.ModuleDict({"student": student, **maps}) if maps else student
