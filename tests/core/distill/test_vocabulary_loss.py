"""The vocabulary losses against formulas in 64-bit numbers worked out on the full logits, which they never hold."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from core.distill.vocabulary_loss import ON_GPU, ON_PROCESSOR, Block, Group, Sizes, VocabularyTerm, WordRows, best_words
from core.distill.vocabulary_loss import vocabulary_loss as loss_of_groups
from core.terms import term_called

TEMPERATURES = pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 8.0])
VOCABULARY, WIDTH, TEACHER_WIDTH = 50, 12, 20
LAYOUTS = {
    "soft everywhere": (40, 7, 40),
    "soft at some, some of them hidden": (40, 18, 30),
    "soft elsewhere": (40, 10, 30),
    "soft at the hidden": (21, 21, 21),
    "hard only": (21, 21, 0),
    "soft only": (40, 0, 40),
}
"""Rows in all; the first so many have a target, the last so many soft targets."""
EVERY_LAYOUT = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)


@dataclass(frozen=True)
class Weights:
    """How both terms are weighed, and how many positions the whole update has for each."""

    soft: float
    hard: float
    temperature: float
    soft_total: int
    hard_total: int


def vocabulary_loss(
    student: WordRows, targets: Tensor, teacher: WordRows | None, chosen: Weights, sizes: Sizes | None = None
) -> tuple[Tensor, ...]:
    """Loss, soft and hard: the hard targets at the student's first rows, the soft ones at its last."""
    count, hard, soft = len(student.rows), len(targets), 0 if teacher is None else len(teacher.rows)
    terms = [
        VocabularyTerm(block_of("soft"), chosen.soft, chosen.temperature, chosen.soft_total, asks_teacher=True),
        VocabularyTerm(block_of("hard"), chosen.hard, 1, chosen.hard_total, asks_teacher=False),
    ]
    edges = sorted({0, count - soft, hard, count})
    groups = [
        Group(end - start, ((0,) if start >= count - soft else ()) + ((1,) if end <= hard else ()))
        for start, end in pairwise(edges)
    ]
    return loss_of_groups(student, targets, teacher, terms, groups, sizes)


def block_of(name: str) -> Block:
    return term_called(name).vocabulary.block


def word_rows(seed: int, count: int, width: int = WIDTH, dtype: torch.dtype = torch.float64) -> WordRows:
    random = torch.Generator().manual_seed(seed)
    shapes = ((count, width), (VOCABULARY, width), (VOCABULARY,))
    return WordRows(*(torch.randn(shape, dtype=torch.float64, generator=random).to(dtype) for shape in shapes))


def case(layout: tuple[int, int, int], dtype: torch.dtype = torch.float64) -> tuple[WordRows, Tensor, WordRows | None]:
    """A student's rows, targets, and the teacher's rows."""
    count, hard, soft = layout
    targets = torch.randint(VOCABULARY, (hard,), generator=torch.Generator().manual_seed(3))
    return word_rows(1, count, dtype=dtype), targets, word_rows(2, soft, TEACHER_WIDTH, dtype) if soft else None


def weights(layout: tuple[int, int, int], temperature: float = 2.0, **other: float) -> Weights:
    return replace(Weights(5.0, 2.0, temperature, soft_total=layout[2], hard_total=layout[1]), **other)


