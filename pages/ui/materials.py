"""What both models read and who teaches: of each choice only the fields that matter for it."""

from __future__ import annotations

import streamlit as st

from core import numbers
from core.models.families import FAMILIES
from core.models.outline import TeacherOutline, possible_terms, why_not
from core.numbers import plural
from pages.ui import form
from pages.ui.complaints import show_problems
from pages.ui.draft import Draft
from pages.ui.text import as_label

PLACES = {
    "glue_folder": "the folder with SST-2, MRPC and so on inside",
    "csv": "for example reviews.csv",
    "text": "a .txt file, or a folder of them",
}
"""What a path is asked for, by the choice of data."""


def show_data(draft: Draft) -> None:
    """The texts, what is wrong with them, and how many there are."""
    without = "text" if st.session_state[form.OBJECTIVE] == "labels" else ""
    columns = st.columns([1.7, 1, 1, 1])
    with columns[0]:
        form.field("data", "source", without=without)
    for column, name in zip(columns[1:], ("max_examples", "max_tokens", "split_seed"), strict=True):
        with column:
            form.field("data", name)
    if place := tuple(name for name in ("path", "task", "split") if form.matters("data", name)):
        empty = PLACES.get(form.value_of("data", "source"), "")
        form.fields_in_columns("data", place, first_width=2 if "path" in place else 1, empty=empty)
    names = ("text_column", "pair_column", "label_column", "label_kind")
    if columns_of_csv := tuple(name for name in names if form.matters("data", name)):
        form.fields_in_columns("data", columns_of_csv)
    show_problems(draft, "data")
    if draft.texts:
        st.caption(
            f"{'' if draft.texts.exact else 'About '}{numbers.whole(draft.texts.examples)} examples, "
            f"{draft.texts.pieces:.3g} word pieces in one on average."
        )
        for remark in draft.texts.remarks:
            st.warning(as_label(remark, 1000))


def show_teacher(draft: Draft) -> None:
    """The teacher, how it learns first, what is wrong with it, and what it is."""
    columns = st.columns([1.7, 1, 1, 1, 1])
    for column, name in zip(columns, ("source", "epochs", "batch_size", "learning_rate", "seed"), strict=True):
        with column:
            form.field("teacher", name)
    for name in ("path", "hub_id"):
        if form.matters("teacher", name):
            form.field("teacher", name, empty="a folder with config.json, model.safetensors and the words")
    if form.value_of("teacher", "source") != "minilm":
        st.caption(f"Known families: {', '.join(family.title for family in FAMILIES.values())}.")
    show_problems(draft, "teacher")
    known = _in_words(draft.teacher) if draft.teacher else ""
    once = "The teacher is trained once for these choices and then kept: later runs start with the student."
    st.caption(f"{known}{once}")


def _in_words(teacher: TeacherOutline) -> str:
    """What the teacher is and can do, and what its student will be; known before anything is loaded."""
    objective, without = st.session_state[form.OBJECTIVE], why_not(teacher, "masked_words")
    words = "; it can guess words already" if teacher.has_word_head else "; it first learns to guess words"
    said = (
        f"This teacher, of the family {teacher.title}, has {teacher.depth} {plural('layer', teacher.depth)} of width "
        f"{numbers.whole(teacher.width)} and {numbers.whole(teacher.vocabulary)} word pieces"
        f"{words if objective == 'masked_words' and not without else ''}. "
    )
    if without:
        said += f"It teaches labels and no masked words: {without}. "
    terms = [term.label for term in possible_terms(teacher, objective)]
    if not terms:
        return said
    learned = as_label(", ".join(terms), 300)
    return f"{said}The class of its student is {teacher.student_class(objective)}, which can learn by: {learned}. "
