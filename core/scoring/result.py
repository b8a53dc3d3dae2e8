"""The final measurement of a run: both models on the test part, their size, their speed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transformers import PreTrainedModel

from core.data.labelled import majority_share
from core.models.size import BYTES_PER_PARAMETER, MB
from core.scoring.predict import accuracy, agreement
from core.scoring.speed import milliseconds_per_sentence

if TYPE_CHECKING:
    from core.distill.session import Session


def measure(session: Session, teacher: PreTrainedModel, student: PreTrainedModel) -> dict[str, Any]:
    """Scores on the test part as shares, sizes, and milliseconds a sentence of both models."""
    test = session.task.test
    models = {"teacher": teacher, "student": student}
    logits = {name: session.predict(model, test) for name, model in models.items()}
    times = milliseconds_per_sentence(models, test)
    cards = {
        name: _size(model) | {"accuracy": accuracy(logits[name], test.labels), "ms_per_sentence": round(times[name], 3)}
        for name, model in models.items()
    }
    return cards | {
        "split": "test",
        "examples": len(test),
        "majority": majority_share(test.labels),
        "kept": cards["student"]["accuracy"] / cards["teacher"]["accuracy"],
        "agreement": agreement(logits["student"], logits["teacher"]),
    }


def _size(model: PreTrainedModel) -> dict[str, float]:
    parameters = sum(parameter.numel() for parameter in model.parameters())
    layers = sum(values.numel() for name, values in model.base_model.named_parameters() if "layer." in name)
    return {
        "parameters": parameters,
        "encoder_parameters": layers,
        "size_mb": round(parameters * BYTES_PER_PARAMETER / MB, 1),
    }
