"""The final measurement of a run: both models on the test part, their size, their speed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transformers import PreTrainedModel

from core.models.size import size_of
from core.scoring.speed import milliseconds_per_sentence

if TYPE_CHECKING:
    from core.distill.objective import Objective


def measure(objective: Objective, teacher: PreTrainedModel, student: PreTrainedModel) -> dict[str, Any]:
    """Scores on the test part, sizes, and milliseconds a text of both models.

    `kept` is the student's score as a share of the teacher's; None where either is undefined.
    """
    models = {"teacher": teacher, "student": student}
    answers = {
        name: objective.answers(model, "test", f"Scoring the {name} on texts that no model has seen")
        for name, model in models.items()
    }
    times = milliseconds_per_sentence(models, objective.timed_texts())
    scores = {name: objective.score(given, "test") for name, given in answers.items()}
    cards: dict[str, Any] = {
        name: {**size_of(model), "score": scores[name], "ms_per_sentence": round(times[name], 3)}
        for name, model in models.items()
    }
    return cards | {
        "metric": objective.metric,
        "counted": objective.counted,
        "split": objective.test_split,
        "examples": objective.count("test"),
        "majority": objective.majority("test"),
        "kept": _share_of(scores["teacher"], scores["student"]),
        "agreement": objective.agreement(answers["student"], answers["teacher"]),
        "notes": list(objective.notes),
    }


def _share_of(teacher: float | None, student: float | None) -> float | None:
    return student / teacher if student and teacher else None
