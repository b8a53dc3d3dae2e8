"""The three terms of the loss (Sanh et al. 2019, section 3), each for a labelled task, always in fp32.

loss = weight_soft · L_ce + weight_hard · L_hard + weight_cosine · L_cos, not normalised.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from core.config import LossSettings


def soft_target_loss(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """KL(teacher ‖ student) at a temperature, times temperature², averaged over the positions.

    Shapes (N, C) and (N, C) to (). Nats. Zero when both agree; the square keeps the gradient's size comparable
    across temperatures (Hinton et al. 2015, section 2). The paper writes cross-entropy: the gradients are equal.

    Raises ValueError if temperature is not positive and finite or the shapes differ.
    """
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature is {temperature}; it must be positive and finite")
    if student_logits.shape != teacher_logits.shape:
        raise ValueError(f"student has shape {tuple(student_logits.shape)}, teacher {tuple(teacher_logits.shape)}")
    student = F.log_softmax(_fp32(student_logits) / temperature, dim=-1)
    teacher = F.log_softmax(_fp32(teacher_logits) / temperature, dim=-1)
    return F.kl_div(student, teacher, reduction="batchmean", log_target=True) * temperature**2


def hard_target_loss(student_logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy with the true labels, at temperature 1. Shapes (N, C) and (N,) to (). Nats."""
    return F.cross_entropy(_fp32(student_logits), labels)


def hidden_cosine_loss(student_hidden: Tensor, teacher_hidden: Tensor) -> Tensor:
    """Mean of 1 − cos between last hidden states, one row a word. Shapes (N, H) and (N, H) to (). From 0 to 2.

    Rows are the non-padding positions only: choose them before calling. Raises ValueError if the shapes differ.
    """
    if student_hidden.shape != teacher_hidden.shape:
        raise ValueError(f"student has shape {tuple(student_hidden.shape)}, teacher {tuple(teacher_hidden.shape)}")
    return (1 - F.cosine_similarity(_fp32(student_hidden), _fp32(teacher_hidden), dim=-1)).mean()


def weighted_sum(terms: dict[str, Tensor], weights: LossSettings) -> Tensor:
    """Σ weight · term over the terms that are there (soft, hard, cosine). Shape ()."""
    return torch.stack([getattr(weights, name) * term for name, term in terms.items()]).sum()


def _fp32(values: Tensor) -> Tensor:
    """bf16 and fp16 rounded up to fp32; fp64 stays, so that tests can check the formulas in it."""
    return values if values.dtype == torch.float64 else values.float()
