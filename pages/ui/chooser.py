"""The run that a page is about: named in its address, so that the page can be kept as a bookmark, or chosen here."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from pages.ui.text import as_label


def choose_run(
    run_ids: list[str], key: str, describe: Callable[[str], str], why_not: Callable[[str], str], first: str = ""
) -> str:
    """The run in the address, or `first`, until another is chosen; the address then names it.

    Without `first` it is the first of these. `why_not` says of a run that is in the address, but not among these, why
    it cannot be shown.
    """
    asked = st.query_params.get("run")
    if st.session_state.get(key) not in run_ids:
        st.session_state[key] = asked if asked in run_ids else first or run_ids[0]
    chosen = st.selectbox("Run", run_ids, format_func=describe, key=key)
    if asked is not None and asked not in run_ids:
        st.warning(as_label(f"{why_not(asked)} Another is shown instead.", 300))
    st.query_params["run"] = chosen
    return chosen
