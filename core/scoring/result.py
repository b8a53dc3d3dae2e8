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
    answers = {name: objective.answers(model, "test") for name, model in models.items()}
    times = milliseconds_per_sentence(models, objective.timed_texts())
    cards = {
        name: size_of(model)
        | {"score": objective.score(answers[name], "test"), "ms_per_sentence": round(times[name], 3)}
        for name, model in models.items()
    }
    scores = cards["student"]["score"], cards["teacher"]["score"]
    return cards | {
        "metric": objective.metric,
        "counted": objective.counted,
        "split": objective.test_split,
        "examples": objective.count("test"),
        "majority": objective.majority("test"),
        "kept": scores[0] / scores[1] if all(scores) else None,
        "agreement": objective.agreement(answers["student"], answers["teacher"]),
        "notes": list(objective.notes),
    }
