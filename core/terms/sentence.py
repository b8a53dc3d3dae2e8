"""Sentence embedding: the mean of a text's last hidden states points the same way as the teacher's (Reimers and
Gurevych 2020, section 3, with the cosine in place of the squared error)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.terms.declaration import Options, Seen, Term

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor


def _states(seen: Seen, options: Options) -> Tensor:
    from core.terms.cosine import hidden_cosine_loss

    own, theirs = (pooled(view.hidden, seen.lengths) for view in (seen.student, seen.teacher))
    return hidden_cosine_loss(own, theirs, seen.examples)


def pooled(hidden: Tensor, lengths: NDArray[np.int64]) -> Tensor:
    """Sum of each text's hidden states, (W, H) and (B,) to (B, H), in fp32: their mean but for its length."""
    import torch

    from core.terms._arithmetic import fp32

    values = fp32(hidden)
    counts = torch.from_numpy(lengths).to(values.device)
    text = torch.repeat_interleave(torch.arange(len(lengths), device=values.device), counts, output_size=len(values))
    return values.new_zeros(len(lengths), values.shape[1]).index_add(0, text, values)


def _formula(seen: Any, options: Options) -> float:
    import numpy as np

    total, ends = 0.0, np.cumsum(seen.lengths)
    for start, end in zip(ends - seen.lengths, ends, strict=True):
        own, theirs = seen.student.hidden[start:end].mean(0), seen.teacher.hidden[start:end].mean(0)
        total += 1 - (own @ theirs) / (np.linalg.norm(own) * np.linalg.norm(theirs))
    return float(total / seen.examples)


TERM = Term(
    name="sentence",
    label="Sentence embedding",
    symbol="L_sent",
    help="How strongly the student's picture of a whole text, the mean over its words, points the same way as the "
    "teacher's: 1 − cos, averaged over all texts.",
    in_short="mean the same",
    needs=frozenset({"hidden"}),
    states=_states,
    formula=_formula,
)
