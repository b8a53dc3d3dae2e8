"""The numbers of a run that has not begun: sizes, steps and time."""

from __future__ import annotations

import streamlit as st

from core import numbers
from core.config import Settings
from core.estimate import Plan

PLAN = {
    "Student against teacher": "Parameters, and megabytes on disk. A student as wide as its teacher keeps the word "
    "list whole, and in a small teacher that is the larger part.",
    "Steps": "Updates of the student. Each reads one batch: that is the effective batch.",
    "Time on this machine": "An estimate. It gets better with every run; a machine that does other things meanwhile "
    "takes longer.",
}
"""The three numbers, with what they mean."""

HEIGHT_PX = 108
"""Of one number; said beforehand, it is kept free while the browser fetches what draws it, and nothing moves."""


def show_plan(settings: Settings | None, plan: Plan | None) -> None:
    """What the run is going to be, before anything is loaded.

    Dashes while the settings cannot be used: a mistake must not move the form under the mouse.
    """
    unknown = [(numbers.UNKNOWN, "once the settings are right")] * len(PLAN)
    figures = _figures(settings, plan) if settings and plan else unknown
    for column, (title, meaning), (value, detail) in zip(st.columns([3, 3, 2]), PLAN.items(), figures, strict=True):
        column.metric(title, value, detail, delta_color="off", delta_arrow="off", help=meaning, height=HEIGHT_PX)


def _figures(settings: Settings, plan: Plan) -> list[tuple[str, str]]:
    """The three numbers, each with its detail."""
    teacher, student = plan.teacher, plan.student
    smaller = 1 - student.parameters / teacher.parameters
    change = "smaller" if smaller >= 0 else "larger"
    return [
        (
            f"{numbers.millions(student.parameters)} of {numbers.millions(teacher.parameters)}",
            f"{numbers.percent(abs(smaller), 0)} {change}, {numbers.megabytes(student.size_mb)} of "
            f"{numbers.megabytes(teacher.size_mb)}",
        ),
        (
            numbers.whole(plan.student_steps),
            f"of {settings.training.batch_size} texts each; teacher: {_teacher_steps(settings, plan)}",
        ),
        (
            numbers.duration(plan.seconds).removeprefix("about "),
            "from its earlier runs" if plan.pace_measured else "a first guess",
        ),
    ]


def _teacher_steps(settings: Settings, plan: Plan) -> str:
    if settings.teacher.epochs == 0:
        return "used as it is"
    return numbers.whole(plan.teacher_steps) if plan.teacher_steps else "trained already"
