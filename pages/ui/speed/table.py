"""Every form of a run's models in a table: what it weighs, and how long it takes, the best of each column marked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from math import isnan
from typing import Literal

import streamlit as st

from core import numbers, paper
from core.numbers import megabytes, milliseconds
from core.speed.measurement import Cell, Device, FormMeasured, Measurement
from core.speed.standing import reported
from pages.ui.speed.words import DEVICES, form_name
from pages.ui.tables import frame

View = Literal["median", "p95", "times"]
PAPER = ("BERT-base (paper)", "DistilBERT (paper)")

VIEWS: dict[View, str] = {"median": "Median", "p95": "95 of 100 within", "times": "Times as fast as the teacher"}

BEST = "▸\u00a0"
"""Stands before the best number of a column: a mark that needs no colour."""


@dataclass(frozen=True)
class Column:
    """A column of numbers: how each is written, and whether less is better (None: neither is).

    Only the first `compared` rows take part; None stands for all of them.
    """

    title: str
    values: tuple[float | None, ...]
    write: Callable[[float], str]
    less_is_better: bool | None = True
    compared: int | None = None

    @property
    def best(self) -> float | None:
        """The best of the numbers compared; None where they are all alike, or where none is better."""
        known = {value for value in self.values[: self.compared] if value is not None}
        if self.less_is_better is None or len(known) < 2:
            return None
        return (min if self.less_is_better else max)(known)

    def written(self, value: float | None) -> str:
        """A number as it is read, with its mark if it is the best."""
        if value is None or isnan(value):
            return numbers.UNKNOWN
        return (BEST if value == self.best else "") + self.write(value)


def show_sizes(forms: Sequence[FormMeasured]) -> None:
    """Parameters apart, megabytes and memory of every form, and the paper's two models."""
    _show(size_columns(forms), [*map(form_name, forms), *PAPER], "Size of each model and form, and of the paper's.")


def show_times(measurement: Measurement, device: Device, view: View) -> None:
    """Milliseconds of every form in every cell of one device, or how many times as fast as the teacher."""
    forms = timed_forms(measurement, device)
    alt = f"{VIEWS[view]}, {DEVICES[device]}, by texts at a time and their length."
    _show(time_columns(measurement, device, view), [form_name(form) for form in forms], alt)


def show_paper() -> None:
    """The paper's own measurement, for a page that has none yet."""
    _show(paper_columns(), PAPER, "The paper's own sizes and times.")


def size_columns(forms: Sequence[FormMeasured]) -> list[Column]:
    """Of the forms, then of the paper's teacher and its DistilBERT; None where the paper says nothing."""
    reported_sizes = tuple(row.parameters for row in _paper_rows())
    teacher = next((form.parameters for form in forms if form.role == "teacher"), None)
    shares = tuple(form.parameters / teacher if teacher else None for form in forms)
    count, nothing = len(forms), (None, None)
    return [
        Column("Parameters", (*(form.parameters for form in forms), *reported_sizes), numbers.millions, True, count),
        Column("of its teacher", (*shares, 1.0, 1 - reported().smaller), _whole_percent, None),
        Column("in word list and positions", (*(form.embeddings for form in forms), *nothing), numbers.millions, None),
        Column("in layers", (*(form.encoder for form in forms), *nothing), numbers.millions),
        Column("On disk", (*(form.disk_mb for form in forms), *nothing), megabytes),
        Column("Peak memory", (*(form.memory_mb for form in forms), *nothing), megabytes),
    ]


def timed_forms(measurement: Measurement, device: Device) -> list[FormMeasured]:
    """The forms that were timed on this device."""
    return [form for form in measurement.forms if any(time.cell.device == device for time in form.times)]


def time_columns(measurement: Measurement, device: Device, view: View) -> list[Column]:
    """One column for each cell measured on this device, those of one text first."""
    forms = timed_forms(measurement, device)
    cells = {time.cell for form in forms for time in form.times if time.cell.device == device}
    write = _times if view == "times" else milliseconds
    return [
        Column(_title(cell), tuple(_value(measurement, form, cell, view) for form in forms), write, view != "times")
        for cell in sorted(cells, key=lambda cell: (cell.batch, cell.tokens))
    ]


def paper_columns() -> list[Column]:
    """BERT-base and DistilBERT as Tables 1 and 3 of the paper report them."""
    rows, said = _paper_rows(), reported()
    macros = (paper.BERT_BASE.macro, paper.DISTILBERT.macro)
    return [
        Column("Parameters", tuple(row.parameters for row in rows), numbers.millions),
        Column("of its teacher", (1.0, 1 - said.smaller), _whole_percent, None),
        Column("STS-B, one at a time", tuple(row.seconds for row in rows), lambda value: f"{value:.0f}{numbers.THIN}s"),
        Column("Times as fast", (1.0, said.times_as_fast), _times, False),
        Column("GLUE score", macros, lambda value: f"{value:.1f}", False),
    ]


def _paper_rows() -> list[paper.SizeAndSpeed]:
    by_name = {row.name: row for row in paper.SIZE_ROWS}
    return [by_name["BERT-base"], by_name["DistilBERT"]]


def _value(measurement: Measurement, form: FormMeasured, cell: Cell, view: View) -> float | None:
    if view == "times":
        return measurement.times_as_fast(form, cell)
    time = form.time(cell)
    return None if time is None else time.median_ms if view == "median" else time.p95_ms


def _times(ratio: float) -> str:
    return f"{ratio:.3g}{numbers.THIN}×"


def _title(cell: Cell) -> str:
    return f"{cell.batch} × {cell.tokens}"


def _whole_percent(share: float) -> str:
    return numbers.percent(share, 0)


def _show(columns: Sequence[Column], names: Sequence[str], title: str) -> None:
    heads = "".join(f'<th scope="col">{escape(column.title)}</th>' for column in columns)
    rows = "".join(_row(name, place, columns) for place, name in enumerate(names))
    head = f'<thead><tr><th class="first" scope="col"></th>{heads}</tr></thead>'
    st.html(frame(f"{head}<tbody>{rows}</tbody>", title, widest_rem=24 + 9 * len(columns)))


def _row(name: str, place: int, columns: Sequence[Column]) -> str:
    cells = "".join(_cell(column, column.values[place]) for column in columns)
    return f'<tr><th class="first" scope="row">{escape(name)}</th>{cells}</tr>'


def _cell(column: Column, value: float | None) -> str:
    kind = ' class="missing"' if value is None else ' class="best"' if value == column.best else ""
    return f"<td{kind}><span>{escape(column.written(value))}</span></td>"
