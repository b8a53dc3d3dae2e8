"""Both models on one line: the teacher's diamond, the student's dot, and the way between them.

Drawn as SVG in which only lengths across are relative, so the words keep their size at every width.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from html import escape

from pages.ui.stacks import theme_type
from pages.ui.text import clean
from pages.ui.theme import STUDENT, TEACHER, grid_colour, text_colour

EDGE = 3.0
"""Per cent of the width between the end of a line and the end of the picture: room for half a mark."""

Ends = tuple[float, float]


def svg(height: int, drawing: str) -> str:
    """A picture as wide as its place and `height` pixels high."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="100%" height="{height}" '
        f'font-family="system-ui, sans-serif">{drawing}</svg>'
    )


def line(teacher: float, student: float, ends: Ends, say: Callable[[float], str]) -> str:
    """Both values on a line between two ends, each with its number as `say` writes it."""
    y, shares = 36, {"teacher": _share(teacher, ends), "student": _share(student, ends)}
    look = f'stroke="{grid_colour(theme_type())}" stroke-width="2"'
    middle = f'<line x1="50%" x2="50%" y1="{y - 8}" y2="{y + 8}" {look}/>'
    words = _words(shares["teacher"], 17, f"teacher {say(teacher)}") + _words(
        shares["student"], 65, f"student {say(student)}"
    )
    return svg(72, middle + _track(y) + _both(shares["teacher"], shares["student"], y) + words)


def line_ends(low: str, high: str) -> str:
    """What the two ends of the lines below mean."""
    return svg(22, _words(0, 16, low) + _words(1, 16, high))


def rows(
    names: list[str], teacher: list[float], student: list[float], bold: int | None, say: Callable[[float], str]
) -> str:
    """One line a label from 0 to 1, with the label before it and the student's number after it; one of them in bold."""
    height, left, right = 34, 36, 84
    text, drawing = text_colour(theme_type()), style("name", size=15, narrow=15)
    for place, name in enumerate(names):
        y, name = place * height + height // 2, short(name, 22)
        look = f'y="{y + 5}" font-weight="{700 if place == bold else 400}" fill="{text}"'
        drawing += f'<text class="name" x="0" {look} {fit(name, wide=22, narrow=15)}>{escape(name)}</text>'
        drawing += f'<text x="100%" text-anchor="end" font-size="15" {look}>{say(student[place])}</text>'
        marks = _track(y) + _both(teacher[place], student[place], y)
        drawing += f'<svg x="{left}%" width="{right - left}%" overflow="visible">{marks}</svg>'
    return svg(height * len(names), drawing)


def round_ends(values: Iterable[float]) -> Ends:
    """The ends of a scale that holds all values, at round numbers, so that they seldom move as values come in."""
    values = [*values]
    low, high = min(values), max(values)
    step = 10 ** math.floor(math.log10(high - low or abs(high) or 1))
    ends = (math.floor(low / step) * step, math.ceil(high / step) * step)
    return ends if ends[0] < ends[1] else (ends[0] - step, ends[1] + step)


def value(score: float) -> str:
    """A score on whatever scale: "3.72", "−0.41", "1204"."""
    digits = f"{score:.0f}" if abs(score) >= 1000 else f"{score:.3g}"
    return digits.replace("-", "−")


def style(name: str, size: int, narrow: int) -> str:
    """Letters of a class of texts: their size in pixels, and that on a picture as narrow as a telephone."""
    return (
        f"<style>.{name}{{font-size:calc({size}px*var(--wide,1))}}"
        f"@media(max-width:420px){{.{name}{{font-size:calc({narrow}px*var(--narrow,1))}}}}</style>"
    )


def fit(text: str, wide: int, narrow: int) -> str:
    """For a text of a styled class: smaller letters where it has more of them than there is room for."""
    shares = {"wide": wide / max(len(text), wide), "narrow": narrow / max(len(text), narrow)}
    return f'style="--wide:{shares["wide"]:.3f};--narrow:{shares["narrow"]:.3f}"'


def short(text: str, longest: int) -> str:
    """Foreign text, cleaned and cut, for a picture that has no room to wrap it. Not escaped yet."""
    text = clean(text)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _share(value: float, ends: Ends) -> float:
    """How far along the line a value lies, 0 to 1; values beyond an end lie at it."""
    return min(max((value - ends[0]) / (ends[1] - ends[0]), 0.0), 1.0)


def _x(share: float) -> str:
    return f"{EDGE + share * (100 - 2 * EDGE):.2f}%"


def _track(y: int) -> str:
    look = f'y1="{y}" y2="{y}" stroke="{grid_colour(theme_type())}" stroke-width="6" stroke-linecap="round"'
    return f'<line x1="{_x(0)}" x2="{_x(1)}" {look}/>'


def _both(teacher: float, student: float, y: int) -> str:
    way = f'y1="{y}" y2="{y}" stroke="{STUDENT}" stroke-width="6" opacity="0.35"'
    return (
        f'<line x1="{_x(teacher)}" x2="{_x(student)}" {way}/>'
        # A path knows no per cent, so it stands in a picture of its own that does.
        f'<svg x="{_x(teacher)}" y="{y}" overflow="visible"><path d="M0,-12 l12,12 l-12,12 l-12,-12 Z" '
        f'fill="{TEACHER}"/></svg>'
        f'<circle cx="{_x(student)}" cy="{y}" r="6.5" fill="{STUDENT}"/>'
    )


def _words(share: float, y: int, words: str) -> str:
    # Near an end the words would be cut: let them end or begin at the end there.
    x, anchor = ("0", "start") if share < 0.13 else ("100%", "end") if share > 0.87 else (_x(share), "middle")
    look = f'font-size="15" fill="{text_colour(theme_type())}"'
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" {look}>{escape(words)}</text>'
