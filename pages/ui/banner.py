"""One line above every other page while something trains or waits."""

from __future__ import annotations

import streamlit as st

from core.errors import DistilleryError
from core.runs import folder as runs
from core.runs import worker

EVERY_S = 3.0


def run_banner() -> None:
    """Say what trains now and lead there; nothing at all when nothing does."""
    active = worker.active_run()
    if active is not None:
        st.fragment(_line, run_every=EVERY_S)(active.name)


def _line(run_id: str) -> None:
    try:
        status = runs.read_status(runs.run_folder(run_id))
    except DistilleryError:
        st.rerun()  # it has been deleted, so there is nothing to say any more
    if status.state in runs.ENDED:
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center", border=True):
        progress = f" Step {status.step} of {status.total_steps}." if status.total_steps else ""
        st.text(f"Training now: {status.sentence}{progress}")
        st.space("stretch")
        if st.button("Watch it learn", key="banner-watch", type="tertiary"):
            st.switch_page("../distill.py", query_params={"run": run_id})
