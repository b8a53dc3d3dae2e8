"""The texts of an update with some words hidden, laid out for a model to read.

Word pieces of several examples share a row of the input, each example with eyes for itself only, so that next to
nothing is computed for padding. Which positions a term of the loss asks about is said here, where they are drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.data.masking import Masker
from core.data.tokens import Tokens, cut_by_length, to_device
from core.sections import LossSettings
from core.terms import term_called


@dataclass(frozen=True)
class AskedRows:
    """So many positions, one after the other, and the names of the terms that ask about them."""

    rows: int
    terms: tuple[str, ...]


@dataclass(frozen=True)
class MaskedBatch:
    """One part of an update, words hidden, on one device, several examples to a row.

    `input_ids`, `position_ids` (R, L); `attention_mask` (R, 1, L, L) is true where a piece may look at another, None
    where every piece may look at its whole row. `places` (W,) are the non-padding positions of a flattened (R · L)
    array, row by row: the pieces of `examples`, in that order, `lengths` of each. `asked` (N,) are the positions where
    words are asked for, as indices into W: first the M hidden ones, which hide `targets` (M,). `groups` say in their
    order which terms ask about them. What begins with `all_` counts the whole update, `all_asked` by term.
    """

    examples: NDArray[np.int64]
    input_ids: Tensor
    position_ids: Tensor
    attention_mask: Tensor | None
    places: Tensor
    asked: Tensor
    targets: Tensor
    lengths: NDArray[np.int64]
    groups: tuple[AskedRows, ...]
    all_examples: int
    all_words: int
    all_masked: int
    all_asked: dict[str, int]

    @property
    def masked(self) -> Tensor:
        """The hidden words (M,), as indices into the non-padding positions."""
        return self.asked[: len(self.targets)]


def masked_batches(
    tokens: Tokens,
    examples: NDArray[np.int64],
    masker: Masker,
    loss: LossSettings | None,
    random: np.random.Generator,
    parts: int,
    device: torch.device,
) -> list[MaskedBatch]:
    """The examples of one update with some words hidden, cut into at most `parts` parts of about equal work.

    What is drawn is drawn for the whole update first, so the cut changes nothing. Without loss settings only hidden
    words are asked for, which is enough to train or to score a model by itself.
    """
    pieces, lengths = tokens.pieces(examples), tokens.lengths[examples]
    drawn = masker.draw(pieces, random)
    targets = np.full(len(pieces), -1)
    targets[drawn.places] = drawn.originals
    asked = _asked_by(targets >= 0, loss, random)
    starts = np.cumsum(lengths) - lengths
    all_asked = {name: int(chosen.sum()) for name, chosen in asked.items()}
    batches = []
    for part in cut_by_length(lengths, parts):
        part, row_of = _packed(part, lengths[part])
        chosen = np.repeat(starts[part], lengths[part]) + _counted_anew(lengths[part])
        layout = _layout(drawn.pieces[chosen], lengths[part], row_of, tokens.padding_id)
        here = {name: each[chosen] for name, each in asked.items()}
        places, groups = _grouped(targets[chosen] >= 0, here)
        layout |= {"asked": places, "targets": targets[chosen][places[: int((targets[chosen] >= 0).sum())]]}
        counts = {
            "all_examples": len(examples),
            "all_words": len(pieces),
            "all_masked": len(drawn.places),
            "all_asked": all_asked,
        }
        facts = {"examples": examples[part], "lengths": lengths[part], "groups": groups, **counts}
        batches.append(_on_device(layout, facts, device))
    return batches


def _asked_by(
    is_masked: NDArray[np.bool_], loss: LossSettings | None, random: np.random.Generator
) -> dict[str, NDArray[np.bool_]]:
    """Where each term over the vocabulary asks for words, (W,), by its name."""
    if loss is None:
        return {}
    options = loss.options()
    asking = [(term.name, term.vocabulary) for term in loss.in_use() if term.vocabulary is not None]
    return {name: each.positions(is_masked, options, random) for name, each in asking}


def _grouped(
    is_masked: NDArray[np.bool_], asked: dict[str, NDArray[np.bool_]]
) -> tuple[NDArray[np.int64], tuple[AskedRows, ...]]:
    """The hidden words and all other positions that a term asks about, by who asks: those where no teacher is asked
    come first among the hidden words, and the hidden words before all others."""
    places = np.flatnonzero(np.logical_or.reduce([is_masked, *asked.values()]))
    copying = [chosen[places] for name, chosen in asked.items() if term_called(name).asks_teacher]
    # The last key counts most.
    places = places[np.lexsort((*copying, ~is_masked[places]))]
    asking = np.array([chosen[places] for chosen in asked.values()]).reshape(len(asked), len(places))
    starts = np.flatnonzero(np.append(True, (asking[:, 1:] != asking[:, :-1]).any(axis=0)))[: len(places)]
    groups = [
        AskedRows(int(rows), tuple(name for name, asks in zip(asked, asking[:, start], strict=True) if asks))
        for start, rows in zip(starts, np.diff(np.append(starts, len(places))), strict=True)
    ]
    return places, tuple(groups)


def _packed(examples: NDArray[np.int64], lengths: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The examples sorted by row, and the row of each: longest first, each in the first row that has room for it."""
    longest_first = np.argsort(-lengths, kind="stable")
    room = np.full(len(lengths), lengths.max())
    row_of = np.empty_like(lengths)
    for place in longest_first:
        row_of[place] = np.argmax(room >= lengths[place])
        room[row_of[place]] -= lengths[place]
    order = np.argsort(row_of, kind="stable")
    return examples[order], row_of[order]


def _layout(
    pieces: NDArray[np.int32], lengths: NDArray[np.int64], row_of: NDArray[np.int64], padding_id: int
) -> dict[str, NDArray]:
    """Pieces of examples sorted by row, as an array of rows; `segments` numbers the examples, padding is −1."""
    filled = np.bincount(row_of, lengths).astype(np.int64)
    shape = len(filled), filled.max()
    before = np.cumsum(lengths) - lengths
    offset = before - (np.cumsum(filled) - filled)[row_of]
    within = _counted_anew(lengths)
    places = np.repeat(row_of * shape[1] + offset, lengths) + within
    layout = {"input_ids": padding_id, "position_ids": 0, "segments": -1}
    arrays = {name: np.full(shape[0] * shape[1], value, dtype=np.int64) for name, value in layout.items()}
    arrays["input_ids"][places] = pieces
    arrays["position_ids"][places] = within
    arrays["segments"][places] = np.repeat(np.arange(len(lengths)), lengths)
    return {name: array.reshape(shape) for name, array in arrays.items()} | {"places": places}


def _on_device(layout: dict[str, NDArray], facts: dict[str, Any], device: torch.device) -> MaskedBatch:
    segments = layout.pop("segments")
    tensors: dict[str, Any] = {name: to_device(array, device) for name, array in layout.items()}
    mask = None
    if (segments != segments[:, :1]).any():
        numbers = to_device(segments, device)
        # Padding sees padding: a row of scores without any would be no number at all.
        mask = (numbers.unsqueeze(2) == numbers.unsqueeze(1)).unsqueeze(1)
    return MaskedBatch(attention_mask=mask, **facts, **tensors)


def _counted_anew(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1, 2, … for each length, one after the other."""
    return np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
