"""How sure against how right, and two models on the same texts: against other ways to compute them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, entropy

from core.scoring.doubts import BINS, calibration, divergence, paired, softmax


def some(texts: int = 400, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(5)
    return softmax(random.normal(scale=2.0, size=(texts, classes))), random.integers(classes, size=texts)


def test_the_error_is_that_of_its_definition_bin_by_bin() -> None:
    shares, labels = some()
    found = calibration(shares, labels)
    total = 0.0
    for place in range(BINS):
        inside = [
            (max(row), int(np.argmax(row)) == label)
            for row, label in zip(shares.tolist(), labels.tolist(), strict=True)
            if place / BINS <= max(row) < (place + 1) / BINS
        ]
        if inside:
            sure, hits = zip(*inside, strict=True)
            total += len(inside) / len(labels) * abs(np.mean(hits) - np.mean(sure))
    assert found.error == pytest.approx(total, rel=1e-12)
    assert found.interval[0] < found.error < found.interval[1]
    assert sum(each.right.count for each in found.bins) == len(labels)
    assert found.right.hits == (shares.argmax(axis=1) == labels).sum()
    assert found.sure == pytest.approx(shares.max(axis=1).mean())
    assert calibration(shares, labels) == found, "the same texts give the same interval"


def test_who_is_right_as_often_as_sure_has_no_error_and_who_is_always_sure_has_all_of_it() -> None:
    shares, labels = np.tile([0.75, 0.25], (8, 1)), np.array([0] * 6 + [1] * 2)
    assert calibration(shares, labels).error == 0.0
    found = calibration(np.tile([1.0, 0.0], (8, 1)), labels)
    assert (found.error, found.sure) == (0.25, 1.0)
    assert [(each.low, each.high, each.right.count) for each in found.bins] == [(0.9, 1.0, 8)]


def test_the_interval_holds_what_other_texts_of_the_same_model_give() -> None:
    random = np.random.default_rng(1)
    sure = random.uniform(0.5, 1.0, size=40_000)
    shares, labels = np.stack([sure, 1 - sure], axis=1), (random.random(40_000) > sure - 0.2).astype(int)
    truth = calibration(shares, labels).error
    inside = 0
    for place in range(0, 40_000, 1000):
        low, high = calibration(shares[place : place + 1000], labels[place : place + 1000]).interval
        inside += low <= truth <= high
    assert inside >= 34, "of 40, 95 % of the time"


def test_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no texts"):
        calibration(np.zeros((0, 2)), np.zeros(0))


def test_the_divergence_is_the_mean_entropy_of_the_one_relative_to_the_other() -> None:
    (first, _), second = some(), some()[0][::-1]
    assert divergence(first, second) == pytest.approx(entropy(first, second, axis=1).mean(), rel=1e-12)
    assert divergence(first, first) == 0.0
    assert np.isfinite(divergence(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])))


def test_only_texts_that_one_alone_has_right_decide_whether_two_differ() -> None:
    first = np.array([True] * 9 + [False] + [True] * 50)
    second = np.array([False] * 9 + [True] + [True] * 50)
    found = paired(first, second)
    assert (found.only_first, found.only_second, found.count) == (9, 1, 60)
    assert found.chance == pytest.approx(2 * binom.cdf(1, 10, 0.5))
    assert paired(second, first).chance == found.chance
    assert paired(first, first).chance == 1.0
