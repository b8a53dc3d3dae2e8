"""Widgets made from the settings in core: label, bounds, help and default come from the field itself.

Values live in the session under "form.<section>.<field>" and survive a visit to another page. A field that means
nothing for what is chosen elsewhere is not shown, and whatever was left in it is not used.
"""

from __future__ import annotations

from collections.abc import Callable
from types import NoneType
from typing import Any, get_args

import streamlit as st
from pydantic import BaseModel

from core.config import GLUE_SOURCES, SOURCES_WITH_PATH, Objective, Settings, extra, title
from core.config import matters as loss_option_matters
from core.settings_file import SECTIONS, SettingsError, parse_settings, rule
from core.terms import TERMS
from pages.ui.numeric import as_setting, is_within_bounds, number_arguments

ONLY_FOR_SOURCES: dict[tuple[str, str], tuple[str, ...]] = {
    ("data", "path"): SOURCES_WITH_PATH,
    ("data", "task"): GLUE_SOURCES,
    ("data", "split"): GLUE_SOURCES,
    **{("data", name): ("csv",) for name in ("text_column", "pair_column", "label_column", "label_kind")},
    ("teacher", "path"): ("folder",),
    ("teacher", "hub_id"): ("hub",),
}
"""Fields that mean something only where their section's source is one of these."""

ONLY_FOR_OBJECTIVE: dict[tuple[str, str], Objective] = {
    ("data", "label_column"): "labels",
    ("data", "label_kind"): "labels",
    ("training", "copies"): "labels",
    **{("masking", name): "masked_words" for name in SECTIONS["masking"].model_fields},
}
"""Fields that mean something only where this is learned."""

LOSS_OPTIONS = [("loss", name) for term in TERMS for name in term.options]
"""What a term of the loss has besides its weight; each says itself where it means something."""

TERM_OF = {term.name: term for term in TERMS}
_TERM_WITH = {option: term.name for term in TERMS for option in term.options}

KEPT: dict[str, Any] = {"persist_state": "session"}
"""For every widget of the form: Streamlit would forget its value while another page is drawn."""

OBJECTIVE, NAME, PROBES = "form.objective", "form.name", "form.probes"
DEPTH = "form-depth"
"""Where the session keeps the settings that belong to no section, and the teacher's depth that the layers suit."""


def key_of(section: str, name: str) -> str:
    """Where a field's value lives in the session."""
    return f"form.{section}.{name}"


def value_of(section: str, name: str) -> Any:
    """What the form says in a field now."""
    return as_setting(SECTIONS[section], name, st.session_state[key_of(section, name)])


def set_value(section: str, name: str, value: Any) -> None:
    """Put a value into a field; only before the field is drawn."""
    st.session_state[key_of(section, name)] = value


def fill(settings: Settings) -> None:
    """Put settings into the form, for instance those of an earlier run."""
    for section, model in SECTIONS.items():
        values = getattr(settings, section)
        for name in model.model_fields:
            set_value(section, name, getattr(values, name))
    set_value("student", "teacher_layers", list(settings.layer_map or ()))
    st.session_state[OBJECTIVE] = settings.objective
    st.session_state[NAME] = settings.name
    st.session_state[PROBES] = "\n".join(settings.probes)
    st.session_state.pop(DEPTH, None)


def begin() -> None:
    """Fill an empty form with the defaults."""
    if NAME not in st.session_state:
        fill(Settings())


def matters(section: str, name: str) -> bool:
    """True if a field means something for what is learned and for the chosen source."""
    place = (section, name)
    if ONLY_FOR_OBJECTIVE.get(place, st.session_state[OBJECTIVE]) != st.session_state[OBJECTIVE]:
        return False
    if section == "loss" and name in TERM_OF:
        return TERM_OF[name].suits(st.session_state[OBJECTIVE])
    if place in LOSS_OPTIONS:
        values = {option: value_of("loss", option) for _, option in LOSS_OPTIONS}
        return loss_option_matters(st.session_state[OBJECTIVE], values, name)
    return place not in ONLY_FOR_SOURCES or value_of(section, "source") in ONLY_FOR_SOURCES[place]


def field(
    section: str,
    name: str,
    disabled: bool = False,
    on_change: Callable[[], None] | None = None,
    without: str = "",
    empty: str = "",
) -> None:
    """The widget of one setting. `without` leaves out one of its options; `empty` stands where nothing is filled in."""
    model = SECTIONS[section]
    info = model.model_fields[name]
    more = extra(model, name)
    common: dict[str, Any] = {
        "label": title(model, name),
        "key": key_of(section, name),
        "help": info.description,
        "disabled": disabled,
        "on_change": on_change,
        **KEPT,
    }
    kind = _kind(info.annotation)
    if options := more.get("options"):
        offered = [each for each in options if each != without]
        st.selectbox(options=offered, format_func=options.__getitem__, **common)
    elif kind is bool:
        st.checkbox(**common)
    elif kind is str:
        st.text_input(max_chars=rule(model, name, "max_length"), placeholder=empty or None, **common)
    else:
        _number(model, name, empty, common)


def fields_in_columns(section: str, names: tuple[str, ...], first_width: float = 1, empty: str = "") -> None:
    """Widgets beside each other; the first is `first_width` times as wide as the others. For `empty` see `field`."""
    columns = st.columns([first_width, *[1] * (len(names) - 1)], vertical_alignment="bottom")
    for column, name in zip(columns, names, strict=True):
        with column:
            field(section, name, empty=empty)


def _number(model: type[BaseModel], name: str, empty: str, common: dict[str, Any]) -> None:
    unit = extra(model, name).get("unit", "")
    # "Epochs (epochs)" would say nothing.
    if unit and unit not in common["label"].lower():
        common = common | {"label": f"{common['label']} ({unit})"}
    st.number_input(**common, **number_arguments(model, name, step=0.1, empty=empty or "all"))


def settings_of_form() -> tuple[Settings | None, dict[str, str]]:
    """The form's settings, or None and what is wrong with them, by the field's path."""
    raw: dict[str, Any] = {
        section: {name: value_of(section, name) for name in model.model_fields if _is_meant(section, name)}
        for section, model in SECTIONS.items()
    }
    # In the order of the stack, as the picture shows them, not in the order of the clicks.
    chosen = sorted(raw["student"]["teacher_layers"])
    raw["student"]["teacher_layers"] = chosen if raw["student"]["initial_weights"] == "copied" else None
    raw["objective"] = st.session_state[OBJECTIVE]
    raw["name"] = st.session_state[NAME]
    raw["probes"] = [line.strip() for line in st.session_state[PROBES].splitlines() if line.strip()]
    try:
        return parse_settings(raw), {}
    except SettingsError as error:
        return None, error.problems


def _is_meant(section: str, name: str) -> bool:
    """False too for what nobody can correct: a number out of its bounds in a field that is shut."""
    if section == "loss" and name not in TERM_OF and not value_of("loss", _TERM_WITH[name]):
        return matters(section, name) and is_within_bounds(SECTIONS[section], name, value_of(section, name))
    return matters(section, name)


def _kind(annotation: Any) -> type:
    return next((kind for kind in get_args(annotation) if kind is not NoneType), annotation)
