"""The button that measures, what it does meanwhile, and how it ended."""

from __future__ import annotations

import streamlit as st

from core.errors import DistilleryError
from core.speed import meter
from core.speed.meter import Progress
from core.speed.standing import MeasuredRun
from pages.ui.text import as_label

EVERY_S = 1.5


def show_button(run: MeasuredRun) -> None:
    """Measure, or Stop and how far it is; a disabled button has its reason beside it."""
    progress = meter.measuring()
    if progress is not None:
        st.fragment(_follow, run_every=EVERY_S)(progress.run_id, run.run_id)
        return
    why_not = run.reason or meter.why_not()
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
    _show_end(meter.current(), run.run_id)


def _begin(run_id: str) -> None:
    try:
        meter.begin(run_id)
    except DistilleryError as error:
        st.toast(as_label(str(error), 300))
    except OSError as error:
        st.toast(as_label(f"The measurement could not be started: {error.strerror}.", 300))


def _show_end(progress: Progress | None, run_id: str) -> None:
    """What became of the last measurement, where it was of this run and left nothing to see."""
    if progress is None or progress.run_id != run_id or progress.state == "finished":
        return
    if progress.state == "failed":
        st.error(as_label(progress.sentence, 500))
    else:
        st.caption(as_label(progress.sentence, 300))


def _follow(run_id: str, chosen: str) -> None:
    progress = meter.measuring()
    if progress is None or progress.run_id != run_id:
        # The whole page knows what to show of a measurement that has ended.
        st.rerun()
    what = as_label(progress.sentence, 200)
    st.progress(progress.share, text=what if run_id == chosen else f"Measuring another run: {what}")
    st.button(
        "Stop measuring",
        key="speed-stop",
        icon=":material/stop:",
        disabled=progress.stopping,
        on_click=meter.stop,
        help="Ends after the pass it is in. Nothing is kept.",
    )
