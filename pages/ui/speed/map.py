"""The map: what a student kept of its teacher against how fast it is, every run a bubble as large as its model."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any, Literal

import streamlit as st

from core import numbers
from core.numbers import megabytes, milliseconds
from core.speed.measurement import Cell
from core.speed.standing import MeasuredRun, Standing, closest, reported, smallest_keeping
from pages.ui import marks
from pages.ui.speed.words import of_cell, one_pass
from pages.ui.stacks import theme_type
from pages.ui.text import as_label
from pages.ui.theme import CONTROL, STUDENT, TEACHER, grid_colour, text_colour
from pages.ui.watch import started

if TYPE_CHECKING:
    import plotly.graph_objects as go

Across = Literal["times", "ms"]
ACROSS: dict[Across, str] = {"times": "Times as fast", "ms": "Milliseconds"}

HEIGHT = 460
AREA = 30.0
"""Square pixels of a bubble for each million parameters, and the smallest and largest diameter in pixels."""
SMALLEST, LARGEST = 12.0, 64.0

KINDS = ("measured", "not on the grid yet", "no teacher (control)")


def show_map(
    standings: Sequence[Standing], chosen: MeasuredRun | None, cell: Cell, share: float, across: Across
) -> None:
    """The map, and which run is the smallest that keeps at least `share`."""
    best = smallest_keeping(standings, share)
    _show_answer(standings, best, share)
    st.plotly_chart(
        figure(standings, chosen, best, cell, share, across),
        width="stretch",
        height=HEIGHT,
        key="speed-map",
        config={"displayModeBar": False},
        alt=in_words(standings, best, share),
    )
    _show_notes(standings, across)


def figure(
    standings: Sequence[Standing],
    chosen: MeasuredRun | None,
    best: Standing | None,
    cell: Cell,
    share: float,
    across: Across,
) -> go.Figure:
    """Plotly's figure of the map. Names are foreign text: plotly reads a few HTML tags, so they are escaped."""
    import plotly.graph_objects as go

    drawn = go.Figure()
    for kind in KINDS:
        points = [point for point in standings if _kind(point) == kind]
        if points:
            drawn.add_trace(_bubbles(points, kind, across))
    if across == "times":
        drawn.add_trace(_paper())
    _draw_lines(drawn, share, across)
    for point in standings:
        if point.run == chosen:
            drawn.add_trace(
                _sign(point, across, "the run chosen above", "circle-open", diameter(point.parameters) + 12)
            )
    if best is not None:
        drawn.add_trace(_sign(best, across, f"smallest that keeps {numbers.percent(share, 0)}", "star", 14))
    drawn.update_layout(**_layout(standings, cell, share, across))
    return drawn


def in_words(standings: Sequence[Standing], best: Standing | None, share: float) -> str:
    """The finding, for somebody who cannot see the map."""
    least = numbers.percent(share, 0)
    if not standings:
        return "A map with no run of yours on it yet, only the paper's DistilBERT: 1.63 times as fast, 96.9 % kept."
    runs = f"{len(standings)} {numbers.plural('run', len(standings))}"
    if best is None:
        return f"A map of {runs} and the paper's DistilBERT. None keeps at least {least}."
    return (
        f"A map of {runs} and the paper's DistilBERT. The smallest that keeps at least {least} has "
        f"{numbers.millions(best.parameters)} parameters, keeps {numbers.percent(best.kept)} and is "
        f"{best.pace.times_as_fast:.2g} times as fast as its teacher."
    )


def name_of(run: MeasuredRun) -> str:
    """What the run is called: foreign text."""
    return run.row.name or started(run.run_id)


def diameter(parameters: float) -> float:
    """Pixels across a bubble whose area grows with the number of parameters."""
    return min(LARGEST, max(SMALLEST, 2 * (AREA * parameters / 1e6 / 3.1416) ** 0.5))


def _show_answer(standings: Sequence[Standing], best: Standing | None, share: float) -> None:
    least = numbers.percent(share, 0)
    if best is not None:
        control = ", which learned without a teacher" if best.run.is_control else ""
        st.markdown(
            f"Smallest run that keeps at least {least}: **{as_label(name_of(best.run))}**{control}. "
            f"{numbers.millions(best.parameters)} parameters, {megabytes(best.size_mb)}, "
            f"{numbers.percent(best.kept)} kept, {best.pace.times_as_fast:.3g} times as fast as its teacher."
        )
    elif (most := closest(standings)) is not None:
        st.markdown(
            f"No run here keeps at least {least}. **{as_label(name_of(most.run))}** comes closest with "
            f"{numbers.percent(most.kept)}."
        )


def _show_notes(standings: Sequence[Standing], across: Across) -> None:
    notes = ["The larger a bubble, the larger the model. Up is better."]
    if any(_kind(point) == KINDS[1] for point in standings):
        notes.append(
            "Pale: not measured on the grid yet, so its speed is the one noted when it finished training, one sentence "
            "at a time. Choose the run above and press Measure."
        )
    if across == "ms":
        notes.append("The paper's times are those of another machine, so its DistilBERT is not drawn here.")
    elif standings:
        notes.append("Each run is compared with its own teacher, DistilBERT with BERT-base.")
    st.caption(" ".join(notes))


def _kind(point: Standing) -> str:
    if point.run.is_control:
        return KINDS[2]
    return KINDS[0] if point.pace.on_grid else KINDS[1]


