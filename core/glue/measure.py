"""One score of a GLUE job: the model is made, learns the task or is asked as it is, and its answers are scored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from core.data.copies import repeated, with_copies
from core.data.part import Part
from core.data.token_cache import tokenizer_digest
from core.distill.checkpoint import Keeper
from core.distill.device import Compute
from core.distill.job import versions
from core.distill.recorder import Stage
from core.errors import DistilleryError
from core.glue.entrants import Entrant
from core.glue.fine_tuning import Course, Learner, again_loss, distil_again, fine_tune, new_learner, schedule_of
from core.glue.metrics import TaskScore, majority_score, score_task
from core.glue.plan import Plan, PlannedCell
from core.glue.rates import best_rate, keep_tried, without_held_out
from core.glue.recorder import CellRecorder, JobRecorder
from core.glue.settings import RATES, GlueSettings
from core.glue.tasks import TaskTexts, read_task
from core.glue.zero_shot import in_order_of_task, note, trained_model
from core.models.in_memory import on_device
from core.models.saved import load_model, save_model

CHECKPOINT_EVERY = 200


@dataclass(frozen=True)
class Measured:
    """What came of one cell."""

    score: TaskScore
    majority: float | None
    mismatched: dict[str, float | None] | None
    train_examples: int
    notes: tuple[str, ...] = ()
    chosen_rate: float | None = None


@dataclass(frozen=True)
class Setting:
    """Everything around one cell. `what` names it in sentences."""

    settings: GlueSettings
    job: Path
    plan: Plan
    cell: PlannedCell
    models: dict[str, Entrant]
    compute: Compute
    what: str

    @property
    def entrant(self) -> Entrant:
        """The cell's model."""
        return self.models[self.cell.model]

    def recipe(self, texts: TaskTexts) -> dict[str, Any]:
        """How the model learned; scores of equal recipes may be pooled over seeds."""
        common = {"max_tokens": self.settings.max_tokens, "data": texts.fingerprint[:12]}
        if self.cell.way == "zero-shot":
            return common
        fields = {"epochs", "batch_size", "learning_rate", "warmup", "max_examples"}
        recipe = self.settings.model_dump(mode="json", include=fields) | common
        if self.cell.way == "distilled again":
            loss = again_loss(self.settings)
            recipe |= {"teacher": self.plan.teacher_of(self.cell).model, "loss": loss.model_dump(mode="json")}
        if self.settings.choose_rate:
            recipe["learning_rate"] = list(RATES)
        if (readings := self.settings.readings(self.cell.role)) > 1:
            recipe["readings"] = readings
        return recipe

    def keeper(self, texts: TaskTexts, rate: float, recorder: CellRecorder) -> Keeper:
        """Where this cell's training is kept, and what it must not be confused with."""
        named = {"model": self.cell.model, "task": self.cell.task, "seed": self.cell.seed, "way": self.cell.way}
        if self.settings.choose_rate:
            named["rate"] = rate
        conditions = {
            "device": str(self.compute.device),
            "precision": self.compute.precision,
            "threads": self.compute.threads,
        }
        facts = {"frozen": named | self.recipe(texts), "compute": conditions | versions()}
        root = self.cell.checkpoints(self.job)
        root.parent.mkdir(mode=0o700, exist_ok=True)
        return Keeper(root, CHECKPOINT_EVERY, facts, recorder)


def learn(setting: Setting, recorder: JobRecorder) -> Measured:
    """Let the model learn the task, and score it. Raises StopRequested, leaving a checkpoint, and DistilleryError."""
    settings, cell = setting.settings, setting.cell
    chosen = best_rate(setting.plan, cell, setting.job) if settings.choose_rate else None
    texts = _texts(setting)
    learner = _learned(setting, texts, chosen or settings.learning_rate, recorder)
    _keep_for_students(setting, learner)
    return replace(_scored(texts, learner, recorder, len(texts.train)), chosen_rate=chosen)


