"""Who is right, wherever the true label is known: two models that agree may both be wrong."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from core.runs.comparable import RunToCompare
from pages.ui.compare.names import all_of

TRUTH = "compare-truth"
"""Where the session keeps the true label of the text that was taken from the held-out set, with that text."""


def who_is_right(is_right: Mapping[str, bool]) -> str:
    """Which models are right, in a word or two: "both", "none", "student", "teacher, second student"."""
    if all(is_right.values()):
        return all_of(len(is_right)).lower()
    return ", ".join(name for name, right in is_right.items() if right) or "none"


def right_or_wrong(said: Mapping[str, str], truth: str) -> str:
    """Who is right in a sentence: "True is negative: both are wrong."."""
    is_right = {name: label == truth for name, label in said.items()}
    if len(set(is_right.values())) == 1:
        verb = "is" if len(is_right) == 1 else "are"
        how = f"{all_of(len(is_right)).lower()} {verb} {'right' if all(is_right.values()) else 'wrong'}"
    else:
        how = ", ".join(f"the {name} is {'right' if right else 'wrong'}" for name, right in is_right.items())
    return f"True is {truth}: {how}."


def remember_truth(run: RunToCompare, texts: list[str], truth: str) -> None:
    """Keep what is true of a text that is about to be asked side by side. Empty where nobody knows it as a label."""
    st.session_state[TRUTH] = (run.run_id, texts, truth)


def truth_of(run: RunToCompare, texts: list[str]) -> str:
    """The true label of what is asked now; empty unless it came from this run's held-out set and is unchanged."""
    run_id, kept, truth = st.session_state.get(TRUTH, ("", [], ""))
    return truth if (run_id, kept) == (run.run_id, texts) else ""
