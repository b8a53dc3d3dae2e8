"""Work in the background on the screen: how far it is, a Stop button, and a new page once it has ended."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core import numbers
from core.jobs import folder as jobs
from core.jobs.folder import Status
from core.storage import BrokenRun

EVERY_S = 1.0


def status_of(job: Path) -> Status | None:
    """What a job is doing or how it ended; None if there is none, or it cannot be read."""
    try:
        return jobs.read_status(job)
    except BrokenRun:
        return None


def show_progress(job: Path, what: str, key: str) -> None:
    """A bar that follows the work. `what` says in a few words what is counted: "sentences", "batches of texts"."""
    st.fragment(_look, run_every=EVERY_S)(job, what, key)


def _look(job: Path, what: str, key: str) -> None:
    status = status_of(job)
    if status is None or status.state in jobs.ENDED:
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center"):
        if status.state == "queued":
            words = "Waiting until what was asked before has been answered."
        elif not status.total_steps:
            words = "Reading the texts and opening the models."
        else:
            words = f"{numbers.whole(status.step)} of {numbers.whole(status.total_steps)} {what}"
        st.progress(status.share, text=words)
        st.button(
            "Stop",
            key=f"{key}-stop",
            icon=":material/stop:",
            disabled=status.state == "stopping",
            on_click=jobs.request_stop,
            args=(job,),
        )
    st.caption("You can leave this page or close the tab: it goes on, and is done only once.")
