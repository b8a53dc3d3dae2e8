"""Texts as word pieces, kept without padding, and cut into batches of similar length.

The order of an epoch follows from (seed, epoch) alone, so a run can be continued from a step number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from core.config import MASK
from core.data.limits import MAX_CHARACTERS, SHORTEST_DOCUMENT, SHORTEST_REST
from core.data.part import Part

BATCHES_SORTED_TOGETHER = 32
"""Length grouping sorts this many batches at a time: little padding, and still a new mix in every epoch."""


# Somebody who types it in small letters means the same.
_MASK = re.compile(re.escape(MASK), re.IGNORECASE)


@dataclass(frozen=True)
class Batch:
    """Some examples of one part, padded to the longest of them, on one device.

    `input_ids`, `attention_mask` and, for pairs, `token_type_ids` have shape (B, L). `places` (W,) are the non-padding
    positions of a flattened (B · L) array, row by row, `lengths` (B,) how many each row has. `labels` (B,) are classes
    or scores.
    """

    examples: NDArray[np.int64]
    lengths: NDArray[np.int64]
    input_ids: Tensor
    attention_mask: Tensor
    places: Tensor
    labels: Tensor
    token_type_ids: Tensor | None = None

    def hidden_at_places(self, hidden: Tensor) -> Tensor:
        """Rows (W, H) of hidden states (B, L, H) at the non-padding positions; no mask, so no wait for the device."""
        return hidden.flatten(0, 1).index_select(0, self.places)


@dataclass(frozen=True)
class Tokens:
    """All word pieces of one part in a row; example i occupies ids[starts[i]:starts[i + 1]].

    `second` says for pairs where, counted from its start, the second text of each example begins.
    """

    ids: NDArray[np.int32]
    starts: NDArray[np.int64]
    labels: NDArray[np.int64] | NDArray[np.float32]
    padding_id: int
    second: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Word pieces of each example."""
        return np.diff(self.starts)

    def pieces(self, examples: NDArray[np.int64]) -> NDArray[np.int32]:
        """The word pieces of the named examples, one example after the other."""
        return np.concatenate([self.ids[self.starts[i] : self.starts[i + 1]] for i in examples])

    def batch(
        self, examples: NDArray[np.int64], device: torch.device, pieces: NDArray[np.int32] | None = None
    ) -> Batch:
        """The named examples, padded to the longest. `pieces` replaces their word pieces, where some are masked."""
        lengths = self.lengths[examples]
        is_piece = np.arange(lengths.max()) < lengths[:, None]
        input_ids = np.full(is_piece.shape, self.padding_id, dtype=np.int64)
        input_ids[is_piece] = self.pieces(examples) if pieces is None else pieces
        arrays = {
            "input_ids": input_ids,
            "attention_mask": is_piece.astype(np.int64),
            "places": np.flatnonzero(is_piece),
            "labels": self.labels[examples],
        }
        if self.second is not None:
            is_second = np.arange(lengths.max()) >= self.second[examples][:, None]
            arrays["token_type_ids"] = (is_second & is_piece).astype(np.int64)
        return Batch(examples, lengths, **{name: to_device(array, device) for name, array in arrays.items()})


