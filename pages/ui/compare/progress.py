"""Work in the background on the screen: how far it is, a Stop button, and a new page once it has ended."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec

import streamlit as st

from core import numbers
from core.failures import is_disk_full
from core.jobs import folder as jobs
from pages.ui.text import as_label

EVERY_S = 1.0

Given = ParamSpec("Given")


def begin_or_say(start: Callable[Given, object], *args: Given.args, **options: Given.kwargs) -> None:
    """Queue a piece of work; a full or read-only disk is a sentence in the corner of the page."""
    try:
        start(*args, **options)
    except OSError as error:
        then = " Make room, for example by deleting old runs, and try again." if is_disk_full(error) else ""
        st.toast(as_label(f"This could not be begun: {error.strerror or error}.{then}", 300))


def show_progress(job: Path, what: str, key: str) -> None:
    """A bar that follows the work. `what` says in a few words what is counted: "sentences", "batches of texts"."""
    st.fragment(_look, run_every=EVERY_S)(job, what, key)


def _look(job: Path, what: str, key: str) -> None:
    status = jobs.find_status(job)
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
            on_click=_stop,
            args=(job,),
        )
    st.caption("You can leave this page or close the tab: it goes on, and is done only once.")


def _stop(job: Path) -> None:
    # A file's job that has ended since may have been deleted with its answers, by another tab.
    if jobs.find_status(job) is not None:
        jobs.request_stop(job)