def with_gradients(
    student: WordRows, targets: Tensor, teacher: WordRows | None, chosen: Weights, sizes: Sizes | None = None
) -> tuple[list[float], list[np.ndarray]]:
    """Loss, soft and hard, and the gradients of rows, matrix and bias."""
    leaves = [part.clone().requires_grad_() for part in (student.rows, student.matrix, student.bias)]
    values = vocabulary_loss(WordRows(*leaves), targets, teacher, chosen, sizes)
    values[0].backward()
    return [value.item() for value in values], [leaf.grad.double().numpy() for leaf in leaves]


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def by_hand(
    student: WordRows, targets: Tensor, teacher: WordRows | None, chosen: Weights
) -> tuple[list[float], list[np.ndarray]]:
    """The same from full logits: T² · KL with slope T · (q − p), and cross-entropy with slope q − 1 at the target."""
    rows, matrix, bias = (part.numpy() for part in (student.rows, student.matrix, student.bias))
    logits, slope = rows @ matrix.T + bias, np.zeros((len(rows), VOCABULARY))
    soft = hard = 0.0
    if teacher is not None:
        heat, first = chosen.temperature, len(rows) - len(teacher.rows)
        p = softmax((teacher.rows @ teacher.matrix.T + teacher.bias).numpy() / heat)
        q = softmax(logits[first:] / heat)
        soft = heat**2 * (p * (np.log(p) - np.log(q))).sum() / chosen.soft_total
        slope[first:] += chosen.soft * heat * (q - p) / chosen.soft_total
    if len(targets):
        q, places = softmax(logits[: len(targets)]), (np.arange(len(targets)), targets.numpy())
        hard = -np.log(q[places]).sum() / chosen.hard_total
        q[places] -= 1
        slope[: len(targets)] += chosen.hard * q / chosen.hard_total
    return [chosen.soft * soft + chosen.hard * hard, soft, hard], [slope @ matrix, slope.T @ rows, slope.sum(axis=0)]


def check(found: tuple[list[float], list[np.ndarray]], expected: tuple, rtol: float) -> None:
    np.testing.assert_allclose(found[0], expected[0], rtol=rtol, atol=1e-14)
    for own, other in zip(found[1], expected[1], strict=True):
        np.testing.assert_allclose(own, other, rtol=rtol, atol=rtol * abs(other).max())


@TEMPERATURES
@EVERY_LAYOUT
def test_values_and_gradients_equal_the_formulas(layout: tuple[int, int, int], temperature: float) -> None:
    student, targets, teacher = case(layout)
    chosen = weights(layout, temperature)
    check(with_gradients(student, targets, teacher, chosen), by_hand(student, targets, teacher, chosen), rtol=1e-9)


@EVERY_LAYOUT
def test_in_32_bits_they_still_do(layout: tuple[int, int, int]) -> None:
    student, targets, teacher = case(layout)
    chosen = weights(layout)
    found = with_gradients(*case(layout, torch.float32), chosen)
    check(found, by_hand(student, targets, teacher, chosen), rtol=1e-5)


@EVERY_LAYOUT
@pytest.mark.parametrize("sizes", [(1, 1, 1), (3, 2, 7), (16, 16, 50), (17, 5, 49), (1000, 1000, 1000)])
def test_how_much_is_computed_at_once_changes_nothing(
    layout: tuple[int, int, int], sizes: tuple[int, int, int]
) -> None:
    student, targets, teacher = case(layout)
    chosen = weights(layout)
    whole = with_gradients(student, targets, teacher, chosen)
    check(with_gradients(student, targets, teacher, chosen, Sizes(*sizes)), whole, rtol=1e-12)


@EVERY_LAYOUT
def test_the_slope_is_that_of_the_loss(layout: tuple[int, int, int]) -> None:
    """Measured as a difference: a step along the gradient changes the loss by its length."""
    student, targets, teacher = case(layout)
    chosen = weights(layout)
    _, gradients = with_gradients(student, targets, teacher, chosen)
    parts = (student.rows, student.matrix, student.bias)
    for place, gradient in enumerate(gradients):
        step = 1e-5 * torch.from_numpy(gradient) / np.linalg.norm(gradient)
        sides = []
        for sign in (1, -1):
            moved = [part + sign * step if i == place else part for i, part in enumerate(parts)]
            sides.append(vocabulary_loss(WordRows(*moved), targets, teacher, chosen)[0].item())
        assert (sides[0] - sides[1]) / 2e-5 == pytest.approx(np.linalg.norm(gradient), rel=1e-6)


