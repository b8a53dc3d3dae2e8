"""Numbers as people read them: three significant digits, a thin space before the unit, no false precision."""

from __future__ import annotations

THIN = "\u202f"
UNKNOWN = "–"


def percent(share: float | None, digits: int = 1) -> str:
    """0.8628 to "86.3 %"; None to "–"."""
    return UNKNOWN if share is None else f"{100 * share:.{digits}f}{THIN}%"


def points(difference: float) -> str:
    """-0.0071 to "−0.7 points": a difference between two percentages, with its sign."""
    sign = "+" if difference >= 0 else "−"
    return f"{sign}{100 * abs(difference):.1f} points"


def millions(count: float) -> str:
    """17389826 to "17.4 M"."""
    return f"{count / 1e6:.3g}{THIN}M"


def megabytes(size_mb: float) -> str:
    """69.6 to "69.6 MB"."""
    return f"{size_mb:.3g}{THIN}MB"


def milliseconds(value: float) -> str:
    """4.125 to "4.13 ms"."""
    return f"{value:.3g}{THIN}ms"


def whole(count: int) -> str:
    """6824 to "6 824" with a thin space."""
    return f"{count:,}".replace(",", THIN)


def duration(seconds: float) -> str:
    """150 to "about 3 min"; below a minute "about 40 s"."""
    if seconds < 55:
        return f"about {max(5, 5 * round(seconds / 5))}{THIN}s"
    if seconds < 5400:
        return f"about {max(1, round(seconds / 60))}{THIN}min"
    return f"about {seconds / 3600:.1f}{THIN}h"
