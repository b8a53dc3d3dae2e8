"""Relations: in the last layer every word relates to the others as it does in the teacher (MiniLMv2, Wang et al. 2021,
section 3.1).

For queries, keys and values alike, R = softmax(A Aᵀ / √d) of each relation head; the term is KL(R_T ‖ R_S). The number
of relation heads is free, so models of different widths and heads can be compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from core.terms._heads import common_heads, relation_formula
from core.terms.declaration import Options, Seen, Term

if TYPE_CHECKING:
    from torch import Tensor


def _states(seen: Seen, options: Options) -> Tensor:
    from core.terms._relations import relation_loss

    own, theirs = seen.student.attention(-1), seen.teacher.attention(-1)
    heads = common_heads(options["relation_heads"], own[0].shape[1], theirs[0].shape[1])
    kinds = [relation_loss((s, s), (t, t), seen.lengths, heads) for s, t in zip(own, theirs, strict=True)]
    return (kinds[0] + kinds[1] + kinds[2]) / (3 * seen.words)


def _formula(seen: Any, options: Options) -> float:
    kinds = list(zip(seen.student.attention(-1), seen.teacher.attention(-1), strict=True))
    heads = common_heads(options["relation_heads"], kinds[0][0].shape[1], kinds[0][1].shape[1])
    return sum(relation_formula((s, s), (t, t), seen.lengths, heads) for s, t in kinds) / (3 * seen.words)


TERM = Term(
    name="relations",
    label="Relations of words",
    symbol="L_rel",
    help="How strongly each word of a text relates to the others as it does in the teacher: KL(teacher ‖ student) of "
    "the relations among queries, among keys and among values of the last layer.",
    in_short="relate words alike",
    unit="nats",
    needs=frozenset({"attention"}),
    options={
        "relation_heads": (
            int,
            Field(
                12,
                ge=1,
                le=128,
                title="Relation heads",
                description="In so many groups of numbers the relations are compared; the nearest smaller number that "
                "both models' widths can be divided by is taken.",
                json_schema_extra={"unit": "heads", "before": 12},
            ),
        ),
    },
    states=_states,
    formula=_formula,
)
