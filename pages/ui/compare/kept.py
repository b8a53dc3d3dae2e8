"""The answers to a run's held-out texts: from its folder, or asked for now, in the background and once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import streamlit as st

from core.jobs import folder as jobs
from core.runs import folder as runs
from core.runs.comparable import RunToCompare, model_folders
from core.scoring import job
from core.scoring.held_out import HeldOut, read_held_out, weights_of
from core.scoring.held_out_words import HeldOutWords, read_held_out_words
from pages.ui.compare.file import compute_now
from pages.ui.compare.progress import begin_or_say, show_progress
from pages.ui.text import as_label

KEPT = "compare-held-out"
MOST = 2
"""Held-out sets in the session, a run's and its control's: some have tens of thousands of texts."""

Found = TypeVar("Found", bound=HeldOut | HeldOutWords)


def held_out_of(run: RunToCompare, key: str) -> HeldOut | None:
    """The answers; None while they are being computed, which is then shown, with a button to begin or to stop it.

    `key` keeps the widgets of several parts apart. Raises DistilleryError if a model is missing.
    """
    return _kept_or_asked(run, key, read_held_out)


def held_out_words_of(run: RunToCompare, key: str) -> HeldOutWords | None:
    """The same for a run whose models fill in hidden words."""
    return _kept_or_asked(run, key, read_held_out_words)


def kept_held_out(run: RunToCompare) -> HeldOut | None:
    """The answers if they have been asked for, and nothing else. Raises DistilleryError if a model is missing."""
    return _kept(run, read_held_out)[1]


def _kept(
    run: RunToCompare, read: Callable[[Path, Mapping[str, Path]], Found | None]
) -> tuple[dict[str, str], Found | None]:
    """Whose weights answer, and their answers, read once as long as these are the weights."""
    run_dir = runs.run_folder(run.run_id)
    folders = model_folders(run_dir)
    weights = weights_of(folders)
    name, kept = (run.run_id, *weights.values()), st.session_state.setdefault(KEPT, {})
    if name not in kept and (found := read(run_dir, folders)) is not None:
        for oldest in list(kept)[: len(kept) + 1 - MOST]:
            del kept[oldest]
        kept[name] = found
    return weights, kept.get(name)


def _kept_or_asked(
    run: RunToCompare,
    key: str,
    read: Callable[[Path, Mapping[str, Path]], Found | None],
) -> Found | None:
    weights, found = _kept(run, read)
    if found is not None:
        return found
    work = job.held_out_job(run.run_id, weights)
    status = jobs.find_status(work)
    if status is not None and status.state not in jobs.ENDED:
        show_progress(work, "batches of texts", key)
        return None
    if status is not None and status.state in ("failed", "interrupted"):
        st.error(as_label(status.sentence, 500))
    st.write(
        "For this, both models answer every text of the held-out set: texts that neither has learned from. That is "
        "done once, takes from a few seconds to some minutes, and is kept in the run's folder."
    )
    st.button(
        "Ask both about the held-out texts",
        type="primary",
        key=f"{key}-start",
        on_click=begin_or_say,
        args=(job.start_held_out, work, run.run_id, compute_now(run)),
    )
    return None
