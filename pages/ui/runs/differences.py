"""The settings in which runs differ, and only those."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st
from pydantic import BaseModel

from core import numbers
from core.config import Settings, extra, title
from core.settings_file import SECTIONS
from pages.ui.text import clean

if TYPE_CHECKING:
    from streamlit.components.v2.types import ComponentRenderer

    from pages.ui.runs.beside import Entry

HERE = Path(__file__).parent

Difference = tuple[str, str, list[str]]
"""A setting's part of the form, its title, and its value in each run."""

SECTION_TITLES = {
    "data": "Data",
    "teacher": "Teacher",
    "student": "Student",
    "loss": "How it learns",
    "masking": "Hidden words",
    "training": "Training",
}


def show_differences(entries: list[Entry]) -> None:
    """A row for each setting that is not the same in all runs, a column for each run."""
    st.subheader("Settings that differ", anchor=False)
    rows = differences([entry.settings for entry in entries])
    if not rows:
        st.write("None: these runs have the same settings.")
        return
    table = {
        "letters": [[entry.letter, entry.colour] for entry in entries],
        "rows": [[part, title, [clean(value) for value in values]] for part, title, values in rows],
    }
    _component()(key="beside-differences", data=table)


@cache
def _component() -> ComponentRenderer:
    """A table that wraps what is long and becomes a list on a telephone; a canvas would cut it off."""
    return st.components.v2.component(
        "distillery_differences",
        html='<div class="differences"></div>',
        css=(HERE / "differences.css").read_text(encoding="utf-8"),
        js=(HERE / "differences.js").read_text(encoding="utf-8"),
    )


def differences(settings: Sequence[Settings]) -> list[Difference]:
    """Every setting in which the runs differ; the name is none of them."""
    found: list[Difference] = []
    _add(found, "Run", Settings, "objective", [each.objective for each in settings])
    for section, model in SECTIONS.items():
        for name in model.model_fields:
            values = [getattr(getattr(each, section), name) for each in settings]
            if (section, name) == ("student", "teacher_layers"):
                # Left empty it means evenly spread, which may be what another run has spelled out.
                values = [each.layer_map if each.student.initial_weights == "copied" else None for each in settings]
            _add(found, SECTION_TITLES.get(section, section), model, name, values)
    # Last, because they are long and change nothing in what is learned.
    _add(found, "Run", Settings, "probes", [each.probes for each in settings])
    return found


def _add(found: list[Difference], part: str, model: type[BaseModel], name: str, values: list[Any]) -> None:
    if any(value != values[0] for value in values):
        more, label = extra(model, name), title(model, name)
        # "Student layers (layers)" would say nothing.
        unit = f" ({more['unit']})" if "unit" in more and more["unit"] not in label.lower() else ""
        found.append((part, f"{label}{unit}", [in_words(value, more.get("options", {})) for value in values]))


def in_words(value: Any, options: dict[Any, str]) -> str:
    """A setting's value as the form shows it. It may be foreign text."""
    if value is None or value == "":
        return numbers.UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return (", " if all(isinstance(each, int) for each in value) else " / ").join(map(str, value))
    if isinstance(value, float):
        return f"{value:g}".replace("-", "−")
    return options.get(value, str(value))
