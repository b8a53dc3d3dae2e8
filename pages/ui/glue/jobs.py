"""GLUE jobs on the screen: the one that is measured now, those that wait or were cut off, and all earlier ones."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core import numbers
from core.cli import kinds
from core.errors import DistilleryError
from core.glue.settings import GlueSettings
from core.runs import folder as runs
from core.runs.about import run_name, started
from core.runs.remove import remove
from core.storage import runs_root
from pages.ui.glue.reading import Job, scores_planned, seconds_left
from pages.ui.glue.setup import announced
from pages.ui.text import as_label, clean, show_text
from pages.ui.watch import STATE_COLOURS, show_resume, show_stop

ASKED = "glue-delete"
SHOWN_AT_ONCE = 20


def is_busy(jobs: Sequence[Job]) -> bool:
    """True while a job is measured or waits."""
    return any(not job.is_over for job in jobs)


def show_current(jobs: Sequence[Job]) -> None:
    """Every job that is not over, the running one first, and the newest one if it did not reach its end."""
    waiting = [job for job in reversed(jobs) if not job.is_over]
    for job in sorted(waiting, key=lambda job: job.state == "queued"):
        _show_busy(job)
    if jobs and jobs[0].status and jobs[0].state in ("stopped", "interrupted", "failed"):
        _show_ended(jobs[0])


def show_past(jobs: Sequence[Job]) -> None:
    """All jobs below a lid, each with what it measured and a way to delete it."""
    if not jobs:
        return
    with st.expander(f"All GLUE jobs ({len(jobs)})"):
        pages = -(-len(jobs) // SHOWN_AT_ONCE)
        page = st.pagination(pages, key="glue-jobs-page") if pages > 1 else 1
        for job in jobs[(page - 1) * SHOWN_AT_ONCE : page * SHOWN_AT_ONCE]:
            _show_past(job)


def _title(job: Job) -> str:
    if job.settings and job.settings.name:
        return job.settings.name
    return started(runs.id_of(job.folder)).replace("Run of", "Job of").replace("Run ", "Job ", 1)


def _show_busy(job: Job) -> None:
    assert job.status is not None
    status, planned = job.status, scores_planned(job)
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.badge(status.state, color=STATE_COLOURS.get(status.state, "blue"))
            show_text(_busy_sentence(job))
            st.space("stretch")
            show_stop(job.folder, status, kept="What was measured and learned is kept.")
        if status.total_steps:
            st.progress(min(1.0, status.step / status.total_steps), text=_progress(job, planned))


def _busy_sentence(job: Job) -> str:
    assert job.status is not None
    if job.state != "queued":
        return job.status.sentence
    when = "when the one before it has ended" if kinds.at_work() else "in a moment"
    return f"{_title(job)} waits for its turn. It begins {when}."


def _progress(job: Job, planned: int | None) -> str:
    left, done = seconds_left(job), len(job.cells)
    scores = f"{done} of {planned} scores" if planned else f"{done} scores"
    time = f", {numbers.duration(left)} left" if left is not None else ""
    return f"{scores}{time}. You can close this tab."


def _show_ended(job: Job) -> None:
    assert job.status is not None
    show = st.error if job.state == "failed" else st.warning
    show(as_label(f"{_title(job)}: {job.status.sentence}", 1000))
    _resume(job, "current")


def _resume(job: Job, place: str) -> None:
    show_resume(job.folder, f"glue-resume-{place}-{job.folder.name}", "secondary")


def _show_past(job: Job) -> None:
    name = runs.id_of(job.folder)
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            show_text(_title(job))
            st.badge(job.state, color=STATE_COLOURS.get(job.state, "red" if job.state == "broken" else "blue"))
            st.space("stretch")
            if job.status and job.state in ("stopped", "interrupted", "failed"):
                _resume(job, "past")
            st.button("Delete", key=f"glue-delete-{name}", disabled=not job.is_over, on_click=_ask, args=(name,))
        st.caption(as_label(job.problem or _measured(job), 600))
        if st.session_state.get(ASKED) == name:
            _show_question(job)


def _names(settings: GlueSettings) -> dict[str, str]:
    """What the runs of a job are called, by their ids; a run that is no longer there keeps its id."""
    ids = [model.run for model in settings.models if model.kind == "student"]
    return {run_id: clean(run_name(runs_root() / run_id)) for run_id in ids if runs.NAME.fullmatch(run_id)}


def _measured(job: Job) -> str:
    count = len(job.cells)
    what = announced(job.settings, _names(job.settings)) if job.settings else ""
    return f"{count} {numbers.plural('score', count)}: {what}."


def _ask(name: str | None) -> None:
    st.session_state[ASKED] = name


def _show_question(job: Job) -> None:
    count = len(job.cells)
    st.warning(f"Delete this job and its {count} {numbers.plural('score', count)}? This cannot be undone.")
    with st.container(horizontal=True):
        st.button("Yes, delete it", key="glue-delete-yes", on_click=_delete, args=(runs.id_of(job.folder),))
        st.button("Keep it", key="glue-delete-no", on_click=_ask, args=(None,))


def _delete(name: str) -> None:
    _ask(None)
    try:
        remove(runs.job_folder(name))
    except (DistilleryError, OSError) as error:
        st.toast(as_label(str(error), 300))
