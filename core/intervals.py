"""How sure a share of examples is, by their number alone: the 95 % intervals of every page, report and table.

`scipy.stats` has them too; loading it costs half a second, which a page should not wait for. The tests hold them
against it.
"""

from __future__ import annotations

import math

Z95 = 1.959963984540054
"""Standard normal quantile of a two-sided 95 % interval."""


def half_width_of_difference(first: float, second: float, count: int) -> float:
    """Half the 95 % interval of the difference of two shares, each of `count` examples of its own."""
    return Z95 * math.sqrt((first * (1 - first) + second * (1 - second)) / count)


def wilson(hits: int, count: int) -> tuple[float, float]:
    """The 95 % score interval of a share, 0 to 1, which never leaves that range; (0, 1) of nothing.

    Raises ValueError unless 0 <= hits <= count.
    """
    if not 0 <= hits <= count:
        raise ValueError(f"{hits} of {count} is no share")
    if not count:
        return 0.0, 1.0
    share, square = hits / count, Z95 * Z95
    middle = (share + square / (2 * count)) / (1 + square / count)
    half = Z95 * math.sqrt(share * (1 - share) / count + square / (4 * count * count)) / (1 + square / count)
    # At the ends the formula is exact in theory only.
    return (0.0 if hits == 0 else middle - half), (1.0 if hits == count else middle + half)
