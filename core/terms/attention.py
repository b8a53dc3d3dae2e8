"""Attention: in the last layer every word looks at the others as it does in the teacher (MiniLM, Wang et al. 2020,
section 3.1).

A = softmax(Q Kᵀ / √d) of each head; the term is KL(A_T ‖ A_S). Models of different numbers of heads are compared in the
largest number that neither exceeds and both widths can be divided by.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.terms._heads import common_heads, relation_formula
from core.terms.declaration import Options, Seen, Term

if TYPE_CHECKING:
    from torch import Tensor


def _states(seen: Seen, options: Options) -> Tensor:
    from core.terms._relations import relation_loss

    return relation_loss(*_looks(seen)) / seen.words


def _looks(seen: Any) -> tuple[Any, Any, Any, int]:
    """Queries and keys of the student and of the teacher, lengths, and in how many heads they are compared."""
    own, theirs = (view.attention(-1)[:2] for view in (seen.student, seen.teacher))
    heads = common_heads(min(seen.student.heads, seen.teacher.heads), own[0].shape[1], theirs[0].shape[1])
    return own, theirs, seen.lengths, heads


def _formula(seen: Any, options: Options) -> float:
    return relation_formula(*_looks(seen)) / seen.words


TERM = Term(
    name="attention",
    label="Attention",
    symbol="L_att",
    help="How strongly each word of a text looks at the others as it does in the teacher: KL(teacher ‖ student) of the "
    "attention in the last layer.",
    in_short="look where it looks",
    unit="nats",
    needs=frozenset({"attention"}),
    states=_states,
    formula=_formula,
)
