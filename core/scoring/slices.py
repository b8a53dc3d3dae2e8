"""Where a student falls behind: shares of right and of equal answers by kind of text, each with its interval.

Pure arithmetic on stored answers. What makes a text belong to a slice is written so that a person can check it by eye.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.intervals import wilson

SELDOM = 2
"""A word is rare if the training texts hold it at most so often."""

NEGATIONS = frozenset(
    "no not never none nobody nothing nowhere neither nor without hardly barely scarcely cannot cant dont doesnt didnt "
    "isnt arent wasnt werent wont wouldnt shouldnt couldnt havent hasnt hadnt aint".split()
)

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_NUMBER = re.compile(r"\d")


@dataclass(frozen=True)
class Share:
    """How many of how many, and the 95 % interval of the share behind it (Wilson 1927)."""

    hits: int
    count: int

    @property
    def value(self) -> float | None:
        """The share, 0 to 1; None of nothing."""
        return self.hits / self.count if self.count else None

    @property
    def interval(self) -> tuple[float, float]:
        """Both ends, 0 to 1."""
        return wilson(self.hits, self.count)


@dataclass(frozen=True)
class Slice:
    """Some of the texts: what they have in common, the rule in words, and which they are, (N,) of bool."""

    name: str
    rule: str
    members: NDArray[np.bool_]


@dataclass(frozen=True)
class SliceRow:
    """What both models do on a slice: equal answers, and right answers of each."""

    slice: Slice
    agreement: Share
    teacher: Share
    student: Share

    @property
    def count(self) -> int:
        """Texts in the slice."""
        return self.agreement.count


def words_of(text: str) -> list[str]:
    """The words of a text in small letters; "don't" is one."""
    return _WORD.findall(text.lower())


def has_negation(text: str) -> bool:
    """True if a word of the text denies something: "not", "never", "isn't" and their like."""
    return any(word.replace("’", "'").replace("'", "") in NEGATIONS or word.endswith("n't") for word in words_of(text))


def seldom_words(texts: Iterable[str], training: Iterable[str]) -> list[int]:
    """How many different words of each text the training texts hold at most `SELDOM` times."""
    counts = Counter(word for text in training for word in words_of(text))
    return [sum(counts[word] <= SELDOM for word in set(words_of(text))) for text in texts]


def slices_of(texts: Sequence[str], seldom: NDArray[np.int64]) -> list[Slice]:
    """All texts, three groups by length, and those with negation, rare words, numbers or question marks, and without.

    `seldom` (N,) is what `seldom_words` says of them. Slices without a text are left out.
    """
    found = [Slice("All", "Every text of the held-out set.", np.ones(len(texts), dtype=bool)), *_by_length(texts)]
    rules: tuple[tuple[str, str, Iterable[bool]], ...] = (
        ("negation", "a word such as not, never or without", map(has_negation, texts)),
        ("rare words", f"a word that the training texts hold at most {SELDOM} times", (seldom > 0).tolist()),
        ("numbers", "a digit", (bool(_NUMBER.search(text)) for text in texts)),
        ("question mark", "a question mark", ("?" in text for text in texts)),
    )
    for name, rule, members in rules:
        inside = np.fromiter(members, dtype=bool, count=len(texts))
        found.append(Slice(name.capitalize(), f"Texts that hold {rule}.", inside))
        found.append(Slice(f"No {name}", f"Texts that do not hold {rule}.", ~inside))
    return [each for each in found if each.members.any()]


def slice_rows(
    slices: Sequence[Slice],
    equal: NDArray[np.bool_],
    teacher_right: NDArray[np.bool_],
    student_right: NDArray[np.bool_],
) -> list[SliceRow]:
    """What both models do on each slice; the three arrays (N,) say it for each text."""

    def share(of: NDArray[np.bool_], members: NDArray[np.bool_]) -> Share:
        return Share(int(of[members].sum()), int(members.sum()))

    return [
        SliceRow(
            each, share(equal, each.members), share(teacher_right, each.members), share(student_right, each.members)
        )
        for each in slices
    ]


def _by_length(texts: Sequence[str]) -> list[Slice]:
    """Short, middle and long texts, about a third each; fewer groups where most are equally long."""
    lengths = np.array([len(text.split()) for text in texts])
    ends = sorted({int(end) for end in np.quantile(lengths, (1 / 3, 2 / 3), method="lower")} - {int(lengths.max())})
    found, low = [], 0
    for end in (*ends, None):
        inside = (lengths >= low) & (lengths <= end if end is not None else True)
        if end is None and not low:
            return []
        found.append(Slice(_length_name(low, end), "By the number of words in the text.", inside))
        low = (end or 0) + 1
    return found


def _length_name(low: int, end: int | None) -> str:
    if end is None:
        return f"{low} words or more"
    if not low:
        return f"Up to {end} words"
    return f"{end} words" if low == end else f"{low} to {end} words"
