"""All runs: find one, open it, choose some to compare or delete."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from urllib.parse import unquote

import streamlit as st

from core import numbers
from core.config import Settings, extra
from core.runs.folder import run_folder
from core.runs.table import RunRow, list_rows
from pages.ui.form import KEPT
from pages.ui.recipe import describe
from pages.ui.runs.kept import show_kept
from pages.ui.runs.removing import ask_to_remove
from pages.ui.runs.table import is_active, megabytes, show_table, state_of, ticked_ids

FEWEST, MOST = 2, 6
"""So many runs can be compared at once: fewer are no comparison, more are a tangle."""

EVERY_S = 5.0
"""How often the list looks again while a run trains or waits."""

SEARCH, STATES, OBJECTIVE = "runs-search", "runs-states", "runs-objective"
ORDER = ("running", "preparing", "stopping", "queued", "finished", "stopped", "interrupted", "failed", "broken")


def show_list() -> None:
    """The page without a run in its address."""
    st.title("Runs", anchor=False)
    rows = list_rows()
    if not rows:
        show_empty()
        show_kept()
        return
    st.write("Every student you have trained here. Open one, or tick some to see them beside each other.")
    _show_filters(rows)
    active = any(map(is_active, rows))
    st.fragment(_show_found, run_every=EVERY_S if active else None)(was_active=active)
    show_kept()


def show_empty() -> None:
    """No run yet: where to start one."""
    st.info("No run yet. Start one on the Distil page; it will stay here, whatever happens to this tab.")
    if st.button("Set up a run", type="primary", key="first-run"):
        st.switch_page("../distill.py")


def found(rows: Sequence[RunRow], search: str, states: Sequence[str], objective: str | None) -> list[RunRow]:
    """The rows that hold every word of `search` somewhere, in one of the states, with the objective; empty: any."""
    wanted = search.casefold().split()
    return [
        row
        for row in rows
        if (not states or state_of(row) in states)
        and (objective is None or (row.settings is not None and row.settings.objective == objective))
        and all(word in _searched(row) for word in wanted)
    ]


def _searched(row: RunRow) -> str:
    recipe = describe(row.settings) if row.settings else ""
    return " ".join((row.run_id, row.name, row.notes, recipe, state_of(row), row.problem)).casefold()


def _show_filters(rows: Sequence[RunRow]) -> None:
    counts = Counter(map(state_of, rows))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input("Search", key=SEARCH, placeholder="name, note, data, recipe", width=280, **KEPT)
        _show_choice("State", [word for word in ORDER if counts[word]], STATES, counts)
        if len({row.settings.objective for row in rows if row.settings}) > 1:
            options = extra(Settings, "objective")["options"]
            st.pills("What is learned", list(options), format_func=options.get, key=OBJECTIVE, **KEPT)


def _show_choice(label: str, options: list[str], key: str, counts: Counter[str]) -> None:
    if len(options) > 1 or st.session_state.get(key):
        st.session_state[key] = [word for word in st.session_state.get(key, []) if word in options]
        st.pills(
            label,
            options,
            selection_mode="multi",
            format_func=lambda word: f"{word} {counts[word]}",
            key=key,
            wrap=True,
            **KEPT,
        )


def _show_found(was_active: bool) -> None:
    rows = list_rows()
    # The filters and the banner above belong to the whole page, which must hear that the last run has ended.
    if was_active and not any(map(is_active, rows)):
        st.rerun()
    chosen = st.session_state
    shown = found(rows, chosen.get(SEARCH, ""), chosen.get(STATES, []), chosen.get(OBJECTIVE))
    if not shown:
        st.info("No run matches. Take words from the search, or choose other states.")
        return
    ticked = set(ticked_ids())
    # The buttons first: drawn after the table, on a busy machine, they would push it from under the mouse.
    with st.container(horizontal=True, vertical_alignment="center"):
        _show_actions([row for row in rows if row.run_id in ticked], rows, shown)
    opened = show_table(shown)
    if opened is not None:
        go_to(run=opened)


def _show_actions(ticked: list[RunRow], rows: Sequence[RunRow], shown: Sequence[RunRow]) -> None:
    comparable = [row.run_id for row in ticked if row.settings is not None]
    fits = FEWEST <= len(comparable) <= MOST
    if st.button(
        "Compare", key="compare-runs", type="primary", icon=":material/stacked_line_chart:", disabled=not fits
    ):
        go_to(runs=in_address(comparable))
    if st.button("Delete", key="delete-runs", icon=":material/delete:", disabled=not ticked):
        ask_to_remove([run_folder(row.run_id) for row in ticked])
    if st.button("Set up a run", key="another"):
        st.switch_page("../distill.py", query_params={"new": "1"})
    words = f"{len(ticked)} ticked" if ticked else f"Tick {FEWEST} to {MOST} runs to compare them"
    if len(comparable) > MOST:
        words = f"{len(comparable)} ticked; at most {MOST} can be compared"
    st.caption(words)
    st.space("stretch")
    st.caption(f"{_count(shown, rows)}, {megabytes(sum(row.size_mb for row in shown))} on disk")


def _count(shown: Sequence[RunRow], rows: Sequence[RunRow]) -> str:
    everything = f"{numbers.whole(len(rows))} {numbers.plural('run', len(rows))}"
    return everything if len(shown) == len(rows) else f"{numbers.whole(len(shown))} of {everything}"


def in_address(run_ids: Sequence[str]) -> str:
    """Several ids as an address of this page has them. A folder's name may hold a comma too."""
    return ",".join(run_id.replace("%", "%25").replace(",", "%2C") for run_id in run_ids)


def from_address(asked: str, known: Collection[str]) -> list[str]:
    """The ids in an address, each once; one that is written as it is counts too."""
    pieces = filter(None, asked.split(","))
    return list(dict.fromkeys(piece if piece in known else unquote(piece) for piece in pieces))


def go_to(**address: str) -> None:
    """Show what an address of this page names; from inside a fragment too."""
    st.query_params.from_dict(address)
    st.rerun()
