"""Foreign text on the screen: sentences, names and messages that somebody else wrote.

Streamlit reads most text as markdown, in which a line can load an image from elsewhere or cover the page. Whatever
the user or a file wrote goes through here.
"""

from __future__ import annotations

import re

import streamlit as st

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:&\"'=/@^])")

# A bare address becomes a link even where every sign of it is escaped; it does not if its parts do not touch.
_ADDRESS = re.compile(r"(?i)(https?:/|www|@)(?=[/.\w])")
WORD_JOINER = "\u2060"


def clean(text: str) -> str:
    """The text with control characters, direction overrides and lone surrogates shown as \ufffd."""
    return _CONTROL.sub("\ufffd", text)


def show_text(text: str) -> None:
    """Show foreign text as it is: no markdown, no links, no formulas."""
    st.text(clean(text))


def as_label(text: str, longest: int = 80) -> str:
    """Foreign text for places that Streamlit always reads as markdown (labels, tabs): every sign escaped, one line."""
    line = " ".join(clean(text).split())
    short = line if len(line) <= longest else line[: longest - 1] + "…"
    return _MARKDOWN.sub(r"\\\1", _ADDRESS.sub(rf"\1{WORD_JOINER}", short))
