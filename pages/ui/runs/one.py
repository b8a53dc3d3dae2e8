"""One run: what it measured and how, all that it keeps, and what can be done with it."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core.errors import DistilleryError
from core.runs import folder as runs
from core.runs.about import LONGEST_NAME, LONGEST_NOTES, given_name, read_about, write_about
from core.runs.remove import why_not
from core.runs.resume import RESUMABLE
from core.runs.table import RunRow, row_of
from pages.ui.attempt import attempt
from pages.ui.export import export_panel
from pages.ui.runs.keeping import show_files, show_other_tools
from pages.ui.runs.listing import go_to, in_address
from pages.ui.runs.removing import ask_to_remove
from pages.ui.runs.table import state_of
from pages.ui.text import as_label, show_text
from pages.ui.watch import (
    STATE_COLOURS,
    resume_helps,
    show_compare_stopped,
    show_course,
    show_log,
    show_recipe_of,
    show_resume,
    use_settings,
)


def show_one(folder: Path) -> None:
    """The page with a run in its address. A broken run says what is broken and shows what can be read."""
    row = row_of(folder)
    _show_head(folder, row)
    if row.notes:
        show_text(row.notes)
    _show_state(row)
    _show_actions(folder, row)
    if runs.id_of(folder) != folder.name:
        return
    if not row.problem and row.settings is not None:
        show_course(folder, runs.read_status(folder), row.settings)
    if row.results is not None and not row.problem:
        export_panel(folder)
    if row.settings is not None:
        show_recipe_of(row.settings)
    show_files(folder)
    show_log(folder)
    show_other_tools(folder)


def _show_head(folder: Path, row: RunRow) -> None:
    if st.button("All runs", key="all-runs", type="tertiary", icon=":material/arrow_back:"):
        go_to()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.title(as_label(row.name), anchor=False, width="content")
        state = state_of(row)
        st.badge(state, color="red" if state == "broken" else STATE_COLOURS.get(state, "blue"))
        st.space("stretch")
        with st.popover("Name and notes", icon=":material/edit:"):
            _show_naming(folder, row)


def _show_naming(folder: Path, row: RunRow) -> None:
    name, notes = f"name-{row.run_id}", f"notes-{row.run_id}"
    try:
        written = read_about(folder).notes
    except DistilleryError:
        written = ""
    st.text_input("Name", given_name(folder, row.settings), max_chars=LONGEST_NAME, key=name)
    st.text_area("Notes", written, max_chars=LONGEST_NOTES, key=notes, height=160)
    st.caption("Both are kept beside the run's settings, which never change.")
    st.button("Save", key="save-about", on_click=attempt, args=(_save, folder))


def _save(folder: Path) -> None:
    name, notes = st.session_state[f"name-{folder.name}"], st.session_state[f"notes-{folder.name}"]
    write_about(folder, name or "", notes or "")
    st.toast("Saved.")


def _show_state(row: RunRow) -> None:
    if row.problem:
        st.error(as_label(f"{row.problem} What can still be read is shown.", 1000))
    elif row.state == "failed":
        st.error(as_label(row.sentence, 1000))
    elif row.state in RESUMABLE:
        st.warning(as_label(row.sentence, 1000))


def _show_actions(folder: Path, row: RunRow) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        resumable = row.state in RESUMABLE and row.settings is not None
        helps = resumable and resume_helps(runs.read_status(folder))
        if resumable:
            show_resume(folder, type="primary" if helps else "secondary")
            show_compare_stopped(folder)
        if row.state in runs.ACTIVE and st.button("Watch it learn", key="watch", type="primary"):
            st.switch_page("../distill.py", query_params={"run": folder.name})
        if row.settings is not None:
            _show_settings_buttons(folder, main=resumable and not helps)
        reason = why_not(folder)
        if st.button("Delete", key="delete", icon=":material/delete:", disabled=bool(reason), help=reason or None):
            ask_to_remove([folder])


def _show_settings_buttons(folder: Path, main: bool) -> None:
    """`main`: they are what helps, because the run failed over them."""
    said = "Opens Distil with the form filled in as for this run."
    if st.button("Use these settings", key="use", type="primary" if main else "secondary", help=said):
        try:
            use_settings(folder)
        except DistilleryError as error:
            st.toast(as_label(str(error), 300))
        else:
            st.switch_page("../distill.py", query_params={"new": "1"})
    if st.button("Compare with other runs", key="beside", icon=":material/stacked_line_chart:"):
        go_to(runs=in_address([folder.name]))
