"""The terms over a whole vocabulary, all in one pass, without ever holding the logits of a batch.

Logits of every position would be the largest tensors of a step by far. Here they are made for a block of positions at
a time and turned at once into values and gradients, so the forward pass does all the work and the backward pass only
scales. Within a block the softmax runs over slices small enough for the processor's cache.

Matrix products run in autocast's format where it is on; everything else in fp32, or in float64 for float64 inputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Block = Callable[[Tensor, Tensor | None, Tensor | None], tuple[Tensor, Tensor]]
"""What a term makes of a block of logits (`core.terms.declaration.OverVocabulary`)."""


@dataclass(frozen=True)
class Sizes:
    """How much is computed at once.

    `block`: rows whose logits are held, enough for quick matrix products. `slice`: rows whose softmax is computed, on
    the processor what a core's own cache takes. `words`: rows of the vocabulary matrix that are multiplied, likewise.
    """

    block: int
    slice: int
    words: int


ON_PROCESSOR = Sizes(block=256, slice=16, words=2048)
ON_GPU = Sizes(block=2048, slice=512, words=1 << 30)


@dataclass(frozen=True)
class WordRows:
    """Rows (N, H) that a model's head has made of hidden states, and the vocabulary matrix (V, H) and bias (V,) that
    make logits of them."""

    rows: Tensor
    matrix: Tensor
    bias: Tensor


@dataclass(frozen=True)
class VocabularyTerm:
    """A term with its weight in the loss. Its value is Σ · temperature² / `total`.

    `total` counts the positions of a whole update, so that the parts of an update add up however it was cut.
    """

    block: Block
    weight: float
    temperature: float
    total: int
    asks_teacher: bool

    @property
    def value_scale(self) -> float:
        """What the sum of a block's values is multiplied with."""
        return self.temperature**2 / max(1, self.total)

    @property
    def slope_scale(self) -> float:
        """What a block's slope is multiplied with: the weighted value's slope by logits divided by the temperature."""
        return self.weight * self.temperature / max(1, self.total)


@dataclass(frozen=True)
class Group:
    """So many rows, one after the other, that the same `terms` ask about, by their places in the list of terms."""

    rows: int
    terms: tuple[int, ...]


def vocabulary_loss(
    student: WordRows,
    targets: Tensor,
    teacher: WordRows | None,
    terms: Sequence[VocabularyTerm],
    groups: Sequence[Group],
    sizes: Sizes | None = None,
) -> tuple[Tensor, ...]:
    """The weighted loss, differentiable, and then each term's value for the record. Shapes ().

    `groups` are all of the student's rows in their order. The first M of these hide the `targets` (M,); the teacher's
    rows are the student's last. Gradients reach the student's rows, matrix and bias; once, not a second time. `sizes`
    change speed and memory only.

    Raises ValueError for a temperature that is not positive and finite, and for groups that the rows do not fit.
    """
    for term in terms:
        if not 0 < term.temperature < math.inf:
            raise ValueError(f"temperature is {term.temperature}; it must be positive and finite")
    _check_groups(len(student.rows), len(targets), 0 if teacher is None else len(teacher.rows), terms, groups)
    sizes = sizes or (ON_PROCESSOR if student.rows.device.type == "cpu" else ON_GPU)
    return _VocabularyLoss.apply(
        student.rows, student.matrix, student.bias, targets, teacher, tuple(terms), tuple(groups), sizes
    )


def _check_groups(
    count: int, targets: int, of_teacher: int, terms: Sequence[VocabularyTerm], groups: Sequence[Group]
) -> None:
    if sum(group.rows for group in groups) != count:
        raise ValueError(f"the groups hold {sum(group.rows for group in groups)} rows, the student {count}")
    start = 0
    for group in groups:
        for asks_teacher in {terms[number].asks_teacher for number in group.terms}:
            if (start < count - of_teacher) if asks_teacher else (start + group.rows > targets):
                whose = f"teacher's last {of_teacher}" if asks_teacher else f"first {targets}, which hide a word"
                raise ValueError(f"rows {start} to {start + group.rows} are not among the {whose}")
        start += group.rows


