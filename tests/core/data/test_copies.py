"""Changed copies: always the same for one seed, made of the task's own words, and without a label."""

from __future__ import annotations

import re

import numpy as np
import pytest

from core.data.copies import repeated, with_copies
from core.data.part import Part

TEXTS = [f"text{i} is number{i} of these many good and bad ones" for i in range(200)]
SECONDS = [f"second{i} says nothing new about it at all" for i in range(200)]
SINGLE = Part(TEXTS, np.arange(200) % 2)
PAIRS = Part(TEXTS, np.linspace(0, 5, 200, dtype=np.float32), SECONDS)


def test_no_copies_leave_the_texts_as_they_are() -> None:
    assert with_copies(SINGLE, 0, seed=0) is SINGLE
    assert repeated(SINGLE, 1) is SINGLE


@pytest.mark.parametrize("part", [SINGLE, PAIRS], ids=["texts", "pairs"])
def test_the_examples_come_first_and_the_same_seed_gives_the_same_copies(part: Part) -> None:
    made = with_copies(part, 2, seed=3)
    assert len(made) == 600 and made.texts[:200] == part.texts
    np.testing.assert_array_equal(made.labels[:200], part.labels)
    assert made.columns() == with_copies(part, 2, seed=3).columns()
    assert made.texts[200:400] != made.texts[400:], "each copy is another"
    assert made.texts[200:400] != with_copies(part, 2, seed=4).texts[200:400]


def test_nobody_knows_what_is_true_of_a_copy() -> None:
    assert set(with_copies(SINGLE, 1, 0).labels[200:]) == {-1}
    assert np.isnan(with_copies(PAIRS, 1, 0).labels[200:]).all()
    assert with_copies(PAIRS, 1, 0).labels.dtype == np.float32


def test_copies_are_made_of_the_words_of_the_task() -> None:
    made = with_copies(SINGLE, 3, 0)
    words = {word for text in TEXTS for word in text.split()}
    copies = made.texts[200:]
    assert all(copy and set(copy.split()) <= words for copy in copies)
    dropped = 1 - sum(len(copy.split()) for copy in copies) / (600 * len(TEXTS[0].split()))
    assert 0.13 < dropped < 0.17
    orders = {copy.index("good") < copy.index("and") for copy in copies if "good" in copy and "and" in copy}
    assert orders == {True, False}, "neighbours change places in some"


def test_pairs_are_turned_round_and_put_together_anew() -> None:
    made = with_copies(PAIRS, 3, 0)
    assert made.pairs is not None
    both = list(zip(made.texts[200:], made.pairs[200:], strict=True))
    turned = sum("text" not in first.partition(" ")[0] and "second" not in second for first, second in both)
    assert 0.35 < turned / len(both) < 0.45
    numbers = [set(re.findall(r"(?:text|second)(\d+)", f"{first} {second}")) for first, second in both]
    known = [found for found in numbers if found]
    assert 0.2 < sum(len(found) == 2 for found in known) / len(known) < 0.35, "some belong to two examples"


@pytest.mark.parametrize("text", ["", "word", "two words"])
def test_a_short_text_stays_a_text(text: str) -> None:
    made = with_copies(Part([text] * 50, np.zeros(50, dtype=np.int64)), 2, 0)
    assert all(bool(copy) == bool(text) for copy in made.texts)


def test_a_control_reads_the_texts_themselves_as_often() -> None:
    thrice = repeated(PAIRS, 3)
    assert thrice.texts == TEXTS * 3 and thrice.pairs == SECONDS * 3
    np.testing.assert_array_equal(thrice.labels, np.tile(PAIRS.labels, 3))
