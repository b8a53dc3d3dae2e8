"""The terms of the loss for masked words: both models read the same text, some of its words hidden.

Only what is needed is computed: the encoders alone, heads at the positions that some term asks about, no teacher where
no term has a weight for it.

Each term is a sum divided by what the whole update holds, so the parts of an update add up however it was cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from core.distill import vocabulary_loss as vocabulary
from core.distill.masked_batch import MaskedBatch
from core.distill.objective import learner_of
from core.distill.views import ModelView
from core.distill.vocabulary_loss import Group, VocabularyTerm, WordRows, vocabulary_loss
from core.errors import DistilleryError
from core.models.families import family_of
from core.scoring.predict import NOT_NUMBERS
from core.sections import LossSettings
from core.terms.declaration import Need, Seen, Term
from core.terms.hard import cross_entropy_of

MaskedModel = PreTrainedModel


def guesser(model: PreTrainedModel) -> MaskedModel:
    """A model that guesses words. Raises TypeError for any other."""
    if family_of(model).guesses_words(model):
        return model
    raise TypeError(f"a {type(model).__name__} guesses no words")


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
        seen = Seen(student, read or student, batch.lengths, batch.all_examples, batch.all_words)
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
    numbers = {term.name: number for number, term in enumerate(terms)}
    groups = [Group(group.rows, tuple(map(numbers.__getitem__, group.terms))) for group in batch.groups]
    # Hidden words that no term in use asks about; they come first.
    unasked = sum(group.rows for group in groups if not group.terms)
    groups = [group for group in groups if group.terms]
    doubted = [group.rows for group in groups if any(terms[number].asks_teacher for number in group.terms)]
    doubts = None
    if teacher is not None and any(term.asks_teacher for term in terms):
        with torch.no_grad():
            doubts = _rows_of(teacher, batch.asked[len(batch.asked) - sum(doubted) :])
    targets = batch.targets[:0] if all(term.asks_teacher for term in terms) else batch.targets
    weighted = [_weighted(term, batch, loss) for term in terms]
    return vocabulary_loss(_rows_of(student, batch.asked[unasked:]), targets, doubts, weighted, groups)


def _weighted(term: Term, batch: MaskedBatch, loss: LossSettings) -> VocabularyTerm:
    over, weight, total = term.vocabulary, loss.weights()[term.name], batch.all_asked[term.name]
    assert over is not None
    return VocabularyTerm(over.block, weight, over.temperature(loss.options()), total, term.asks_teacher)


def _rows_of(view: ModelView, places: Tensor) -> WordRows:
    return word_rows(guesser(view.model), view.states(-1).index_select(0, places))


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
