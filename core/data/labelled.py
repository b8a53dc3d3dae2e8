"""Labelled text in three parts: train, validation (the live curves) and test (the final score, looked at once).

Every source is read into the same form and then split in one of the ways of `core/data/splits.py`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from core.data.bundled import LABEL_NAMES, read_bundled
from core.data.csv_labels import labelled_csv
from core.data.glue import LEAK, GlueTexts, read_glue
from core.data.hub import read_hub
from core.data.part import LabelledData, Part
from core.data.splits import official_split, random_split, without_copies_noted
from core.errors import DistilleryError
from core.sections import DataSettings

__all__ = ["LabelledData", "Part", "load_labelled", "majority_share"]


def load_labelled(settings: DataSettings) -> LabelledData:
    """The chosen data, split as chosen, no text in two of the parts.

    Raises DistilleryError, with file and line where there are such, if the data is missing or cannot be used.
    """
    if settings.source == "glue_folder" or settings.source == "glue_hub":
        return _glue(settings)
    if settings.source == "csv":
        texts = labelled_csv(settings)
        data = random_split(texts.label_names, texts.part, settings.max_examples, settings.split_seed)
        return replace(data, notes=texts.notes + data.notes)
    if settings.source == "text":
        raise DistilleryError("Plain text has no labels to learn. Choose other data, or the objective masked words.")
    part = read_bundled(settings.source)
    return random_split(LABEL_NAMES, part, settings.max_examples, settings.split_seed)


def remarks_on(settings: DataSettings) -> tuple[str, ...]:
    """What a person should know about a file of labelled texts before it is learned; reads all of it.

    Raises DistilleryError as `load_labelled`, for what is wrong before the texts are split.
    """
    if settings.source != "csv":
        return ()
    texts = labelled_csv(settings)
    return texts.notes + without_copies_noted(texts.label_names, texts.part)[1]


def majority_share(labels: NDArray[np.int64]) -> float:
    """Accuracy of always answering the most frequent label: what a score must beat to mean anything."""
    return float(np.bincount(labels).max() / len(labels))


def _glue(settings: DataSettings) -> LabelledData:
    read = read_glue if settings.source == "glue_folder" else read_hub
    texts = read(settings, with_dev=settings.split != "random")
    data = _split_glue(texts, settings)
    return replace(data, notes=data.notes + texts.notes)


def _split_glue(texts: GlueTexts, settings: DataSettings) -> LabelledData:
    names, most, seed = texts.task.label_names, settings.max_examples, settings.split_seed
    if texts.dev is None:
        return random_split(names, texts.train, most, seed)
    if settings.split == "merged":
        data = random_split(names, texts.train.joined(texts.dev), most, seed)
        return replace(data, test_split="merged test", notes=(_merged_note(texts, texts.dev), *data.notes))
    data = official_split(names, texts.train, texts.dev, most, seed)
    leak = (LEAK,) if texts.task.name == "SST-2" else ()
    return replace(data, test_split=texts.dev_name, notes=data.notes + leak)


def _merged_note(texts: GlueTexts, dev: Part) -> str:
    parts = ": parts of a test sentence are among the training examples" if texts.task.name == "SST-2" else ""
    return (
        f"Train and development set were merged ({len(texts.train) + len(dev):,} examples) and split again at random. "
        f"That is easier than the official development set{parts}; do not compare the two."
    )
