"""One run on the screen: live while it trains, with its result once it has finished."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Literal

import streamlit as st

from core.config import Settings, is_control
from core.errors import DistilleryError
from core.estimate import teacher_is_kept
from core.failures import may_pass
from core.persisted import is_there
from core.runs import folder as runs
from core.runs.about import given_name, run_name
from core.runs.about import started as started
from core.runs.results import read_result
from core.runs.resume import request_resume
from core.storage import open_plain
from pages.ui import form
from pages.ui.attempt import attempt
from pages.ui.live import Stages, live_view
from pages.ui.recipe import describe
from pages.ui.replay import show_replay
from pages.ui.result import show_result
from pages.ui.text import as_label, show_text
from pages.ui.waiting import show_turn

DEMO_STARTED = "demo-started"
"""The demo's run, from the click on Home until the page that shows it is there."""

Colour = Literal["gray", "green", "red", "orange", "blue"]
STATE_COLOURS: dict[str, Colour] = {
    "queued": "gray",
    "finished": "green",
    "failed": "red",
    "interrupted": "orange",
    "stopped": "orange",
}


def show_run(folder: Path) -> None:
    """One run while it trains, and what came of it: its result or its end, its curves, its recipe."""
    status, settings = runs.read_status(folder), runs.read_settings(folder)
    _show_title(folder, run_name(folder, settings), status)
    if status.state in runs.ENDED and status.state != "finished":
        show_end(folder, status)
    show_course(folder, status, settings)
    if status.state in runs.ENDED:
        show_log(folder)
    show_recipe_of(settings)


def show_course(folder: Path, status: runs.Status, settings: Settings) -> None:
    """What a run does now or has measured, and its curves; follows it while it waits or trains."""
    if status.state == "queued":
        _wait_for(folder, status.state)
        return
    if status.state == "finished":
        show_result(folder.name, read_result(folder), settings)
    ended = status.state in runs.ENDED
    _show_curves(folder, ended, _stages(settings, ended))


def show_recipe_of(settings: Settings) -> None:
    """The frozen settings of a run, behind a lid."""
    with st.expander("The recipe of this run"):
        show_text(describe(settings))
        st.code(json.dumps(settings.model_dump(mode="json"), indent=2, ensure_ascii=False), language="json", height=300)


def show_log(folder: Path) -> None:
    """The end of a run's log behind a lid; nothing at all where there is none."""
    log = folder / "log.txt"
    if is_there(log):
        with st.expander("Log"):
            try:
                st.code(_tail(log), language=None, wrap_lines=True)
            except OSError as error:
                st.caption(as_label(f"It cannot be read: {error.strerror}.", 300))


def _show_title(folder: Path, name: str, status: runs.Status) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.title(as_label(name), anchor=False, width="content")
        if status.state in STATE_COLOURS:
            st.badge(status.state, color=STATE_COLOURS[status.state])
        st.space("stretch")
        if status.state == "queued":
            st.button("Remove from the queue", key="remove", on_click=attempt, args=(runs.request_stop, folder))
        elif status.state not in runs.ENDED:
            show_stop(folder, status, kept="What the student has learned is kept.")
        elif st.button("All about this run", key="on-runs", help="Its files, checkpoints, export and notes."):
            st.switch_page("../runs.py", query_params={"run": folder.name})
        st.button("Set up another run", key="another", on_click=new_run)


def submit(settings: Settings, run_id: str) -> bool:
    """Queue a run; False, and the reason above the page, if its folder cannot be written."""
    try:
        runs.create_run(settings, run_id)
    except OSError as error:
        st.error(
            as_label(f"The run could not be set up: {error.strerror}. Make room on the disk, then start again.", 300)
        )
        return False
    return True


def new_run() -> None:
    """Show the form, also while another run trains."""
    st.query_params.from_dict({"new": "1"})


def use_settings(folder: Path) -> None:
    """Fill the form with the settings of a run, its name as it is now."""
    settings = runs.read_settings(folder)
    form.fill(settings.model_copy(update={"name": given_name(folder, settings)}))
    new_run()


def show_end(folder: Path, status: runs.Status) -> None:
    """How a run ended that did not finish, and what can be done about it."""
    show = st.error if status.state == "failed" else st.warning
    show(as_label(status.sentence, longest=1000))
    helps = resume_helps(status)
    with st.container(horizontal=True):
        if helps:
            show_resume(folder)
        type: Literal["primary", "secondary"] = "secondary" if helps else "primary"
        st.button("Use these settings again", key="again", type=type, on_click=attempt, args=(use_settings, folder))
        if not helps:
            show_resume(folder, type="secondary")
        show_compare_stopped(folder)


def show_stop(folder: Path, status: runs.Status, kept: str) -> None:
    """The button that ends a run or job; `kept` says what is not lost by it."""
    st.button(
        "Stop",
        key=f"stop-{folder.name}",
        icon=":material/stop:",
        disabled=status.state == "stopping",
        help=f"Ends after the current step. {kept}",
        on_click=attempt,
        args=(runs.request_stop, folder),
    )


def show_resume(folder: Path, key: str = "resume", type: Literal["primary", "secondary"] = "primary") -> None:
    """The button that lets a run or job go on."""
    st.button(
        "Resume",
        key=key,
        type=type,
        icon=":material/play_arrow:",
        help="Goes on from the last checkpoint, exactly as if it had never stopped.",
        on_click=attempt,
        args=(request_resume, folder),
    )


def resume_helps(status: runs.Status) -> bool:
    """Whether going on is the first thing to try: after a failure that lies in the settings it would only recur."""
    return status.state != "failed" or may_pass(status.sentence)


def show_compare_stopped(folder: Path) -> None:
    """The way to the half-trained student, where there is one."""
    if (folder / "student").exists() and st.button("Compare what it had learned", key="compare-stopped"):
        st.switch_page("../compare.py", query_params={"run": folder.name})


def _show_curves(folder: Path, ended: bool, stages: Stages) -> None:
    if ended:
        st.subheader("How it learned")
        st.caption("These scores come from the validation part, which was set aside to watch the training.")
    live_view(folder.name, key=f"live-{folder.name}", stages=stages)
    try:
        show_replay(folder)
    except DistilleryError as error:
        st.caption(as_label(str(error)))


def _stages(settings: Settings, ended: bool) -> Stages:
    """What the stages of a run are called. Of a run that has ended its curves tell whether its teacher had to learn."""
    stages = Stages()
    if is_control(settings.loss):
        stages = replace(stages, student="Student learns without the teacher")
    if settings.teacher.epochs == 0:
        return replace(stages, known="Teacher is used as it is", needs_none=True)
    try:
        return replace(stages, needs_none=not ended and teacher_is_kept(settings))
    except DistilleryError:
        return stages  # its texts or its teacher have gone: the run itself will say so


def _wait_for(folder: Path, state: runs.State) -> None:
    @st.fragment(run_every=2)
    def look() -> None:
        # A rerun of the whole page says what became of a run that has been deleted.
        if not folder.exists() or _state(folder) != state:
            st.rerun()
        show_turn(folder)

    look()


def _state(folder: Path) -> runs.State | None:
    try:
        return runs.read_status(folder).state
    except DistilleryError:
        return None


def _tail(path: Path, size: int = 8000) -> str:
    with open_plain(path) as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - size))
        return file.read().decode("utf-8", errors="replace")
