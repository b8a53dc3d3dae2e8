"""Which tensor of a checkpoint is which part of a model, in the names of today, and whether all of them are there.

Checkpoints of BERT come in several layouts: the bare encoder, with a head for words, for pre-training or for labels,
with and without a prefix, with the older names of LayerNorm. Only headers are looked at here: nothing is allocated.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from core.models.description import CLASSES, Description
from core.models.shape import Head, Tensors
from core.models.weights import DTYPES, ModelError, WeightsFile

TIED = {
    "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
    "cls.predictions.decoder.bias": "cls.predictions.bias",
    "vocab_projector.weight": "distilbert.embeddings.word_embeddings.weight",
}
"""Tensors that some files hold a second time; in our models they are one."""

BARE = ("embeddings.", "encoder.", "pooler.")
COUNTERS = ("bert.embeddings.position_ids", "bert.embeddings.token_type_ids", "distilbert.embeddings.position_ids")
"""The numbers 0, 1, 2, …, which older checkpoints store and a model makes itself."""

POOLER = "bert.pooler."
TOPS = (POOLER, "cls.", "classifier.", "qa_outputs.")
"""How the names on top of a BERT's encoder begin: only these may be missing or left over in a teacher."""


@dataclass(frozen=True)
class Contents:
    """What a file holds: for each tensor, by today's name, its name in the file; and which heads are complete."""

    stored: dict[str, str]
    has_word_head: bool
    label_names: tuple[str, ...]


def contents_of_teacher(weights: WeightsFile, description: Description) -> Contents:
    """What a BERT's file holds. Raises ModelError unless its encoder is complete and nothing unknown is beside it."""
    stored = _todays_names(weights)
    encoder = {n: s for n, s in description.shape("labels").tensors().items() if not n.startswith(TOPS)}
    unknown = [name for name in stored if name not in encoder and not name.startswith(TOPS)]
    _check(weights, stored, encoder, unknown)
    if any(name.startswith(POOLER) for name in stored):
        _check(
            weights, stored, {n: s for n, s in description.shape("labels").tensors().items() if n.startswith(POOLER)}
        )
    has_word_head = any(name.startswith("cls.predictions.") for name in stored)
    if has_word_head:
        _take_tied_bias(stored)
        _check(weights, stored, description.shape("words").head_tensors())
    return Contents(stored, has_word_head, _label_head(weights, stored, description))


def contents_of_ours(weights: WeightsFile, description: Description, head: Head) -> Contents:
    """What the file of a model with this head holds. Raises ModelError unless it is exactly such a model."""
    stored = _todays_names(weights)
    if head == "words":
        _take_tied_bias(stored)
    expected = description.shape(head).tensors()
    _check(weights, stored, expected, [name for name in stored if name not in expected and name not in TIED])
    return Contents(stored, head == "words", description.label_names if head == "labels" else ())


def head_of(description: Description, where: str) -> Head:
    """The head that a config.json names. Raises ModelError unless it is one of the four classes made here."""
    for name in description.architectures:
        family, head = CLASSES.get(name, (None, None))
        if family == description.family and head:
            return head
    named = ", ".join(description.architectures)[:100] or "no class"
    raise ModelError(f"{where} names {named} under architectures; expected one of {', '.join(CLASSES)}.")


def _todays_names(weights: WeightsFile) -> dict[str, str]:
    stored: dict[str, str] = {}
    for name in weights.tensors:
        today = re.sub(r"LayerNorm\.gamma$", "LayerNorm.weight", re.sub(r"LayerNorm\.beta$", "LayerNorm.bias", name))
        if today.startswith(BARE):
            today = f"bert.{today}"
        if today in stored:
            raise ModelError(f"{weights.label} holds {_short([today])} twice, under an older name and under today's.")
        if today not in COUNTERS:
            stored[today] = name
    return stored


def _take_tied_bias(stored: dict[str, str]) -> None:
    """Some files hold the word head's bias only under its second name."""
    if "cls.predictions.bias" not in stored and "cls.predictions.decoder.bias" in stored:
        stored["cls.predictions.bias"] = stored.pop("cls.predictions.decoder.bias")


def _label_head(weights: WeightsFile, stored: dict[str, str], description: Description) -> tuple[str, ...]:
    """The names of the labels that the file can tell apart; none where it has no head for whole texts."""
    head = description.shape("labels").head_tensors()
    if not all(name in stored for name in head):
        return ()
    if description.architectures and "BertForSequenceClassification" not in description.architectures:
        return ()
    _check(weights, stored, head)
    return description.label_names


def _check(weights: WeightsFile, stored: dict[str, str], expected: Tensors, unknown: Iterable[str] = ()) -> None:
    missing = [name for name in expected if name not in stored]
    left_over = list(unknown)
    if missing or left_over:
        what = f"lacks {_short(missing)}" if missing else f"holds {_short(left_over)}, which no such model has"
        raise ModelError(f"{weights.label} does not fit its config.json: it {what}.")
    for name, shape in expected.items():
        found = weights.tensors[stored[name]]
        if found.shape != shape:
            raise ModelError(
                f"{weights.label} does not fit its config.json: {name} has the shape {_sizes(found.shape)}; "
                f"expected {_sizes(shape)}."
            )
        if found.dtype not in DTYPES:
            raise ModelError(f"{weights.label}: {name} is of type {found.dtype}; expected one of {', '.join(DTYPES)}.")


def _short(names: list[str]) -> str:
    shown = ", ".join(name.encode("utf-8", "replace").decode()[:80] for name in names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown


def _sizes(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) or "of a single number"
