"""Every term of ours against its own formula in 64-bit numbers: value, and slope by small steps."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch

from core.sections import LossSettings
from core.terms import TERMS
from core.terms.declaration import Seen, Term

OPTIONS = LossSettings().options()
ROWS, CLASSES, WIDTH = 6, 5, 8
STEP = 1e-6


@dataclass(frozen=True)
class Made:
    """A model that says what it is told to."""

    logits: Any
    hidden: Any
    layers: Any = ()
    heads: int = 2

    def attention(self, number: int) -> Any:
        raise LookupError(number)


@dataclass(frozen=True)
class Case:
    """What both models say, as arrays of float64, and one that a term is differentiated by."""

    student: Made
    teacher: Made
    labels: np.ndarray
    moved: str = field(default="logits")

    def seen(self, student: Any = None, as_tensors: bool = True) -> Any:
        """As a term, or as its formula, sees it."""
        make = torch.from_numpy if as_tensors else np.asarray
        both = [
            replace(each, logits=make(each.logits), hidden=make(each.hidden)) for each in (self.student, self.teacher)
        ]
        if student is not None:
            both[0] = replace(both[0], **{self.moved: student})
        return Seen(both[0], both[1], np.array([ROWS]), ROWS, ROWS, make(self.labels))


class Numbers:
    """A Seen for formulas, whose labels are no tensor that could be asked for its kind."""

    def __init__(self, seen: Seen) -> None:
        self.student, self.teacher, self.labels = seen.student, seen.teacher, seen.labels
        self.examples, self.words = seen.examples, seen.words
        self.are_scores = np.issubdtype(np.asarray(seen.labels).dtype, np.floating)


def case(moved: str, scores: bool = False) -> Case:
    random = np.random.default_rng(3)
    both = [
        Made(2 * random.standard_normal((ROWS, 1 if scores else CLASSES)), random.standard_normal((ROWS, WIDTH)))
        for _ in range(2)
    ]
    labels = random.standard_normal(ROWS) if scores else random.integers(CLASSES, size=ROWS)
    return Case(both[0], both[1], labels, moved)


CASES = [
    pytest.param(term, kind, id=f"{term.name}-{kind}")
    for term in TERMS
    for kind in ("classes", "scores", "vocabulary", "states")
    if (term.labels if kind in ("classes", "scores") else getattr(term, kind))
]


def value_of(term: Term, kind: str, made: Case, student: torch.Tensor) -> torch.Tensor:
    """The term's value in the way that an update computes it."""
    seen = made.seen(student)
    if kind in ("classes", "scores"):
        return term.labels(seen, OPTIONS)
    if kind == "states":
        return term.states(seen, OPTIONS)
    heat = term.vocabulary.temperature(OPTIONS)
    theirs = seen.teacher.logits / heat if term.asks_teacher else None
    total, _ = term.vocabulary.block(student / heat, theirs, None if term.asks_teacher else seen.labels)
    return total * heat**2 / ROWS


@pytest.mark.parametrize(("term", "kind"), CASES)
def test_value_and_slope_are_the_formulas(term: Term, kind: str) -> None:
    made = case("hidden" if kind == "states" else "logits", scores=kind == "scores")
    start = getattr(made.student, made.moved)
    leaf = torch.from_numpy(start.copy()).requires_grad_()
    value = value_of(term, kind, made, leaf if kind != "vocabulary" else leaf.detach())
    assert float(value) == pytest.approx(formula(term, made, start), rel=1e-9)
    slope = slope_of_block(term, made, leaf.detach()) if kind == "vocabulary" else torch.autograd.grad(value, leaf)[0]
    np.testing.assert_allclose(slope.numpy(), by_steps(term, made, start), rtol=1e-4, atol=1e-8)


def formula(term: Term, made: Case, student: np.ndarray) -> float:
    assert term.formula is not None, "each of ours has one"
    return term.formula(Numbers(made.seen(student, as_tensors=False)), OPTIONS)


def slope_of_block(term: Term, made: Case, student: torch.Tensor) -> torch.Tensor:
    """Of the value, by the student's logits."""
    seen, heat = made.seen(student), term.vocabulary.temperature(OPTIONS)
    theirs = seen.teacher.logits / heat if term.asks_teacher else None
    _, slope = term.vocabulary.block(student / heat, theirs, None if term.asks_teacher else seen.labels)
    return slope * heat / ROWS


def by_steps(term: Term, made: Case, start: np.ndarray) -> np.ndarray:
    slope = np.zeros_like(start)
    for place in np.ndindex(start.shape):
        ends = []
        for sign in (1, -1):
            moved = start.copy()
            moved[place] += sign * STEP
            ends.append(formula(term, made, moved))
        slope[place] = (ends[0] - ends[1]) / (2 * STEP)
    return slope