def best_words(words: WordRows, block: int = 256) -> Tensor:
    """The most probable word piece at each row, (N,)."""
    dtype = _product_dtype(words.rows)
    with torch.no_grad(), torch.autocast(words.rows.device.type, enabled=False):
        matrix, bias = words.matrix.to(dtype).T, words.bias.to(dtype)
        best = [torch.addmm(bias, rows.to(dtype), matrix).argmax(-1) for rows in words.rows.split(block)]
    return torch.cat(best)


class _VocabularyLoss(torch.autograd.Function):
    """`ctx` holds whatever the forward pass leaves for the backward pass, so its type says nothing."""

    @staticmethod
    def forward(
        ctx: Any,
        rows: Tensor,
        matrix: Tensor,
        bias: Tensor,
        targets: Tensor,
        teacher: WordRows | None,
        terms: tuple[VocabularyTerm, ...],
        groups: tuple[Group, ...],
        sizes: Sizes,
    ) -> tuple[Tensor, ...]:
        dtype = _product_dtype(rows)
        with torch.autocast(rows.device.type, enabled=False):
            student = WordRows(rows, matrix, bias)
            work = _Work(student, targets, teacher, terms, sizes, dtype, any(ctx.needs_input_grad))
            work.run(groups)
        values = [total * term.value_scale for total, term in zip(work.sums, terms, strict=True)]
        ctx.gradients, ctx.unit = work.gradients, work.unit
        ctx.mark_non_differentiable(*values)
        weighted = [term.weight * value for value, term in zip(values, terms, strict=True)]
        return sum(weighted[1:], weighted[0]), *values

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor, *_recorded: Tensor) -> tuple[Tensor | None, ...]:
        # Scaled in place: these are the only large tensors, and nobody else has them.
        gradients, ctx.gradients = ctx.gradients, None
        if gradients is None:
            raise RuntimeError("the gradients of the vocabulary loss have been used already; compute the loss again")
        factor = slope * ctx.unit
        return (*(gradient.mul_(factor) for gradient in gradients), None, None, None, None, None)


