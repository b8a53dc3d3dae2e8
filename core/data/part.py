"""Texts with their labels: what every source of labelled data is turned into."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Classes = NDArray[np.int64]
Labels = Classes | NDArray[np.float32]
"""Classes as numbers from 0, or scores."""


@dataclass(frozen=True)
class Part:
    """Texts and their labels, one for one: classes as numbers from 0, or scores. `pairs` are the second texts.

    `lines` says where each begins in the file that a person named; None where there is none.
    """

    texts: list[str]
    labels: Labels
    pairs: list[str] | None = None
    lines: list[int] | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, examples: NDArray[np.int64]) -> Part:
        """The named examples, in the order named."""
        pairs = None if self.pairs is None else [self.pairs[i] for i in examples]
        lines = None if self.lines is None else [self.lines[i] for i in examples]
        return Part([self.texts[i] for i in examples], self.labels[examples], pairs, lines)

    def joined(self, other: Part) -> Part:
        """This part, then the other one."""
        pairs = None if self.pairs is None or other.pairs is None else self.pairs + other.pairs
        return Part(self.texts + other.texts, np.concatenate([self.labels, other.labels]), pairs)

    def keys(self) -> list[tuple[str, ...]]:
        """What makes two examples copies of each other: the words of both texts, whatever their case and spacing."""
        return list(zip(*(map(same_words, column) for column in self.columns())))  # noqa: B905  one or two columns

    def columns(self) -> list[list[str]]:
        """The texts and, where there are pairs, the second texts."""
        return [self.texts] if self.pairs is None else [self.texts, self.pairs]


@dataclass(frozen=True)
class LabelledData:
    """A labelled data set, split. Without label names the labels are scores.

    `test_split` names the part that is scored last, `notes` are sentences for whoever reads that score.
    """

    label_names: tuple[str, ...]
    train: Part
    validation: Part
    test: Part
    test_split: str = "test"
    notes: tuple[str, ...] = ()


def numbers_of(labels: Sequence[float], are_classes: bool) -> Labels:
    """Labels as an array, (N,), of the type that classes and scores each have."""
    return np.array(labels, dtype=np.int64) if are_classes else np.array(labels, dtype=np.float32)


def same_words(text: str) -> str:
    """The text in small letters with single spaces: equal for copies that differ in case and spacing only."""
    return " ".join(text.lower().split())
