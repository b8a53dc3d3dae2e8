"""Numbers as people read them."""

from __future__ import annotations

import pytest

from core import numbers


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (numbers.milliseconds(4.125), "4.12 ms"),
        (numbers.milliseconds(999.4), "999 ms"),
        (numbers.milliseconds(999.6), "1 000 ms"),
        (numbers.megabytes(1655.2), "1 655 MB"),
        (numbers.megabytes(0.5), "0.5 MB"),
        (numbers.whole(22_713_986), "22 713 986"),
        (numbers.percent(0.8628), "86.3 %"),
        (numbers.percent(None), "–"),
        (numbers.score(-0.5, "correlation"), "−0.500"),
        (numbers.difference(-0.007, "accuracy"), "−0.7 points"),
        (numbers.difference(-0.007, "correlation"), "−0.007"),
        (numbers.duration(4_000), "about 67 min"),
        (numbers.times(1.97), "2.0 times"),
        (numbers.times(12.4), "12 times"),
        (numbers.times(0.94), "0.94 times"),
        (numbers.of_hundred(54 / 853), "in 6 of 100"),
        (numbers.of_hundred(0.004), "in fewer than 1 of 100"),
        (numbers.of_hundred(1.0), "in 100 of 100"),
    ],
)
def test_three_digits_and_never_an_exponent(said: str, expected: str) -> None:
    assert said.replace(numbers.THIN, " ") == expected
