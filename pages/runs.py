"""All runs of this machine: what each did and how it ended."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core.errors import DistilleryError
from core.runs import folder as runs
from pages.ui.recipe import describe
from pages.ui.result import one_line, read_result
from pages.ui.text import as_label, show_text
from pages.ui.watch import STATE_COLOURS, started

SHOWN_AT_ONCE = 20


def show_run(folder: Path) -> None:
    """One run as a row: its name and recipe, its state, its scores, and the way to it."""
    try:
        status, settings = runs.read_status(folder), runs.read_settings(folder)
        results = read_result(folder) if status.state == "finished" else None
    except DistilleryError as error:
        show_text(f"{folder.name}: {error}")
        return
    with st.container(border=True):
        what, numbers_here, way = st.columns([5, 4, 1], vertical_alignment="center")
        with what:
            with st.container(horizontal=True, vertical_alignment="center"):
                show_text(settings.name or started(folder.name))
                st.badge(status.state, color=STATE_COLOURS.get(status.state, "blue"))
            st.caption(as_label(describe(settings), 300))
        with numbers_here:
            show_text(one_line(results) if results else status.sentence)
        with way:
            if st.button("Open", key=f"open-{folder.name}", type="tertiary"):
                st.switch_page("../distill.py", query_params={"run": folder.name})


st.title("Runs")
st.write("Every student you have trained here, the newest first. Open one to see its curves and its result.")
folders = runs.list_runs()
if not folders:
    st.info("No run yet. Start one on the Distil page; it will stay here, whatever happens to this tab.")
if not folders and st.button("Set up a run", type="primary", key="first-run"):
    st.switch_page("../distill.py")
pages_of_runs = -(-len(folders) // SHOWN_AT_ONCE)
page = st.pagination(pages_of_runs, key="runs-page") if pages_of_runs > 1 else 1
for folder in folders[(page - 1) * SHOWN_AT_ONCE : page * SHOWN_AT_ONCE]:
    show_run(folder)
