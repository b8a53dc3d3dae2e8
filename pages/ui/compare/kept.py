"""The answers to a run's held-out texts: from its folder, or asked for now, in the background and once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

import streamlit as st

from core.runs import folder as runs
from core.runs.comparable import RunToCompare, model_folders
from core.scoring import background
from core.scoring.held_out import HeldOut, ask_held_out, read_held_out, weights_of
from core.scoring.held_out_words import HeldOutWords, ask_held_out_words, read_held_out_words
from pages.ui.compare.file import compute_now
from pages.ui.compare.progress import show_progress
from pages.ui.text import as_label

KEPT = "compare-held-out"


Found = TypeVar("Found", bound=HeldOut | HeldOutWords)


def held_out_of(run: RunToCompare, key: str) -> HeldOut | None:
    """The answers; None while they are being computed, which is then shown, with a button to begin or to stop it.

    `key` keeps the widgets of several parts apart. Raises DistilleryError if a model is missing.
    """
    return _kept_or_asked(run, key, read_held_out, ask_held_out)


def held_out_words_of(run: RunToCompare, key: str) -> HeldOutWords | None:
    """The same for a run whose models fill in hidden words."""
    return _kept_or_asked(run, key, read_held_out_words, ask_held_out_words)


def _kept_or_asked(
    run: RunToCompare,
    key: str,
    read: Callable[[Path, Mapping[str, Path]], Found | None],
    ask: Callable[..., Found],
) -> Found | None:
    run_dir = runs.run_folder(run.run_id)
    folders = model_folders(run_dir)
    name = (run.run_id, "held-out", *weights_of(folders).values())
    kept = st.session_state.get(KEPT)
    if kept is not None and kept[0] == name:
        return kept[1]
    found = read(run_dir, folders)
    task = background.find(name)
    if found is None and task is not None:
        found = task.result
    if found is not None:
        # One at a time: some held-out sets have tens of thousands of texts.
        st.session_state[KEPT] = (name, found)
        return found
    if task is not None and not task.ended:
        show_progress(task, "batches of texts", key)
        return None
    if task is not None and task.state == "failed":
        st.error(as_label(task.reason, 500))
    st.write(
        "For this, both models answer every text of the held-out set: texts that neither has learned from. That is "
        "done once, takes from a few seconds to some minutes, and is kept in the run's folder."
    )
    work = partial(ask, run.settings, run_dir, folders, compute_now(run))
    st.button(
        "Ask both about the held-out texts",
        type="primary",
        key=f"{key}-start",
        on_click=background.start,
        args=(name, work),
    )
    return None
