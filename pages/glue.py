"""How does the student score beside the paper? The nine tasks of GLUE, the paper's tables, and this machine's rows."""

from __future__ import annotations

import streamlit as st

from pages.ui.glue import ablation
from pages.ui.glue.jobs import is_busy, show_current, show_past
from pages.ui.glue.reading import read_jobs
from pages.ui.glue.results import show_results
from pages.ui.glue.setup import show_setup

EVERY_S = 2.0


def live(was_busy: bool) -> None:
    """What changes while something is measured. A rerun of the whole page follows once nothing is any more."""
    jobs = read_jobs()
    if was_busy and not (is_busy(jobs) or ablation.is_busy()):
        st.rerun()
    show_current(jobs)
    show_results(jobs)


st.title("GLUE", anchor=False)
st.write(
    "How does the student score beside the paper? GLUE is nine language tasks. Each model first learns a task, then "
    "answers what it has not seen."
)
jobs = read_jobs()
show_setup(jobs, busy=is_busy(jobs))
busy = is_busy(jobs) or ablation.is_busy()
st.fragment(live, run_every=EVERY_S if busy else None)(busy)
show_past(jobs)
