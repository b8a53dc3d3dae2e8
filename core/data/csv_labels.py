"""A CSV file as labelled texts: which columns, and whether the labels are classes or a score."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.data.csv_file import Table, read_csv
from core.data.files import DataError, as_path, shown
from core.data.part import Part
from core.sections import DataSettings

FEWEST_ROWS = 30
FEWEST_IN_CLASS = 10
"""With fewer, a class could be missing from the validation or the test part, a tenth each."""

MOST_CLASSES = 100

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?")


@dataclass(frozen=True)
class CsvTexts:
    """The usable rows of a CSV file. Without label names the labels are scores."""

    label_names: tuple[str, ...]
    part: Part
    notes: tuple[str, ...]


def labelled_csv(settings: DataSettings) -> CsvTexts:
    """Texts and labels of the CSV file of the settings; rows without text are left out and counted in a note.

    Raises DataError, naming the file and the column or line, where the file cannot be used.
    """
    return labelled_table(read_csv(as_path(settings.path)), settings)


def labelled_table(table: Table, settings: DataSettings) -> CsvTexts:
    """The same of a file that was read already."""
    texts, pairs = text_columns(table, settings)
    labels = [label.strip() for label in table.column(settings.label_column, "data.label_column")]
    kept = usable_rows(table, settings, labels)
    if len(kept) < FEWEST_ROWS:
        raise DataError(f"{table.name} has {len(kept)} rows with a text; at least {FEWEST_ROWS} are needed.")
    numbered = [(table.lines[i], labels[i]) for i in kept]
    names: tuple[str, ...] = ()
    if label_kind(settings, labels) == "score":
        values = _scores(table.name, numbered)
    else:
        names, values = _classes(table.name, settings.label_column, numbered)
    seconds = None if pairs is None else [pairs[i] for i in kept]
    part = Part([texts[i] for i in kept], values, seconds, [table.lines[i] for i in kept])
    alike = look_alikes(numbered) if names else ()
    return CsvTexts(names, part, table.notes + _left_out(len(texts) - len(kept)) + alike)


def usable_rows(table: Table, settings: DataSettings, labels: list[str]) -> list[int]:
    """The rows with a text (or two), by number. Raises DataError, naming the line, if one of them has no label."""
    texts, pairs = text_columns(table, settings)
    kept = [i for i, text in enumerate(texts) if text.strip() and (pairs is None or pairs[i].strip())]
    missing = next((i for i in kept if not labels[i].strip()), None)
    if missing is not None:
        raise DataError(
            f"{table.name}, line {table.lines[missing]}: the column {shown(settings.label_column)} is empty. "
            "Give the row a label or delete it."
        )
    return kept


def text_columns(table: Table, settings: DataSettings) -> tuple[list[str], list[str] | None]:
    """The texts and, where a second column is named, the second texts. Raises DataError if a column is not there."""
    texts = table.column(settings.text_column, "data.text_column")
    return texts, table.column(settings.pair_column, "data.pair_column") if settings.pair_column else None


def label_kind(settings: DataSettings, labels: list[str]) -> Literal["classes", "score"]:
    """What the labels are: as the settings say, else a score where all are numbers and one has decimals."""
    if settings.label_kind != "auto":
        return settings.label_kind
    numbers = [number(label) for label in labels if label.strip()]
    are_numbers = bool(numbers) and None not in numbers
    return "score" if are_numbers and any(value % 1 for value in numbers if value is not None) else "classes"


def look_alikes(numbered: list[tuple[int, str]]) -> tuple[str, ...]:
    """A sentence for labels that a person would take for one, though they are learned as several: (line, label)."""
    counts = Counter(label for _, label in numbered)
    first = {label: line for line, label in reversed(numbered)}
    groups: dict[str, list[str]] = {}
    for label in counts:
        groups.setdefault(_seen(label), []).append(label)
    return tuple(
        f"{_listed([_told(label, counts[label], first[label]) for label in group])} look alike, but are learned as "
        f"{len(group)} classes. If they mean the same, write them in one way."
        for group in groups.values()
        if len(group) > 1
    )


def _seen(label: str) -> str:
    """What a reader takes in: no capitals, no invisible characters, accents and spaces in one way."""
    visible = "".join(sign for sign in unicodedata.normalize("NFKC", label) if unicodedata.category(sign) != "Cf")
    return unicodedata.normalize("NFKC", " ".join(visible.casefold().split()))


def _told(label: str, count: int, line: int) -> str:
    # In escapes, since the difference may be one that nobody can see.
    rows = "1 row" if count == 1 else f"{count:,} rows"
    return f"{ascii(label[:60])} ({rows}, first in line {line:,})"


def _listed(parts: list[str]) -> str:
    return f"The labels {', '.join(parts[:-1])} and {parts[-1]}"


def number(text: str) -> float | None:
    """The finite number written in a text, with a point for decimals; None if it is anything else."""
    value = float(text) if _NUMBER.fullmatch(text.strip()) else math.inf
    return value if math.isfinite(value) else None


def _scores(name: str, numbered: list[tuple[int, str]]) -> np.ndarray:
    for line, label in numbered:
        # Scores are kept in 32 bits, whose largest number is about 3.4e38.
        if (value := number(label)) is None or abs(value) > 1e30:
            raise DataError(f"{name}, line {line}: the score is {shown(label)}; write a number, such as 3.5.")
    return np.array([number(label) for _, label in numbered], dtype=np.float32)


def _classes(name: str, column: str, numbered: list[tuple[int, str]]) -> tuple[tuple[str, ...], np.ndarray]:
    counts = Counter(label for _, label in numbered)
    if len(counts) > MOST_CLASSES:
        raise DataError(
            f"{name}: the column {shown(column)} holds {len(counts):,} different labels; at most {MOST_CLASSES} are "
            "possible. It may be the wrong column, or a score: then set data.label_kind to score."
        )
    names = _in_order(name, list(counts))
    rare = min(names, key=lambda label: counts[label])
    if counts[rare] < FEWEST_IN_CLASS and len(counts) > 1:
        raise DataError(
            f"{name}: the label {shown(rare)} has only {counts[rare]} rows; each needs at least {FEWEST_IN_CLASS}. "
            "Add rows, or give these rows another label."
        )
    place = {label: i for i, label in enumerate(names)}
    return tuple(names), np.array([place[label] for _, label in numbered], dtype=np.int64)


def _in_order(name: str, labels: list[str]) -> list[str]:
    numbers = {label: number(label) for label in labels}
    if None in numbers.values():
        return sorted(labels)
    first: dict[float | None, str] = {}
    for label, value in numbers.items():
        if first.setdefault(value, label) != label:
            raise DataError(
                f"{name}: the labels {shown(first[value])} and {shown(label)} are the same number. "
                "Write it in one way, or set data.label_kind to score."
            )
    return sorted(labels, key=lambda label: numbers[label] or 0.0)


def _left_out(count: int) -> tuple[str, ...]:
    return (f"Rows without a text were left out: {count:,}.",) if count else ()
