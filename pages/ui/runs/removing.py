"""Deleting runs: asked first, refused for what trains, and said in words either way."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core import numbers
from core.errors import DistilleryError
from core.runs.about import run_name
from core.runs.disk import size_mb
from core.runs.remove import remove, why_not
from pages.ui.runs.table import megabytes
from pages.ui.text import as_label, show_text

SAID = "runs-removed"
NAMED = 8
"""So many names are shown when many runs are to be deleted at once."""


@st.dialog("Delete for good?")
def ask_to_remove(folders: list[Path]) -> None:
    """Ask before runs are deleted; what trains or is about to is left out, with the reason."""
    if SAID in st.session_state:
        # A dialog is drawn again by itself; only the whole page can show that the runs have gone.
        st.rerun()
    refused = {folder: reason for folder in folders if (reason := why_not(folder))}
    rest = [folder for folder in folders if folder not in refused]
    for folder, reason in refused.items():
        show_text(f"{run_name(folder)} stays. {reason}")
    if not rest:
        return
    for folder in rest[:NAMED]:
        show_text(f"• {run_name(folder)}")
    if len(rest) > NAMED:
        st.write(f"and {len(rest) - NAMED} more.")
    size = megabytes(sum(map(size_mb, rest)))
    st.write(
        f"The {numbers.plural('student', len(rest))}, the curves, the results and the notes are deleted ({size}). "
        "This cannot be undone. The trained teacher stays in the cache for other runs."
    )
    label = "Delete" if len(rest) == 1 else f"Delete {len(rest)} runs"
    # Not as Start looks: what cannot be undone is no first choice.
    with st.container(horizontal=True):
        icon = ":material/delete:"
        st.button(f":red[{label}]", key="delete-for-good", icon=icon, on_click=remove_runs, args=(rest,))
        if st.button("Cancel", key="delete-not"):
            st.rerun()


def remove_runs(folders: list[Path]) -> None:
    """Delete them, keep what is to be said about it, and go back to the list. Shows nothing: a dialog could not."""
    said, removed = [], 0
    for folder in folders:
        name = run_name(folder)
        try:
            remove(folder)
            removed += 1
        except DistilleryError as error:
            said.append(f"{name}: {error}")
        except OSError as error:
            said.append(f"{name} could not be deleted: {error.strerror}.")
    if removed:
        said.append(f"{removed} {numbers.plural('run', removed)} deleted.")
    st.session_state[SAID] = said
    st.query_params.clear()


def say_what_was_removed() -> None:
    """On the page that follows a deletion: what came of it."""
    for sentence in st.session_state.pop(SAID, []):
        st.toast(as_label(sentence, 300))
