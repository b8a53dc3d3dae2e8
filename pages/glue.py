"""How does the student score beside the paper? The nine tasks of GLUE, the paper's tables, and this machine's rows."""

from __future__ import annotations

import streamlit as st

from pages.ui import tables
from pages.ui.glue import ablation
from pages.ui.glue.choices import students
from pages.ui.glue.jobs import is_busy, show_current, show_past
from pages.ui.glue.reading import read_jobs
from pages.ui.glue.results import show_results
from pages.ui.glue.setup import show_form, show_start

EVERY_S = 2.0


def now(was_busy: bool) -> None:
    """What is measured and what waits. A rerun of the whole page follows once nothing is any more."""
    jobs = read_jobs()
    if was_busy and not (is_busy(jobs) or ablation.is_busy()):
        st.rerun()
    show_current(jobs)


def results() -> None:
    """The scores so far."""
    show_results(read_jobs())


st.title("GLUE", anchor=False)
st.write(
    "How does the student score beside the paper? GLUE is nine language tasks. Each model first learns a task, then "
    "answers what it has not seen."
)
tables.begin()
jobs = read_jobs()
busy = is_busy(jobs) or ablation.is_busy()
often = EVERY_S if busy else None
found = students()
draft = show_start(jobs, is_busy(jobs), found)
# Between the button and the form: who has pressed it sees at once that a job is there.
st.fragment(now, run_every=often)(busy)
show_form(draft, found)
st.fragment(results, run_every=often)()
show_past(jobs)
