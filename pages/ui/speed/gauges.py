"""The paper's three promises as three gauges: what the chosen run measured, and the paper's diamond."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

import streamlit as st

from core import numbers, paper
from core.numbers import milliseconds
from core.runs.comparable import Role
from core.speed.measurement import Cell
from core.speed.standing import MeasuredRun, Pace, Sizes, pace_at_the_end, pace_of, reported, sizes_of
from pages.ui import marks
from pages.ui.origin import demo_scale_badge, measured_badge
from pages.ui.speed.words import of_cell, one_pass
from pages.ui.stacks import theme_type
from pages.ui.theme import STUDENT, grid_colour, text_colour

TALL = 48
"""Pixels of a gauge."""


def show_promises(run: MeasuredRun, cell: Cell) -> None:
    """Quality kept, smaller, faster: each with its gauge, in words, and the paper's number."""
    columns = st.columns(3)
    sizes = sizes_of(run)
    with columns[0].container(border=True, height="stretch"):
        _show_kept(run)
    with columns[1].container(border=True, height="stretch"):
        _show_smaller(sizes)
    with columns[2].container(border=True, height="stretch"):
        _show_faster(run, cell)
    if run.results:
        with st.container(horizontal=True, vertical_alignment="center"):
            measured_badge(run.results)
            demo_scale_badge(run.results)


def show_paper() -> None:
    """The same three gauges where nothing has been measured yet: the paper's diamonds alone."""
    said = reported()
    shares = (said.kept, said.smaller, said.times_as_fast - 1)
    for column, promise, share in zip(st.columns(3), paper.PROMISES, shares, strict=True):
        with column.container(border=True, height="stretch"):
            st.metric(promise.title, numbers.UNKNOWN)
            _show_gauge(None, share, promise)
            _show_paper_line(promise.meaning)


def gauge(here: float | None, reported_share: float, promised: str, most: float, say: Callable[[float], str]) -> str:
    """A bar from nothing to `here`, the paper's outlined diamond, and what the ends mean; shares of 1.

    `promised` is the paper's own share in words, `say` writes any other.
    """
    y, most = 14, max(most, here or 0.0)
    text = text_colour(theme_type())
    drawing = _bar(1.0, y, grid_colour(theme_type()))
    if here is not None and here > 0:
        drawing += _bar(here / most, y, STUDENT)
    place = reported_share / most
    drawing += (
        f'<svg x="{_x(place)}" y="{y}" overflow="visible"><path d="M0,-10 l10,10 l-10,10 l-10,-10 Z" fill="none" '
        f'stroke="{text}" stroke-width="2.5"/></svg>'
    )
    drawing += _label(place, f"paper {promised}")
    for share, says in ((0.0, 0.0), (1.0, most)):
        if abs(share - place) > 0.32:
            drawing += _label(share, say(says))
    return marks.svg(TALL, drawing)


def _show_kept(run: MeasuredRun) -> None:
    kept = run.results["kept"] if run.results else None
    st.metric(paper.KEPT.title, numbers.percent(kept))
    _show_gauge(kept, reported().kept, paper.KEPT)
    if run.results is None:
        st.caption("This run ended before its student was scored.")
    elif kept is None:
        st.caption(
            f"The {run.results['metric']} of one of the two is undefined or zero, so there is nothing to divide."
        )
    else:
        scores = [numbers.score(run.results[role]["score"], run.results["metric"]) for role in ("student", "teacher")]
        st.caption(f"{run.results['metric'].capitalize()}: student {scores[0]}, its teacher {scores[1]}.")
    _show_paper_line(paper.KEPT.meaning)


def _show_smaller(sizes: dict[Role, Sizes]) -> None:
    teacher, student = sizes["teacher"], sizes["student"]
    whole, layers = 1 - student.parameters / teacher.parameters, 1 - student.encoder / teacher.encoder
    st.metric(paper.SMALLER.title, signed(whole))
    _show_gauge(whole, reported().smaller, paper.SMALLER)
    st.caption(
        f"{numbers.millions(student.parameters)} parameters; teacher {numbers.millions(teacher.parameters)}. "
        f"The layers alone, the part that computes: {signed(layers)}."
    )
    _show_paper_line(paper.SMALLER.meaning)


