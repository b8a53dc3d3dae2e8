"""The button that measures, what it does meanwhile, and how it ended."""

from __future__ import annotations

import streamlit as st

from core.cli import kinds
from core.errors import DistilleryError
from core.jobs.folder import Status
from core.speed import job
from core.speed.standing import MeasuredRun
from pages.ui.text import as_label

EVERY_S = 1.5


def show_button(run: MeasuredRun) -> None:
    """Measure, or Stop and how far it is; a disabled button has its reason beside it."""
    found = job.measuring()
    if found is not None:
        st.fragment(_follow, run_every=EVERY_S)(found[0], run.run_id)
        return
    why_not = run.reason or kinds.why_not_measure()
    again = "Measure again" if run.measurement else "Measure"
    st.button(
        again,
        key="speed-measure",
        type="primary",
        icon=":material/speed:",
        disabled=bool(why_not),
        on_click=_begin,
        args=(run.run_id,),
        help="Takes about a minute, with a large teacher a few. Close other programs for steady numbers.",
    )
    if why_not:
        st.caption(as_label(why_not, 300))
    _show_end(job.current(), run.run_id)


def _begin(run_id: str) -> None:
    try:
        job.begin(run_id, kinds.why_not_measure())
    except DistilleryError as error:
        st.toast(as_label(str(error), 300))
    except OSError as error:
        st.toast(as_label(f"The measurement could not be started: {error.strerror}.", 300))


def _show_end(found: tuple[str, Status] | None, run_id: str) -> None:
    """What became of the last measurement, where it was of this run and left nothing to see."""
    if found is None or found[0] != run_id or found[1].state == "finished":
        return
    status = found[1]
    if status.state == "stopped":
        st.caption(as_label(status.sentence, 300))
    else:
        nothing = "" if job.STOPPED in status.sentence else f" {job.STOPPED}"
        st.error(as_label(f"{status.sentence}{nothing}", 500))


def _follow(run_id: str, chosen: str) -> None:
    found = job.measuring()
    if found is None or found[0] != run_id:
        # The whole page knows what to show of a measurement that has ended.
        st.rerun()
    status = found[1]
    what = as_label(status.sentence, 200)
    st.progress(status.share, text=what if run_id == chosen else f"Measuring another run: {what}")
    st.button(
        "Stop measuring",
        key="speed-stop",
        icon=":material/stop:",
        disabled=status.state == "stopping",
        on_click=job.stop,
        help="Ends after the pass it is in. Nothing is kept.",
    )
