"""Hidden states of every layer: each student layer points the same way as the teacher layer that it is compared with
(TinyBERT, Jiao et al. 2020, equation 8, with the cosine in place of the squared error)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.terms.declaration import Options, Seen, Term

if TYPE_CHECKING:
    from torch import Tensor


def _states(seen: Seen, options: Options) -> Tensor:
    from core.terms.cosine import hidden_cosine_loss

    pairs = list(zip(seen.student.layers, seen.teacher.layers, strict=True))
    total = hidden_cosine_loss(*pairs[0], seen.words)
    for own, theirs in pairs[1:]:
        total = total + hidden_cosine_loss(own, theirs, seen.words)
    return total / len(pairs)


def _formula(seen: Any, options: Options) -> float:
    import numpy as np

    total = 0.0
    for own_layer, their_layer in zip(seen.student.layers, seen.teacher.layers, strict=True):
        for own, theirs in zip(own_layer, their_layer, strict=True):
            total += 1 - (own @ theirs) / (np.linalg.norm(own) * np.linalg.norm(theirs))
    return float(total / len(seen.student.layers) / seen.words)


TERM = Term(
    name="layers",
    label="Every layer",
    symbol="L_lay",
    help="How strongly each of the student's layers points the same way as the teacher's layer that it stands for: "
    "1 − cos of the hidden states, averaged over all words and layers.",
    in_short="think alike at every step",
    task_weight=3.0,
    needs=frozenset({"layers"}),
    states=_states,
    formula=_formula,
)
