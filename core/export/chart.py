"""Curves as SVG for a file that needs no script: it opens anywhere, prints, and nothing in it can be run.

The page's own curves are drawn by plotly in the browser (`pages/ui/live`); five megabytes of script are too much for a
file that is sent around.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 540, 310
LEFT, RIGHT, TOP, BOTTOM = 62, 144, 14, 48
LINE_HEIGHT = 18
"""Least distance of two labels at the right."""


@dataclass(frozen=True)
class Curve:
    """One line: its points by step, the class that gives it its colour, and its label at the end.

    `faint` draws it without a label, behind the others; `marks` puts a dot with a tooltip on every point.
    """

    label: str
    look: str
    steps: Sequence[float]
    values: Sequence[float | None]
    faint: bool = False
    marks: bool = False


@dataclass(frozen=True)
class Level:
    """A value to compare with, drawn across the whole picture."""

    label: str
    look: str
    value: float


def line_chart(
    curves: Sequence[Curve],
    levels: Sequence[Level],
    say: Callable[[float], str],
    finding: str,
    axis: str,
    tick: Callable[[float], str] = "{:g}".format,
) -> str:
    """An SVG element; `say` writes a value, `tick` one of the scale, `finding` is what the picture shows, `axis` names
    what is drawn.

    Empty if there is nothing to draw. All texts are escaped here.
    """
    points = [value for curve in curves for value in curve.values if value is not None]
    last = max((curve.steps[-1] for curve in curves if curve.steps), default=0)
    if not points or last <= 0:
        return ""
    ends = round_ends([*points, *(level.value for level in levels)])
    place = _Place(ends, last)
    drawn = [_grid(place, tick, axis), *(_level(place, level) for level in levels)]
    drawn += [_curve(place, curve, say) for curve in sorted(curves, key=lambda curve: not curve.faint)]
    drawn.append(_labels(place, curves, levels))
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(finding)}">'
        f"<title>{escape(finding)}</title>{''.join(drawn)}</svg>"
    )


@dataclass(frozen=True)
class _Place:
    """Where a step and a value lie in the picture."""

    ends: tuple[float, float]
    last: float

    def x(self, step: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * step / self.last

    def y(self, value: float) -> float:
        low, high = self.ends
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - low) / (high - low)


def round_ends(values: Sequence[float]) -> tuple[float, float]:
    """The ends of a scale that holds all values, at multiples of its ticks."""
    low, high = min(values), max(values)
    step = tick_step(low, high)
    ends = math.floor(low / step) * step, math.ceil(high / step) * step
    return ends if ends[0] < ends[1] else (ends[0] - step, ends[1] + step)


def tick_step(low: float, high: float, wanted: int = 4) -> float:
    """1, 2 or 5 times a power of ten, so that about `wanted` steps lead from one end to the other."""
    rough = ((high - low) or abs(high) or 1.0) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)


def _ticks(low: float, high: float) -> list[float]:
    step = tick_step(low, high)
    return [low + number * step for number in range(round((high - low) / step) + 1)]


def _grid(place: _Place, tick: Callable[[float], str], axis: str) -> str:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    drawn = ""
    for value in _ticks(*place.ends):
        y = place.y(value)
        drawn += f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        drawn += f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(tick(value))}</text>'
    for step in _ticks(0, place.last // tick_step(0, place.last) * tick_step(0, place.last)):
        drawn += f'<text class="tick" x="{place.x(step):.1f}" y="{bottom + 18}" text-anchor="middle">{step:g}</text>'
    middle = (LEFT + right) / 2
    return drawn + f'<text class="tick" x="{middle}" y="{bottom + 40}" text-anchor="middle">{escape(axis)}</text>'


def _level(place: _Place, level: Level) -> str:
    y = place.y(level.value)
    return f'<line class="line {level.look}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'


def _curve(place: _Place, curve: Curve, say: Callable[[float], str]) -> str:
    parts: list[str] = []
    pen, marks = "M", ""
    # A single point has no line to be seen by.
    with_marks = curve.marks or sum(value is not None for value in curve.values) == 1
    for step, value in zip(curve.steps, curve.values, strict=True):
        if value is None:
            pen = "M"
            continue
        x, y = place.x(step), place.y(value)
        parts.append(f"{pen}{x:.1f},{y:.1f}")
        pen = "L"
        if with_marks:
            tip = escape(f"{curve.label}: {say(value)} at step {step:g}")
            marks += f'<circle class="dot {curve.look}" cx="{x:.1f}" cy="{y:.1f}" r="4"><title>{tip}</title></circle>'
    return f'<path class="line {curve.look}{" faint" if curve.faint else ""}" d="{"".join(parts)}"/>{marks}'


def _labels(place: _Place, curves: Sequence[Curve], levels: Sequence[Level]) -> str:
    """Names at the end of the lines, moved apart where they would overlap."""
    wanted = [(place.y(level.value), level.label, level.look) for level in levels]
    for curve in curves:
        known = [value for value in curve.values if value is not None]
        if known and not curve.faint:
            wanted.append((place.y(known[-1]), curve.label, curve.look))
    heights = _apart([y for y, _, _ in sorted(wanted)], HEIGHT - BOTTOM)
    # In the text's colour, which can be read on every ground, beside a stroke of the line's.
    edge = WIDTH - RIGHT
    return "".join(
        f'<path class="line {look}" d="M{edge + 8},{height:.1f}h16"/>'
        f'<text class="name" x="{edge + 30}" y="{height + 4:.1f}">{escape(label)}</text>'
        for height, (_, label, look) in zip(heights, sorted(wanted), strict=True)
    )


def _apart(wanted: Sequence[float], lowest: float) -> list[float]:
    """Heights near the wanted ones, which ascend, with room for a line of text between them and none below `lowest`."""
    heights: list[float] = []
    for y in wanted:
        heights.append(max(y, heights[-1] + LINE_HEIGHT) if heights else y)
    for place in reversed(range(len(heights))):
        heights[place] = min(heights[place], lowest)
        lowest = heights[place] - LINE_HEIGHT
    return heights
