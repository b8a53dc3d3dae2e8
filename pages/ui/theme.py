"""What colours mean, once.

Okabe and Ito's palette, told apart by colour-blind viewers too. On white, amber and purple are too pale for words:
a label stands in the text colour beside a stroke of the line's colour.
"""

from __future__ import annotations

import streamlit as st

from core.terms import TERMS, colour_of

TEACHER = "#0072B2"
STUDENT = "#D55E00"
CONTROL = "#7A7A7A"
CLOSENESS = "#E69F00"
"""How near the student's inner picture is to the teacher's."""

COLOURS = {"teacher": TEACHER, "student": STUDENT, "control": CONTROL} | {
    term.name: colour_of(term.name) for term in TERMS
}
"""Hex by meaning. Total loss and agreement are not here: they take the text colour of the theme."""

RUNS = ("#8E6CC0", "#0E8A8A", "#C2477F", "#7A8B00", "#B07A00", "#6B7A99")
"""Runs beside each other, in the order they were chosen: none of the colours above, and each has 3:1 on both themes."""

FALLBACK = {"light": ("#1b1f2a", "#d3d7e2", "#ffffff"), "dark": ("#eceef4", "#3a4050", "#13161c")}


def text_colour(theme_type: str) -> str:
    """Hex of the text in the "light" or "dark" theme: total loss, agreement, and the outline of the paper's marks."""
    return st.get_option(f"theme.{theme_type}.textColor") or FALLBACK[theme_type][0]


def grid_colour(theme_type: str) -> str:
    """Hex of grid lines and other quiet lines in the "light" or "dark" theme."""
    return st.get_option(f"theme.{theme_type}.borderColor") or FALLBACK[theme_type][1]


def ground_colour(theme_type: str) -> str:
    """Hex of what everything stands on in the "light" or "dark" theme: behind words that lie across lines."""
    return st.get_option(f"theme.{theme_type}.backgroundColor") or FALLBACK[theme_type][2]
