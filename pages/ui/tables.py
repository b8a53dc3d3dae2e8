"""What every table of numbers looks like: a real table, read aloud cell by cell, a wide one scrolled by hand or by key.

Streamlit's own tables draw on a canvas, or read every cell as markdown and cannot be scrolled without a mouse.
"""

from __future__ import annotations

from html import escape
from pathlib import Path

import streamlit as st

from pages.ui.stacks import theme_type
from pages.ui.theme import grid_colour, text_colour

STYLE = Path(__file__).with_name("tables.css").read_text(encoding="utf-8")

COLOURS_OF_THEME = {
    "light": {
        "page": "#ffffff", "quiet": "#535a6b", "band": "#f3f4f8", "best": "#dcefe6",
        "here": "#e1ecf9", "here-text": "#0b4a85", "demo": "#fdecd6", "demo-text": "#7f3f00",
    },
    "dark": {
        "page": "#13161c", "quiet": "#a9b0c0", "band": "#1f232d", "best": "#17402f",
        "here": "#17304d", "here-text": "#a3cdf7", "demo": "#452f10", "demo-text": "#f6c78d",
    },
}  # fmt: skip


def begin() -> None:
    """Draw nothing, so early that what draws tables has been loaded before the first table comes.

    Without it a table stands there without height, and what is below it jumps when it grows.
    """
    st.html(f"<style>{STYLE}</style>")


def frame(rows: str, title: str, widest_rem: float) -> str:
    """A table from its rows in HTML, with nothing foreign left unescaped in them. `title` is read aloud."""
    title = escape(title)
    return (
        f"<style>{STYLE}</style>"
        f'<div class="results" style="{properties()};max-width:{widest_rem:g}rem" role="region" aria-label="{title}" '
        f'tabindex="0"><table aria-label="{title}">{rows}</table></div>'
    )


def properties() -> str:
    """The colours of the viewer's theme, as the style sheet wants them."""
    kind = theme_type()
    colours = COLOURS_OF_THEME[kind] | {"line": grid_colour(kind), "text": text_colour(kind)}
    return ";".join(f"--{name}:{colour}" for name, colour in colours.items())
