"""What several runs measured, as small bars: one picture a number, one bar a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from core import numbers
from core.runs.results import Results
from pages.ui import marks
from pages.ui.origin import measured_badge
from pages.ui.stacks import theme_type
from pages.ui.theme import TEACHER, grid_colour, text_colour

if TYPE_CHECKING:
    from pages.ui.runs.beside import Entry

LEFT, RIGHT = 11, 66
"""Per cent of the width at which bars begin and the longest one ends; the numbers stand to the right of that."""

PITCH, THICK = 34, 16


@dataclass(frozen=True)
class Measure:
    """One number of a result: its title, where it stands, how it is written, and which is the better one."""

    title: str
    student: Callable[[Results], float | None]
    say: Callable[[float, Results], str]
    more_is_better: bool
    teacher: Callable[[Results], float | None] = lambda results: None
    meaning: str = ""


MEASURES = (
    Measure(
        "Student's score",
        lambda results: results["student"]["score"],
        lambda value, results: numbers.score(value, results["metric"]),
        True,
        lambda results: results["teacher"]["score"],
        "On the test texts, which no training had seen.",
    ),
    Measure(
        "Kept",
        lambda results: results["kept"],
        lambda value, _: numbers.percent(value),
        True,
        meaning="The student's score as a share of its teacher's.",
    ),
    Measure(
        "Agreement",
        lambda results: results["agreement"],
        lambda value, results: numbers.score(value, results["metric"]),
        True,
        meaning="How often the student gives its teacher's answer.",
    ),
    Measure(
        "Time to answer",
        lambda results: results["student"]["ms_per_sentence"],
        lambda value, _: numbers.milliseconds(value),
        False,
        lambda results: results["teacher"]["ms_per_sentence"],
        "One text at a time, on the processor of the machine that trained it.",
    ),
    Measure(
        "Size of the model",
        lambda results: results["student"]["size_mb"],
        lambda value, _: numbers.megabytes(value),
        False,
        lambda results: results["teacher"]["size_mb"],
        "The weights, as they lie on the disk.",
    ),
)


def show_bars(entries: list[Entry]) -> None:
    """The results of those runs that have one."""
    done = [(entry, entry.row.results) for entry in entries if entry.row.results is not None]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader("What came of it", anchor=False, width="content")
        if done:
            measured_badge(done[0][1])
    if not done:
        st.caption("None of these runs has finished, so there is nothing measured yet.")
        return
    for column, measure in zip(st.columns(len(MEASURES)), MEASURES, strict=True):
        with column:
            better = "more is better" if measure.more_is_better else "less is better"
            st.markdown(f"**{measure.title}**", help=f"{measure.meaning} {better.capitalize()}.")
            st.image(picture(measure, done), width="stretch", alt=_said(measure, done))
    st.caption("The dashed blue mark is the run's own teacher; the best student is bold.")
    for sentence in not_comparable(done):
        st.caption(sentence)


def not_comparable(done: Sequence[tuple[Entry, Results]]) -> list[str]:
    """Why these numbers may not be compared with each other."""
    said = []
    if len({results["metric"] for _, results in done}) > 1:
        said.append("These runs are scored in different ways; only what was kept can be compared.")
    tested = {(entry.settings.data.model_dump_json(), entry.settings.objective) for entry, _ in done}
    if len(tested) > 1:
        said.append("These runs were not tested on the same texts, so small differences mean nothing.")
    if len({tuple(sorted(map(str, results["compute"].items()))) for _, results in done}) > 1:
        said.append("They were not trained on the same device with the same precision and threads.")
    return said


def picture(measure: Measure, done: Sequence[tuple[Entry, Results]]) -> str:
    """Bars from 0, all to one scale, each with its letter before it and its number behind it."""
    values = [measure.student(results) for _, results in done]
    teachers = [measure.teacher(results) for _, results in done]
    longest = max((value for value in (*values, *teachers) if value is not None), default=0) or 1
    best = _best(measure, values)
    rows = (
        _row(
            place,
            entry,
            value,
            teacher,
            longest,
            measure.say(value, results) if value is not None else "–",
            place in best,
        )
        for place, ((entry, results), value, teacher) in enumerate(zip(done, values, teachers, strict=True))
    )
    return marks.svg(PITCH * len(done), "".join(rows))


def _row(
    place: int, entry: Entry, value: float | None, teacher: float | None, longest: float, said: str, bold: bool
) -> str:
    y, text = PITCH * place + PITCH / 2, text_colour(theme_type())
    weight = 700 if bold else 400
    drawing = f'<text x="0" y="{y + 5}" font-size="15" font-weight="700" fill="{text}">{entry.letter}</text>'
    track = f'<rect x="{LEFT}%" y="{y - 1}" width="{RIGHT - LEFT}%" height="2" fill="{grid_colour(theme_type())}"/>'
    drawing += track
    if value is not None:
        size = f'width="{_long(value, longest):.2f}%" height="{THICK}"'
        drawing += f'<rect x="{LEFT}%" y="{y - THICK / 2}" {size} rx="2" fill="{entry.colour}"/>'
    if teacher is not None:
        x = f"{LEFT + _long(teacher, longest):.2f}%"
        look = f'stroke="{TEACHER}" stroke-width="3" stroke-dasharray="4 2"'
        drawing += f'<line x1="{x}" x2="{x}" y1="{y - THICK / 2 - 4}" y2="{y + THICK / 2 + 4}" {look}/>'
    number = f'x="100%" y="{y + 5}" text-anchor="end" font-size="15" font-weight="{weight}" fill="{text}"'
    return drawing + f"<text {number}>{said}</text>"


def _long(value: float, longest: float) -> float:
    return (RIGHT - LEFT) * max(0.0, value) / longest


def _best(measure: Measure, values: list[float | None]) -> set[int]:
    """Places of the best value; none where all are alike."""
    known = [value for value in values if value is not None]
    if len(set(known)) < 2:
        return set()
    best = max(known) if measure.more_is_better else min(known)
    return {place for place, value in enumerate(values) if value == best}


def _said(measure: Measure, done: Sequence[tuple[Entry, Results]]) -> str:
    values = ((entry, results, measure.student(results)) for entry, results in done)
    each = (
        f"{entry.letter} {numbers.UNKNOWN if value is None else measure.say(value, results)}"
        for entry, results, value in values
    )
    return f"{measure.title}: {', '.join(each)}"
