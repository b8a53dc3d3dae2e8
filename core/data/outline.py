"""How much text the chosen data holds, in milliseconds: from known sizes, or from the beginning of the file.

For estimates before anything is loaded, so nothing here loads torch or reads a large file to its end.
"""

from __future__ import annotations

import math
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.config import Objective
from core.data import documents, hub
from core.data.csv_file import Table, sample_csv
from core.data.csv_labels import label_kind, labelled_table, look_alikes, text_columns, usable_rows
from core.data.files import DataError, as_path, decode, file_name, read_beginning, read_bytes, read_lines_across
from core.data.glue import TASKS, Task, dev_file, parse_tsv, sample_tsv, train_file
from core.data.limits import SHORTEST_DOCUMENT, SHORTEST_REST
from core.data.part import Part
from core.data.splits import check_labels, learned_beside, random_split, without_copies, without_copies_noted
from core.sections import DataSettings

TEXTS = {"rotten_tomatoes": (8_530, 27.4), "imdb": (24_902, 314.0)}
"""Examples without copies, and word pieces in one on average, [CLS] and [SEP] included."""

CLOSE = 12
"""Of a class with fewer examples, a part of the split could go without."""

SAMPLE = 128_000
"""Bytes that are read of the beginning of each file."""

COUNTED = 16_000_000
"""Up to so many bytes the lines of a GLUE file are counted; of a larger one the official size is taken if it fits."""

PIECES_PER_WORD = 1.08
"""Word pieces of the vocabulary of bert-base-uncased for each word or sign; 1.06 to 1.12 on six English data sets."""

# A sign of Chinese, Japanese or Korean writing is a word piece of its own.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_]+|[^\w\s]|_")

_SPREAD = np.linspace(0.4, 1.6, 61)
"""Lengths of texts, as shares of their mean, where only the mean is known."""


@dataclass(frozen=True)
class TextOutline:
    """How many examples the three parts have, and how many word pieces one has on average, special ones included.

    An example is a text or a pair; for masked words a block of at most `max_tokens` word pieces of a document.
    `exact` says whether the examples are counted, not estimated; `pieces` always is an estimate. `remarks` are
    sentences for a person who is about to learn from the data, with foreign text in them.
    """

    train: int
    validation: int
    test: int
    pieces: float
    exact: bool
    remarks: tuple[str, ...] = ()

    @property
    def examples(self) -> int:
        """Examples of all three parts."""
        return self.train + self.validation + self.test


@dataclass(frozen=True)
class _Found:
    """Rows, rows of an official development set, and for each column the word pieces of some texts."""

    rows: int
    columns: list[NDArray[np.float64]]
    exact: bool
    dev_rows: int = 0
    remarks: tuple[str, ...] = ()


