"""Widgets made from the settings in core: label, bounds, help and default come from the field itself.

Values live in the session under "form.<section>.<field>" and survive a visit to another page.
"""

from __future__ import annotations

import math
from types import NoneType
from typing import Any, get_args

import streamlit as st
from pydantic import BaseModel

from core.config import Settings, bounds, extra
from core.settings_file import SettingsError, parse_settings

SECTIONS: dict[str, type[BaseModel]] = {
    name: field.annotation
    for name, field in Settings.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
}

KEPT: dict[str, Any] = {"persist_state": "session"}
"""For every widget of the form: Streamlit would forget its value while another page is drawn."""


def key_of(section: str, name: str) -> str:
    """Where a field's value lives in the session."""
    return f"form.{section}.{name}"


def fill(settings: Settings) -> None:
    """Put settings into the form, for instance those of an earlier run."""
    for section, model in SECTIONS.items():
        values = getattr(settings, section)
        for name in model.model_fields:
            st.session_state[key_of(section, name)] = getattr(values, name)
    st.session_state[key_of("student", "teacher_layers")] = list(settings.layer_map)
    st.session_state["form.name"] = settings.name
    st.session_state["form.probes"] = "\n".join(settings.probes)


def begin() -> None:
    """Fill an empty form with the defaults."""
    if "form.name" not in st.session_state:
        fill(Settings())


def field(section: str, name: str, disabled: bool = False) -> None:
    """The widget of one setting."""
    model = SECTIONS[section]
    info = model.model_fields[name]
    more = extra(model, name)
    common = {"key": key_of(section, name), "help": info.description, "disabled": disabled, **KEPT}
    if options := more.get("options"):
        st.selectbox(info.title, list(options), format_func=options.get, **common)
        return
    low, high = bounds(model, name)
    whole = _kind(info.annotation) is int
    number = int if whole else float
    # "Epochs (epochs)" would say nothing.
    unit = f" ({more['unit']})" if "unit" in more and more["unit"] not in info.title.lower() else ""
    optional = NoneType in get_args(info.annotation)
    st.number_input(
        f"{info.title}{unit}",
        value=None if optional else "min",
        min_value=number(low) if math.isfinite(low) else None,
        max_value=number(high) if math.isfinite(high) else None,
        step=number(more.get("step", 1 if whole else 0.1)),
        format=more.get("format") or ("%d" if whole else "%.2f"),
        placeholder="all" if optional else None,
        **common,
    )


def settings_of_form() -> tuple[Settings | None, dict[str, str]]:
    """The form's settings, or None and what is wrong with them, by the field's path."""
    raw: dict[str, Any] = {
        section: {name: st.session_state[key_of(section, name)] for name in model.model_fields}
        for section, model in SECTIONS.items()
    }
    # In the order of the stack, as the picture shows them, not in the order of the clicks.
    chosen = sorted(raw["student"]["teacher_layers"])
    raw["student"]["teacher_layers"] = chosen if raw["student"]["initial_weights"] == "copied" else None
    raw["name"] = st.session_state["form.name"]
    raw["probes"] = [line.strip() for line in st.session_state["form.probes"].splitlines() if line.strip()]
    try:
        return parse_settings(raw), {}
    except SettingsError as error:
        return None, error.problems


def _kind(annotation: Any) -> type:
    return next((kind for kind in get_args(annotation) if kind is not NoneType), annotation)
