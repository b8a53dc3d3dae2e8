"""What is asked: the field or fields that a person types in, and examples that fill them."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.runs.comparable import Kind, RunToCompare
from core.scoring.answers import Lines, read_lines, read_pair
from pages.ui.examples import Example, examples_for
from pages.ui.form import KEPT

EXAMPLE = "compare-example"

# Where the session keeps what is typed: for each kind of run its own, so that changing the run loses nothing.
TEXTS: dict[Kind, tuple[str, ...]] = {
    "texts": ("compare-text",),
    "words": ("compare-words",),
    "pairs": ("compare-first", "compare-second"),
}

ASKED = {
    "texts": "Type a sentence, or click an example.",
    "words": "Type a sentence with [MASK] for the hidden word, or click an example.",
    "pairs": "Type both texts, or click an example.",
}


def show_question(run: RunToCompare, several: bool = True) -> Lines:
    """The fields and the examples; returns what is typed. Without `several` the first line counts."""
    examples = examples_for(run.settings)
    lines = _show_fields(run.kind, next(iter(examples.values())), several)
    with st.container(horizontal=True, vertical_alignment="center"):
        # Leaving the text field already asks; the button is for those who look for one.
        st.button("Compare", type="primary", key="compare-ask")
        more = ["All of them"] if several and run.kind != "pairs" else []
        st.pills(
            "Examples",
            [*examples, *more],
            key=EXAMPLE,
            on_change=_take_example,
            args=(run.kind, examples),
            label_visibility="collapsed",
            wrap=True,
        )
    return lines


def is_asked(run: RunToCompare, lines: Lines) -> bool:
    """True if there is something to answer; else says what to type. Notes about what was left out are shown."""
    if len(lines.sentences) < len(TEXTS[run.kind]):
        st.info(ASKED[run.kind])
        return False
    for note in lines.notes:
        st.caption(note)
    return True


def put(kind: Kind, texts: Sequence[str]) -> None:
    """Write a text, or the two of a pair, where a person would type it. In a callback: before widgets are drawn."""
    st.session_state.update(zip(TEXTS[kind], texts, strict=True))


def _show_fields(kind: Kind, first: Example, several: bool) -> Lines:
    for key, text in zip(TEXTS[kind], first, strict=True):
        st.session_state.setdefault(key, text)
    if kind == "pairs":
        fields = zip(TEXTS[kind], ("First text", "Second text"), st.columns(2), strict=True)
        return read_pair(*(field.text_area(label, key=key, height=80, **KEPT) for key, label, field in fields))
    label = "Your sentence" if kind == "texts" else "Your sentence with a [MASK]"
    lines = read_lines(
        st.text_area(f"{label}, or one a line" if several else label, key=TEXTS[kind][0], height=80, **KEPT)
    )
    if several or len(lines.sentences) < 2:
        return lines
    return Lines(lines.sentences[:1], (*lines.notes, "Here the first line counts."))


def _take_example(kind: Kind, examples: dict[str, Example]) -> None:
    """Put the chosen example where the viewer would type; it can be chosen again after that."""
    name = st.session_state[EXAMPLE]
    if name is not None:
        every = ("\n".join(text for (text,) in examples.values()),) if name not in examples else examples[name]
        put(kind, every)
    st.session_state[EXAMPLE] = None
