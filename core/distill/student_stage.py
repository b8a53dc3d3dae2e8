"""The student's stage: it learns from the teacher's kept answers and is scored and asked as it goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from core.config import LossSettings
from core.data.labelled import majority_share
from core.data.tokens import Batch
from core.distill.loop import Schedule, is_due, train
from core.distill.losses import hard_target_loss, hidden_cosine_loss, soft_target_loss, weighted_sum
from core.distill.recorder import StopRequested
from core.distill.session import Session
from core.distill.teacher_stage import TeacherOutputs, check_worth_teaching, teacher_outputs
from core.models.saved import save_model
from core.models.student import build_student
from core.scoring.predict import accuracy, agreement, predict, probabilities

SCORES = 10
PROBES = 48
"""How often in its stage the student is scored, and asked the watched sentences."""


def distil(session: Session, teacher: PreTrainedModel, teacher_folder: Path, student_folder: Path) -> PreTrainedModel:
    """Build a student, teach it, and save it in `student_folder`, also when StopRequested ends it early.

    Raises DistilleryError if the teacher has nothing to teach or the disk no room for its answers.
    """
    settings, task = session.settings, session.task
    session.recorder.preparing("Asking the teacher about every training sentence.")
    validation = session.predict(teacher, task.validation)
    teacher_accuracy, majority = accuracy(validation, task.validation.labels), majority_share(task.validation.labels)
    check_worth_teaching(teacher_accuracy, majority, len(task.validation))
    outputs = teacher_outputs(
        teacher, task.train, teacher_folder, settings.loss.cosine > 0, session.compute, session.recorder
    )
    student = build_student(teacher, settings.student, settings.training.seed).to(session.compute.device)
    chosen = settings.training
    schedule = Schedule(chosen.epochs, chosen.batch_size, chosen.learning_rate, chosen.warmup, chosen.seed)
    total = schedule.total_steps(len(task.train))
    observer = _Observer(session, student, validation, _probe(session, teacher), total)
    weights = settings.loss.model_dump(include={"soft", "hard", "cosine"})
    session.recorder.stage("student", total, teacher_accuracy=teacher_accuracy, majority=majority, weights=weights)
    terms = loss_terms(settings.loss, student, outputs)
    try:
        train(
            student, task.train, terms, schedule, session.compute, session.recorder, observer, "student", session.keeper
        )
    except StopRequested:
        save_model(student, task.tokenizer, student_folder)
        raise
    save_model(student, task.tokenizer, student_folder)
    return student


def loss_terms(
    weights: LossSettings, student: PreTrainedModel, outputs: TeacherOutputs
) -> Callable[[Batch], dict[str, Tensor]]:
    """The weighted loss of one batch and its terms; a term whose weight is 0 is not computed."""

    def terms_of(batch: Batch) -> dict[str, Tensor]:
        answer = student(batch.input_ids, attention_mask=batch.attention_mask, output_hidden_states=weights.cosine > 0)
        terms: dict[str, Tensor] = {}
        if weights.soft > 0:
            terms["soft"] = soft_target_loss(answer.logits, outputs.logits_of(batch), weights.temperature)
        if weights.hard > 0:
            terms["hard"] = hard_target_loss(answer.logits, batch.labels)
        if weights.cosine > 0:
            words = answer.hidden_states[-1][batch.attention_mask.bool()]
            terms["cosine"] = hidden_cosine_loss(words, outputs.hidden_of(batch))
        return {"loss": weighted_sum(terms, weights), **terms}

    return terms_of


@dataclass(frozen=True)
class _Observer:
    """Scores the student on the validation part, and asks it the watched sentences, as it learns."""

    session: Session
    student: PreTrainedModel
    teacher_validation: NDArray
    teacher_probes: list[list[float]]
    total: int

    def __call__(self, step: int) -> None:
        recorder, validation = self.session.recorder, self.session.task.validation
        if self.teacher_probes and is_due(step, self.total, PROBES):
            recorder.probe(step, _probe(self.session, self.student), self.teacher_probes)
        if is_due(step, self.total, SCORES):
            logits = self.session.predict(self.student, validation)
            recorder.score(
                step,
                accuracy=accuracy(logits, validation.labels),
                agreement=agreement(logits, self.teacher_validation),
            )


def _probe(session: Session, model: PreTrainedModel) -> list[list[float]]:
    logits = predict(model, session.task.probes, session.compute, before_batch=lambda: None)
    return [[round(share, 4) for share in row] for row in probabilities(logits).tolist()]
