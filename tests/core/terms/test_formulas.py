"""Every term of ours against its own formula in 64-bit numbers: value, and slope by small steps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch

from core.data.masking import Masker
from core.data.part import Part
from core.data.tokens import tokenise
from core.distill.masked_batch import masked_batches
from core.distill.word_terms import WordUpdate
from core.models.student import student_for_words
from core.sections import LossSettings, MaskingSettings, StudentSettings
from core.terms import TERMS
from core.terms.declaration import Seen, Term
from tests.fixtures.tiny_models import tiny_tokenizer, tiny_word_teacher

OPTIONS = LossSettings().options() | {"relation_heads": 3}
LENGTHS = np.array([4, 2])
CLASSES, WIDTH, LAYERS = 5, 8, 2
STEP = 1e-6


@dataclass(frozen=True)
class Made:
    """A model that says what it is told to: one array for each thing that a term may look at."""

    logits: Any
    hidden: Any
    layers: Any
    inputs: Any
    heads: int = 2

    def attention(self, number: int) -> Any:
        """Queries, keys and values, of one layer as of all."""
        return tuple(self.inputs)


WHAT = ("logits", "hidden", "layers", "inputs")


@dataclass(frozen=True)
class Case:
    """What both models say, as arrays of float64, and the one of them by which a term is differentiated."""

    student: Made
    teacher: Made
    labels: np.ndarray
    moved: str

    def seen(self, student: Any = None, as_tensors: bool = True) -> Any:
        """As a term, or as its formula, sees it."""
        make = torch.from_numpy if as_tensors else np.asarray
        own, theirs = (
            replace(each, **{name: make(getattr(each, name)) for name in WHAT}) for each in (self.student, self.teacher)
        )
        if student is not None:
            own = replace(own, **{self.moved: student})
        return Seen(own, theirs, LENGTHS, len(LENGTHS), int(LENGTHS.sum()), make(self.labels))


class Numbers:
    """A Seen for formulas, whose labels are no tensor that could be asked for its kind."""

    def __init__(self, seen: Seen) -> None:
        self.student, self.teacher, self.labels = seen.student, seen.teacher, seen.labels
        self.examples, self.words, self.lengths = seen.examples, seen.words, seen.lengths
        self.are_scores = np.issubdtype(np.asarray(seen.labels).dtype, np.floating)


def case(moved: str, scores: bool = False, unknown: bool = False) -> Case:
    random, words, examples = np.random.default_rng(3), int(LENGTHS.sum()), len(LENGTHS)
    shapes = {
        "logits": (examples, 1 if scores else CLASSES),
        "hidden": (words, WIDTH),
        "layers": (LAYERS, words, WIDTH),
        "inputs": (3, words, WIDTH),
    }
    both = [Made(**{name: 1.5 * random.standard_normal(shape) for name, shape in shapes.items()}) for _ in range(2)]
    labels = random.standard_normal(examples) if scores else random.integers(CLASSES, size=examples)
    if unknown:
        labels[0] = np.nan if scores else -1
    return Case(both[0], both[1], labels, moved)


def moved_by(term: Term, kind: str) -> str:
    """What the student says that this term looks at."""
    if kind != "states":
        return "logits"
    return {"hidden": "hidden", "layers": "layers", "attention": "inputs"}[next(iter(term.needs))]


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
    return total * heat**2 / len(LENGTHS)


@pytest.mark.parametrize(("term", "kind"), CASES)
def test_value_and_slope_are_the_formulas(term: Term, kind: str) -> None:
    made = case(moved_by(term, kind), scores=kind == "scores")
    start = getattr(made.student, made.moved)
    leaf = torch.from_numpy(start.copy()).requires_grad_()
    value = value_of(term, kind, made, leaf if kind != "vocabulary" else leaf.detach())
    assert float(value) == pytest.approx(formula(term, made, start), rel=1e-9)
    slope = slope_of_block(term, made, leaf.detach()) if kind == "vocabulary" else torch.autograd.grad(value, leaf)[0]
    np.testing.assert_allclose(slope.numpy(), by_steps(term, made, start), rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("scores", [False, True], ids=["classes", "scores"])
@pytest.mark.parametrize("term", [term for term in TERMS if term.labels], ids=lambda term: term.name)
def test_what_nobody_knows_adds_nothing(term: Term, scores: bool) -> None:
    made, all_known = case("logits", scores, unknown=True), case("logits", scores)
    leaf = torch.from_numpy(made.student.logits.copy()).requires_grad_()
    value = value_of(term, "scores" if scores else "classes", made, leaf)
    slope = torch.autograd.grad(value, leaf)[0].numpy()
    assert value.item() == pytest.approx(formula(term, made, made.student.logits), rel=1e-9)
    np.testing.assert_allclose(slope, by_steps(term, made, made.student.logits), rtol=1e-4, atol=1e-8)
    assert (slope[0] == 0).all() != term.asks_teacher, "what the teacher answers to it is learned"
    assert (value.item() == pytest.approx(formula(term, all_known, made.student.logits))) == term.asks_teacher


def formula(term: Term, made: Case, student: np.ndarray) -> float:
    assert term.formula is not None, "each of ours has one"
    return term.formula(Numbers(made.seen(student, as_tensors=False)), OPTIONS)


def slope_of_block(term: Term, made: Case, student: torch.Tensor) -> torch.Tensor:
    """Of the value, by the student's logits."""
    seen, heat = made.seen(student), term.vocabulary.temperature(OPTIONS)
    theirs = seen.teacher.logits / heat if term.asks_teacher else None
    _, slope = term.vocabulary.block(student / heat, theirs, None if term.asks_teacher else seen.labels)
    return slope * heat / len(LENGTHS)


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


EVERY = LossSettings(**{term.name: 1.0 for term in TERMS})


def update_of_words(layers: int, parts: int) -> dict[str, float]:
    """All terms of one update without dropout, computed in so many parts, summed."""
    teacher = tiny_word_teacher()
    chosen = StudentSettings(layers=layers, initial_weights="copied" if layers == 2 else "random")
    student = student_for_words(teacher, chosen, seed=0).eval()
    update = WordUpdate(student, {}, teacher, EVERY, chosen.layer_map(2))
    texts = ["the film is warm and funny .", "a dull mess .", "good", "very moving and good and warm"] * 4
    tokens = tokenise(Part(texts, np.zeros(16, dtype=np.int64)), tiny_tokenizer(), 32)
    masker, random = Masker.from_tokens(tokens, tiny_tokenizer(), MaskingSettings()), np.random.default_rng(0)
    batches = masked_batches(tokens, np.arange(16), masker, EVERY, random, parts, torch.device("cpu"))
    with torch.no_grad():
        found = [update(batch) for batch in batches]
    return {name: sum(float(each[name]) for each in found) for name in found[0]}


def test_the_cut_into_parts_changes_no_term_beyond_rounding() -> None:
    whole = update_of_words(layers=1, parts=1)
    assert set(whole) == {"loss", *(term.name for term in TERMS)}
    assert update_of_words(layers=1, parts=5) == pytest.approx(whole, rel=1e-5)


def test_a_student_that_is_its_teacher_has_nothing_to_learn_from_it() -> None:
    found = update_of_words(layers=2, parts=2)
    for term in TERMS:
        assert (found[term.name] == pytest.approx(0.0, abs=1e-5)) == term.asks_teacher, term.name