class _Work:
    """One forward pass: each term's sum over its rows, and the gradients in multiples of `unit`.

    The multiples are at most about 1, so that they keep their digits in 16-bit formats too.
    """

    def __init__(
        self,
        student: WordRows,
        targets: Tensor,
        teacher: WordRows | None,
        terms: tuple[VocabularyTerm, ...],
        sizes: Sizes,
        dtype: torch.dtype,
        with_gradients: bool,
    ) -> None:
        self._student, self._targets, self._terms = student, targets, terms
        self._exact = torch.float64 if student.rows.dtype == torch.float64 else torch.float32
        self._dtype = dtype
        self._sizes = sizes
        self._matrix = student.matrix.detach().to(dtype)
        self._teacher = None if teacher is None else replace(teacher, matrix=teacher.matrix.to(dtype))
        self.unit = max(term.slope_scale for term in terms) or 1.0
        self.sums = [student.rows.new_zeros((), dtype=self._exact) for _ in terms]
        self.gradients: tuple[Tensor, ...] = ()
        if with_gradients:
            parts = (student.rows, student.matrix, student.bias)
            self.gradients = tuple(torch.zeros_like(part, dtype=self._exact) for part in parts)

    def run(self, groups: tuple[Group, ...]) -> None:
        """Everything, block by block."""
        count = len(self._student.rows)
        # One piece of memory for all blocks: new memory of this size is given page by page, which takes its time.
        room = min(self._sizes.block, count), len(self._matrix)
        self._own = self._matrix.new_empty(room)
        self._theirs = self._matrix.new_empty(0 if self._teacher is None else room)
        start = 0
        for group in groups:
            for rows in _steps(start, start + group.rows, self._sizes.block):
                self._block(rows, group.terms)
            start += group.rows

    def _block(self, rows: slice, numbers: tuple[int, ...]) -> None:
        """Rows that the same terms ask about."""
        values, theirs = self._student.rows.detach()[rows], None
        # Of the first that asks the teacher: its logits are wanted at no other temperature by most.
        temperature = next((term.temperature for term in map(self._terms.__getitem__, numbers) if term.asks_teacher), 1)
        logits = self._products(values, self._matrix, temperature, self._own)
        if any(self._terms[number].asks_teacher for number in numbers):
            theirs = self._teacher_products(rows, temperature)
        targets = self._targets[rows]
        for part in _steps(0, len(values), self._sizes.slice):
            own = _Logits(torch.add(logits[part], self._student.bias.detach(), alpha=1 / temperature), temperature)
            of_teacher = None
            if theirs is not None and self._teacher is not None:
                added = torch.add(theirs[part], self._teacher.bias, alpha=1 / temperature)
                of_teacher = _Logits(added, temperature)
            slope = self._slope(numbers, own, of_teacher, targets[part])
            if self.gradients:
                # The logits have done their duty; their memory takes the gradients.
                logits[part] = slope
                self.gradients[2].add_(slope.sum(0))
        if self.gradients:
            self._add_gradients(rows, logits, values.to(self._dtype))

    def _teacher_products(self, rows: slice, temperature: float) -> Tensor:
        assert self._teacher is not None
        first = len(self._student.rows) - len(self._teacher.rows)
        chosen = self._teacher.rows[rows.start - first : rows.stop - first]
        return self._products(chosen, self._teacher.matrix, temperature, self._theirs)

    def _products(self, rows: Tensor, matrix: Tensor, temperature: float, room: Tensor) -> Tensor:
        """Logits before their bias. Dividing the rows by the temperature is cheaper than dividing the logits."""
        rows = (rows.to(self._exact) / temperature).to(self._dtype)
        products = room[: len(rows)]
        for words in self._words():
            torch.mm(rows, matrix[words].T, out=products[:, words])
        return products

    def _slope(self, numbers: tuple[int, ...], own: _Logits, theirs: _Logits | None, targets: Tensor) -> Tensor:
        """Add the terms of some rows; returns the slope of all by the student's logits, in multiples of the unit."""
        together: Tensor | None = None
        asking = [number for number in numbers if self._terms[number].asks_teacher]
        for number in numbers:
            term = self._terms[number]
            doubts = None
            if term.asks_teacher and theirs is not None:
                # A term may overwrite them; only the last that asks gets the original.
                doubts = theirs.at(term.temperature, keep=number != asking[-1])
            value, slope = term.block(own.at(term.temperature), doubts, None if term.asks_teacher else targets)
            self.sums[number] += value
            share = term.slope_scale / self.unit
            if together is None:
                together = slope if share == 1 else slope.mul_(share)
            else:
                together.add_(slope, alpha=share)
        assert together is not None
        return together

    def _add_gradients(self, rows: slice, slope: Tensor, values: Tensor) -> None:
        of_rows, of_matrix, _ = self.gradients
        of_rows[rows] = slope @ self._matrix
        if of_matrix.dtype == self._dtype:
            of_matrix.addmm_(slope.T, values)
            return
        for words in self._words():
            of_matrix[words] += (slope[:, words].T @ values).to(self._exact)

    def _words(self) -> Iterator[slice]:
        return _steps(0, len(self._matrix), self._sizes.words)


class _Logits:
    """Logits of some rows, divided by one temperature after the other."""

    def __init__(self, values: Tensor, temperature: float) -> None:
        self._values, self._temperature = values, temperature

    def at(self, temperature: float, keep: bool = False) -> Tensor:
        """The logits divided by this temperature; with `keep` a copy, which may be overwritten."""
        if temperature != self._temperature:
            self._values.mul_(self._temperature / temperature)
            self._temperature = temperature
        return self._values.clone() if keep else self._values


def _steps(start: int, end: int, size: int) -> Iterator[slice]:
    return (slice(first, min(first + size, end)) for first in range(start, end, size))


def _product_dtype(rows: Tensor) -> torch.dtype:
    """What matrix products run in: autocast's format where it is on."""
    if rows.dtype != torch.float64 and torch.is_autocast_enabled(rows.device.type):
        return torch.get_autocast_dtype(rows.device.type)
    return torch.float64 if rows.dtype == torch.float64 else torch.float32
