"""Texts as word pieces, kept without padding, and cut into batches of similar length.

The order of an epoch follows from (seed, epoch) alone, so a run can be continued from a step number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from core.data.labelled import Part

MAX_CHARACTERS = 10_000
"""Longer texts are cut before tokenising: tokenisers read all of a text before they cut it to length."""

BATCHES_SORTED_TOGETHER = 32
"""Length grouping sorts this many batches at a time: little padding, and still a new mix in every epoch."""


@dataclass(frozen=True)
class Batch:
    """A padded batch on one device: ids and mask (B, L), labels (B,), and the examples' positions in their part."""

    examples: NDArray[np.int64]
    input_ids: Tensor
    attention_mask: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Tokens:
    """All word pieces of one part in a row; example i occupies ids[starts[i]:starts[i + 1]]."""

    ids: NDArray[np.int32]
    starts: NDArray[np.int64]
    labels: NDArray[np.int64]
    padding_id: int

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Word pieces of each example."""
        return np.diff(self.starts)

    def batch(self, examples: NDArray[np.int64], device: torch.device) -> Batch:
        """The named examples, padded to the longest of them."""
        longest = int(self.lengths[examples].max())
        input_ids = np.full((len(examples), longest), self.padding_id, dtype=np.int64)
        mask = np.zeros((len(examples), longest), dtype=np.int64)
        for row, example in enumerate(examples):
            ids = self.ids[self.starts[example] : self.starts[example + 1]]
            input_ids[row, : len(ids)] = ids
            mask[row, : len(ids)] = 1
        ids_and_mask = (torch.from_numpy(array).to(device) for array in (input_ids, mask))
        return Batch(examples, *ids_and_mask, torch.from_numpy(self.labels[examples]).to(device))


def tokenise(part: Part, tokenizer: PreTrainedTokenizerBase, max_tokens: int) -> Tokens:
    """Word pieces of every text, [CLS] and [SEP] included, cut at `max_tokens`.

    Control tokens typed in a text ("[MASK]") are read as plain characters.
    """
    texts = [text[:MAX_CHARACTERS] for text in part.texts]
    # The tokeniser itself fails on an empty list, and watching no sentence at all is allowed.
    encoded = (
        texts
        and tokenizer(
            texts,
            truncation=True,
            max_length=max_tokens,
            padding=False,
            split_special_tokens=True,
            return_attention_mask=False,
            return_token_type_ids=False,
        )["input_ids"]
    )
    starts = np.zeros(len(encoded) + 1, dtype=np.int64)
    np.cumsum([len(ids) for ids in encoded], out=starts[1:])
    ids = np.fromiter((piece for ids in encoded for piece in ids), dtype=np.int32, count=int(starts[-1]))
    return Tokens(ids, starts, part.labels, tokenizer.pad_token_id)


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


def scoring_batches(lengths: NDArray[np.int64], batch_size: int) -> Iterator[NDArray[np.int64]]:
    """Every example once, shortest first: the least padding, for passes in which the order does not matter."""
    order = np.argsort(lengths, kind="stable")
    return (order[start : start + batch_size] for start in range(0, len(order), batch_size))


def batches_per_epoch(examples: int, batch_size: int) -> int:
    """Updates in one epoch."""
    return -(-examples // batch_size)
