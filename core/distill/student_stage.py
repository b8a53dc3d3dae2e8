"""The student's stage: it learns from the teacher's answers and is scored and asked as it goes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from transformers import PreTrainedModel

from core.distill.loop import Schedule, is_due, train
from core.distill.objective import Objective
from core.distill.session import Session
from core.distill.teacher_stage import check_worth_teaching
from core.jobs.reporter import StopRequested
from core.models.in_memory import on_device
from core.models.saved import save_model
from core.models.student import state_maps

SCORES = 10
PROBES = 48
"""How often in its stage the student is scored, and asked the watched sentences."""


def distil(
    session: Session, objective: Objective, teacher: PreTrainedModel, teacher_folder: Path, student_folder: Path
) -> PreTrainedModel:
    """Build a student, teach it, and save it in `student_folder`, also when StopRequested ends it early.

    Raises DistilleryError if the teacher has nothing to teach or the disk no room for its answers.
    """
    chosen, recorder, device = session.settings.training, session.recorder, session.compute.device
    asking = "Asking the teacher about the texts set aside"
    recorder.preparing(f"{asking}.")
    validation = objective.answers(teacher, "validation", asking)
    teacher_score, majority = objective.score(validation, "validation"), objective.majority("validation")
    check_worth_teaching(teacher_score, majority, objective.count("validation"))
    student = on_device(objective.new_student(teacher), device)
    loss = session.settings.loss
    compared = student.config.num_hidden_layers if "layers" in loss.needs() else 0
    maps = {name: each.to(device) for name, each in state_maps(student, teacher, compared, chosen.seed).items()}
    if chosen.compile:
        student.base_model.compile(dynamic=True)
    lesson = objective.student_lesson(student, maps, teacher, teacher_folder)
    schedule = Schedule(chosen.epochs, chosen.batch_size, chosen.learning_rate, chosen.warmup, chosen.seed)
    total = schedule.total_steps(len(lesson.lengths))
    observer = _Observer(session, objective, student, validation, objective.probe(teacher), total)
    scores = {"metric": objective.metric, "teacher_score": teacher_score, "majority": majority}
    recorder.stage("student", total, **scores, weights=loss.weights())
    try:
        train(lesson, schedule, session.compute, recorder, observer, "student", session.keeper)
    except StopRequested:
        save_model(student, objective.tokenizer, student_folder)
        raise
    save_model(student, objective.tokenizer, student_folder)
    return student


@dataclass(frozen=True)
class _Observer:
    """Scores the student on the validation part, and asks it the watched sentences, as it learns."""

    session: Session
    objective: Objective
    student: PreTrainedModel
    teacher_answers: NDArray
    teacher_probes: list[Any]
    total: int

    def __call__(self, step: int) -> None:
        recorder, objective = self.session.recorder, self.objective
        if self.teacher_probes and is_due(step, self.total, PROBES):
            recorder.probe(step, objective.probe(self.student), self.teacher_probes)
        if is_due(step, self.total, SCORES):
            answers = objective.answers(self.student, "validation", "Scoring the student on the texts set aside")
            recorder.score(
                step,
                score=objective.score(answers, "validation"),
                agreement=objective.agreement(answers, self.teacher_answers),
            )
