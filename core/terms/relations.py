"""Relations: in the last layer every word relates to the others as it does in the teacher (MiniLMv2, Wang et al. 2021,
section 3.1).

For queries, keys and values alike, R = softmax(A Aᵀ / √d) of each relation head; the term is KL(R_T ‖ R_S). The number
of relation heads is free, so models of different widths and heads can be compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from core.terms.declaration import Options, Seen, Term

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

PADDING = -1e4
"""In place of a score: its share is exactly 0, and no difference of two is without a number."""


def _states(seen: Seen, options: Options) -> Tensor:
    own, theirs = seen.student.attention(-1), seen.teacher.attention(-1)
    heads = relation_heads(options["relation_heads"], own[0].shape[1], theirs[0].shape[1])
    kinds = [relation_loss(student, teacher, seen.lengths, heads) for student, teacher in zip(own, theirs, strict=True)]
    return (kinds[0] + kinds[1] + kinds[2]) / (3 * seen.words)


def relation_heads(wished: int, student_width: int, teacher_width: int) -> int:
    """The largest number up to the wished one that both widths can be divided by."""
    return next(n for n in range(wished, 0, -1) if student_width % n == teacher_width % n == 0)


def relation_loss(student: Tensor, teacher: Tensor, lengths: NDArray[np.int64], heads: int) -> Tensor:
    """KL of the relations of one kind, summed over words, mean over heads. Shapes (W, H_S) and (W, H_T) to (). Nats."""
    own, theirs = _log_relations(student, lengths, heads), _log_relations(teacher, lengths, heads)
    divergence = (theirs.exp() * (theirs - own)).sum(-1)
    # Rows of padding say nothing: their relations are equal only by chance.
    return (divergence * _is_word(lengths, divergence)[:, None, :]).sum() / heads


def _log_relations(states: Tensor, lengths: NDArray[np.int64], heads: int) -> Tensor:
    """(B, heads, L, L)."""
    from torch.nn.utils.rnn import pad_sequence

    from core.terms._arithmetic import fp32

    padded = pad_sequence(fp32(states).split(lengths.tolist()), batch_first=True)
    split = padded.unflatten(-1, (heads, -1)).transpose(1, 2)
    scores = split @ split.transpose(-1, -2) / split.shape[-1] ** 0.5
    unseen = _is_word(lengths, scores) == 0
    return scores.masked_fill(unseen[:, None, None, :], PADDING).log_softmax(-1)


def _is_word(lengths: NDArray[np.int64], like: Tensor) -> Tensor:
    """(B, L), 1 at words and 0 at padding."""
    import torch

    places = torch.arange(int(lengths.max()), device=like.device)
    return (places < torch.from_numpy(lengths).to(like.device)[:, None]).to(like.dtype)


def _formula(seen: Any, options: Options) -> float:
    import numpy as np

    total, ends = 0.0, np.cumsum(seen.lengths)
    kinds = list(zip(seen.student.attention(-1), seen.teacher.attention(-1), strict=True))
    heads = relation_heads(options["relation_heads"], kinds[0][0].shape[1], kinds[0][1].shape[1])
    for both in kinds:
        for start, end in zip(ends - seen.lengths, ends, strict=True):
            parts = [np.split(states[start:end], heads, axis=1) for states in both]
            for own, theirs in zip(*parts, strict=True):
                shares = []
                for states in (own, theirs):
                    powers = np.exp(states @ states.T / np.sqrt(states.shape[1]))
                    shares.append(powers / powers.sum(1, keepdims=True))
                total += (shares[1] * np.log(shares[1] / shares[0])).sum() / heads
    return float(total / (3 * seen.words))


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