def text_outline(settings: DataSettings, objective: Objective) -> TextOutline:
    """The outline of the chosen data. Raises DistilleryError if it is missing or its beginning cannot be used."""
    found = _look(settings, objective)
    if objective == "masked_words":
        return _of_blocks(found, settings)
    rows, exact = found.rows, found.exact
    rows = min(rows, settings.max_examples or rows)
    special = 1 + len(found.columns)
    pieces = float(np.minimum(sum(found.columns) + special, settings.max_tokens).mean())
    if found.dev_rows:
        watched = min(round(0.1 * rows), 1_000)
        return TextOutline(rows - watched, watched, found.dev_rows, pieces, exact)
    held_out = math.ceil(0.2 * rows)
    halves = (held_out // 2, held_out - held_out // 2)
    return TextOutline(rows - held_out, *halves, pieces, exact, found.remarks)


def _of_blocks(found: _Found, settings: DataSettings) -> TextOutline:
    room = settings.max_tokens - 2
    lengths = np.concatenate(found.columns)
    is_block = lengths % room >= np.where(lengths < room, SHORTEST_DOCUMENT, SHORTEST_REST)
    blocks = max(0.01, float((lengths // room + is_block).mean()))
    texts = min(found.rows * len(found.columns), settings.max_examples or math.inf)
    held_out = min(documents.MOST_HELD_OUT, max(1, round(documents.HELD_OUT_SHARE * texts)))
    train, held_out_blocks = max(1, round((texts - 2 * held_out) * blocks)), max(1, round(held_out * blocks))
    pieces = min(float(lengths.mean()) / blocks + 2, settings.max_tokens)
    return TextOutline(train, held_out_blocks, held_out_blocks, pieces, exact=False)


def _look(settings: DataSettings, objective: Objective) -> _Found:
    if settings.source in TEXTS:
        rows, pieces = TEXTS[settings.source]
        return _Found(rows, [(pieces - 2) * _SPREAD], exact=True)
    if settings.source == "csv":
        return _look_at_csv(settings, objective)
    if settings.source == "text":
        return _look_at_text(settings)
    task = TASKS[settings.task]
    if settings.source == "glue_folder":
        return _look_at_glue(settings, task, objective)
    hub.require_network()
    columns = [(task.pieces / len(task.texts) - 1.5) * _SPREAD for _ in task.texts]
    return _with_dev(settings, objective, _Found(task.train_size, columns, True, task.dev_size))


def _look_at_csv(settings: DataSettings, objective: Objective) -> _Found:
    table, rows, is_whole = sample_csv(as_path(settings.path), SAMPLE)
    texts, pairs = text_columns(table, settings)
    columns = [_pieces(texts)] + ([_pieces(pairs)] if pairs else [])
    if objective == "labels":
        return _labelled(table, settings, _Found(rows, columns, is_whole))
    if is_whole:
        documents.without_copies(texts + (pairs or []))
    return _Found(rows, columns, is_whole)


def _labelled(table: Table, settings: DataSettings, found: _Found) -> _Found:
    """With the examples that are learned where the table is whole, and what is to be said about their labels."""
    labels = table.column(settings.label_column, "data.label_column")
    if not found.exact:
        numbered = [(table.lines[i], labels[i].strip()) for i in usable_rows(table, settings, labels)]
        alike = look_alikes(numbered) if label_kind(settings, labels) == "classes" else ()
        return replace(found, remarks=tuple(f"Among the first {len(labels):,} rows: {note}" for note in alike))
    texts = labelled_table(table, settings)
    part, notes = without_copies_noted(texts.label_names, texts.part)
    _check_split(texts.label_names, texts.part, part, notes, settings)
    return replace(found, rows=len(part), remarks=texts.notes + notes)


def _check_split(
    names: tuple[str, ...], rows: Part, part: Part, notes: tuple[str, ...], settings: DataSettings
) -> None:
    """Raise DistilleryError if the rows, `part` without copies, cannot be split."""
    check_labels(names, part, notes)
    share = min(1.0, (settings.max_examples or len(part)) / len(part))
    rarest = np.bincount(part.labels).min() if names else len(part)
    # Only where it is close: splitting loads a library that takes seconds.
    if min(rarest, len(part) / 3) * share < CLOSE:
        random_split(names, rows, settings.max_examples, settings.split_seed)


def _look_at_glue(settings: DataSettings, task: Task, objective: Objective) -> _Found:
    root = as_path(settings.path)
    rows, columns, exact, train = _sample_tsv(train_file(root, task), task, task.train_size)
    needs_dev = settings.split == "merged" or (objective == "labels" and settings.split != "random")
    if not needs_dev:
        return _Found(len(without_copies(train)[0]) if train else rows, columns, exact)
    dev_rows, _, dev_exact, dev = _sample_tsv(dev_file(root, task), task, task.dev_size)
    exact = exact and dev_exact
    if train is None or dev is None:
        return _with_dev(settings, objective, _Found(rows, columns, exact, dev_rows))
    if settings.split == "merged":
        return _Found(len(without_copies(train.joined(dev))[0]), columns, exact)
    return _Found(len(learned_beside(train, dev)), columns, exact, dev_rows)


def _with_dev(settings: DataSettings, objective: Objective, found: _Found) -> _Found:
    """With the development set where it belongs: apart, among the other rows, or left out."""
    if settings.split == "merged":
        return _Found(found.rows + found.dev_rows, found.columns, found.exact)
    if settings.split == "random" or objective == "masked_words":
        return _Found(found.rows, found.columns, found.exact)
    return found


def _sample_tsv(path: Path, task: Task, official: int) -> tuple[int, list[NDArray[np.float64]], bool, Part | None]:
    """Rows, word pieces of some, whether the rows are counted, and the whole part where it is small."""
    part, beginning = sample_tsv(path, task, SAMPLE)
    if beginning.is_whole:
        return len(part), [_pieces(column) for column in part.columns()], True, part
    # The genres of a task stand one after the other, and their lengths differ.
    name, read = f"{task.name}/{path.name}", beginning.read
    first_line = b"" if task.header else beginning.text[: beginning.text.find("\n") + 1].encode()
    for lines in read_lines_across(path, SAMPLE // 4):
        with suppress(DataError):  # its line number would be wrong; reading the file says it with the right one
            part = part.joined(parse_tsv(decode(first_line + lines, name), name, task)[0])
            read += len(lines)
    columns = [_pieces(column) for column in part.columns()]
    if beginning.size <= COUNTED:
        return read_bytes(path).count(b"\n") - (not task.header), columns, True, None
    rows = len(part) * beginning.size / read
    is_official = abs(rows / official - 1) < 0.3
    return official if is_official else round(rows), columns, is_official, None


def _look_at_text(settings: DataSettings) -> _Found:
    files, count = documents.sized_text_files(settings), SAMPLE
    size = sum(file_size for _, file_size in files)
    while True:
        texts, read = _beginnings(files, count)
        if count >= size or read >= size:
            found = documents.without_copies(documents.split_text(settings, texts)[0])[0]
            return _Found(len(found), [_pieces(found)], exact=False)
        if found := documents.paragraphs(texts):
            break
        count *= 4
    if len(found) * size / read < documents.FEWEST_DOCUMENTS:
        found = documents.split_text(settings, texts)[0]
    return _Found(round(len(found) * size / read), [_pieces(found)], exact=False)


def _beginnings(files: list[tuple[Path, int]], count: int) -> tuple[list[str], int]:
    """The texts in about the first `count` bytes of all files, and how many bytes they are."""
    texts, read = [], 0
    for path, _ in files:
        if read >= count:
            break
        beginning = read_beginning(path, count - read, file_name(path))
        texts.append(beginning.text)
        read += beginning.read
    return texts, read


def _pieces(texts: list[str]) -> NDArray[np.float64]:
    """About how many word pieces each text has."""
    return PIECES_PER_WORD * np.array([len(_WORD.findall(text)) for text in texts], dtype=np.float64)
