"""What is kept of trained teachers, and how to have the room back."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from core import numbers
from core.errors import DistilleryError
from core.runs.kept import delete_answers, delete_unused, kept_teachers
from pages.ui.runs.removing import SAID
from pages.ui.runs.table import megabytes


def show_kept() -> None:
    """An expander with the sizes and two buttons; nothing where nothing is kept."""
    kept = kept_teachers()
    if not kept:
        return
    answers, unused = sum(one.answers_mb for one in kept), [one for one in kept if not one.runs]
    unused_mb = sum(one.model_mb + one.answers_mb for one in unused)
    everything = sum(one.model_mb + one.answers_mb for one in kept)
    with st.expander(f"Kept for later runs: {megabytes(everything)}", key="kept-on-disk"):
        st.write(
            f"{numbers.whole(len(kept))} trained {numbers.plural('teacher', len(kept))} "
            f"({megabytes(everything - answers)}), so that the next run with the same data need not teach one, and "
            f"what they said about every training example ({megabytes(answers)}). Deleted answers are asked for "
            "again; a deleted teacher is taught again."
        )
        with st.container(horizontal=True):
            _button(f"Delete the answers ({megabytes(answers)})", "delete-answers", delete_answers, not answers)
            label = f"Delete teachers that no run learned from ({megabytes(unused_mb)})"
            _button(label, "delete-teachers", delete_unused, not unused)


def _button(label: str, key: str, delete: Callable[[], None], disabled: bool) -> None:
    icon = ":material/delete:"
    st.button(label, key=key, icon=icon, disabled=disabled, on_click=_delete, args=(delete,))


def _delete(delete: Callable[[], None]) -> None:
    try:
        delete()
        said = "Deleted."
    except DistilleryError as error:
        said = str(error)
    except OSError as error:
        said = f"It could not be deleted: {error.strerror}."
    st.session_state[SAID] = [said]
