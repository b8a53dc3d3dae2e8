"""How long a run will take here, before it begins: arithmetic, corrected by what this machine really did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.config import Settings
from core.data.outline import TextOutline, text_outline
from core.distill.cache import teacher_key
from core.models.hub import NotFetchedError
from core.models.outline import teacher_outline
from core.models.size import Shape, student_shape, teacher_shape
from core.pace import Here, pace_here, remember_pace
from core.storage import teacher_model

FLOPS_PER_S = 2.6e11
SECONDS_PER_PARAMETER = 1.3e-9
"""A reference machine: arithmetic, and one optimiser update. Every other machine is this one times its pace."""

TEACHER_SCORES, STUDENT_SCORES = 4, 11
START_S = 6.0


@dataclass(frozen=True)
class Plan:
    """What a run is going to do. Examples are texts, pairs or blocks of masked words; steps are optimiser updates.

    `teacher_steps` is 0 where a trained teacher is kept, or used as it is. `seconds` are those of the reference machine
    times `pace`.
    """

    train_examples: int
    teacher_steps: int
    student_steps: int
    seconds: float
    pace: float
    pace_measured: bool
    teacher: Shape
    student: Shape


@dataclass(frozen=True)
class _Costs:
    """Seconds on the reference machine of reading word pieces, by what is done with them."""

    settings: Settings
    teacher: Shape
    student: Shape

    @property
    def masked(self) -> float:
        """Share of the word pieces at which words are asked for."""
        return self.settings.masking.share if self.settings.objective == "masked_words" else 0.0

    def asked(self, of_teacher: bool) -> float:
        """Share of the word pieces at which some term computes all words: the student's, or those of the teacher."""
        if self.settings.objective == "labels":
            return 0.0
        loss = self.settings.loss
        shares = [
            term.vocabulary.share(self.masked, loss.options())
            for term in loss.in_use()
            if term.vocabulary and (term.asks_teacher or not of_teacher)
        ]
        return max(shares, default=0.0)

    def answer(self, shape: Shape, pieces: float) -> float:
        """A model answers."""
        return _forward(shape, pieces) + _words(shape, self.masked * pieces)

    def train_teacher(self, pieces: float, steps: int) -> float:
        """The teacher learns."""
        return 3 * self.answer(self.teacher, pieces) + _updates(self.teacher, steps)

    def train_student(self, pieces: float, steps: int) -> float:
        """The student learns, and where its answers cannot be kept the teacher reads along."""
        loss = self.settings.loss
        seconds = 3 * (_forward(self.student, pieces) + _words(self.student, self.asked(False) * pieces))
        reads_along = self.settings.objective == "masked_words" or not loss.needs() <= {"hidden"}
        if reads_along and loss.asks_teacher():
            seconds += _forward(self.teacher, pieces) + _words(self.teacher, self.asked(True) * pieces)
        return seconds + _updates(self.student, steps)


def plan(settings: Settings) -> Plan:
    """Steps and expected seconds of a run on this machine. Raises DistilleryError if data or teacher cannot be used.

    The first time it takes as long as reading the files of a teacher or data set of the user's.
    """
    texts, outline = text_outline(settings.data, settings.objective), teacher_outline(settings.teacher)
    teacher = teacher_shape(outline, settings.objective)
    student = student_shape(outline, settings.student, settings.objective)
    kept = teacher_is_kept(settings)
    teacher_steps = 0 if kept else settings.teacher.epochs * -(-texts.train // settings.teacher.batch_size)
    student_steps = settings.training.epochs * -(-_read_by_student(settings, texts) // settings.training.batch_size)
    seconds = _seconds(settings, texts, _Costs(settings, teacher, student), (teacher_steps, student_steps), kept)
    pace = pace_here(settings.training, settings.objective)
    seconds *= pace.times
    return Plan(texts.train, teacher_steps, student_steps, seconds, pace.times, pace.is_measured, teacher, student)


def learn(settings: Settings, predicted: Plan, results: dict[str, Any]) -> None:
    """Remember how long a finished run took against what `plan` had said before it, for runs of its kind and device.

    Raises OSError if it cannot be written.
    """
    computed = results["compute"]
    times = predicted.pace * results["elapsed_s"] / predicted.seconds
    remember_pace(settings.training, settings.objective, Here(computed["device"], computed["precision"]), times)


def _read_by_student(settings: Settings, texts: TextOutline) -> int:
    """Examples in one of its epochs, changed copies included."""
    return texts.train * (1 + settings.training.copies)


def teacher_is_kept(settings: Settings) -> bool:
    """True if this run's teacher has been taught by an earlier one. Raises DistilleryError as `plan`."""
    try:
        return teacher_model(teacher_key(settings)).exists()
    except NotFetchedError:
        return False


def _seconds(settings: Settings, texts: TextOutline, costs: _Costs, steps: tuple[int, int], kept: bool) -> float:
    """Of the whole run on the reference machine: both stages, the scores on the way and the last one."""
    train, validation, test = (count * texts.pieces for count in (texts.train, texts.validation, texts.test))
    told = _read_by_student(settings, texts) * texts.pieces
    seconds = START_S + costs.answer(costs.teacher, validation + test)
    if not kept:
        seconds += costs.train_teacher(settings.teacher.epochs * train, steps[0])
        seconds += costs.answer(costs.teacher, TEACHER_SCORES * validation)
        if settings.objective == "labels" and settings.loss.asks_teacher():
            seconds += costs.answer(costs.teacher, told)
    seconds += costs.train_student(settings.training.epochs * told, steps[1])
    return seconds + costs.answer(costs.student, STUDENT_SCORES * validation + test)


def _forward(shape: Shape, pieces: float) -> float:
    return 2 * shape.encoder_parameters * pieces / FLOPS_PER_S


def _words(shape: Shape, pieces: float) -> float:
    """The product with the vocabulary matrix, at so many word pieces."""
    return 2 * shape.word_width * shape.vocabulary * pieces / FLOPS_PER_S


def _updates(shape: Shape, steps: int) -> float:
    # A backward pass costs two forward passes; then every parameter is updated.
    return steps * shape.parameters * SECONDS_PER_PARAMETER
