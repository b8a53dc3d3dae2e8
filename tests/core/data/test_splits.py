"""The splits: no text in two parts, the test never touched by a limit, all of it decided by the seed."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from core.data.part import LabelledData, Part, same_words
from core.data.splits import MOST_WATCHED, limited, official_split, random_split, without_copies
from core.errors import DistilleryError

NAMES = ("no", "yes")


def made(count: int, word: str = "text", pairs: bool = False, scores: bool = False) -> Part:
    """Every fifth is "yes"; scores rise."""
    labels = np.arange(count, dtype=np.float32) / 10 if scores else (np.arange(count) % 5 == 0).astype(np.int64)
    texts = [f"{word} {number}" for number in range(count)]
    return Part(texts, labels, [f"{text} again" for text in texts] if pairs else None)


def three(data: LabelledData) -> tuple[Part, Part, Part]:
    return data.train, data.validation, data.test


def assert_apart(data: LabelledData) -> None:
    known = [set(part.keys()) for part in three(data)]
    assert all(not one & other for one, other in combinations(known, 2))


@pytest.mark.parametrize("scores", [False, True])
@pytest.mark.parametrize("pairs", [False, True])
def test_random_is_80_10_10_in_equal_shares(pairs: bool, scores: bool) -> None:
    data = random_split(() if scores else NAMES, made(1_000, pairs=pairs, scores=scores), None, seed=3)
    assert [len(part) for part in three(data)] == [800, 100, 100]
    assert_apart(data)
    for part in three(data):
        if not scores:
            assert part.labels.mean() == pytest.approx(0.2, abs=0.011)
        for text, label in zip(part.texts, part.labels, strict=True):
            number = int(text.split()[1])
            assert label == pytest.approx(number / 10 if scores else float(number % 5 == 0))
        assert part.pairs == ([f"{text} again" for text in part.texts] if pairs else None)


def test_copies_never_straddle_whatever_their_case_and_spacing() -> None:
    part = made(300)
    copies = Part([f"  {text.upper()} " for text in part.texts], 1 - part.labels)
    data = random_split(NAMES, part.joined(copies), None, seed=0)
    assert_apart(data)
    assert sum(map(len, three(data))) == 300
    assert data.notes == (
        "Repeated texts were left out: 300. 300 of them carry another label than the first with this text, for example "
        "'no' for '  TEXT 0 ' against 'yes' for 'text 0'. Only the first counts.",
    )
    assert all(text.islower() for part in three(data) for text in part.texts)


def test_pairs_are_copies_only_if_both_texts_are() -> None:
    part = Part(["a", "A ", "a", "b"], np.array([0, 1, 0, 1]), ["x", "X", "y", "x"])
    kept, dropped = without_copies(part)
    assert dropped == 1 and list(zip(kept.texts, kept.pairs, strict=True)) == [("a", "x"), ("a", "y"), ("b", "x")]
    assert kept.labels.tolist() == [0, 0, 1]
    # Two texts never run together into one key.
    assert len(set(Part(["a b", "a"], np.zeros(2), ["c", "b c"]).keys())) == 2


@pytest.mark.parametrize("scores", [False, True])
def test_official_leaves_the_test_alone(scores: bool) -> None:
    names = () if scores else NAMES
    test = made(50, "dev", scores=scores).joined(made(2, "dev", scores=scores))
    part = made(500, scores=scores).joined(made(7, "TEXT", scores=scores)).joined(made(3, "Dev ", scores=scores))
    for most in (None, 200):
        data = official_split(names, part, test, most, seed=1)
        assert data.test is test
        assert_apart(data)
        assert [len(data.train), len(data.validation)] == ([450, 50] if most is None else [180, 20])
        assert data.notes == (
            "Repeated texts were left out: 7.",
            "Examples of the training file that are also in the test set were left out: 3.",
        )


def test_of_a_large_training_file_a_thousand_are_watched() -> None:
    data = official_split(NAMES, made(20_003), made(50, "dev"), None, seed=0)
    assert len(data.validation) == MOST_WATCHED and len(data.train) == 19_003
    assert data.validation.labels.mean() == pytest.approx(0.2, abs=0.001)


def test_the_seed_decides() -> None:
    one, same, other = (random_split(NAMES, made(400), None, seed) for seed in (0, 0, 1))
    assert [part.texts for part in three(one)] == [part.texts for part in three(same)]
    assert set(one.test.texts) != set(other.test.texts)


def test_a_limit_keeps_the_shares_of_the_classes() -> None:
    part = limited(NAMES, made(1_000), 200, seed=0)
    assert len(part) == 200 and part.labels.sum() == 40
    assert limited(NAMES, part, 200, seed=0) is part


def test_what_cannot_be_split_says_why() -> None:
    with pytest.raises(DistilleryError, match="the same label, so there is nothing to learn"):
        random_split(NAMES, Part([f"{i}" for i in range(50)], np.zeros(50, dtype=np.int64)), None, 0)
    rare = Part([f"{i}" for i in range(50)], (np.arange(50) == 0).astype(np.int64))
    with pytest.raises(DistilleryError, match="of the label 'yes' there are 1 among 50"):
        random_split(NAMES, rare, None, 0)
    with pytest.raises(DistilleryError, match="of the label 'maybe' there are 0"):
        random_split((*NAMES, "maybe"), made(50), None, 0)
    with pytest.raises(DistilleryError, match="2 examples, copies not counted, are too few"):
        random_split((), made(2, scores=True), None, 0)


def test_words_decide_what_is_the_same() -> None:
    assert same_words(" The\t\nFilm  was ") == "the film was"