def try_rate(setting: Setting, recorder: JobRecorder) -> None:
    """Learn the task but for a tenth of it with one learning rate, and keep how well that tenth is answered.

    Raises StopRequested, leaving a checkpoint, and DistilleryError.
    """
    cell, texts = setting.cell, _texts(setting)
    assert cell.rate is not None
    train, judged = without_held_out(texts, cell.seed)
    learner = _learned(setting, replace(texts, train=train), cell.rate, recorder)
    keep_tried(cell, setting.job, _score(texts.name, judged, learner, recorder).score)


def _texts(setting: Setting) -> TaskTexts:
    return read_task(setting.settings, setting.cell.task).drawn(setting.settings.max_examples, setting.cell.seed)


def _learned(setting: Setting, texts: TaskTexts, rate: float, recorder: JobRecorder) -> Learner:
    """The cell's model when it has learned from these texts."""
    settings, cell, compute = setting.settings, setting.cell, setting.compute
    told = CellRecorder(recorder, setting.what, cell.first_step, cell.steps // settings.epochs, settings.epochs)
    learner = new_learner(setting.entrant, texts.label_names, settings.max_tokens, compute, cell.seed)
    stage: Stage = "teacher" if cell.role == "teacher" else "student"
    schedule = schedule_of(settings, rate, cell.seed)
    course = Course(schedule, compute, told, setting.keeper(texts, rate, told), stage)
    if cell.way == "distilled again":
        _learn_from_teacher(setting, learner, texts, course)
    else:
        told.say_epoch(0)
        fine_tune(learner, repeated(texts.train, settings.readings(cell.role)), course)
    told.say_epoch(cell.steps)
    return learner


def ask(setting: Setting, recorder: JobRecorder) -> Measured:
    """Ask the model the task as it is, and score it."""
    entrant = setting.entrant
    texts = read_task(setting.settings, setting.cell.task)
    learner = trained_model(entrant, setting.settings.max_tokens, setting.compute)
    answers = in_order_of_task(learner.answers(texts.dev, recorder), entrant.label_names, texts.label_names)
    score, blind = score_task(texts.name, answers, texts.dev.labels), majority_score(texts.name, texts.dev.labels)
    # What was learned before is said elsewhere, and would contradict this note.
    said = () if entrant.leaks(texts.name) else (note(entrant, texts),)
    return Measured(score, blind, None, 0, said)


def _learn_from_teacher(setting: Setting, learner: Learner, texts: TaskTexts, course: Course) -> None:
    planned = setting.plan.teacher_of(setting.cell)
    kept = planned.kept_teacher(setting.job)
    teacher, tokenizer = load_model(kept / "model")
    if tokenizer_digest(tokenizer) != tokenizer_digest(learner.tokenizer):
        raise DistilleryError(
            f"{setting.cell.title} and {planned.title} cut texts into different word pieces, so the one cannot learn "
            "from the other. Switch second_distillation off, or put the student's own teacher first."
        )
    course.recorder.preparing(f"Asking {planned.title}.")
    teacher = on_device(teacher.requires_grad_(False), course.compute.device)
    train = with_copies(texts.train, setting.settings.copies, setting.cell.seed)
    distil_again(learner, teacher, kept, train, course, again_loss(setting.settings))


def _keep_for_students(setting: Setting, learner: Learner) -> None:
    """Keep the model if it is a teacher that students learn from next."""
    cell = setting.cell
    students = setting.plan.students_of(cell)
    if cell.role == "teacher" and students and setting.plan.teacher_of(students[0]) == cell:
        folder = cell.kept_teacher(setting.job)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        save_model(learner.model, learner.tokenizer, folder / "model")


def _scored(texts: TaskTexts, learner: Learner, recorder: JobRecorder, train_examples: int) -> Measured:
    score = _score(texts.name, texts.dev, learner, recorder)
    other = _score(texts.name, texts.mismatched, learner, recorder).scores if texts.mismatched else None
    return Measured(score, majority_score(texts.name, texts.dev.labels), other, train_examples)


def _score(name: str, part: Part, learner: Learner, recorder: JobRecorder) -> TaskScore:
    answers: NDArray = learner.answers(part, recorder)
    return score_task(name, answers if answers.shape[1] > 1 else answers[:, 0], part.labels)
