"""Set a recipe, start, and watch a student learn. `?run=<id>` watches that run; without it, the form."""

from __future__ import annotations

import streamlit as st

from core.cli import kinds
from core.data.bundle import missing_assets
from core.errors import DistilleryError
from core.runs import folder as runs
from pages.ui.complaints import in_words
from pages.ui.draft import Draft, read_draft
from pages.ui.plan import show_plan
from pages.ui.recipe import show_objective, show_recipe
from pages.ui.text import as_label
from pages.ui.waiting import next_turn, show_queue, when
from pages.ui.watch import DEMO_STARTED, new_run, show_run, submit

NEXT_RUN = "next-run-id"


def start(run_id: str) -> None:
    """Queue the run that was announced on the page, and look at it."""
    # A value typed just before the click arrives together with it, so the form is read now; a bad one is said there.
    settings = read_draft().settings
    # The id was chosen when the button was drawn: however often it is clicked, it is the same run.
    if settings is None or not submit(settings, run_id):
        return
    st.session_state[NEXT_RUN] = runs.new_run_id()
    st.query_params.from_dict({"run": run_id})


def set_up() -> None:
    """The form and the start button."""
    st.title("Distil a student")
    st.write(
        "A small student learns from a large teacher. Everything is set for a first run: you can start right away."
    )
    draft = read_draft()
    show_objective(draft.teacher)
    _show_start(draft)
    show_recipe(draft)


def _show_start(draft: Draft) -> None:
    missing = missing_assets()
    busy = kinds.at_work()
    run_id = st.session_state.setdefault(NEXT_RUN, runs.new_run_id())
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Add to the queue" if busy else "Start",
            key=f"start-{run_id}",
            type="primary",
            icon=":material/play_arrow:",
            disabled=draft.settings is None or bool(missing),
            on_click=start,
            args=(run_id,),
        )
        if busy:
            st.caption(f"The machine is at work already. This run begins {when(next_turn())}.")
        if draft.reason:
            st.caption(in_words(draft.reason), width="stretch")  # beside the button, on two lines if need be
    for sentence in missing:
        st.error(sentence)
    show_plan(draft.settings, draft.plan)


# The last of several quick clicks on the demo can arrive only here: the next visit to Home must not lead back.
st.session_state.pop(DEMO_STARTED, None)
run_id = st.query_params.get("run")
active = kinds.active_run()
if run_id is None and active is not None and "new" not in st.query_params:
    run_id = st.query_params["run"] = active.name
try:
    if run_id is None:
        set_up()
    else:
        show_run(runs.run_folder(run_id))
    show_queue(besides=run_id)
except DistilleryError as error:
    st.error(as_label(str(error), 500))
    st.button("Set up a run", key="set-up", on_click=new_run)
