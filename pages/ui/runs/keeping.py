"""What a run keeps on the disk, and its curves for other tools: files, checkpoints, TensorBoard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import streamlit as st

from core import numbers
from core.errors import DistilleryError
from core.runs.disk import checkpoints, sizes
from core.runs.tensorboard import FOLDER, is_written, refresh_tensorboard, remove_tensorboard, write_tensorboard
from pages.ui.attempt import attempt
from pages.ui.runs.table import megabytes

MEANING = {
    "student": "student: a plain folder for from_pretrained",
    "checkpoints": "checkpoints: what the run can go on from",
    "metrics.jsonl": "metrics.jsonl: every loss, score and watched answer",
    "tensorboard": "tensorboard: the same curves as an event file",
    "export": "export: the ONNX files",
}


Columns = dict[str, Sequence[str | float]]
"""A table by its titles, each column as long as the others."""


def show_files(folder: Path) -> None:
    """Where the run lies, how large its parts are, and its checkpoints."""
    parts = sizes(folder)
    with st.expander(f"On disk: {megabytes(sum(parts.values()))}"):
        st.code(str(folder), language=None)
        table: Columns = {"part": [MEANING.get(part, part) for part in parts], "MB": [*parts.values()]}
        _show_sizes(table, "The parts of the run's folder and their sizes")
        saved = checkpoints(folder)
        if saved:
            st.markdown(f"**{numbers.plural('Checkpoint', len(saved))}**, the newest first")
            columns: Columns = {
                "of the": [each.stage for each in saved],
                "after step": [each.step for each in saved],
                "MB": [each.size_mb for each in saved],
            }
            _show_sizes(columns, "The run's checkpoints")
        else:
            st.caption("There are no checkpoints: a run that has finished no longer needs them.")


def _show_sizes(columns: Columns, alt: str) -> None:
    sized = {"MB": st.column_config.NumberColumn(format="%.2f", width="small")}
    st.dataframe(columns, hide_index=True, width="content", height="content", column_config=sized, alt=alt)


def show_other_tools(folder: Path) -> None:
    """The curves for other programs: metrics.jsonl as it is, and a switch that writes a TensorBoard event file."""
    with st.expander("Curves for other tools"):
        st.write("Every value that was recorded stands in one file, one JSON object a line; the README describes it.")
        st.code(str(folder / "metrics.jsonl"), language=None)
        key = f"tensorboard-{folder.name}"
        st.session_state[key] = is_written(folder)
        st.toggle("TensorBoard event file", key=key, on_change=attempt, args=(_switch, folder))
        if is_written(folder):
            attempt(_kept_fresh, folder)
            st.caption("Written anew whenever the run has gone on and this page is opened. To look at it:")
            st.code(f'tensorboard --logdir "{folder / FOLDER}"', language=None)


def _switch(folder: Path) -> None:
    if st.session_state[f"tensorboard-{folder.name}"]:
        _in_words(write_tensorboard, folder)
    else:
        remove_tensorboard(folder)


def _kept_fresh(folder: Path) -> None:
    _in_words(refresh_tensorboard, folder)


def _in_words(action: Callable[[Path], object], folder: Path) -> None:
    try:
        action(folder)
    except OSError as error:
        raise DistilleryError(f"The event file could not be written: {error.strerror}.") from error
