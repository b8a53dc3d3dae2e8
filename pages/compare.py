"""Choose a run: what do its teacher, its student and others of their kind say? `?run=<id>` opens with that run."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from core import numbers
from core.errors import DistilleryError
from core.runs.comparable import RunToCompare, UnusableRun, comparable_runs
from pages.ui.chooser import choose_run
from pages.ui.compare.blind import show_blind
from pages.ui.compare.doubts import show_doubts
from pages.ui.compare.file import show_file
from pages.ui.compare.inside import show_inside
from pages.ui.compare.lost import PART, show_lost
from pages.ui.compare.models import Choice, choose_models, run_name
from pages.ui.compare.side_by_side import show_side_by_side
from pages.ui.text import as_label, show_text

RUN = "compare-run"

KIND = {"texts": "", "words": "masked words", "pairs": "pairs"}

PARTS = ("Side by side", "Inside", "A file", "What got lost", "Doubts", "Blind test")
OF_CHOSEN = {"Side by side": show_side_by_side, "Inside": show_inside, "A file": show_file}
OF_THE_RUN = {"What got lost": show_lost, "Doubts": show_doubts, "Blind test": show_blind}


def show_empty(unusable: list[UnusableRun]) -> None:
    """No student yet: what to do next, and why the runs that exist do not help."""
    with st.container(border=True):
        st.subheader("There is no student to talk to yet", anchor=False)
        st.write("Distil one first. With the settings as they are, that takes a few minutes.")
        if st.button("Go to Distil", type="primary", key="compare-distil"):
            st.switch_page("../distill.py")
    show_unusable(unusable, expanded=True)


def show_unusable(unusable: list[UnusableRun], expanded: bool = False) -> None:
    """The runs that cannot be compared, each with the reason."""
    if unusable:
        with st.expander(f"Runs that cannot be compared ({len(unusable)})", expanded=expanded):
            for run in unusable:
                show_text(f"{run_name(run)}: {run.reason}")


def choose(usable: list[RunToCompare], unusable: list[UnusableRun]) -> RunToCompare:
    """The run in the address, or the newest finished one, until another is chosen."""
    by_id = {run.run_id: run for run in usable}
    describe_one, refuse = (lambda run_id: describe(by_id[run_id])), (lambda run_id: why_not(run_id, unusable))
    chosen = choose_run(list(by_id), RUN, describe_one, refuse)
    if by_id[chosen].state != "finished":
        st.caption("This run ended early, so its student has not learned all it could.")
    return by_id[chosen]


def why_not(run_id: str, unusable: list[UnusableRun]) -> str:
    """Why the run in the address cannot be shown."""
    for run in unusable:
        if run.run_id == run_id:
            return f"{run_name(run)} cannot be compared. {run.reason}"
    return f"There is no run called {run_id[:80]!r}. It may have been deleted or renamed."


def describe(run: RunToCompare) -> str:
    """A run in the chooser: its name, what it is about, what it kept, and how it ended unless it finished."""
    parts = [run_name(run)]
    if KIND[run.kind]:
        parts.append(KIND[run.kind])
    if run.state != "finished":
        parts.append("stopped early" if run.state == "stopped" else run.state)
    if run.kept is not None:
        parts.append(f"{numbers.percent(run.kept)} kept")
    return " · ".join(parts)


def choose_part() -> str:
    """Which of the six parts of this page is shown."""
    chosen = st.pills(
        "What to look at",
        PARTS,
        default=PARTS[0] if PART not in st.session_state else None,
        required=True,
        key=PART,
        label_visibility="collapsed",
        wrap=True,
        persist_state="session",
    )
    return chosen or PARTS[0]


def show_part(part: str, run: RunToCompare, chosen: Mapping[str, Choice]) -> None:
    """One part; a sentence that says what went wrong where it cannot be shown."""
    try:
        if part in OF_THE_RUN:
            OF_THE_RUN[part](run)
        elif len(chosen) < 2:
            st.info("Choose at least two models above.")
        else:
            OF_CHOSEN[part](run, chosen)
    except DistilleryError as error:
        st.error(as_label(str(error), 500))


st.title("Compare", anchor=False)
st.write("Does the small student still say what its large teacher says? Type a sentence and see both answers.")
usable, unusable = comparable_runs()
if usable:
    left, right = st.columns(2)
    with left:
        run = choose(usable, unusable)
    with right:
        if st.session_state.get(PART) in OF_THE_RUN:
            chosen = {}
            others = "and a control of the same data" if st.session_state[PART] == "Doubts" else "no others"
            st.caption(f"Here the teacher and the student of this run answer, {others}.")
        else:
            chosen = choose_models(run, usable)
    show_part(choose_part(), run, chosen)
    show_unusable(unusable)
else:
    show_empty(unusable)
