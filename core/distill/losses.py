"""The three terms of the loss (Sanh et al. 2019, section 3) for a labelled task, always in fp32.

loss = weight_soft · L_ce + weight_hard · L_hard + weight_cosine · L_cos, not normalised. A term is a mean over its
positions. Where a batch is computed in several parts, each part divides by the `count` of the whole batch, so that the
parts add up to the same mean however they were cut. Masked words have theirs in `word_terms`.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from core.sections import LossSettings


def soft_target_loss(
    student_logits: Tensor, teacher_logits: Tensor, temperature: float, count: int | None = None
) -> Tensor:
    """KL(teacher ‖ student) at a temperature, times temperature², averaged over the positions.

    Shapes (N, C) and (N, C) to (). Nats. Zero when both agree; the square keeps the gradient's size comparable
    across temperatures (Hinton et al. 2015, section 2). The paper writes cross-entropy: the gradients are equal.

    Raises ValueError if temperature is not positive and finite or the shapes differ.
    """
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature is {temperature}; it must be positive and finite")
    _same_shape(student_logits, teacher_logits)
    student = F.log_softmax(_fp32(student_logits) / temperature, dim=-1)
    teacher = F.log_softmax(_fp32(teacher_logits) / temperature, dim=-1)
    divergence = F.kl_div(student, teacher, reduction="sum", log_target=True)
    return divergence * temperature**2 / _count(student_logits, count)


def hard_target_loss(student_logits: Tensor, labels: Tensor, count: int | None = None) -> Tensor:
    """Cross-entropy with the true labels, at temperature 1. Shapes (N, C) and (N,) to (). Nats."""
    return F.cross_entropy(_fp32(student_logits), labels, reduction="sum") / _count(student_logits, count)


def squared_error_loss(student_scores: Tensor, scores: Tensor, count: int | None = None) -> Tensor:
    """Mean squared error of a task whose label is a score: the soft term against the teacher's, the hard one against
    the true ones. Shapes (N,) and (N,) to ()."""
    _same_shape(student_scores, scores)
    squared = (_fp32(student_scores) - _fp32(scores)).square()
    return squared.sum() / _count(student_scores, count)


def hidden_cosine_loss(student_hidden: Tensor, teacher_hidden: Tensor, count: int | None = None) -> Tensor:
    """Mean of 1 − cos between last hidden states, one row a word. Shapes (N, H) and (N, H) to (). From 0 to 2.

    Rows are the non-padding positions only: choose them before calling. Raises ValueError if the shapes differ.
    """
    _same_shape(student_hidden, teacher_hidden)
    distance = 1 - F.cosine_similarity(_fp32(student_hidden), _fp32(teacher_hidden), dim=-1)
    return distance.sum() / _count(student_hidden, count)


def weighted_sum(terms: dict[str, Tensor], weights: LossSettings) -> Tensor:
    """Σ weight · term over the terms that are there (soft, hard, cosine). Shape ()."""
    return torch.stack([getattr(weights, name) * term for name, term in terms.items()]).sum()


def _count(rows: Tensor, count: int | None) -> int:
    return len(rows) if count is None else count


def _same_shape(student: Tensor, teacher: Tensor) -> None:
    if student.shape != teacher.shape:
        raise ValueError(f"student has shape {tuple(student.shape)}, teacher {tuple(teacher.shape)}")


def _fp32(values: Tensor) -> Tensor:
    """bf16 and fp16 rounded up to fp32; fp64 stays, so that tests can check the formulas in it."""
    return values if values.dtype == torch.float64 else values.float()
