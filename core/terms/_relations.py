"""How each word of a text relates to the others, in one model and in another."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from core.terms._arithmetic import fp32

PADDING = -1e4
"""In place of a score: its share is exactly 0, and no difference of two is without a number."""

Both = tuple[Tensor, Tensor]


def relation_loss(student: Both, teacher: Both, lengths: NDArray[np.int64], heads: int) -> Tensor:
    """KL(R_T ‖ R_S) of R = softmax(A Bᵀ / √d), summed over words, mean over heads; each model's A and B to ().

    Shapes (W, H_S) and (W, H_T); in nats.
    """
    own, theirs = _log_relations(student, lengths, heads), _log_relations(teacher, lengths, heads)
    divergence = (theirs.exp() * (theirs - own)).sum(-1)
    # Rows of padding say nothing: their relations are equal only by chance.
    return (divergence * _is_word(lengths, divergence)[:, None, :]).sum() / heads


def _log_relations(both: Both, lengths: NDArray[np.int64], heads: int) -> Tensor:
    """(B, heads, L, L)."""
    first = _split(both[0], lengths, heads)
    second = first if both[1] is both[0] else _split(both[1], lengths, heads)
    scores = first @ second.transpose(-1, -2) / first.shape[-1] ** 0.5
    unseen = _is_word(lengths, scores) == 0
    return scores.masked_fill(unseen[:, None, None, :], PADDING).log_softmax(-1)


def _split(states: Tensor, lengths: NDArray[np.int64], heads: int) -> Tensor:
    """(B, heads, L, d), padded with zeros."""
    padded = pad_sequence(fp32(states).split(lengths.tolist()), batch_first=True)
    return padded.unflatten(-1, (heads, -1)).transpose(1, 2)


def _is_word(lengths: NDArray[np.int64], like: Tensor) -> Tensor:
    """(B, L), 1 at words and 0 at padding."""
    places = torch.arange(int(lengths.max()), device=like.device)
    return (places < torch.from_numpy(lengths).to(like.device)[:, None]).to(like.dtype)
