"""A model that has learned one task answers another as it is: what it brings, and what its answers are taken for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedModel

from core.distill.device import Compute
from core.glue.entrants import Entrant
from core.glue.fine_tuning import Learner
from core.glue.tasks import TaskTexts
from core.models.in_memory import on_device
from core.models.saved import load_model
from core.models.teacher import teacher_for_labels, teacher_tokenizer


def trained_model(entrant: Entrant, longest: int, compute: Compute) -> Learner:
    """The model with the head that it has. Raises DistilleryError if it cannot be opened."""
    model: PreTrainedModel
    if entrant.teacher is not None:
        teacher = entrant.teacher.model_copy(update={"epochs": 0})
        model, tokenizer = teacher_for_labels(teacher, entrant.label_names), teacher_tokenizer(teacher)
    else:
        assert entrant.folder is not None
        model, tokenizer = load_model(entrant.folder)
    return Learner(on_device(model, compute.device), tokenizer, longest, compute)


def in_order_of_task(logits: NDArray[np.float32], own: Sequence[str], wanted: Sequence[str]) -> NDArray[np.float32]:
    """Logits (N, 2) with the columns in the task's order: by name where the names are the same, else as they come."""
    places = {name.casefold(): place for place, name in enumerate(own)}
    names = [name.casefold() for name in wanted]
    return logits[:, [places[name] for name in names]] if set(names) == set(places) else logits


def note(entrant: Entrant, texts: TaskTexts) -> str:
    """What whoever reads such a score should know."""
    own, wanted = entrant.label_names, texts.label_names
    if {name.casefold() for name in own} == {name.casefold() for name in wanted}:
        return (
            f"Zero-shot: {entrant.title} has learned to tell {own[0]} from {own[1]}, on other texts than these, and "
            f"has learned nothing of {texts.name} itself."
        )
    return (
        f"Zero-shot: {entrant.title} has learned to tell {own[0]} from {own[1]} and was asked {texts.name} as it is; "
        f"{own[0]} was taken for {wanted[0]}, {own[1]} for {wanted[1]}. A score near that of always giving the most "
        "frequent answer says that what it has learned is no help here, and one below it is no skill either."
    )
