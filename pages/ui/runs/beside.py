"""Several runs beside each other: their curves on one chart, what they measured, and the settings that differ."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import streamlit as st

from core.config import Settings
from core.errors import DistilleryError
from core.runs.curves import StudentCurves, read_curves
from core.runs.folder import run_folder
from core.runs.table import RunRow, list_rows, row_of
from pages.ui.recipe import describe
from pages.ui.runs.bars import show_bars
from pages.ui.runs.differences import show_differences
from pages.ui.runs.listing import FEWEST, MOST, from_address, go_to, in_address
from pages.ui.runs.overlay import show_overlay
from pages.ui.text import as_label, clean, show_text
from pages.ui.theme import RUNS

CHOSEN = "runs-beside"
LETTERS = "ABCDEF"


@dataclass(frozen=True)
class Entry:
    """One of the runs: its letter and colour on this page, and what is known of it."""

    letter: str
    colour: str
    folder: Path
    row: RunRow
    settings: Settings

    @cached_property
    def curves(self) -> StudentCurves:
        """What its student has recorded, read once."""
        return read_curves(self.folder)


def show_beside(asked: str) -> None:
    """The page with several runs in its address, separated by commas."""
    if st.button("All runs", key="all-runs", type="tertiary", icon=":material/arrow_back:"):
        go_to()
    st.title("Runs beside each other", anchor=False)
    entries = read_entries(choose(asked))
    if len(entries) < FEWEST:
        st.info("Choose at least one more run above: then their curves, results and settings stand here.")
        return
    show_names(entries)
    show_overlay(entries)
    show_bars(entries)
    show_differences(entries)


def choose(asked: str) -> list[str]:
    """The runs in the address, until others are chosen; the address follows."""
    names = {row.run_id: clean(row.name) for row in list_rows() if row.settings is not None}
    wanted = from_address(asked, names)
    if st.session_state.get(CHOSEN) is None:
        st.session_state[CHOSEN] = [run_id for run_id in wanted if run_id in names][:MOST]
        gone = [run_id for run_id in wanted if run_id not in names]
        if gone:
            st.warning(as_label(f"There is no run called {', '.join(gone)[:200]} that could be compared.", 300))
        if len(wanted) - len(gone) > MOST:
            st.warning(f"At most {MOST} runs can be compared; these are the first of them.")
    else:
        st.session_state[CHOSEN] = [run_id for run_id in st.session_state[CHOSEN] if run_id in names]
    chosen = st.multiselect(
        f"Runs, {FEWEST} to {MOST}", list(names), format_func=names.__getitem__, max_selections=MOST, key=CHOSEN
    )
    st.query_params["runs"] = in_address(chosen)
    return chosen


def read_entries(run_ids: list[str]) -> list[Entry]:
    """The chosen runs; one that has just been deleted or damaged is left out, and that is said."""
    entries: list[Entry] = []
    for run_id in run_ids:
        try:
            row = row_of(folder := run_folder(run_id))
        except DistilleryError as error:
            st.warning(as_label(str(error), 300))
            continue
        if row.settings is None:
            st.warning(as_label(f"{row.name} is left out. {row.problem}", 500))
            continue
        place = len(entries)
        entry = Entry(LETTERS[place], RUNS[place], folder, row, row.settings)
        try:
            entry.curves  # noqa: B018  read now, so that a run without curves that can be read has no letter
        except DistilleryError as error:
            st.warning(as_label(f"{row.name} is left out. {error}", 500))
            continue
        entries.append(entry)
    return entries


def show_names(entries: list[Entry]) -> None:
    """Which letter and colour stands for which run."""
    for column, entry in zip(st.columns(len(entries)), entries, strict=True):
        with column.container(border=True, height="stretch"):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.image(letter(entry), width=28, alt=f"Run {entry.letter}")
                show_text(entry.row.name)
            st.caption(as_label(describe(entry.settings), 300))
            if entry.row.state != "finished":
                st.caption(as_label(f"{entry.row.state}: {entry.row.sentence}", 200))


def letter(entry: Entry) -> str:
    """The run's letter in its colour, as SVG."""
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="28" height="28" font-family="system-ui, sans-serif">'
        f'<rect width="28" height="28" rx="6" fill="{entry.colour}"/>'
        f'<text x="14" y="20" text-anchor="middle" font-size="16" font-weight="700" fill="#ffffff">{entry.letter}'
        "</text></svg>"
    )
