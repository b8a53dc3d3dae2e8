"""What terms that compare relations of words say about heads, and their formula. Imports no torch."""

from __future__ import annotations

from typing import Any


def common_heads(wished: int, student_width: int, teacher_width: int) -> int:
    """The largest number up to the wished one that both widths can be divided by."""
    return next(n for n in range(wished, 0, -1) if student_width % n == teacher_width % n == 0)


def relation_formula(student: tuple[Any, Any], teacher: tuple[Any, Any], lengths: Any, heads: int) -> float:
    """KL(R_T ‖ R_S) of R = softmax(A Bᵀ / √d) head by head and text by text, summed over words, mean over heads.

    Each model's A and B (W, own width) are NumPy arrays of float64. Nats.
    """
    import numpy as np

    total, ends = 0.0, np.cumsum(lengths)
    for start, end in zip(ends - lengths, ends, strict=True):
        parts = [np.split(states[start:end], heads, axis=1) for states in (*student, *teacher)]
        for own_a, own_b, their_a, their_b in zip(*parts, strict=True):
            shares = []
            for first, second in ((own_a, own_b), (their_a, their_b)):
                powers = np.exp(first @ second.T / np.sqrt(first.shape[1]))
                shares.append(powers / powers.sum(1, keepdims=True))
            total += (shares[1] * np.log(shares[1] / shares[0])).sum() / heads
    return float(total)