def to_device(array: NDArray, device: torch.device) -> Tensor:
    """A tensor of its own on the device; towards a GPU it travels while the processor goes on."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def tokenise(part: Part, tokenizer: PreTrainedTokenizerBase, max_tokens: int) -> Tokens:
    """Word pieces of every text or pair, [CLS] and [SEP] included, cut at `max_tokens` (of a pair the longer text).

    Control tokens typed in a text ("[MASK]") are read as plain characters.
    """
    encoded = _encode(tokenizer, part.texts, part.pairs, truncation=True, max_length=max_tokens)
    second = None
    if part.pairs is not None:
        # [CLS] first [SEP] second [SEP]
        second = np.array([ids.index(tokenizer.sep_token_id) + 1 for ids in encoded], dtype=np.int64)
    return _joined(encoded, part.labels, tokenizer.pad_token_id, second)


def tokenise_blocks(documents: list[str], tokenizer: PreTrainedTokenizerBase, max_tokens: int) -> Tokens:
    """Documents cut into consecutive blocks of at most `max_tokens` word pieces, each with its [CLS] and [SEP].

    What is shorter than `SHORTEST_DOCUMENT` or `SHORTEST_REST` pieces is left out. Labels are zeros.
    """
    room = max_tokens - 2
    pieces = _encode(tokenizer, documents, None, add_special_tokens=False)
    first, last = tokenizer.cls_token_id, tokenizer.sep_token_id
    blocks = [
        [first, *document[start : start + room], last]
        for document in pieces
        for start in range(0, len(document), room)
        if len(document) - start >= (SHORTEST_REST if start else SHORTEST_DOCUMENT)
    ]
    return _joined(blocks, np.zeros(len(blocks), dtype=np.int64), tokenizer.pad_token_id, None)


def tokenise_masks(sentences: list[str], tokenizer: PreTrainedTokenizerBase, max_tokens: int) -> Tokens:
    """Sentences in which [MASK] means a hidden word. Labels are zeros."""
    encoded = [pieces_with_masks(sentence, tokenizer, max_tokens)[0] for sentence in sentences]
    return _joined(encoded, np.zeros(len(sentences), dtype=np.int64), tokenizer.pad_token_id, None)


def pieces_with_masks(sentence: str, tokenizer: PreTrainedTokenizerBase, longest: int) -> tuple[list[int], bool]:
    """Word pieces of a sentence, [CLS] and [SEP] included, and whether it was cut at `longest`.

    [MASK], in capitals or not, is a hidden word; every other control token is read as plain characters.
    """
    *before, last = _MASK.split(sentence)
    # A space before a hidden word belongs to that word: pieces of bytes would keep it as a piece of its own.
    texts = [*(text.rstrip() for text in before), last]
    # The tokeniser itself fails on nothing at all.
    encoded = iter(_encode(tokenizer, [text for text in texts if text], None, add_special_tokens=False))
    between = [next(encoded) if text else [] for text in texts]
    pieces = between[0] + [piece for text in between[1:] for piece in (tokenizer.mask_token_id, *text)]
    room = longest - 2
    return [tokenizer.cls_token_id, *pieces[:room], tokenizer.sep_token_id], len(pieces) > room


def epoch_batches(lengths: NDArray[np.int64], batch_size: int, seed: int, epoch: int) -> list[NDArray[np.int64]]:
    """Every example once, in batches of similar length, in an order that follows from (seed, epoch)."""
    random = np.random.default_rng((seed, epoch))
    order = random.permutation(len(lengths))
    window = batch_size * BATCHES_SORTED_TOGETHER
    batches: list[NDArray[np.int64]] = []
    for start in range(0, len(order), window):
        together = order[start : start + window]
        together = together[np.argsort(lengths[together], kind="stable")]
        batches += [together[i : i + batch_size] for i in range(0, len(together), batch_size)]
    return [batches[i] for i in random.permutation(len(batches))]


def cut_by_length(lengths: NDArray[np.int64], parts: int) -> list[NDArray[np.int64]]:
    """Places 0 … n − 1 in at most `parts` groups, shortest first, with about equally many word pieces in each."""
    order = np.argsort(lengths, kind="stable")
    before = np.cumsum(lengths[order]) - lengths[order]
    group = before * parts // lengths.sum()
    return np.split(order, np.flatnonzero(np.diff(group)) + 1)


def scoring_batches(lengths: NDArray[np.int64], batch_size: int) -> Iterator[NDArray[np.int64]]:
    """Every example once, shortest first: the least padding, for passes in which the order does not matter."""
    order = np.argsort(lengths, kind="stable")
    return (order[start : start + batch_size] for start in range(0, len(order), batch_size))


def batches_per_epoch(examples: int, batch_size: int) -> int:
    """Updates in one epoch."""
    return -(-examples // batch_size)


def _encode(
    tokenizer: PreTrainedTokenizerBase, texts: list[str], pairs: list[str] | None, **options: object
) -> list[list[int]]:
    # The tokeniser itself fails on an empty list, and watching no sentence at all is allowed.
    if not texts:
        return []
    cut = [[text[:MAX_CHARACTERS] for text in column] for column in (texts, pairs) if column is not None]
    # Documents are longer than any model reads, which the tokeniser would warn of: they are cut afterwards.
    plain = {"padding": False, "split_special_tokens": True, "return_attention_mask": False, "verbose": False}
    return tokenizer(*cut, **plain | options, return_token_type_ids=False)["input_ids"]


def _joined(encoded: list[list[int]], labels: NDArray, padding_id: int, second: NDArray[np.int64] | None) -> Tokens:
    starts = np.zeros(len(encoded) + 1, dtype=np.int64)
    np.cumsum([len(ids) for ids in encoded], out=starts[1:])
    ids = np.fromiter((piece for ids in encoded for piece in ids), dtype=np.int32, count=int(starts[-1]))
    return Tokens(ids, starts, labels, padding_id, second)
