"""What is wrong with the form, said below the fields that it is about."""

from __future__ import annotations

import re

import streamlit as st

from pages.ui import form
from pages.ui.draft import Draft
from pages.ui.text import as_label


def show_problems(draft: Draft, section: str) -> None:
    """Say what is wrong with a section."""
    for sentence in _problems_of(draft, section):
        st.error(in_words(sentence))


def has_been_wrong(draft: Draft, *sections: str) -> bool:
    """For a lid that opens over a mistake and does not fall shut while somebody corrects it."""
    key = f"{sections[0]}-has-been-wrong"
    wrong = any(_problems_of(draft, section) for section in sections)
    st.session_state[key] = st.session_state.get(key, False) or wrong
    return st.session_state[key]


def in_words(sentence: str) -> str:
    """A complaint for the screen: a field's title in place of its path, an empty field for null, and no markdown."""
    for section, model in form.SECTIONS.items():
        for name, info in model.model_fields.items():
            sentence = re.sub(rf"\b{section}\.{name}\b", f"“{info.title}”", sentence)
    return as_label(without_null(sentence), 400)


def without_null(sentence: str) -> str:
    """A complaint of the settings as somebody reads it who looks at fields and not at JSON."""
    return sentence.replace(", or null", ", or an empty field")


def _problems_of(draft: Draft, section: str) -> list[str]:
    return [
        sentence
        for path, sentence in draft.problems.items()
        if path.startswith(section) or (not path and sentence.lower().startswith(section))
    ]
