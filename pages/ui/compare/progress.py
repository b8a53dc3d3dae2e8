"""Work in the background on the screen: how far it is, a Stop button, and a new page once it has ended."""

from __future__ import annotations

import streamlit as st

from core import numbers
from core.scoring.background import Task

EVERY_S = 1.0


def show_progress(task: Task, what: str, key: str) -> None:
    """A bar that follows the work. `what` says in a few words what is counted: "sentences", "batches of texts"."""
    st.fragment(_look, run_every=EVERY_S)(task, what, key)


def _look(task: Task, what: str, key: str) -> None:
    if task.ended:
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center"):
        if task.state == "waiting":
            words = "Waiting until what was asked before has been answered."
        elif not task.total:
            words = "Reading the texts and opening the models."
        else:
            words = f"{numbers.whole(task.done)} of {numbers.whole(task.total)} {what}"
        st.progress(task.share, text=words)
        st.button("Stop", key=f"{key}-stop", icon=":material/stop:", on_click=task.stop)
    st.caption("You can leave this page or close the tab: it goes on, and is done only once.")
