"""GLUE from the Hugging Face Hub: one fixed revision, and only where the network has been switched on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from core import network
from core.data.files import DataError
from core.data.glue import TASKS, GlueTexts, Task
from core.data.part import Part
from core.sections import DataSettings

if TYPE_CHECKING:
    from datasets import Dataset

REPOSITORY = "nyu-mll/glue"
REVISION = "bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c"
"""Fixed, so that the same settings mean the same texts next year."""


def read_hub(settings: DataSettings, with_dev: bool = True) -> GlueTexts:
    """The task of the settings from the Hub; MNLI with its matched development set.

    Raises DataError at once where the network is not switched on, and if the Hub cannot be reached.
    """
    require_network()
    task = TASKS[settings.task]
    train, notes = _part(_fetch(task, "train"), task)
    if not with_dev:
        return GlueTexts(task, train, None, notes)
    dev, more = _part(_fetch(task, "validation_matched" if task.name == "MNLI" else "validation"), task)
    return GlueTexts(task, train, dev, notes + more)


def read_hub_mismatched() -> Part:
    """MNLI's second development set, of other genres than it was trained on; errors as `read_hub`."""
    require_network()
    return _part(_fetch(TASKS["MNLI"], "validation_mismatched"), TASKS["MNLI"])[0]


def require_network() -> None:
    """Raise DataError if the network has not been switched on."""
    if not network.is_on():
        raise DataError(
            f"GLUE from the Hub needs the network, which is off. {network.HOW_TO_SWITCH_ON} "
            "Or choose a GLUE folder on this machine as the data."
        )


def _fetch(task: Task, split: str) -> Dataset:
    from datasets import load_dataset

    try:
        return load_dataset(REPOSITORY, task.hub, split=split, revision=REVISION)
    except Exception as error:
        # All kinds: the library lets through whatever its network and file layers raise.
        raise DataError(
            f"{task.name} could not be fetched from {REPOSITORY} on the Hub: {type(error).__name__}. Check the "
            "network, or choose a GLUE folder on this machine as the data."
        ) from error


def _part(rows: Dataset, task: Task) -> tuple[Part, tuple[str, ...]]:
    """The examples in our order of classes; those without a label (−1) are left out and counted in a note."""
    labels = np.asarray(rows["label"], dtype=np.float32)
    kept = np.flatnonzero(labels >= 0)
    if task.labels:
        order = [task.label_names.index(name) for name in rows.features["label"].names]
        labels = np.array([order[int(label)] if label >= 0 else -1 for label in labels], dtype=np.int64)
    columns = [[text.strip() for text in rows[column]] for column in task.hub_texts or task.texts]
    part = Part(columns[0], labels, columns[1] if len(columns) > 1 else None)
    missing = len(labels) - len(kept)
    note = f"{task.name} from the Hub: rows without a label were left out: {missing:,}."
    return (part.take(kept), (note,)) if missing else (part, ())
