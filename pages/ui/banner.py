"""One line at the foot of every other page while something trains, be it a run or a GLUE job."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core.cli import kinds
from core.errors import DistilleryError
from core.runs import folder as runs

EVERY_S = 3.0


def run_banner(is_glue_page: bool = False) -> None:
    """Say what trains now and lead there; nothing at all when nothing does. The GLUE page shows its jobs itself."""
    active = kinds.active_run() or (None if is_glue_page else kinds.active_glue())
    if active is not None:
        # At the lower edge: above the page it would push everything down as a training begins.
        with st.bottom:
            st.fragment(_line, run_every=EVERY_S)(active)


def _line(folder: Path) -> None:
    try:
        status = runs.read_status(folder)
    except DistilleryError:
        st.rerun()  # it has been deleted, so there is nothing to say any more
    if status.state in runs.ENDED:
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center"):
        progress = f" Step {status.step} of {status.total_steps}." if status.total_steps else ""
        doing = "Measuring GLUE now" if runs.is_job(folder) else "Training now"
        st.text(f"{doing}: {status.sentence}{progress}")
        st.space("stretch")
        if runs.is_job(folder):
            if st.button("See the scores", key="banner-glue", type="tertiary"):
                st.switch_page("../glue.py")
        elif st.button("Watch it learn", key="banner-watch", type="tertiary"):
            st.switch_page("../distill.py", query_params={"run": folder.name})
