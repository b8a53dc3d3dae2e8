"""The list of runs as a table: a small component, because it must sort, wrap, link, tick and fit a telephone.

A Streamlit table draws on a canvas, which cuts long recipes off and has nothing to link to. Everything here is written
by Python, numbers included; the browser only arranges it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from core import numbers
from core.runs.folder import ENDED
from core.runs.table import RunRow
from pages.ui.recipe import data_in_words, in_short
from pages.ui.text import clean

if TYPE_CHECKING:
    from streamlit.components.v2.types import ComponentRenderer

HERE = Path(__file__).parent
KEY = "runs-table"
LONGEST_NOTE = 140

COLUMNS: tuple[dict[str, Any], ...] = (
    {"key": "name", "title": "Run", "help": "Sort by name"},
    {"key": "state", "title": "State", "help": "Sort by state"},
    {"key": "data", "title": "Data", "help": "Sort by data"},
    {"key": "loss", "title": "Loss", "help": "", "sortable": False},
    {"key": "student", "title": "Student", "help": "The student's score on the test texts", "number": True},
    {"key": "teacher", "title": "Teacher", "help": "The teacher's score on the test texts", "number": True},
    {"key": "kept", "title": "Kept", "help": "The student's score as a share of its teacher's", "number": True},
    {"key": "agreement", "title": "Agreement", "help": "How often both give the same answer", "number": True},
    {"key": "time", "title": "Time", "help": "Training and scoring", "number": True},
    {"key": "size", "title": "On disk", "help": "Megabytes of the run's folder", "number": True},
)
"""What stands in the table, in order. `number`: aligned to the right, the largest first."""


def ticked_ids() -> list[str]:
    """The ids that are ticked in the table, known before it is drawn."""
    chosen = st.session_state.get(KEY, {}).get("chosen") or []
    return [run_id for run_id in chosen if isinstance(run_id, str)]


def show_table(rows: Sequence[RunRow]) -> str | None:
    """Draw the runs; returns the id that has just been opened, or None."""
    columns = [{"number": False, "sortable": True} | column for column in COLUMNS]
    data = {"columns": columns, "rows": [as_row(row) for row in rows], "chosen": ticked_ids()}
    return _component()(key=KEY, data=data, on_chosen_change=_nothing, on_open_change=_nothing).open


def as_row(row: RunRow) -> dict[str, Any]:
    """One run as the browser is told of it: texts to show, and beside each number the value to sort by."""
    results = row.results
    metric = results["metric"] if results else "accuracy"
    student, teacher = (results["student"]["score"], results["teacher"]["score"]) if results else (None, None)
    kept, agreement = (results["kept"], results["agreement"]) if results else (None, None)
    elapsed = results["elapsed_s"] if results else None
    time = numbers.UNKNOWN if elapsed is None else numbers.duration(elapsed).removeprefix("about ")
    name, state = clean(row.name), state_of(row)
    data = clean(data_in_words(row.settings.data)) if row.settings else numbers.UNKNOWN
    cells = {
        "name": _cell(name, name.casefold()),
        "state": _cell(state, state),
        "data": _cell(data, data.casefold() if row.settings else None),
        "student": _cell(numbers.score(student, metric), student),
        "teacher": _cell(numbers.score(teacher, metric), teacher),
        "kept": _cell(numbers.percent(kept), kept),
        "agreement": _cell(numbers.score(agreement, metric), agreement),
        "time": _cell(time, elapsed),
        "size": _cell(megabytes(row.size_mb), row.size_mb),
    }
    return {
        "id": clean(row.run_id),
        "name": name,
        "state": state,
        "recipe": recipe_of(row),
        "sentence": "" if state == "finished" else clean(row.problem or row.sentence),
        "notes": _short(clean(row.notes)),
        "loss": [float(f"{value:.4g}") for value in row.loss],
        "cells": cells,
    }


def state_of(row: RunRow) -> str:
    """The one word for a run: its state, or "broken" if a file of it cannot be read."""
    return "broken" if row.problem or row.state is None else row.state


def recipe_of(row: RunRow) -> str:
    """What is learned and how, without the data, which has a column of its own."""
    if row.settings is None:
        return ""
    objective = "Masked words" if row.settings.objective == "masked_words" else "Labels"
    return clean(f"{objective}, {in_short(row.settings)}")


def is_active(row: RunRow) -> bool:
    """True for a run that may change by itself."""
    return row.state is not None and row.state not in ENDED


def megabytes(size_mb: float) -> str:
    """Sizes of one column, all in the same unit, so that they can be compared at a glance."""
    return f"{numbers.whole(round(size_mb))}{numbers.THIN}MB" if size_mb >= 10 else f"{size_mb:.1f}{numbers.THIN}MB"


def _cell(text: str, sort: float | str | None) -> dict[str, Any]:
    return {"text": text, "sort": sort}


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_NOTE else text[: LONGEST_NOTE - 1] + "…"


def _nothing() -> None:
    """Streamlit reports what a component says only where there is a callback for it."""


@cache
def _component() -> ComponentRenderer:
    """Registered at the first use: at import time there may be no runtime to register with."""
    return st.components.v2.component(
        "distillery_runs",
        html='<div class="runs"></div>',
        css=(HERE / "table.css").read_text(encoding="utf-8"),
        js=(HERE / "table.js").read_text(encoding="utf-8"),
    )
