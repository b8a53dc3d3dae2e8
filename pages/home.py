"""What this is, what it promises, and the button that shows it."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core import estimate, numbers, paper
from core.config import Settings
from core.data.bundle import missing_assets
from core.errors import DistilleryError
from core.runs import folder as runs
from core.runs.about import run_name
from core.runs.results import Results
from pages.ui.origin import measured_badge, paper_badge
from pages.ui.result import different, read_result
from pages.ui.stacks import show_distillation
from pages.ui.text import as_label
from pages.ui.waiting import next_turn, when
from pages.ui.watch import DEMO_STARTED, submit

DEMO_RUN = "demo-run-id"
SHOWN = 3
"""So many of the newest results."""


def start_demo(run_id: str) -> None:
    """Queue a run with the default settings; the same id is the same run, however often it is clicked."""
    if not submit(Settings(name="Demo"), run_id):
        return
    st.session_state[DEMO_RUN] = runs.new_run_id()
    st.session_state[DEMO_STARTED] = run_id


def show_promises() -> None:
    """The paper's three claims."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader("What the paper promises", anchor=False, width="content")
        paper_badge()
    for column, promise in zip(st.columns(3), paper.PROMISES, strict=True):
        column.metric(promise.title, promise.value, help=promise.meaning, border=True)


def show_measured() -> None:
    """The newest finished runs of this machine."""
    st.subheader("What this machine has measured")
    shown = unread = 0
    for folder in runs.list_runs():
        if shown == SHOWN:
            break
        try:
            if runs.read_status(folder).state == "finished":
                _show_run(folder, read_result(folder))
                shown += 1
        except DistilleryError:
            unread += 1
    if not shown:
        st.caption("Nothing yet. Start the demo: its numbers will stand here, beside the paper's.")
    if unread:
        st.caption(f"{unread} {numbers.plural('run', unread)} cannot be read. The Runs page lists each with its cause.")


def _show_run(folder: Path, results: Results) -> None:
    metric = results["metric"]
    scores = {model: numbers.score(results[model]["score"], metric) for model in ("student", "teacher")}
    another = different(results)
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        title = as_label(run_name(folder))
        st.markdown(
            f"**{title}** kept {numbers.percent(results['kept'])} of the teacher's {metric} "
            f"({scores['student']} of {scores['teacher']}){another and f' and gives {another}'}"
        )
        measured_badge(results)
        st.space("stretch")
        if st.button("Open", key=f"open-{folder.name}", type="tertiary"):
            st.switch_page("../runs.py", query_params={"run": folder.name})


if (run_id := st.session_state.pop(DEMO_STARTED, None)) is not None:
    st.switch_page("../distill.py", query_params={"run": run_id})

words, picture = st.columns([5, 4], gap="large", vertical_alignment="center")
with words:
    st.title("Watch a small model learn from a large one")
    st.write(
        "A large language model, the **teacher**, answers well but is slow and heavy. A small one, the **student**, "
        "learns to give the teacher's answers: not only what is right, but how sure the teacher is. Here you can start "
        "that, watch it happen, and talk to both."
    )
    missing = missing_assets()
    run_id = st.session_state.setdefault(DEMO_RUN, runs.new_run_id())
    st.button(
        "Start the demo",
        key=f"demo-{run_id}",
        type="primary",
        icon=":material/play_arrow:",
        disabled=bool(missing),
        on_click=start_demo,
        args=(run_id,),
    )
    for sentence in missing:
        st.error(sentence)
    if (turn := next_turn()).before:
        st.caption(f"The machine is at work now. The demo would begin {when(turn)}.")
    plan = estimate.plan(Settings())
    st.caption(
        f"The teacher has 6 layers and {numbers.millions(plan.teacher.parameters)} parameters: large beside its "
        f"student of 3 layers and {numbers.millions(plan.student.parameters)}, small beside the paper's BERT-base of "
        f"110{numbers.THIN}M. It learns from 8{numbers.THIN}530 movie sentences: {numbers.duration(plan.seconds)} on "
        "this machine."
    )
with picture:
    show_distillation()
show_promises()
show_measured()