def _show_faster(run: MeasuredRun, cell: Cell) -> None:
    pace = pace_of(run, cell) or pace_at_the_end(run)
    st.metric(paper.FASTER.title, numbers.times(pace.times_as_fast) if pace else numbers.UNKNOWN)
    _show_gauge(pace.times_as_fast - 1 if pace else None, reported().times_as_fast - 1, paper.FASTER)
    st.caption(both_readings(pace, cell) if pace else "Not measured yet: press Measure.")
    _show_paper_line(paper.FASTER.meaning)


def both_readings(pace: Pace, cell: Cell) -> str:
    """The same ratio as a speed and as time saved, and what was asked: readers take one for the other."""
    saved = numbers.percent(abs(pace.less_time), 0) + (" less time" if pace.less_time >= 0 else " more time")
    how = (
        f"{one_pass(cell)} ({of_cell(cell)})" if pace.on_grid else "One sentence at a time, at the end of its training"
    )
    return (
        f"{pace.times_as_fast:.3g} times as fast, that is {saved}. {how}: "
        f"{milliseconds(pace.student_ms)}; teacher {milliseconds(pace.teacher_ms)}."
    )


def signed(share: float) -> str:
    """A share of which more is better, "23 %"; a change for the worse as "−8 %"."""
    return numbers.percent(share, 0).replace("-", "−")


def why_not_smaller(sizes: dict[Role, Sizes]) -> str:
    """What a halved number of layers cannot make smaller; empty where it has nothing to explain."""
    teacher, student = sizes["teacher"], sizes["student"]
    whole, layers = 1 - student.parameters / teacher.parameters, 1 - student.encoder / teacher.encoder
    rest = teacher.parameters - teacher.encoder
    if whole >= reported().smaller or layers <= whole or rest < teacher.parameters / 4:
        return ""
    words = (
        f"{numbers.millions(teacher.words)} of them its word list and positions"
        if teacher.words
        else "nearly all its word list"
    )
    return (
        f"Why not 40{numbers.THIN}% smaller: {numbers.millions(rest)} of this teacher's "
        f"{numbers.millions(teacher.parameters)} parameters are not in its layers, {words}: one row of numbers for "
        f"each word piece it knows and each place in a text. The student keeps that list, so layers that are "
        f"{signed(layers)} smaller make the whole model {signed(whole)} smaller. In BERT-base, the paper's teacher, "
        "only about a fifth of the parameters are of that kind."
    )


def _gained(share: float) -> str:
    """What was gained in speed, as a person says it: 0.5 more is "1.5 times"."""
    return numbers.times(1 + share)


def _show_gauge(here: float | None, reported_share: float, promise: paper.Promise) -> None:
    say, most = (_gained, 2.0) if promise is paper.FASTER else (signed, 1.0)
    measured = "not measured" if here is None else f"{say(here)} measured here"
    promised = promise.value.replace(" ", numbers.THIN)
    st.image(
        gauge(here, reported_share, promised, most, say),
        width="stretch",
        alt=f"{promise.title}: {measured}, {promised} in the paper.",
    )


def _show_paper_line(meaning: str) -> None:
    # Not a caption: in its paler letters the badge would be hard to read.
    st.markdown(f":gray-badge[paper] :small[{meaning}]")


def _bar(share: float, y: int, colour: str) -> str:
    return (
        f'<line x1="{_x(0)}" x2="{_x(share)}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="12" '
        f'stroke-linecap="round"/>'
    )


def _x(share: float) -> str:
    return f"{marks.EDGE + min(max(share, 0.0), 1.0) * (100 - 2 * marks.EDGE):.2f}%"


def _label(share: float, words: str) -> str:
    x, anchor = ("0", "start") if share < 0.1 else ("100%", "end") if share > 0.85 else (_x(share), "middle")
    look = f'font-size="14" fill="{text_colour(theme_type())}"'
    return f'<text x="{x}" y="{TALL - 5}" text-anchor="{anchor}" {look}>{escape(words)}</text>'
