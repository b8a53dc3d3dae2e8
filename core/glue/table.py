"""What every table of results is made of, so that the page, the terminal, CSV and LaTeX show the same.

A value carries all that has to be said about it: where it comes from, on which split, by which metric, over which
seeds, and its footnotes. Scores are in GLUE's points, 100 times the share or correlation.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

Reported = Literal["paper", "course project"]
Origin = Literal[Reported, "measured here", "demo scale"]
"""Reported by Sanh et al. 2019; reported by the course project; measured on this machine with all training examples;
measured on this machine with less than the official task."""

Kind = Literal[Reported, "teacher", "student", "control", "majority"]

UNKNOWN, ABOUT = "–", "about"
LINE_BREAKS = re.compile(r"[ \t-\r\x1c-\x1f\x85\u2028\u2029]+")
UNPRINTABLE = ("Cc", "Cf", "Cs")
"""Unicode's categories of what a file should not hold: control and format characters, halves of characters."""


@dataclass(frozen=True)
class Value:
    """One number of a table, in the unit of its column. `number` is None where it is undefined or not there.

    `reason` says why it is None, or what is missing in it ("undefined for 1 of 5 seeds: …").
    `low` and `high` are the least and the most over `seeds`, of which `number` is the median.
    `difference` is to the teacher in the column's unit, `kept` is per cent of the teacher's; None where the two cannot
    be compared. `majority` is the score of always giving the most frequent answer, `over_majority` the rest.
    `parts` holds the metrics that `number` is the mean of, and "mismatched" for MNLI, in points.
    `tasks` are the tasks a macro score is the mean of, and `same_tasks` the paper's mean over just these, by model.
    `footnotes` are letters; the table has their texts. `notes` are sentences about this number alone. `label` must be
    shown with the number ("about", "mean of 3 of 9 tasks"); "" if there is nothing to say. `is_leaked`: the model had
    learned from texts of the task before, so the number is compared with nothing.
    """

    number: float | None
    origin: Origin
    metric: str = ""
    split: str = ""
    seeds: tuple[int, ...] = ()
    low: float | None = None
    high: float | None = None
    difference: float | None = None
    kept: float | None = None
    majority: float | None = None
    over_majority: float | None = None
    is_best: bool = False
    is_leaked: bool = False
    label: str = ""
    reason: str = ""
    examples: int | None = None
    train_examples: int | None = None
    train_total: int | None = None
    parts: dict[str, float | None] = field(default_factory=dict)
    tasks: tuple[str, ...] = ()
    same_tasks: dict[str, float] = field(default_factory=dict)
    footnotes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Column:
    """One column. `unit` is "points", "M", "MB", "s" or "times"; `better` is "" where neither end is better.

    `metric` and `split` are what the values of the column have in common; a value's own ones count.
    """

    key: str
    title: str
    metric: str = ""
    split: str = ""
    unit: str = "points"
    decimals: int | None = 1
    """None for three significant digits, where numbers of very different size stand in one column."""
    better: Literal["higher", "lower", ""] = "higher"
    signed: bool = False
    footnotes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """One row. `title` is foreign text where a model was measured; `model` names it by content, "" for reported rows.

    A column whose key is not in `values` was not measured or not reported.
    """

    title: str
    kind: Kind
    values: dict[str, Value]
    model: str = ""
    way: str = ""
    """"fine-tuned", "distilled again", "zero-shot"; "" for reported rows."""
    teacher: str = ""
    """Title of the teacher that differences and what was kept refer to; "" where there is none."""
    state: str = ""
    """The state word of the run that the row comes from, where the table shows unfinished ones."""
    footnotes: tuple[str, ...] = ()

    @property
    def is_measured(self) -> bool:
        """True if its numbers come from this machine."""
        return self.kind in ("teacher", "student", "control")


@dataclass(frozen=True)
class Table:
    """A table with all that is said below it: `footnotes` by letter in order, `notes` about the whole."""

    key: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    footnotes: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def measured(self) -> tuple[Row, ...]:
        """The rows measured on this machine."""
        return tuple(row for row in self.rows if row.is_measured)

    def said_of(self, letters: Iterable[str]) -> tuple[str, ...]:
        """The texts of some footnotes."""
        return tuple(self.footnotes[letter] for letter in letters)


def as_text(value: Value | None, column: Column) -> str:
    """A number as its column shows it: "86.7", "about 90", "−2.96", "1 234"; "–" where there is none.

    Without the unit, and without a label that is longer than "about".
    """
    if value is None or value.number is None:
        return UNKNOWN
    if value.label == ABOUT:
        return f"{ABOUT} {value.number:.0f}"
    sign = "+" if column.signed else ""
    decimals = _three_digits(value.number) if column.decimals is None else column.decimals
    return f"{value.number:{sign},.{decimals}f}".replace("-", "−").replace(",", "\u202f")


def one_line(text: str) -> str:
    """Foreign text without line breaks, control characters and halves of characters, as files may hold it."""
    spaced = LINE_BREAKS.sub(" ", text).strip()
    return "".join(character for character in spaced if unicodedata.category(character) not in UNPRINTABLE)


def against(value: Value, teacher: float | None) -> Value:
    """The value beside a teacher's: the difference, and the per cent kept of what is positive.

    As it is where one of the two is undefined.
    """
    if value.number is None or teacher is None:
        return value
    kept = 100 * value.number / teacher if teacher > 0 else None
    return replace(value, difference=value.number - teacher, kept=kept)


def with_best(rows: Sequence[Row], columns: Sequence[Column]) -> tuple[Row, ...]:
    """The rows with the best measured value of each column marked, if two or more can be compared.

    Equal ones are all marked. Macro scores over different tasks cannot be compared.
    """
    best = {column.key: _best(rows, column) for column in columns}
    return tuple(_marked(row, best) if row.is_measured else row for row in rows)


def _best(rows: Sequence[Row], column: Column) -> float | None:
    values = [row.values[column.key] for row in rows if row.is_measured and column.key in row.values]
    values = [value for value in values if value.number is not None and not value.is_leaked]
    if len(values) < 2 or not column.better or len({value.tasks for value in values}) > 1:
        return None
    numbers = [value.number for value in values if value.number is not None]
    return (max if column.better == "higher" else min)(numbers)


def _marked(row: Row, best: dict[str, float | None]) -> Row:
    values = {
        key: replace(value, is_best=not value.is_leaked and value.number is not None and value.number == best.get(key))
        for key, value in row.values.items()
    }
    return replace(row, values=values)


class Footnotes:
    """Gives each different footnote of one table its letter, in the order in which they are first asked for."""

    def __init__(self) -> None:
        self._letters: dict[str, str] = {}

    def letters(self, texts: Iterable[str]) -> tuple[str, ...]:
        """The letters of these texts, each once."""
        return tuple(self._letters.setdefault(text, _letter(len(self._letters))) for text in dict.fromkeys(texts))

    def texts(self) -> dict[str, str]:
        """All so far, by letter."""
        return {letter: text for text, letter in self._letters.items()}


def _three_digits(number: float) -> int:
    """How many decimals show three digits of a number; none from 100 on."""
    return max(0, min(6, 2 - math.floor(math.log10(abs(number))))) if number else 0


def _letter(place: int) -> str:
    """0 to "a", 25 to "z", 26 to "aa"."""
    more, rest = divmod(place, 26)
    return (_letter(more - 1) if more else "") + "abcdefghijklmnopqrstuvwxyz"[rest]
