"""Soft targets and masked-word cross-entropy over a whole vocabulary, without ever holding the logits of a batch.

Logits of every position would be the largest tensors of a step by far. Here they are made for a block of positions at
a time and turned at once into values and gradients, so the forward pass does all the work and the backward pass only
scales. Within a block the softmax runs over slices small enough for the processor's cache.

Matrix products run in autocast's format where it is on; everything else in fp32, or in float64 for float64 inputs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


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
class Weights:
    """loss = soft · L_ce + hard · L_hard; L_ce and L_hard are sums divided by `soft_total` and `hard_total`.

    The totals are those of a whole update, so that the parts of an update add up however it was cut.
    """

    soft: float
    hard: float
    temperature: float
    soft_total: int
    hard_total: int


def vocabulary_loss(
    student: WordRows, targets: Tensor, teacher: WordRows | None, weights: Weights, sizes: Sizes | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """The weighted loss, differentiable, and L_ce and L_hard for the record. Shapes ().

    L_hard is the cross-entropy with `targets` (M,) at the first M of the student's rows; L_ce is KL(teacher ‖ student)
    at the temperature, times temperature², at its last S rows, where S is the number of the teacher's rows. Both may
    fall on the same row. Nats. Gradients reach the student's rows, matrix and bias; once, not a second time. `sizes`
    change speed and memory only.

    Raises ValueError for a temperature that is not positive and finite, or row counts that do not cover the rows.
    """
    if not 0 < weights.temperature < math.inf:
        raise ValueError(f"temperature is {weights.temperature}; it must be positive and finite")
    count, soft_count = len(student.rows), 0 if teacher is None else len(teacher.rows)
    if not max(len(targets), soft_count) <= count <= len(targets) + soft_count:
        raise ValueError(f"{count} rows cannot be the first {len(targets)} and the last {soft_count} of them")
    sizes = sizes or (ON_PROCESSOR if student.rows.device.type == "cpu" else ON_GPU)
    return _VocabularyLoss.apply(student.rows, student.matrix, student.bias, targets, teacher, weights, sizes)


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
        weights: Weights,
        sizes: Sizes,
    ) -> tuple[Tensor, Tensor, Tensor]:
        dtype = _product_dtype(rows)
        with torch.autocast(rows.device.type, enabled=False):
            student = WordRows(rows, matrix, bias)
            work = _Work(student, targets, teacher, weights, sizes, dtype, any(ctx.needs_input_grad))
            work.run()
        soft = work.divergence * (weights.temperature**2 / max(1, weights.soft_total))
        hard = work.cross_entropy / max(1, weights.hard_total)
        ctx.gradients, ctx.unit = work.gradients, work.unit
        ctx.mark_non_differentiable(soft, hard)
        return weights.soft * soft + weights.hard * hard, soft, hard

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor, *_recorded: Tensor) -> tuple[Tensor | None, ...]:
        # Scaled in place: these are the only large tensors, and nobody else has them.
        gradients, ctx.gradients = ctx.gradients, None
        if gradients is None:
            raise RuntimeError("the gradients of the vocabulary loss have been used already; compute the loss again")
        factor = slope * ctx.unit
        return (*(gradient.mul_(factor) for gradient in gradients), None, None, None, None)


class _Work:
    """One forward pass: sums of both terms over the rows, and the gradients in multiples of `unit`.

    The multiples are at most about 1, so that they keep their digits in 16-bit formats too.
    """

    def __init__(
        self,
        student: WordRows,
        targets: Tensor,
        teacher: WordRows | None,
        weights: Weights,
        sizes: Sizes,
        dtype: torch.dtype,
        with_gradients: bool,
    ) -> None:
        self._student, self._targets = student, targets
        self._temperature = weights.temperature
        self._exact = torch.float64 if student.rows.dtype == torch.float64 else torch.float32
        self._dtype = dtype
        self._sizes = sizes
        self._matrix = student.matrix.detach().to(dtype)
        self._teacher = None if teacher is None else replace(teacher, matrix=teacher.matrix.to(dtype))
        soft = weights.soft * weights.temperature / max(1, weights.soft_total)
        hard = weights.hard / max(1, weights.hard_total)
        self.unit = max(soft, hard) or 1.0
        self._soft_slope, self._hard_slope = soft / self.unit, hard / self.unit
        self.divergence = student.rows.new_zeros((), dtype=self._exact)
        self.cross_entropy = self.divergence.clone()
        self.gradients: tuple[Tensor, ...] = ()
        if with_gradients:
            parts = (student.rows, student.matrix, student.bias)
            self.gradients = tuple(torch.zeros_like(part, dtype=self._exact) for part in parts)

    def run(self) -> None:
        """Everything, block by block."""
        count, hard_count = len(self._student.rows), len(self._targets)
        soft_from = count - (0 if self._teacher is None else len(self._teacher.rows))
        # One piece of memory for all blocks: new memory of this size is given page by page, which takes its time.
        room = min(self._sizes.block, count), len(self._matrix)
        self._own = self._matrix.new_empty(room)
        self._theirs = self._matrix.new_empty(0 if self._teacher is None else room)
        edges = sorted({0, soft_from, hard_count, count})
        for start, end in pairwise(edges):
            for rows in _steps(start, end, self._sizes.block):
                doubts = None
                if self._teacher is not None and start >= soft_from:
                    of_teacher = slice(rows.start - soft_from, rows.stop - soft_from)
                    doubts = replace(self._teacher, rows=self._teacher.rows[of_teacher])
                # Beyond the last of them there are none.
                self._block(rows, doubts, self._targets[rows])

    def _block(self, rows: slice, doubts: WordRows | None, targets: Tensor) -> None:
        """Rows that are asked about in the same way: `doubts` are the teacher's, `targets` empty or one a row."""
        values, theirs = self._student.rows.detach()[rows], None
        temperature = 1.0 if doubts is None else self._temperature
        logits = self._products(values, self._matrix, temperature, self._own)
        if doubts is not None:
            theirs = self._products(doubts.rows, doubts.matrix, temperature, self._theirs), doubts.bias
        for part in _steps(0, len(values), self._sizes.slice):
            if theirs is None:
                slope = self._hard_slope_of(logits[part], targets[part])
            else:
                slope = self._soft_slope_of(logits[part], theirs[0][part], theirs[1], targets[part])
            if self.gradients:
                # The logits have done their duty; their memory takes the gradients.
                logits[part] = slope
                self.gradients[2].add_(slope.sum(0))
        if self.gradients:
            self._add_gradients(rows, logits, values.to(self._dtype))

    def _products(self, rows: Tensor, matrix: Tensor, temperature: float, room: Tensor) -> Tensor:
        """Logits before their bias. Dividing the rows by the temperature is cheaper than dividing the logits."""
        rows = (rows.to(self._exact) / temperature).to(self._dtype)
        products = room[: len(rows)]
        for words in self._words():
            torch.mm(rows, matrix[words].T, out=products[:, words])
        return products

    def _hard_slope_of(self, products: Tensor, targets: Tensor) -> Tensor:
        """Add the hard term of some rows; returns the slopes of their logits, in multiples of the unit."""
        return self._hard(products + self._student.bias.detach(), targets).mul_(self._hard_slope)

    def _soft_slope_of(self, products: Tensor, their_products: Tensor, their_bias: Tensor, targets: Tensor) -> Tensor:
        """The same for the soft term, and the hard one where there are targets."""
        temperature = self._temperature
        logits = torch.add(products, self._student.bias.detach(), alpha=1 / temperature)
        slope = self._soft(logits, torch.add(their_products, their_bias, alpha=1 / temperature))
        if self._soft_slope != 1:
            slope.mul_(self._soft_slope)
        if not len(targets):
            return slope
        return slope.add_(self._hard(logits.mul_(temperature), targets), alpha=self._hard_slope)

    def _soft(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Add Σ KL; returns student's minus teacher's probabilities. Overwrites the teacher's logits."""
        shares, top = torch.softmax(teacher, -1), teacher.amax(-1)
        cross = torch.sub(teacher, student, out=teacher).mul_(shares).sum(-1)
        # log Σ exp: the most probable word has the share exp(top) / Σ exp.
        teacher_log_sum = top - shares.amax(-1).log_()
        own = torch.softmax(student, -1)
        student_log_sum = student.amax(-1) - own.amax(-1).log_()
        self.divergence += (cross + student_log_sum - teacher_log_sum).sum()
        return own.sub_(shares)

    def _hard(self, student: Tensor, targets: Tensor) -> Tensor:
        """Add Σ cross-entropy; returns the probabilities, less 1 at the targets."""
        own = torch.softmax(student, -1)
        log_sum = student.amax(-1) - own.amax(-1).log_()
        chosen = targets.unsqueeze(-1)
        self.cross_entropy += log_sum.sum() - student.gather(-1, chosen).sum()
        return own.scatter_add_(-1, chosen, torch.full_like(chosen, -1, dtype=own.dtype))

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


def _steps(start: int, end: int, size: int) -> Iterator[slice]:
    return (slice(first, min(first + size, end)) for first in range(start, end, size))


def _product_dtype(rows: Tensor) -> torch.dtype:
    """What matrix products run in: autocast's format where it is on."""
    if rows.dtype != torch.float64 and torch.is_autocast_enabled(rows.device.type):
        return torch.get_autocast_dtype(rows.device.type)
    return torch.float64 if rows.dtype == torch.float64 else torch.float32
