"""Intervals of shares, against those of SciPy."""

from __future__ import annotations

import pytest
from scipy.stats import binomtest, norm

from core.intervals import half_width, wilson


@pytest.mark.parametrize(("hits", "count"), [(0, 1), (1, 1), (3, 7), (50, 100), (852, 853), (0, 40), (40, 40)])
def test_the_interval_is_wilsons(hits: int, count: int) -> None:
    expected = binomtest(hits, count).proportion_ci(method="wilson")
    assert wilson(hits, count) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_the_interval_of_nothing_is_everything_and_nonsense_is_refused() -> None:
    assert wilson(0, 0) == (0, 1)
    for hits, count in ((2, 1), (-1, 3)):
        with pytest.raises(ValueError, match="is no share"):
            wilson(hits, count)


@pytest.mark.parametrize("shares", [(0.85,), (0.85, 0.8), (1.0,), (0.0, 0.5)])
def test_half_a_width_is_that_of_the_normal_distribution(shares: tuple[float, ...]) -> None:
    spread = sum(share * (1 - share) / 853 for share in shares) ** 0.5
    low, high = norm.interval(0.95, scale=spread) if spread else (0.0, 0.0)
    assert half_width(853, *shares) == pytest.approx((high - low) / 2)
