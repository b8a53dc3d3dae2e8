"""What several terms compute with. Always in fp32, or in float64 so that tests can check the formulas in it."""

from __future__ import annotations

import torch
from torch import Tensor


def squared_error_loss(student_scores: Tensor, scores: Tensor, count: int | None = None) -> Tensor:
    """Mean squared error of a task whose label is a score: against the teacher's or the true one.

    Shapes (N,) and (N,) to ().
    """
    same_shape(student_scores, scores)
    squared = (fp32(student_scores) - fp32(scores)).square()
    return squared.sum() / count_of(student_scores, count)


def count_of(rows: Tensor, count: int | None) -> int:
    """How many positions a mean is taken over: those of a whole update where it is cut into parts."""
    return len(rows) if count is None else count


def same_shape(student: Tensor, teacher: Tensor) -> None:
    """Raise ValueError if both models' tensors differ in shape."""
    if student.shape != teacher.shape:
        raise ValueError(f"student has shape {tuple(student.shape)}, teacher {tuple(teacher.shape)}")


def fp32(values: Tensor) -> Tensor:
    """bf16 and fp16 rounded up to fp32; fp64 stays."""
    return values if values.dtype == torch.float64 else values.float()