def _bubbles(points: list[Standing], kind: str, across: Across) -> Any:
    import plotly.graph_objects as go

    colour = CONTROL if kind == KINDS[2] else STUDENT
    pale = [0.8 if point.pace.on_grid else 0.3 for point in points]
    return go.Scatter(
        x=[_x(point, across) for point in points],
        y=[100 * point.kept for point in points],
        mode="markers",
        name={KINDS[0]: "students", KINDS[1]: "students, not on the grid yet", KINDS[2]: "no teacher (control)"}[kind],
        marker={
            "size": [diameter(point.parameters) for point in points],
            "color": colour,
            "opacity": pale,
            "line": {"color": colour, "width": 2},
        },
        hovertext=[_hover(point) for point in points],
        hoverinfo="text",
    )


def _paper() -> Any:
    import plotly.graph_objects as go

    said = reported()
    return go.Scatter(
        x=[said.times_as_fast],
        y=[100 * said.kept],
        mode="markers",
        name="paper: DistilBERT",
        marker={
            "symbol": "diamond-open",
            "size": 0.8 * diameter(said.parameters),
            "color": text_colour(theme_type()),
            "line": {"width": 2},
        },
        hovertext=[
            f"DistilBERT beside BERT-base, as the paper reports<br>{numbers.percent(said.kept)} kept"
            f"<br>{said.times_as_fast:.3g} times as fast<br>{numbers.millions(said.parameters)} parameters, "
            f"{numbers.percent(said.smaller, 0)} fewer"
        ],
        hoverinfo="text",
    )


def _hover(point: Standing) -> str:
    pace = point.pace
    how = "" if pace.on_grid else " (one sentence at a time)"
    lines = [
        escape(marks.short(name_of(point.run), 50)),
        f"{numbers.percent(point.kept)} of its teacher's {point.metric} kept",
        f"{pace.times_as_fast:.3g} times as fast{how}",
        f"{milliseconds(pace.student_ms)}, teacher {milliseconds(pace.teacher_ms)}",
        f"{numbers.millions(point.parameters)} parameters, {megabytes(point.size_mb)}",
    ]
    return "<br>".join(lines)


def _sign(point: Standing, across: Across, name: str, symbol: str, size: float) -> Any:
    """A sign on a bubble. The legend says what it means: on a narrow screen names would lie over other bubbles."""
    import plotly.graph_objects as go

    return go.Scatter(
        x=[_x(point, across)],
        y=[100 * point.kept],
        mode="markers",
        name=name,
        marker={"symbol": symbol, "size": size, "color": text_colour(theme_type()), "line": {"width": 2}, "opacity": 1},
        hoverinfo="skip",
    )


def _draw_lines(drawn: go.Figure, share: float, across: Across) -> None:
    teacher = {"color": TEACHER, "width": 2, "dash": "dash"}
    # Named in the legend: on a narrow screen words in the picture would lie over bubbles.
    drawn.add_hline(y=100, line=teacher, name="its teacher", showlegend=True)
    if across == "times":
        drawn.add_vline(x=1, line=teacher)
    least = {"color": text_colour(theme_type()), "width": 1.5, "dash": "dot"}
    drawn.add_hline(y=100 * share, line=least, name=f"keep at least {numbers.percent(share, 0)}", showlegend=True)


def _layout(standings: Sequence[Standing], cell: Cell, share: float, across: Across) -> dict[str, Any]:
    text, grid = text_colour(theme_type()), grid_colour(theme_type())
    axis = {"gridcolor": grid, "linecolor": grid, "zeroline": False, "tickfont": {"size": 14, "color": text}}
    kept = [100 * point.kept for point in standings] + [100.0, 100 * share]
    if across == "times":
        kept.append(100 * reported().kept)
    ends = _ends_across(standings, across)
    what = "Times as fast as its teacher" if across == "times" else "Milliseconds (left is faster)"
    title = f"{what}<br><span style='font-size:13px'>{one_pass(cell)}, {of_cell(cell)}</span>"
    return {
        "height": HEIGHT,
        "margin": {"l": 10, "r": 14, "t": 10, "b": 10},
        "font": {"color": text, "size": 14},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "xaxis": {**axis, "title": {"text": title, "font": {"size": 15, "color": text}}, "range": ends},
        "yaxis": {
            **axis,
            "title": {"text": "Kept of its teacher's score", "font": {"size": 15, "color": text}},
            "ticksuffix": f"{numbers.THIN}%",
            "range": _range(kept),
        },
        "showlegend": True,
        "legend": {
            "orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0, "itemsizing": "constant",
            "font": {"size": 13, "color": text},
        },
        "hoverlabel": {"font": {"size": 14}},
    }  # fmt: skip


def _ends_across(standings: Sequence[Standing], across: Across) -> tuple[float, float]:
    values = [_x(point, across) for point in standings]
    return _range(values + [1.0, reported().times_as_fast] if across == "times" else values)


def _range(values: list[float]) -> tuple[float, float]:
    """Ends with room for a bubble on either side."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = 0.18 * (high - low) or 0.1 * abs(high) or 1.0
    return low - room, high + room


def _x(point: Standing, across: Across) -> float:
    return point.pace.times_as_fast if across == "times" else point.pace.student_ms
