"""The terms of the loss for masked words: both models read the same text, some of its words hidden.

Only what is needed is computed: the encoders alone, heads at the positions that some term asks about, no teacher where
no term has a weight for it. Word pieces of several examples share a row of the input, each example with eyes for itself
only, so that next to nothing is computed for padding.

Each term is a sum divided by what the whole update holds, so the parts of an update add up however it was cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import PreTrainedModel

from core.data.masking import Masker
from core.data.tokens import Tokens, cut_by_length, to_device
from core.distill import vocabulary_loss as vocabulary
from core.distill.objective import learner_of
from core.distill.views import ModelView
from core.distill.vocabulary_loss import Group, VocabularyTerm, WordRows, vocabulary_loss
from core.errors import DistilleryError
from core.models.families import family_of
from core.scoring.predict import NOT_NUMBERS
from core.sections import LossSettings
from core.terms import term_called
from core.terms.declaration import Need, Seen, Term
from core.terms.hard import cross_entropy_of

MaskedModel = PreTrainedModel


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
    order which terms ask about them. `all_words`, `all_masked` and, by term, `all_asked` count the whole update.
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
    all_words: int
    all_masked: int
    all_asked: dict[str, int]

    @property
    def masked(self) -> Tensor:
        """The hidden words (M,), as indices into the non-padding positions."""
        return self.asked[: len(self.targets)]


def guesser(model: PreTrainedModel) -> MaskedModel:
    """A model that guesses words. Raises TypeError for any other."""
    if family_of(model).guesses_words(model):
        return model
    raise TypeError(f"a {type(model).__name__} guesses no words")


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
        counts = {"all_words": len(pieces), "all_masked": len(drawn.places), "all_asked": all_asked}
        facts = {"examples": examples[part], "lengths": lengths[part], "groups": groups, **counts}
        batches.append(_on_device(layout, facts, device))
    return batches


class WordUpdate(nn.Module):
    """A part of an update: both models read it, and the terms that have a weight compare what they make of it."""

    def __init__(
        self,
        student: MaskedModel,
        maps: Mapping[str, nn.Module],
        teacher: MaskedModel | None,
        loss: LossSettings,
        layer_map: tuple[int, ...],
    ) -> None:
        """`layer_map` says which teacher layer each student layer is compared with.

        The teacher, in evaluation mode, is not used and may be None where no term in use asks it (ValueError).
        """
        super().__init__()
        if loss.asks_teacher() and teacher is None:
            raise ValueError("a term asks a teacher, and there is none")
        self.learner = learner_of(student, maps)
        self._student, self._maps, self._loss = student, maps, loss
        # In a tuple, so that it is no part of what is trained.
        self._teacher = (teacher,) if loss.asks_teacher() else (None,)
        self._layer_map = layer_map

    def forward(self, batch: MaskedBatch) -> dict[str, Tensor]:
        """The weighted "loss" of the part and its terms, by name; a term whose weight is 0 is not computed."""
        loss, (teacher,) = self._loss, self._teacher
        read = None
        # The teacher first: what its layers need is free again before the student keeps its own for the gradients.
        if teacher is not None:
            with torch.no_grad():
                read = read_words(teacher, batch, loss.needs(), self._layer_map, {})
        layers = tuple(range(self._student.config.num_hidden_layers))
        student = read_words(self._student, batch, loss.needs(), layers, self._maps)
        terms = [each for each in loss.in_use() if each.vocabulary is not None]
        parts, values = [], {}
        if terms:
            total, *found = _over_vocabulary(student, read, batch, terms, loss)
            parts.append(total)
            values = {term.name: value for term, value in zip(terms, found, strict=True)}
        seen = Seen(student, read or student, batch.lengths, len(batch.examples), batch.all_words)
        for term in loss.in_use():
            if term.states is not None:
                value = term.states(seen, loss.options())
                parts.append(loss.weights()[term.name] * value)
                values[term.name] = values.get(term.name, 0) + value.detach()
        return {"loss": torch.stack(parts).sum(), **values}


def teacher_loss_terms(teacher: MaskedModel, batch: MaskedBatch) -> dict[str, Tensor]:
    """The "loss" of a model that learns the hidden words by itself: their cross-entropy."""
    words = word_rows(teacher, _hidden_states(teacher, batch).index_select(0, batch.masked))
    asked = VocabularyTerm(cross_entropy_of, weight=1, temperature=1, total=batch.all_masked, asks_teacher=False)
    loss, _ = vocabulary_loss(words, batch.targets, None, [asked], [Group(len(batch.targets), (0,))])
    return {"loss": loss}


@torch.no_grad()
def best_words(model: MaskedModel, batch: MaskedBatch) -> Tensor:
    """What a model, in evaluation mode, takes for the most probable piece at each hidden place, (M,).

    Raises DistilleryError if an answer is not a number: its most probable piece would be one like any other.
    """
    words = word_rows(model, _hidden_states(model, batch).index_select(0, batch.masked))
    if not torch.isfinite(words.rows).all():
        raise DistilleryError(NOT_NUMBERS)
    return vocabulary.best_words(words)


def word_rows(model: MaskedModel, hidden: Tensor) -> WordRows:
    """A model's head on last hidden states (N, H), up to the vocabulary matrix."""
    projector = output_layer(model)
    return WordRows(family_of(model).head_rows(model, hidden), projector.weight, projector.bias)


