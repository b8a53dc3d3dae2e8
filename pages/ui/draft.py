"""What the form says now, and whether it can be started: as much as can be known before anything is loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import streamlit as st
from pydantic import ValidationError

from core.config import Settings
from core.data.outline import TextOutline, text_outline
from core.errors import DistilleryError
from core.estimate import Plan, plan
from core.models.outline import TeacherOutline, check_student, check_teacher, teacher_outline
from core.sections import TeacherSettings, spread_layers
from pages.ui import form

T = TypeVar("T")


@dataclass(frozen=True)
class Draft:
    """The form's settings, or None where they cannot be started: `reason` says why in one sentence.

    `problems` holds every complaint by the path of its field, or of its section; the form says each where it belongs.
    What is known of teacher, texts and run is None where it cannot be known.
    """

    settings: Settings | None
    problems: dict[str, str]
    reason: str = ""
    teacher: TeacherOutline | None = None
    texts: TextOutline | None = None
    plan: Plan | None = None


def read_draft() -> Draft:
    """Read the form, spread the layers anew where its teacher has another depth than before, and check all of it."""
    form.begin()
    problems: dict[str, str] = {}
    chosen = _chosen_teacher()
    teacher = None if chosen is None else _ask(problems, "teacher", lambda: teacher_outline(chosen))
    if teacher is not None:
        _fit_layers(teacher.depth)
    settings, wrong = form.settings_of_form()
    if settings is None:
        complaint = next(iter((problems | wrong).values()))
        reason = f"{complaint} Correct the setting marked below, then you can start."
        return Draft(None, problems | wrong, reason, teacher)
    texts = _ask(problems, "data", lambda: text_outline(settings.data, settings.objective))
    if teacher is not None:
        _ask(problems, "teacher", lambda: check_teacher(settings, teacher))
        _ask(problems, "student", lambda: check_student(settings.student, teacher))
    planned = None if problems else _ask(problems, "plan", lambda: plan(settings))
    reason = next(iter(problems.values()), "")
    return Draft(None if problems else settings, problems, reason, teacher, texts, planned)


def _ask(problems: dict[str, str], section: str, question: Callable[[], T]) -> T | None:
    """The answer, or None and the complaint among the problems: under the section that it names, else `section`."""
    try:
        return question()
    except DistilleryError as error:
        named = str(error).partition(".")[0]
        problems.setdefault(named if named in form.SECTIONS else section, str(error))
        return None


def _chosen_teacher() -> TeacherSettings | None:
    """Which teacher the form names; None where it names none, which the form's own check puts into words."""
    names = [name for name in ("source", "path", "hub_id") if form.matters("teacher", name)]
    try:
        teacher = TeacherSettings(**{name: form.value_of("teacher", name) for name in names})
    except ValidationError:
        return None
    return None if teacher.source == "folder" and not teacher.path.strip() else teacher


def _fit_layers(depth: int) -> None:
    """Half of a new teacher's layers, evenly spread. What an earlier run brought stays where it fits."""
    before = st.session_state.get(form.DEPTH)
    st.session_state[form.DEPTH] = depth
    layers, chosen = form.value_of("student", "layers"), form.value_of("student", "teacher_layers")
    if before == depth or (before is None and chosen and max(chosen) < depth and layers <= depth):
        return
    layers = min(layers, depth) if before is None else max(1, depth // 2)
    form.set_value("student", "layers", layers)
    form.set_value("student", "teacher_layers", list(spread_layers(layers, depth)))
