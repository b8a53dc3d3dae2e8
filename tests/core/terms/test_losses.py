"""The three terms against independent formulas in 64-bit numbers: values, gradients, scaling, padding, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from core.config import WEIGHT_PRESETS
from core.distill.labels import weighted_sum
from core.sections import LossSettings
from core.terms.cosine import hidden_cosine_loss
from core.terms.hard import hard_target_loss
from core.terms.soft import soft_target_loss

TEMPERATURES = pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0, 2.0, 5.0, 100.0])


def logits(seed: int, rows: int = 6, classes: int = 4, scale: float = 3.0) -> Tensor:
    return scale * torch.randn(rows, classes, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def soft_by_hand(student: np.ndarray, teacher: np.ndarray, temperature: float) -> tuple[float, np.ndarray]:
    """T² · KL(teacher ‖ student) averaged over the rows, and its gradient, T · (student − teacher) / rows."""
    p, q = softmax(teacher / temperature), softmax(student / temperature)
    divergence = (p * (np.log(p) - np.log(q))).sum(axis=1)
    return temperature**2 * divergence.mean(), temperature * (q - p) / len(student)


def with_gradient(loss_of, values: Tensor) -> tuple[float, np.ndarray]:
    values = values.clone().requires_grad_()
    loss = loss_of(values)
    loss.backward()
    return loss.item(), values.grad.numpy()


@TEMPERATURES
def test_soft_targets_equal_the_formula_and_so_does_the_gradient(temperature: float) -> None:
    student, teacher = logits(1), logits(2)
    value, gradient = with_gradient(lambda s: soft_target_loss(s, teacher, temperature), student)
    expected, slope = soft_by_hand(student.numpy(), teacher.numpy(), temperature)
    assert value == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(gradient, slope, rtol=1e-6, atol=1e-14)


@TEMPERATURES
def test_soft_targets_are_zero_where_both_say_the_same(temperature: float) -> None:
    """Also when the logits differ by a constant, which no softmax sees."""
    teacher = logits(3)
    value, gradient = with_gradient(lambda s: soft_target_loss(s, teacher, temperature), teacher + 7.0)
    assert value == pytest.approx(0.0, abs=1e-9)
    assert abs(gradient).max() < 1e-9
    assert soft_target_loss(logits(4), teacher, temperature) > 0


def test_squaring_the_temperature_keeps_the_size_of_the_gradient() -> None:
    """At high temperatures the gradient becomes that of matching logits, which knows no temperature (Hinton et al.)."""
    student, teacher = logits(1), logits(2)
    difference = (student - teacher).numpy()
    limit = (difference - difference.mean(axis=1, keepdims=True)) / (difference.shape[1] * len(difference))
    for temperature in (1e3, 1e4):
        _, gradient = with_gradient(lambda s, t=temperature: soft_target_loss(s, teacher, t), student)
        np.testing.assert_allclose(gradient, limit, rtol=30 / temperature, atol=1e-5)


def test_cross_entropy_with_soft_targets_has_the_same_gradient() -> None:
    """The paper writes cross-entropy, the code KL: they differ by the teacher's entropy, which nobody can change."""
    student, teacher = logits(1), logits(2)
    shares = torch.softmax(teacher / 2.0, dim=-1)
    _, ours = with_gradient(lambda s: soft_target_loss(s, teacher, 2.0), student)
    _, theirs = with_gradient(
        lambda s: -(shares * torch.log_softmax(s / 2.0, dim=-1)).sum(dim=-1).mean() * 2.0**2, student
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-14)


def test_hard_targets_equal_the_formula_and_so_does_the_gradient() -> None:
    student, labels = logits(1), torch.tensor([0, 3, 1, 1, 2, 0])
    value, gradient = with_gradient(lambda s: hard_target_loss(s, labels), student)
    shares, rows = softmax(student.numpy()), np.arange(len(labels))
    slope = shares.copy()
    slope[rows, labels] -= 1
    assert value == pytest.approx(-np.log(shares[rows, labels]).mean(), rel=1e-6)
    np.testing.assert_allclose(gradient, slope / len(labels), rtol=1e-6)