@TEMPERATURES
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_soft_targets_are_zero_where_both_say_the_same(temperature: float, dtype: torch.dtype) -> None:
    """Also when the logits differ by a constant, which no softmax sees."""
    student = word_rows(1, 30, dtype=dtype)
    teacher = replace(student, bias=student.bias + 7.0)
    chosen = Weights(5.0, 0.0, temperature, soft_total=30, hard_total=0)
    found, gradients = with_gradients(student, torch.zeros(0, dtype=torch.long), teacher, chosen)
    tolerance = 1e-12 if dtype == torch.float64 else 1e-5 * max(1.0, temperature) ** 2
    assert found[1] == pytest.approx(0.0, abs=tolerance)
    assert all(abs(gradient).max() < tolerance for gradient in gradients)
    different = vocabulary_loss(student, torch.zeros(0, dtype=torch.long), word_rows(5, 30, dtype=dtype), chosen)
    assert different[1] > 0.1


def test_squaring_the_temperature_keeps_the_size_of_the_gradient() -> None:
    """At high temperatures the gradient becomes that of matching logits, which knows no temperature (Hinton et al.)."""
    student, targets, teacher = case(LAYOUTS["soft only"])
    difference = (
        student.rows @ student.matrix.T + student.bias - teacher.rows @ teacher.matrix.T - teacher.bias
    ).numpy()
    slope = (difference - difference.mean(axis=1, keepdims=True)) / (VOCABULARY * len(difference))
    for temperature in (1e3, 1e4):
        chosen = Weights(1.0, 0.0, temperature, soft_total=len(difference), hard_total=0)
        _, gradients = with_gradients(student, targets, teacher, chosen)
        np.testing.assert_allclose(gradients[1], slope.T @ student.rows.numpy(), rtol=30 / temperature, atol=1e-4)


def test_the_parts_of_an_update_add_up() -> None:
    layout = LAYOUTS["soft everywhere"]
    student, targets, teacher = case(layout)
    chosen = weights(layout)
    whole = with_gradients(student, targets, teacher, chosen)
    parts = []
    for first, last in ((0, 3), (3, 20), (20, 40)):
        own, theirs = replace(student, rows=student.rows[first:last]), replace(teacher, rows=teacher.rows[first:last])
        parts.append(with_gradients(own, targets[first:last], theirs, chosen))
    values = np.sum([part[0] for part in parts], axis=0)
    gradients = [np.concatenate([part[1][0] for part in parts]), *(sum(p[1][i] for p in parts) for i in (1, 2))]
    check((list(values), gradients), whole, rtol=1e-12)


@pytest.mark.parametrize("format", [torch.bfloat16, torch.float16])
def test_16_bits_are_for_matrix_products_only(format: torch.dtype) -> None:
    """The losses are 32-bit numbers, and a gradient keeps its digits even where each row weighs next to nothing."""
    layout = LAYOUTS["soft at some, some of them hidden"]
    chosen = weights(layout, soft_total=10**8, hard_total=10**8)
    expected = by_hand(*case(layout), chosen)
    with torch.autocast("cpu", dtype=format):
        values, gradients = with_gradients(*case(layout, torch.float32), chosen)
        types = {value.dtype for value in vocabulary_loss(*case(layout, torch.float32), chosen)}
    assert types == {torch.float32}
    np.testing.assert_allclose(values, expected[0], rtol=0.03)
    for own, other in zip(gradients, expected[1], strict=True):
        assert np.linalg.norm(own - other) < 0.03 * np.linalg.norm(other)


