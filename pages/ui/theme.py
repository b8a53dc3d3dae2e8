"""What colours mean, once, and the look of every chart.

Okabe and Ito's palette, told apart by colour-blind viewers too. On white, amber and purple are too pale for words:
a label stands in the text colour beside a stroke of the line's colour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    import plotly.graph_objects as go

TEACHER = "#0072B2"
STUDENT = "#D55E00"
CONTROL = "#7A7A7A"
SOFT = "#CC79A7"
HARD = "#009E73"
COSINE = "#E69F00"
PAPER = "rgba(0,0,0,0)"
"""The paper's markers are outlined and never filled; the outline is the text colour."""

DASH = {"teacher": "dash", "student": "solid", "control": "dot"}

COLOURS = {
    "teacher": TEACHER,
    "student": STUDENT,
    "control": CONTROL,
    "soft": SOFT,
    "hard": HARD,
    "cosine": COSINE,
}
"""Hex by meaning. Total loss and agreement are not here: they take the text colour of the theme."""

FONT = '"Source Sans", sans-serif'
FALLBACK = {"light": ("#1b1f2a", "#d3d7e2"), "dark": ("#eceef4", "#3a4050")}


def text_colour(theme_type: str) -> str:
    """Hex of the text in the "light" or "dark" theme: total loss, agreement, and the outline of the paper's marks."""
    return st.get_option(f"theme.{theme_type}.textColor") or FALLBACK[theme_type][0]


def grid_colour(theme_type: str) -> str:
    """Hex of grid lines and other quiet lines in the "light" or "dark" theme."""
    return st.get_option(f"theme.{theme_type}.borderColor") or FALLBACK[theme_type][1]


def template(theme_type: str) -> go.layout.Template:
    """The look of a static chart in the "light" or "dark" theme; draw it with `st.plotly_chart(theme=None)`.

    Transparent, no legend (label the lines at their end), one hover box for all lines at the same x.
    """
    import plotly.graph_objects as go

    text, grid = text_colour(theme_type), grid_colour(theme_type)
    axis = {"gridcolor": grid, "linecolor": grid, "zeroline": False, "ticks": "", "automargin": True}
    return go.layout.Template(
        layout={
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"family": FONT, "size": 14, "color": text},
            "colorway": list(COLOURS.values()),
            "hovermode": "x unified",
            "hoverlabel": {"font": {"family": FONT, "size": 14}},
            "showlegend": False,
            "margin": {"l": 56, "r": 24, "t": 16, "b": 48},
            "xaxis": axis | {"showgrid": False},
            "yaxis": axis,
        }
    )
