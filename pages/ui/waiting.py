"""The queue of whatever needs the machine: what waits at which place, when it is likely to begin, and how to remove it.

Every time is the plan's arithmetic of what is before, as far as that is known, so it is said as "about".
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from core import estimate, numbers
from core.cli import kinds
from core.errors import DistilleryError
from core.jobs.queue import MACHINE
from core.runs import folder as runs
from core.runs.about import run_name
from pages.ui.attempt import attempt
from pages.ui.glue.expected import expected_seconds
from pages.ui.recipe import describe
from pages.ui.text import show_text

EVERY_S = 5.0
OTHERS = {kinds.GLUE: "A GLUE job", kinds.EXPORT: "An export", kinds.MEASURE: "A measurement"}


@dataclass(frozen=True)
class Turn:
    """A place in the queue, from 1; `before` counts what comes first, with what is at work; seconds until it begins.

    The seconds are None where something before it takes a time that nobody can foresee.
    """

    place: int
    before: int
    seconds: float | None


def turns() -> dict[Path, Turn]:
    """Everything that waits for the machine, the next one first."""
    return _turns()[0]


def next_turn() -> Turn:
    """That of a run which would be queued now."""
    return _turns()[1]


def _turns() -> tuple[dict[Path, Turn], Turn]:
    found: dict[Path, Turn] = {}
    before, seconds = _at_work()
    turn = Turn(1, before, seconds)
    for folder in kinds.queue.waiting(MACHINE):
        found[folder] = turn
        turn = Turn(turn.place + 1, turn.before + 1, _added(turn.seconds, _whole(folder)))
    return found, turn


def when(turn: Turn) -> str:
    """When something begins: "in about 5 min, when the 2 before it have ended"."""
    if not turn.before:
        return "in a moment"
    ended = "the one before it has ended" if turn.before == 1 else f"the {turn.before} before it have ended"
    return f"when {ended}" if turn.seconds is None else f"in {numbers.duration(turn.seconds)}, when {ended}"


def show_turn(folder: Path) -> None:
    """What a run's own page says while it waits: its place and when it is likely to begin."""
    turn = turns().get(folder)
    if turn is None:
        # It has just begun, or a terminal will carry it out: nobody here knows its turn.
        st.info("Waiting for its turn. You can close this tab.")
        return
    st.info(f"Waiting for its turn: place {turn.place}. It begins {when(turn)}. You can close this tab.")


def show_queue(besides: str | None) -> None:
    """Whatever waits, the next one first, each with its place, its start and a button to take it out."""
    waiting = [folder for folder in turns() if folder.name != besides]
    if waiting:
        st.subheader("Waiting", anchor=False)
        st.fragment(_show_turns, run_every=EVERY_S)(besides, waiting)


def _show_turns(besides: str | None, drawn: list[Path]) -> None:
    shown = {folder: turn for folder, turn in turns().items() if folder.name != besides}
    if list(shown) != drawn:
        st.rerun()
    for folder, turn in shown.items():
        with st.container(horizontal=True, vertical_alignment="center"):
            show_text(f"{turn.place}. {_title(folder)}. Begins {when(turn)}.")
            st.space("stretch")
            key = f"remove-{folder.name}"
            st.button("Remove", key=key, on_click=attempt, args=(runs.request_stop, folder))


def _title(folder: Path) -> str:
    try:
        kind = kinds.queue.kind_of(folder).name
        if kind != kinds.DISTIL:
            return OTHERS[kind]
        settings = runs.read_settings(folder)
    except DistilleryError as error:
        return str(error).removesuffix(".")
    return f"{run_name(folder, settings)}: {describe(settings)}".removesuffix(".")


def _at_work() -> tuple[int, float | None]:
    """How many are at work now, none or one, and the seconds until it is done."""
    active = kinds.at_work()
    if active is None:
        return 0, 0.0
    return 1, _left(active)


def _left(folder: Path) -> float | None:
    """Seconds that something at work still needs, by its plan and how far it is."""
    whole = _whole(folder)
    try:
        status = runs.read_status(folder)
        if whole is not None and status.stage == "teacher":
            return whole * (1 - status.share * _teachers_part(folder))
    except DistilleryError:
        return None
    return None if whole is None else whole * (1 - status.share)


def _teachers_part(folder: Path) -> float:
    """The share of a run's time that its teacher's training takes: by how much is computed for either model."""
    settings = runs.read_settings(folder)
    plan = estimate.plan(settings)
    teacher = plan.teacher_steps * settings.teacher.batch_size * plan.teacher.encoder_parameters
    student = plan.student_steps * settings.training.batch_size * plan.student.encoder_parameters
    return teacher / (teacher + student) if teacher else 0.0


def _whole(folder: Path) -> float | None:
    """Seconds of all that a job does, before it begins; None for kinds whose time nobody has planned."""
    try:
        kind = kinds.queue.kind_of(folder).name
        if kind == kinds.DISTIL:
            return estimate.plan(runs.read_settings(folder)).seconds
        if kind == kinds.GLUE:
            return expected_seconds(runs.read_job_settings(folder))[0]
    except DistilleryError:
        pass
    return None


def _added(seconds: float | None, more: float | None) -> float | None:
    return None if seconds is None or more is None else seconds + more
