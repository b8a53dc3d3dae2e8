"""The terms of the loss for masked words: both models read the same text, some of its words hidden.

Only what is needed is computed: the encoders alone, heads at the positions that some term asks about, no teacher where
no term has a weight for it. Word pieces of several examples share a row of the input, each example with eyes for itself
only, so that next to nothing is computed for padding.

Each term is a sum divided by what the whole update holds, so the parts of an update add up however it was cut.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import BertForMaskedLM, DistilBertForMaskedLM, PreTrainedModel

from core.data.masking import Masker
from core.data.tokens import Tokens, cut_by_length, to_device
from core.distill import vocabulary_loss as vocabulary
from core.distill.losses import hidden_cosine_loss
from core.distill.vocabulary_loss import Weights, WordRows, vocabulary_loss
from core.errors import DistilleryError
from core.scoring.predict import NOT_NUMBERS
from core.sections import LossSettings

MaskedModel = BertForMaskedLM | DistilBertForMaskedLM


@dataclass(frozen=True)
class MaskedBatch:
    """One part of an update, words hidden, on one device, several examples to a row.

    `input_ids`, `position_ids` (R, L); `attention_mask` (R, 1, L, L) is true where a piece may look at another, None
    where every piece may look at its whole row. `places` (W,) are the non-padding positions of a flattened (R · L)
    array, row by row: the pieces of `examples`, in that order. `asked` (N,) are the positions where words are asked
    for, as indices into W: first the M hidden ones, which hide `targets` (M,); the last `soft_count` are those where
    the teacher's doubts are copied. `all_words`, `all_masked` and `all_soft` count the whole update.
    """

    examples: NDArray[np.int64]
    input_ids: Tensor
    position_ids: Tensor
    attention_mask: Tensor | None
    places: Tensor
    asked: Tensor
    targets: Tensor
    soft_count: int
    all_words: int
    all_masked: int
    all_soft: int

    @property
    def masked(self) -> Tensor:
        """The hidden words (M,), as indices into the non-padding positions."""
        return self.asked[: len(self.targets)]


def guesser(model: PreTrainedModel) -> MaskedModel:
    """A model that guesses words. Raises TypeError for any other."""
    if isinstance(model, BertForMaskedLM | DistilBertForMaskedLM):
        return model
    raise TypeError(f"a {type(model).__name__} guesses no words")


@dataclass(frozen=True)
class _Read:
    """A model and its last hidden states of a batch, (W, H)."""

    model: MaskedModel
    hidden: Tensor


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
    is_soft = _soft_positions(targets >= 0, loss, random)
    starts = np.cumsum(lengths) - lengths
    totals = (len(pieces), len(drawn.places), int(is_soft.sum()))
    batches = []
    for part in cut_by_length(lengths, parts):
        part, row_of = _packed(part, lengths[part])
        chosen = np.repeat(starts[part], lengths[part]) + _counted_anew(lengths[part])
        layout = _layout(drawn.pieces[chosen], lengths[part], row_of, tokens.padding_id)
        batches.append(_on_device(examples[part], layout, targets[chosen], is_soft[chosen], totals, device))
    return batches


def word_loss_terms(
    student: MaskedModel,
    projection: nn.Module | None,
    teacher: MaskedModel | None,
    batch: MaskedBatch,
    loss_settings: LossSettings,
) -> dict[str, Tensor]:
    """The weighted "loss" of a part of an update, and its terms of weight above 0: "soft", "hard", "cosine".

    `projection` takes the student's hidden states to the teacher's width. The teacher, in evaluation mode, is not used
    and may be None where neither soft targets nor hidden states are asked for.
    """
    loss, read = loss_settings, None
    # The teacher first: what its layers need is free again before the student keeps its own for the gradients.
    if loss.soft > 0 or loss.cosine > 0:
        if teacher is None:
            raise ValueError("soft targets and hidden states are a teacher's, and there is none")
        with torch.no_grad():
            read = _Read(teacher, _hidden_states(teacher, batch))
    hidden = _hidden_states(student, batch)
    terms: dict[str, Tensor] = {}
    parts = []
    if loss.soft > 0 or loss.hard > 0:
        total, soft, hard = _vocabulary_terms(_Read(student, hidden), read, batch, loss)
        parts.append(total)
        terms |= {"soft": soft} if loss.soft > 0 else {}
        terms |= {"hard": hard} if loss.hard > 0 else {}
    if loss.cosine > 0 and read is not None:
        own = hidden if projection is None else projection(hidden)
        cosine = hidden_cosine_loss(own, read.hidden, batch.all_words)
        parts.append(loss.cosine * cosine)
        terms["cosine"] = cosine.detach()
    return {"loss": torch.stack(parts).sum(), **terms}


def teacher_loss_terms(teacher: MaskedModel, batch: MaskedBatch) -> dict[str, Tensor]:
    """The "loss" of a model that learns the hidden words by itself: their cross-entropy."""
    words = word_rows(teacher, _hidden_states(teacher, batch).index_select(0, batch.masked))
    weights = Weights(soft=0, hard=1, temperature=1, soft_total=0, hard_total=batch.all_masked)
    loss, _, _ = vocabulary_loss(words, batch.targets, None, weights)
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
    if isinstance(model, BertForMaskedLM):
        rows = model.cls.predictions.transform(hidden)
    else:
        rows = model.vocab_layer_norm(model.activation(model.vocab_transform(hidden)))
    projector = output_layer(model)
    return WordRows(rows, projector.weight, projector.bias)


def output_layer(model: MaskedModel) -> nn.Linear:
    """The vocabulary matrix and its bias."""
    return model.cls.predictions.decoder if isinstance(model, BertForMaskedLM) else model.vocab_projector


def _vocabulary_terms(
    student: _Read, teacher: _Read | None, batch: MaskedBatch, loss: LossSettings
) -> tuple[Tensor, Tensor, Tensor]:
    soft_from = len(batch.asked) - batch.soft_count
    asked = batch.asked if loss.hard > 0 else batch.asked[soft_from:]
    asked = asked if loss.soft > 0 else batch.masked
    targets = batch.targets if loss.hard > 0 else batch.targets[:0]
    doubts = None
    if loss.soft > 0 and teacher is not None:
        with torch.no_grad():
            doubts = word_rows(teacher.model, teacher.hidden.index_select(0, batch.asked[soft_from:]))
    weights = Weights(loss.soft, loss.hard, loss.temperature, batch.all_soft, batch.all_masked)
    return vocabulary_loss(word_rows(student.model, student.hidden.index_select(0, asked)), targets, doubts, weights)


def _hidden_states(model: MaskedModel, batch: MaskedBatch) -> Tensor:
    """Last hidden states at the non-padding positions, (W, H)."""
    mask = batch.attention_mask
    if mask is not None and model.config._attn_implementation == "eager":
        # That one adds the mask to the scores.
        mask = torch.zeros_like(mask, dtype=torch.float32).masked_fill_(~mask, torch.finfo(torch.float32).min)
    output = model.base_model(batch.input_ids, attention_mask=mask, position_ids=batch.position_ids)
    return output.last_hidden_state.flatten(0, 1).index_select(0, batch.places)


def _soft_positions(
    is_masked: NDArray[np.bool_], loss: LossSettings | None, random: np.random.Generator
) -> NDArray[np.bool_]:
    """Where soft targets are taken, (W,). A share is drawn without replacement: its mean has the mean of all as its
    expectation."""
    if loss is None or loss.soft == 0:
        return np.zeros_like(is_masked)
    if loss.soft_positions == "masked":
        return is_masked
    if loss.soft_positions == "all":
        return np.ones_like(is_masked)
    drawn = np.zeros_like(is_masked)
    wanted = int(np.ceil(loss.soft_share * len(is_masked)))
    drawn[random.choice(len(is_masked), wanted, replace=False, shuffle=False)] = True
    return drawn


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


def _on_device(
    examples: NDArray[np.int64],
    layout: dict[str, NDArray],
    targets: NDArray[np.int64],
    is_soft: NDArray[np.bool_],
    totals: tuple[int, int, int],
    device: torch.device,
) -> MaskedBatch:
    masked = targets >= 0
    groups = (masked & ~is_soft, masked & is_soft, ~masked & is_soft)
    asked = np.concatenate([np.flatnonzero(group) for group in groups])
    layout |= {"asked": asked, "targets": targets[asked[: masked.sum()]]}
    segments = layout.pop("segments")
    tensors = {name: to_device(array, device) for name, array in layout.items()}
    mask = None
    if (segments != segments[:, :1]).any():
        numbers = to_device(segments, device)
        # Padding sees padding: a row of scores without any would be no number at all.
        mask = (numbers.unsqueeze(2) == numbers.unsqueeze(1)).unsqueeze(1)
    all_words, all_masked, all_soft = totals
    return MaskedBatch(
        examples,
        attention_mask=mask,
        soft_count=int(is_soft.sum()),
        all_words=all_words,
        all_masked=all_masked,
        all_soft=all_soft,
        **tensors,
    )


def _counted_anew(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1, 2, … for each length, one after the other."""
    return np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
