"""Which tensor of a checkpoint is which part of a model, in the names of today, and whether all of them are there.

Checkpoints of BERT come in several layouts: the bare encoder, with a head for words, for pre-training or for labels,
with and without a prefix, with the older names of LayerNorm. Only headers are looked at here: nothing is allocated.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from core.models.description import Description
from core.models.families.family import Family, Head, Tensors
from core.models.weights import DTYPES, ModelError, WeightsFile


@dataclass(frozen=True)
class Contents:
    """What a file holds: for each tensor, by today's name, its name in the file; and which heads are complete."""

    stored: dict[str, str]
    has_word_head: bool
    label_names: tuple[str, ...]


def contents_of_teacher(weights: WeightsFile, description: Description) -> Contents:
    """What a teacher's file holds. Raises ModelError unless its encoder is complete, with nothing unknown beside it."""
    family = description.family
    stored = _todays_names(weights, family)
    shape = description.shape("labels")
    encoder = {name: found for name, found in shape.tensors().items() if not family.is_top(name)}
    unknown = [name for name in stored if name not in encoder and not family.is_top(name)]
    _check(weights, stored, encoder, unknown)
    if family.pooler and any(name.startswith(family.pooler) for name in stored):
        head = shape.head_tensors()
        _check(weights, stored, {name: found for name, found in head.items() if name.startswith(family.pooler)})
    words = description.shape("words").head_tensors()
    has_word_head = any(name in words or name in family.tied for name in stored)
    if has_word_head:
        _take_tied_bias(stored, family)
        _check(weights, stored, words)
    return Contents(stored, has_word_head, _label_head(weights, stored, description))


def contents_of_ours(weights: WeightsFile, description: Description, head: Head) -> Contents:
    """What the file of a model with this head holds. Raises ModelError unless it is exactly such a model."""
    family = description.family
    stored = _todays_names(weights, family)
    if head == "words":
        _take_tied_bias(stored, family)
    expected = description.shape(head).tensors()
    _check(weights, stored, expected, [name for name in stored if name not in expected and name not in family.tied])
    return Contents(stored, head == "words", description.label_names if head == "labels" else ())


def head_of(description: Description, where: str) -> Head:
    """The head that a config.json names. Raises ModelError unless its class is one of those made here."""
    heads = {name: head for head, name in description.family.classes.items()}
    for name in description.architectures:
        if name in heads:
            return heads[name]
    named = ", ".join(description.architectures)[:100] or "no class"
    raise ModelError(f"{where} names {named} under architectures; expected one of {', '.join(heads)}.")


def taken_tensors(description: Description, contents: Contents, head: Head, rows: bool) -> set[str]:
    """Of a teacher's tensors those that a model with this head takes over, by today's names.

    Of a head for labels the last matrix only with `rows`; what lies before it wherever the file has it.
    """
    family = description.family
    tensors = description.shape(head).head_tensors()
    if head == "words":
        wanted = {*tensors, *family.tied} if contents.has_word_head else set()
    elif contents.label_names:
        wanted = {name for name in tensors if rows or not name.startswith(f"{family.label_rows}.")}
    else:
        wanted = {name for name in tensors if family.pooler and name.startswith(family.pooler)}
    return {name for name in contents.stored if name in wanted or not family.is_top(name)}


def _todays_names(weights: WeightsFile, family: Family) -> dict[str, str]:
    stored: dict[str, str] = {}
    for name in weights.tensors:
        today = re.sub(r"LayerNorm\.gamma$", "LayerNorm.weight", re.sub(r"LayerNorm\.beta$", "LayerNorm.bias", name))
        if today.startswith(family.bare):
            today = f"{family.prefix}.{today}"
        if today in stored:
            raise ModelError(f"{weights.label} holds {_short([today])} twice, under an older name and under today's.")
        if today not in family.counters:
            stored[today] = name
    return stored


def _take_tied_bias(stored: dict[str, str], family: Family) -> None:
    """Some files hold the word head's bias only under its second name."""
    for second, first in family.tied.items():
        if second.endswith(".bias") and first not in stored and second in stored:
            stored[first] = stored.pop(second)


def _label_head(weights: WeightsFile, stored: dict[str, str], description: Description) -> tuple[str, ...]:
    """The names of the labels that the file can tell apart; none where it has no head for whole texts."""
    head = description.shape("labels").head_tensors()
    if not all(name in stored for name in head):
        return ()
    if description.architectures and description.family.classes["labels"] not in description.architectures:
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
