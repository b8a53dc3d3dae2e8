"""Changed copies of a task's texts, made without a network, so that a teacher has more to say than there are labels.

Words are dropped, neighbours change places, pairs are turned round or put together anew. What is true of such a text
nobody knows, but the teacher has an answer to it (after TinyBERT, Jiao et al. 2020, section 3.2, where the words that a
copy changes are guessed by a model).
"""

from __future__ import annotations

from functools import reduce

import numpy as np

from core.data.part import Part

DROPPED = 0.15
"""Share of the words that a copy leaves out."""

TURNED, RECOMBINED = 0.4, 0.3
"""Share of the copies in which two neighbouring words, or the two texts of a pair, change places; and of those whose
second half, or second text, is another example's."""

UNKNOWN_CLASS = -1
"""In place of a copy's class. In place of its score there is NaN."""


def with_copies(part: Part, copies: int, seed: int) -> Part:
    """The part, then so many changed copies of each example, their labels unknown. The same for the same seed."""
    made = [changed(part, np.random.default_rng((seed, number))) for number in range(copies)]
    return reduce(Part.joined, made, part)


def repeated(part: Part, times: int) -> Part:
    """The part, so many times one after the other, labels and all."""
    return part if times == 1 else part.take(np.tile(np.arange(len(part)), times))


def changed(part: Part, random: np.random.Generator) -> Part:
    """One changed copy of each example."""
    recombined, turned = random.random(len(part)) < RECOMBINED, random.random(len(part)) < TURNED
    others = np.where(recombined, random.integers(len(part), size=len(part)), np.arange(len(part)))
    unknown = np.full_like(part.labels, np.nan if part.labels.dtype.kind == "f" else UNKNOWN_CLASS)
    if part.pairs is None:
        texts = [
            _changed_text(text, part.texts[other], turn, random)
            for text, other, turn in zip(part.texts, others, turned, strict=True)
        ]
        return Part(texts, unknown)
    columns: tuple[list[str], list[str]] = ([], [])
    for text, other, turn in zip(part.texts, others, turned, strict=True):
        both = (part.pairs[other], text) if turn else (text, part.pairs[other])
        for column, each in zip(columns, both, strict=True):
            column.append(" ".join(_fewer(each.split(), random)))
    return Part(columns[0], unknown, columns[1])


def _changed_text(text: str, other: str, turn: bool, random: np.random.Generator) -> str:
    """A text with the second half of another, which may be itself, some words gone and perhaps two in each other's
    place."""
    words, more = text.split(), other.split()
    words = words[: len(words) // 2] + more[len(more) // 2 :]
    if turn and len(words) > 1:
        place = random.integers(len(words) - 1)
        words[place], words[place + 1] = words[place + 1], words[place]
    return " ".join(_fewer(words, random))


def _fewer(words: list[str], random: np.random.Generator) -> list[str]:
    """The words but for some; all of them where none would be left."""
    kept = random.random(len(words)) >= DROPPED
    return [word for word, keep in zip(words, kept, strict=True) if keep] or words