class LargestTensor(TorchDispatchMode):
    """Remembers the most numbers that any one tensor held."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            self.numbers = max(self.numbers, result.numel())
        return result


def test_the_logits_of_all_rows_are_never_held() -> None:
    count = 3000
    student, teacher = word_rows(1, count, dtype=torch.float32), word_rows(2, count, dtype=torch.float32)
    leaves = WordRows(*(part.requires_grad_() for part in (student.rows, student.matrix, student.bias)))
    with LargestTensor() as largest:
        chosen = Weights(1.0, 1.0, 2.0, count, count)
        loss, _, _ = vocabulary_loss(leaves, torch.zeros(count, dtype=torch.long), teacher, chosen)
        loss.backward()
    assert count * WIDTH <= largest.numbers < count * VOCABULARY / 2


def test_a_second_backward_is_refused_and_not_wrong() -> None:
    """The gradients are scaled in place: going back twice would count them twice over."""
    student, targets, teacher = case(LAYOUTS["soft everywhere"])
    rows = student.rows.requires_grad_()
    loss, soft, hard = vocabulary_loss(student, targets, teacher, weights(LAYOUTS["soft everywhere"]))
    assert not soft.requires_grad and not hard.requires_grad
    loss.backward(retain_graph=True)
    assert rows.grad is not None
    with pytest.raises(RuntimeError, match="used already"):
        loss.backward()


def test_a_part_without_any_row_adds_nothing() -> None:
    student, targets, _ = case((0, 0, 0))
    values, gradients = with_gradients(student, targets, None, Weights(5.0, 2.0, 2.0, 0, 0))
    assert values == [0, 0, 0]
    assert not any(gradient.any() for gradient in gradients)


@pytest.mark.parametrize("temperature", [0, -1, math.nan, math.inf])
def test_a_temperature_that_is_not_positive_is_refused(temperature: float) -> None:
    layout = LAYOUTS["soft only"]
    with pytest.raises(ValueError, match=r"temperature is .*must be positive"):
        vocabulary_loss(*case(layout), weights(layout, temperature))


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ([Group(39, (0,))], "the groups hold 39 rows, the student 40"),
        ([Group(41, (1,))], "the groups hold 41 rows, the student 40"),
        ([Group(40, (0,))], "rows 0 to 40 are not among the teacher's last 30"),
        ([Group(11, (1,)), Group(29, (0,))], "rows 0 to 11 are not among the first 10, which hide a word"),
    ],
)
def test_rows_that_nobody_asked_about_are_refused(groups: list[Group], said: str) -> None:
    terms = [
        VocabularyTerm(block_of("soft"), 5, 2, 30, asks_teacher=True),
        VocabularyTerm(block_of("hard"), 2, 1, 10, asks_teacher=False),
    ]
    with pytest.raises(ValueError, match=said):
        loss_of_groups(*case((40, 10, 30)), terms, groups)


def test_terms_of_different_temperatures_share_the_teachers_logits() -> None:
    """A third term: the soft targets once more at another temperature, which is no different from two runs of one."""
    student, targets, teacher = case((40, 0, 40))
    cool, hot = (VocabularyTerm(block_of("soft"), 1.0, heat, 40, asks_teacher=True) for heat in (1.0, 4.0))
    both = loss_of_groups(student, targets, teacher, [cool, hot], [Group(40, (0, 1))])
    alone = [loss_of_groups(student, targets, teacher, [term], [Group(40, (0,))])[1] for term in (cool, hot)]
    assert [value.item() for value in both[1:]] == pytest.approx([value.item() for value in alone], rel=1e-12)


def test_best_words_are_those_of_the_full_logits() -> None:
    words = word_rows(1, 600)
    expected = (words.rows @ words.matrix.T + words.bias).argmax(-1)
    assert torch.equal(best_words(words), expected)


@pytest.mark.parametrize("sizes", [ON_PROCESSOR, ON_GPU], ids=["processor", "GPU"])
@EVERY_LAYOUT
def test_no_number_is_read_back_on_the_way(layout: tuple[int, int, int], sizes: Sizes) -> None:
    """A GPU would be waited for. These tensors have no numbers: reading one raises."""
    with FakeTensorMode(), torch.autocast("cpu", dtype=torch.bfloat16):
        student, targets, teacher = case(layout, torch.float32)
        leaves = WordRows(*(part.requires_grad_() for part in (student.rows, student.matrix, student.bias)))
        loss, _, _ = vocabulary_loss(leaves, targets, teacher, weights(layout), sizes)
        loss.backward()
        with pytest.raises(DataDependentOutputException):
            loss.item()
    assert leaves.matrix.grad.shape == leaves.matrix.shape