def output_layer(model: MaskedModel) -> nn.Linear:
    """The vocabulary matrix and its bias."""
    return family_of(model).vocabulary_layer(model)


def _over_vocabulary(
    student: ModelView, teacher: ModelView | None, batch: MaskedBatch, terms: list[Term], loss: LossSettings
) -> tuple[Tensor, ...]:
    """The weighted loss of the terms over the vocabulary, and the value of each."""
    options, weights, numbers = loss.options(), loss.weights(), {term.name: n for n, term in enumerate(terms)}
    weighted = [
        VocabularyTerm(each.block, weights[term.name], each.temperature(options), batch.all_asked[term.name], theirs)
        for term in terms
        if (each := term.vocabulary) is not None
        for theirs in (term.asks_teacher,)
    ]
    groups = [Group(group.rows, tuple(map(numbers.__getitem__, group.terms))) for group in batch.groups]
    # Hidden words that no term in use asks about; they come first.
    unasked = groups[0].rows if not groups[0].terms else 0
    groups = groups[1:] if unasked else groups
    targets = batch.targets[:0] if all(term.asks_teacher for term in terms) else batch.targets
    first = len(batch.asked) - sum(group.rows for group in groups if any(weighted[n].asks_teacher for n in group.terms))
    doubts = None
    if teacher is not None and any(each.asks_teacher for each in weighted):
        with torch.no_grad():
            doubts = word_rows(guesser(teacher.model), teacher.states(-1).index_select(0, batch.asked[first:]))
    rows = word_rows(guesser(student.model), student.states(-1).index_select(0, batch.asked[unasked:]))
    return vocabulary_loss(rows, targets, doubts, weighted, groups)


def read_words(
    model: MaskedModel,
    batch: MaskedBatch,
    needs: frozenset[Need],
    layers: tuple[int, ...],
    maps: Mapping[str, nn.Module],
) -> ModelView:
    """What a model makes of a part; states of its layers only where a term needs them."""
    output = _encoded(model, batch, output_hidden_states=not needs <= {"hidden"})
    last = output.last_hidden_state.flatten(0, 1).index_select(0, batch.places)

    def states(place: int) -> Tensor:
        if place in (-1, model.config.num_hidden_layers):
            return last
        return output.hidden_states[place].flatten(0, 1).index_select(0, batch.places)

    return ModelView(model, states, layers, maps)


def _hidden_states(model: MaskedModel, batch: MaskedBatch) -> Tensor:
    """Last hidden states at the non-padding positions, (W, H)."""
    return _encoded(model, batch).last_hidden_state.flatten(0, 1).index_select(0, batch.places)


def _encoded(model: MaskedModel, batch: MaskedBatch, **options: bool) -> Any:
    mask = batch.attention_mask
    if mask is not None and model.config._attn_implementation == "eager":
        # That one adds the mask to the scores.
        mask = torch.zeros_like(mask, dtype=torch.float32).masked_fill_(~mask, torch.finfo(torch.float32).min)
    positions = batch.position_ids + family_of(model).first_position(model)
    return model.base_model(batch.input_ids, attention_mask=mask, position_ids=positions, **options)


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
    whose = [tuple(name for name, chosen in asked.items() if chosen[place]) for place in places]
    groups = [AskedRows(len(list(same)), names) for names, same in groupby(whose)]
    return places, tuple(groups) or (AskedRows(0, ()),)


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
