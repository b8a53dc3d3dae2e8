"""The curves of several runs on one chart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from core import numbers
from core.config import is_control, title
from core.runs.curves import AXES, Along
from core.runs.feed import SCORE_CURVES
from core.sections import LossSettings
from core.storage import is_number
from core.terms import TERMS
from pages.ui.stacks import theme_type
from pages.ui.theme import TEACHER, grid_colour, ground_colour, text_colour

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from pages.ui.runs.beside import Entry

CURVES = {
    "score": "Score",
    "agreement": "Agreement",
    "loss": "Total loss",
    **{term.name: term.label for term in TERMS},
}
NATS = frozenset(term.name for term in TERMS if term.unit == "nats")
ALONG: dict[Along, str] = {"step": "Steps", "elapsed_s": "Time", "sentences": "Sentences seen"}
AXIS: dict[Along, str] = {
    "step": "step",
    "elapsed_s": "seconds of the student's training",
    "sentences": "sentences seen",
}
CURVE, OVER = "beside-curve", "beside-along"
HEIGHT = 440
MARGIN = {"l": 56, "r": 30, "t": 12, "b": 48}
INSIDE = HEIGHT - MARGIN["t"] - MARGIN["b"]
LABEL_PX = 17
"""The chart's height, the room around its lines, what is left for them, and what a letter needs, in pixels."""

End = tuple[str, float, float]
"""A letter and where its line ends."""

FAINT, RAW_AT_MOST = 0.25, 3
"""Unsmoothed points stand behind the lines where there are so few runs that they can be told apart."""


def show_overlay(entries: list[Entry]) -> None:
    """The chart, with what is drawn and along what to choose."""
    st.subheader("How they learned", anchor=False)
    recorded = [name for name in CURVES if any(name in entry.curves.names() for entry in entries)]
    if not recorded:
        st.caption("None of these runs has recorded a curve of its student yet.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        curve = st.pills(
            "What", recorded, format_func=CURVES.__getitem__, default=recorded[0], required=True, key=CURVE, wrap=True
        )
        along = st.pills(
            "Along", AXES, format_func=ALONG.__getitem__, default="step", required=True, key=OVER, wrap=True
        )
    st.plotly_chart(
        draw(entries, curve, along),
        width="stretch",
        config={"displayModeBar": False},
        key="beside-chart",
        alt=finding(entries, curve),
    )
    for sentence in warnings(entries, curve):
        st.caption(sentence)


def warnings(entries: list[Entry], curve: str) -> list[str]:
    """Why lines that stand on one chart may still not be comparable."""
    said = []
    weights = [entry.settings.loss.weights() for entry in entries]
    if curve == "loss" and any(each != weights[0] for each in weights):
        said.append(
            "These recipes weigh their terms differently, so their total losses cannot be compared. A single term, the "
            "score and the agreement can."
        )
    for term in (term for term in TERMS if term.name == curve):
        for option in term.options:
            if len({entry.settings.loss.options()[option] for entry in entries}) > 1:
                what = title(LossSettings, option)
                said.append(f"These recipes differ in “{what}”, which changes how large the term is.")
    if curve in SCORE_CURVES:
        said.append("Measured on the validation part, which was set aside to watch the training.")
        if len({entry.curves.facts.get("metric") for entry in entries if curve in entry.curves.names()}) > 1:
            said.append("These runs are scored in different ways, so their heights mean different things.")
    without = [entry.letter for entry in entries if curve not in entry.curves.names()]
    if without:
        said.append(f"Nothing recorded: {', '.join(without)}.")
    return said


def finding(entries: list[Entry], curve: str) -> str:
    """The chart in words: where each line ends."""
    ends = []
    for entry in entries:
        last = next((value for value in reversed(entry.curves.smooth(curve, "step")[1]) if value is not None), None)
        ends.append(f"{entry.letter} {_value(entry, curve, last)}")
    return f"{CURVES[curve]} at the end: {', '.join(ends)}."


def draw(entries: list[Entry], curve: str, along: Along) -> Figure:
    """The chart: a line for each run with its letter at the end, teachers dashed where scores are drawn."""
    from plotly import graph_objects as go

    figure = go.Figure()
    scored = curve in SCORE_CURVES
    share = 100 if scored and _all_shares(entries) else 1
    ends: list[End] = []
    for entry in entries:
        if curve not in entry.curves.names():
            continue
        x, y = entry.curves.raw(curve, along) if scored else entry.curves.smooth(curve, along)
        if not scored and len(entries) <= RAW_AT_MOST:
            raw_x, raw_y = entry.curves.raw(curve, along)
            faint = {"color": entry.colour, "width": 1}
            figure.add_scatter(x=raw_x, y=raw_y, mode="lines", line=faint, opacity=FAINT, hoverinfo="skip")
        y = [None if value is None else share * value for value in y]
        figure.add_scatter(x=x, y=y, name=entry.letter, **_look(entry, scored))
        drawn = [(entry.letter, a, b) for a, b in zip(x, y, strict=True) if a is not None and b is not None]
        ends += drawn[-1:]
    teachers = _teachers(entries, share) if curve == "score" else {}
    for score in teachers:
        figure.add_hline(y=score, line={"color": TEACHER, "dash": "dash", "width": 2})
    figure.update_layout(**_layout(curve, along, share == 100))
    figure.update_yaxes(range=(span := _span(figure)))
    _label_teachers(figure, teachers, span)
    _label_ends(figure, ends, span)
    return figure


