"""Hidden cosine: the student's last hidden states point the same way as the teacher's (Sanh et al. 2019, section 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.terms.declaration import Options, Seen, Term

if TYPE_CHECKING:
    from torch import Tensor


def hidden_cosine_loss(student_hidden: Tensor, teacher_hidden: Tensor, count: int | None = None) -> Tensor:
    """Mean of 1 − cos between last hidden states, one row a word. Shapes (N, H) and (N, H) to (). From 0 to 2.

    Rows are the non-padding positions only: choose them before calling. Raises ValueError if the shapes differ.
    """
    import torch.nn.functional as F

    from core.terms._arithmetic import count_of, fp32, same_shape

    same_shape(student_hidden, teacher_hidden)
    distance = 1 - F.cosine_similarity(fp32(student_hidden), fp32(teacher_hidden), dim=-1)
    return distance.sum() / count_of(student_hidden, count)


def _states(seen: Seen, options: Options) -> Tensor:
    return hidden_cosine_loss(seen.student.hidden, seen.teacher.hidden, seen.words)


def _formula(seen: Any, options: Options) -> float:
    import numpy as np

    pairs = zip(seen.student.hidden, seen.teacher.hidden, strict=True)
    cosines = [(own @ theirs) / np.sqrt((own @ own) * (theirs @ theirs)) for own, theirs in pairs]
    return float(sum(1 - cosine for cosine in cosines) / seen.words)


TERM = Term(
    name="cosine",
    label="Hidden cosine",
    symbol="L_cos",
    help="How strongly the student's inner picture of each word points the same way as the teacher's: "
    "1 − cos of the last hidden states, averaged over all words.",
    in_short="think alike",
    weight={"labels": 1.0, "masked_words": 1.0},
    paper_weight=1.0,
    needs=frozenset({"hidden"}),
    states=_states,
    formula=_formula,
)
