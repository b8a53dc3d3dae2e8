"""The fields of a GLUE job: widgets from the settings in core, and the settings from the widgets.

Values live in the session under "glue.<field>" and survive a visit to another page.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from core.config import extra, title
from core.errors import DistilleryError
from core.glue.seen import seen_by_run
from core.glue.settings import GlueSettings, TeacherModel, parse_glue
from core.sections import TeacherSettings
from core.settings_file import SettingsError, rule
from pages.ui.complaints import without_null
from pages.ui.form import KEPT
from pages.ui.glue.choices import BUNDLED, FOLDER, HUB, MINILM, available_tasks, run_option
from pages.ui.glue.reading import Job
from pages.ui.numeric import as_setting, is_within_bounds, number_arguments

FIELDS = tuple(name for name in GlueSettings.model_fields if name not in ("job", "models"))
MEANT_WHEN_ASKED = ("max_tokens", "threads")
"""The numbers that count where nothing is learned."""

MODELS, TEACHER_PATH, TEACHER_HUB = "glue.models", "glue.teacher-path", "glue.teacher-hub"

SOME_REVIEWS = 1_000
"""Training examples of the first job on the long reviews."""


def key_of(name: str) -> str:
    """Where a field's value lives in the session."""
    return f"glue.{name}"


def value_of(name: str) -> Any:
    """What the form says in a field now."""
    return as_setting(GlueSettings, name, st.session_state[key_of(name)])


def begin(jobs: Sequence[Job], students: Sequence[str]) -> None:
    """Fill an empty form: as the newest job was set, else with what can be started at once.

    That is how the GLUE folder is remembered: by the jobs that have used it.
    """
    if MODELS in st.session_state:
        return
    newest = next((job.settings for job in jobs if job.settings), None)
    fill(newest or _first_job(students))
    if newest is None:
        st.session_state[MODELS] = [MINILM, *map(run_option, students[:1])]
    elif not _offered():
        # The folder of the newest job is gone; what needs none can be started all the same.
        st.session_state[key_of("tasks")] = [BUNDLED[0]]
    st.session_state[key_of("name")] = ""


def _first_job(students: Sequence[str]) -> GlueSettings:
    """A bundled task that is new to the newest student. Of the long reviews some, so that it takes minutes."""
    task = next((task for task in BUNDLED if not (students and seen_by_run(students[0], task))), BUNDLED[0])
    return GlueSettings(tasks=(task,), max_examples=SOME_REVIEWS if task == "IMDb" else None)


def fill(settings: GlueSettings) -> None:
    """Put settings into the form."""
    for name in FIELDS:
        value = getattr(settings, name)
        st.session_state[key_of(name)] = list(value) if isinstance(value, tuple) else value
    teachers = [model.teacher for model in settings.models if isinstance(model, TeacherModel)]
    st.session_state[TEACHER_PATH] = next((each.path for each in teachers if each.source == "folder"), "")
    hub_id = next((each.hub_id for each in teachers if each.source == "hub"), TeacherSettings().hub_id)
    st.session_state[TEACHER_HUB] = hub_id
    chosen = [model.teacher.source if isinstance(model, TeacherModel) else run_option(model.run)
              for model in settings.models]  # fmt: skip
    st.session_state[MODELS] = list(dict.fromkeys(chosen))


def settings_of_form() -> GlueSettings:
    """The form's settings. Raises SettingsError, its problems by the field's name."""
    raw: dict[str, Any] = {name: value_of(name) for name in FIELDS}
    raw["models"] = [_model(option) for option in st.session_state[MODELS]]
    raw["tasks"] = _offered()
    if raw["way"] == "zero-shot":
        # What it would have been is kept in the form; nothing is learned, so it cannot be meant.
        raw |= {"second_distillation": False, "choose_rate": False, "seeds": 1}
        # Its fields are shut, so a number out of its bounds is none that anybody could correct.
        raw = {
            name: value
            for name, value in raw.items()
            if name in MEANT_WHEN_ASKED or is_within_bounds(GlueSettings, name, value)
        }
    if not raw["second_distillation"]:
        raw |= {"copies": 0, "every_layer": False}
    if not raw["tasks"]:
        raise SettingsError({"tasks": "“Tasks” is empty; choose at least one."})
    if not raw["models"]:
        raise SettingsError({"models": "“Models” is empty; choose at least one."})
    return parse_glue(raw)


def in_words(error: DistilleryError) -> str:
    """A complaint with the titles of the fields in place of their names."""
    sentence = without_null(str(error))
    for name in GlueSettings.model_fields:
        if sentence.startswith((f"{name} ", f"{name}:", f"{name}.")):
            return f"“{title(GlueSettings, name)}”{sentence.removeprefix(name)}"
    return sentence


def number(name: str, disabled: bool = False) -> None:
    """The widget of a numeric field: label, unit, bounds and help come from the settings."""
    unit = extra(GlueSettings, name).get("unit", "")
    st.number_input(
        title(GlueSettings, name) + (f" ({unit})" if unit else ""),
        help=GlueSettings.model_fields[name].description,
        disabled=disabled,
        key=key_of(name),
        **number_arguments(GlueSettings, name, step=0.05, empty="all" if name == "max_examples" else "automatic"),
        **KEPT,
    )


def tick(name: str, disabled: bool = False) -> None:
    """The widget of a field that is on or off."""
    about = GlueSettings.model_fields[name].description
    st.checkbox(title(GlueSettings, name), help=about, disabled=disabled, key=key_of(name), **KEPT)


def text(name: str, empty: str = "") -> None:
    """The widget of a field of text."""
    info = GlueSettings.model_fields[name]
    st.text_input(
        title(GlueSettings, name),
        help=info.description,
        placeholder=empty,
        max_chars=rule(GlueSettings, name, "max_length"),
        key=key_of(name),
        **KEPT,
    )


def choice(name: str) -> str:
    """The widget of a field that is one of a few; returns what is chosen."""
    options = extra(GlueSettings, name)["options"]
    st.segmented_control(
        title(GlueSettings, name),
        list(options),
        format_func=options.__getitem__,
        required=True,
        help=GlueSettings.model_fields[name].description,
        key=key_of(name),
        **KEPT,
    )
    return value_of(name)


def _offered() -> list[str]:
    """The chosen tasks that are there, in the order in which they are offered."""
    tasks = available_tasks(value_of("source"), value_of("path"), value_of("way"))
    return [task for task in tasks.offered if task in value_of("tasks")]


def _model(option: str) -> dict[str, Any]:
    teachers = {
        MINILM: {"source": "minilm"},
        FOLDER: {"source": "folder", "path": st.session_state[TEACHER_PATH]},
        HUB: {"source": "hub", "hub_id": st.session_state[TEACHER_HUB]},
    }
    if option in teachers:
        return {"kind": "teacher", "teacher": teachers[option]}
    return {"kind": "student", "run": option.removeprefix(run_option(""))}
