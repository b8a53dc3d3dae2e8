"""Intervals of shares, against those of SciPy."""

from __future__ import annotations

from typing import Any

import pytest
from scipy.stats import binomtest, norm

from core.intervals import half_width_of_difference, wilson
from core.runs.results import uncertainty


@pytest.mark.parametrize(("hits", "count"), [(0, 1), (1, 1), (3, 7), (50, 100), (852, 853), (0, 40), (40, 40)])
def test_the_interval_is_wilsons(hits: int, count: int) -> None:
    expected = binomtest(hits, count).proportion_ci(method="wilson")
    assert wilson(hits, count) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_the_interval_of_nothing_is_everything_and_nonsense_is_refused() -> None:
    assert wilson(0, 0) == (0, 1)
    for hits, count in ((2, 1), (-1, 3)):
        with pytest.raises(ValueError, match="is no share"):
            wilson(hits, count)


@pytest.mark.parametrize("shares", [(0.85, 0.8), (0.0, 0.5), (0.3, 0.3)])
def test_the_interval_of_a_difference_is_that_of_the_normal_distribution(shares: tuple[float, float]) -> None:
    low, high = norm.interval(0.95, scale=sum(share * (1 - share) / 853 for share in shares) ** 0.5)
    assert half_width_of_difference(*shares, 853) == pytest.approx((high - low) / 2)


def test_all_right_is_not_certain() -> None:
    results: Any = {"student": {"score": 1.0}, "metric": "accuracy", "examples": 24}
    assert uncertainty(results) == pytest.approx(1 - wilson(24, 24)[0]) and uncertainty(results) > 0.1
    results = {"student": {"score": 0.85}, "metric": "accuracy", "examples": 853}
    assert uncertainty(results) == pytest.approx(0.024, abs=0.002)
    assert uncertainty(results | {"metric": "correlation"}) is None