def _look(entry: Entry, scored: bool) -> dict[str, Any]:
    line = {"color": entry.colour, "width": 3, "dash": "dot" if is_control(entry.settings.loss) else "solid"}
    return {"mode": "lines+markers" if scored else "lines", "line": line, "marker": {"size": 6}}


def _span(figure: Figure) -> tuple[float, float]:
    """From the least to the greatest value drawn, with room at both ends."""
    drawn = [value for trace in figure.data for value in trace.y if value is not None]
    drawn += [shape.y0 for shape in figure.layout.shapes]
    low, high = min(drawn), max(drawn)
    room = 0.07 * (high - low or abs(high) or 1)
    return low - room, high + room


def _label_ends(figure: Figure, ends: list[End], span: tuple[float, float]) -> None:
    """The letters at the ends of the lines, moved apart where the lines end close together."""
    pixels, ground = _pixels(span), ground_colour(theme_type())
    ends = sorted(ends, key=lambda end: end[2])
    places = apart([(y - span[0]) * pixels for _, _, y in ends], INSIDE)
    for (letter, x, y), place in zip(ends, places, strict=True):
        where = {"x": x, "y": y, "xanchor": "left", "xshift": 6, "yshift": place - (y - span[0]) * pixels}
        figure.add_annotation(**where, text=f"<b>{letter}</b>", showarrow=False, font={"size": 15}, bgcolor=ground)


def apart(places: list[float], highest: float) -> list[float]:
    """Places in rising order, pushed up until LABEL_PX lie between them, then down again from `highest`."""
    for place in range(1, len(places)):
        places[place] = max(places[place], places[place - 1] + LABEL_PX)
    bound = highest
    for place in reversed(range(len(places))):
        places[place] = min(places[place], bound)
        bound = places[place] - LABEL_PX
    return places


def _teachers(entries: list[Entry], share: int) -> dict[float, str]:
    """Whose teacher has which score, the highest first; runs with the same one share it."""
    whose: dict[float, list[str]] = {}
    for entry in entries:
        score = entry.curves.facts.get("teacher_score")
        if is_number(score) and not is_control(entry.settings.loss):
            whose.setdefault(share * score, []).append(entry.letter)
    return {score: ", ".join(whose[score]) for score in sorted(whose, reverse=True)}


def _label_teachers(figure: Figure, teachers: dict[float, str], span: tuple[float, float]) -> None:
    """Words above the teachers' lines; lines that are too close for that have theirs together."""
    near: list[list[float]] = []
    for score in teachers:
        if near and (near[-1][-1] - score) * _pixels(span) < LABEL_PX:
            near[-1].append(score)
        else:
            near.append([score])
    for scores in near:
        of = "" if len(near) == 1 else f" of {', '.join(teachers[score] for score in scores)}"
        figure.add_annotation(
            x=0, xref="paper", xanchor="left", y=scores[0], yanchor="bottom", showarrow=False,
            text=numbers.plural("teacher", len(scores)) + of, font={"size": 13},
        )  # fmt: skip


def _pixels(span: tuple[float, float]) -> float:
    """Pixels of the chart for one unit of its upright axis."""
    return INSIDE / (span[1] - span[0])


def _layout(curve: str, along: Along, in_percent: bool) -> dict[str, Any]:
    theme = theme_type()
    unit = " (%)" if in_percent else " (nats)" if curve in NATS else ""
    axis = {"gridcolor": grid_colour(theme), "color": text_colour(theme), "zeroline": False}
    return {
        "height": HEIGHT,
        "margin": MARGIN,
        "showlegend": False,
        "hovermode": "x unified",
        "separators": f".{numbers.THIN}",
        "font": {"size": 14, "color": text_colour(theme)},
        "xaxis": {
            **axis,
            "title": AXIS[along],
            "showgrid": False,
            "tickformat": ",~s" if along == "sentences" else ",d",
        },
        "yaxis": {**axis, "title": f"{CURVES[curve]}{unit}"},
    }


def _all_shares(entries: list[Entry]) -> bool:
    return all(numbers.is_share(entry.curves.facts.get("metric", "accuracy")) for entry in entries)


def _value(entry: Entry, curve: str, value: float | None) -> str:
    if value is None:
        return numbers.UNKNOWN
    return (
        numbers.score(value, entry.curves.facts.get("metric", "accuracy")) if curve in SCORE_CURVES else f"{value:.3g}"
    )