def test_hidden_cosine_equals_the_formula_and_so_does_the_gradient() -> None:
    student, teacher = logits(1, rows=7, classes=16), logits(2, rows=7, classes=16)
    value, gradient = with_gradient(lambda s: hidden_cosine_loss(s, teacher), student)
    a, b = student.numpy(), teacher.numpy()
    sizes = np.linalg.norm(a, axis=1, keepdims=True), np.linalg.norm(b, axis=1, keepdims=True)
    cosine = (a * b).sum(axis=1, keepdims=True) / (sizes[0] * sizes[1])
    slope = -(b / sizes[1] - cosine * a / sizes[0]) / sizes[0] / len(a)
    assert value == pytest.approx((1 - cosine).mean(), rel=1e-6)
    np.testing.assert_allclose(gradient, slope, rtol=1e-6, atol=1e-14)


def test_hidden_cosine_sees_the_direction_only() -> None:
    words = logits(5, rows=3, classes=8)
    assert hidden_cosine_loss(words, 4.0 * words).item() == pytest.approx(0.0, abs=1e-12)
    assert hidden_cosine_loss(words, -words).item() == pytest.approx(2.0, rel=1e-12)


def test_every_term_is_averaged_so_that_its_size_does_not_depend_on_the_batch() -> None:
    student, teacher, labels = logits(1), logits(2), torch.tensor([0, 3, 1, 1, 2, 0])
    twice = (torch.cat([student, student]), torch.cat([teacher, teacher]), torch.cat([labels, labels]))
    assert soft_target_loss(twice[0], twice[1], 2.0) == pytest.approx(soft_target_loss(student, teacher, 2.0).item())
    assert hard_target_loss(twice[0], twice[2]) == pytest.approx(hard_target_loss(student, labels).item())
    assert hidden_cosine_loss(twice[0], twice[1]) == pytest.approx(hidden_cosine_loss(student, teacher).item())


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_half_precision_is_raised_to_full_before_anything_is_computed(kind: torch.dtype) -> None:
    """In bf16 itself the difference of two near answers would be lost."""
    student, teacher = logits(1).to(kind), logits(2).to(kind)
    expected, _ = soft_by_hand(student.double().numpy(), teacher.double().numpy(), 2.0)
    loss = soft_target_loss(student, teacher, 2.0)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    assert hard_target_loss(student, torch.zeros(6, dtype=torch.long)).dtype == torch.float32
    assert hidden_cosine_loss(student, teacher).dtype == torch.float32


@pytest.mark.parametrize("temperature", [0, 0.0, -0.0, -1, -1e-9, math.nan, math.inf, -math.inf])
def test_a_temperature_that_is_not_positive_is_refused(temperature: float) -> None:
    """0 would give NaN, and −1 something finite that teaches the opposite."""
    with pytest.raises(ValueError, match=r"temperature is .*must be positive"):
        soft_target_loss(logits(1), logits(2), temperature)


@pytest.mark.parametrize("shape", [(6, 3), (5, 4), (4,), (1, 4), (6, 1)])
def test_shapes_that_differ_are_refused_and_not_stretched(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="student has shape"):
        soft_target_loss(logits(1), torch.zeros(shape, dtype=torch.float64), 2.0)
    with pytest.raises(ValueError, match="student has shape"):
        hidden_cosine_loss(logits(1), torch.zeros(shape, dtype=torch.float64))


@pytest.mark.parametrize("name", WEIGHT_PRESETS)
def test_the_loss_is_the_weighted_sum_not_normalised(name: str) -> None:
    weights = WEIGHT_PRESETS[name]
    terms = {"soft": torch.tensor(0.25), "hard": torch.tensor(0.5), "cosine": torch.tensor(0.125)}
    used = {term: value for term, value in terms.items() if weights[term]}
    expected = sum(weights[term] * value.item() for term, value in used.items())
    assert weighted_sum(used, LossSettings(**weights)).item() == pytest.approx(expected, rel=1e-6)
