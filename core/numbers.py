"""Numbers as people read them: three significant digits, a thin space before the unit, no false precision."""

from __future__ import annotations

import re

THIN = "\u202f"
UNKNOWN = "–"


def percent(share: float | None, digits: int = 1) -> str:
    """0.8628 to "86.3 %"; None to "–"."""
    return UNKNOWN if share is None else f"{100 * share:.{digits}f}{THIN}%"


def times(ratio: float) -> str:
    """1.97 to "2.0 times", 12.4 to "12 times"; below one "0.94 times"."""
    digits = 2 if ratio < 1 else 1 if ratio < 10 else 0
    return f"{ratio:.{digits}f} times"


def of_hundred(share: float) -> str:
    """How often something happens, as it is said: 0.063 to "in 6 of 100"; never "in 0" for more than nothing."""
    count = round(100 * share)
    return "in fewer than 1 of 100" if share and not count else f"in {count} of 100"


def is_share(metric: str) -> bool:
    """True for scores that count right answers; a correlation is no share of anything."""
    return metric != "correlation"


def score(value: float | None, metric: str) -> str:
    """A score as its metric is read: a share as "86.2 %", a correlation as "0.862"; None as "–"."""
    if value is None:
        return UNKNOWN
    return percent(value) if is_share(metric) else f"{value:.3f}".replace("-", "−")


def difference(value: float, metric: str) -> str:
    """Between two scores, with its sign: "−0.7 points" for shares, "−0.007" for correlations."""
    sign = "+" if value >= 0 else "−"
    return f"{sign}{100 * abs(value):.1f} points" if is_share(metric) else f"{sign}{abs(value):.3f}"


def millions(count: float) -> str:
    """17389826 to "17.4 M"."""
    return f"{count / 1e6:.3g}{THIN}M"


def unit(value: float, name: str) -> str:
    """4.125 ms to "4.13 ms", 1655.2 MB to "1 655 MB"."""
    return f"{f'{value:.3g}' if value < 999.5 else whole(round(value))}{THIN}{name}"


def megabytes(size_mb: float) -> str:
    """69.57 to "69.6 MB"."""
    return unit(size_mb, "MB")


def milliseconds(value: float) -> str:
    """4.125 to "4.13 ms"."""
    return unit(value, "ms")


def rate(value: float) -> str:
    """A learning rate, 0.0003 to "3e-4"."""
    return f"{value:.2g}" if value >= 1e-3 else re.sub("e-0*", "e-", f"{value:.1e}").replace(".0e", "e")


def whole(count: float) -> str:
    """6824 to "6 824" with a thin space."""
    return f"{count:,.0f}".replace(",", THIN)


def duration(seconds: float) -> str:
    """150 to "about 3 min"; below a minute "about 40 s"."""
    if seconds < 55:
        return f"about {max(5, 5 * round(seconds / 5))}{THIN}s"
    if seconds < 5400:
        return f"about {max(1, round(seconds / 60))}{THIN}min"
    return f"about {seconds / 3600:.1f}{THIN}h"


def plural(noun: str, count: int) -> str:
    """ "layer" for one, "layers" for any other number."""
    return noun if count == 1 else f"{noun}s"
