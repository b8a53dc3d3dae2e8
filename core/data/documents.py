"""Raw texts for guessing masked words, from every source, in three parts that share no text.

A document is one review, sentence, row or paragraph; it is held out whole, then cut where it is too long.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.data.bundled import read_bundled
from core.data.csv_file import read_csv
from core.data.csv_labels import text_columns
from core.data.files import DataError, as_path, decode, file_name, file_size, is_folder, read_bytes, shown, unreadable
from core.data.glue import read_glue
from core.data.hub import read_hub
from core.data.part import same_words
from core.sections import BundledSource, DataSettings

HELD_OUT_SHARE = 0.1
MOST_HELD_OUT = 500
"""Documents in validation, and again in the test, at most: enough word pieces for a score to two digits."""

FEWEST_DOCUMENTS = 20
LONGEST = 9_000
"""Characters in a document. Tokenising cuts a text at 10,000 characters, and the rest would be lost."""

LONGEST_OF_ONE_TEXT = 2_000
MOST_TEXT = 500_000_000
"""Bytes of plain text that are read in all."""

_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|(?<=[.!?…][\"'”’)\]])\s+|(?<=[。！？])")
_BLANK_LINE = re.compile(r"\n\s*\n")


@dataclass(frozen=True)
class Documents:
    """Texts of three parts. `notes` are sentences for whoever reads a score made with them."""

    train: list[str]
    validation: list[str]
    test: list[str]
    notes: tuple[str, ...] = ()


def load_documents(settings: DataSettings) -> Documents:
    """The texts of the chosen data without copies: a tenth each, at most 500, for validation and for the test.

    Raises DistilleryError if the data is missing, cannot be used, or holds too few documents to split.
    """
    texts, notes = _READERS[settings.source](settings)
    unique, copies = without_copies(texts)
    if copies:
        notes += (f"Repeated texts were left out: {copies:,}.",)
    order = np.random.default_rng(settings.split_seed).permutation(len(unique))[: settings.max_examples]
    held_out = min(MOST_HELD_OUT, max(1, round(HELD_OUT_SHARE * len(order))))
    validation, test, train = np.split(order, [held_out, 2 * held_out])
    return Documents(_pieces(unique, train), _pieces(unique, validation), _pieces(unique, test), notes)


def _pieces(texts: list[str], chosen: NDArray[np.int64]) -> list[str]:
    """The chosen texts in their order, cut where they are long."""
    return [piece for i in np.sort(chosen) for piece in cut(texts[i], LONGEST)]


def without_copies(texts: list[str]) -> tuple[list[str], int]:
    """The different texts, blank ones left out, and how many were copies. Raises DataError if too few are left."""
    texts = [text for text in texts if text.strip()]
    unique = list({same_words(text): text for text in reversed(texts)}.values())[::-1]
    if len(unique) < FEWEST_DOCUMENTS:
        raise DataError(
            f"The data holds {len(unique)} different texts; at least {FEWEST_DOCUMENTS} are needed to keep some for "
            "validation and test. Add more text; in plain text, a blank line separates documents."
        )
    return unique, len(texts) - len(unique)


def cut(text: str, longest: int) -> list[str]:
    """The text in pieces of at most `longest` characters, cut at the last white space that fits where there is one."""
    pieces, start = [], 0
    while len(text) - start > longest:
        # By position: slicing the rest off anew for every piece would take hours for one giant text.
        end = max(text.rfind(space, start + 1, start + longest + 1) for space in " \n\t")
        end = end if end > 0 else start + longest
        pieces.append(text[start:end].strip())
        start = end
    pieces.append(text[start:].strip())
    return [piece for piece in pieces if piece]


def text_files(settings: DataSettings) -> list[Path]:
    """The text file of the settings, or all .txt files below its folder, in the order of their names.

    Links to folders are not followed. Raises DataError if there is none.
    """
    path = as_path(settings.path)
    if not is_folder(path):
        return [path]

    def fail(error: OSError) -> None:
        raise unreadable(Path(error.filename or path), error) from error

    # Not rglob: it says nothing about folders that it may not enter.
    found = sorted(
        Path(folder) / name
        for folder, _, names in os.walk(path, onerror=fail)
        for name in names
        if name.lower().endswith(".txt")
    )
    if not found:
        raise DataError(f"The folder {shown(str(path), 300)} holds no .txt file. Name a folder that does, or one file.")
    return found


def _bundled(source: BundledSource, _settings: DataSettings) -> tuple[list[str], tuple[str, ...]]:
    return read_bundled(source).texts, ()


def _glue(settings: DataSettings) -> tuple[list[str], tuple[str, ...]]:
    # The development set stays unread unless it was asked for: a model may later be scored on it.
    read = read_glue if settings.source == "glue_folder" else read_hub
    texts = read(settings, with_dev=settings.split == "merged")
    part = texts.train if texts.dev is None else texts.train.joined(texts.dev)
    return [text for column in part.columns() for text in column], texts.notes


def _csv(settings: DataSettings) -> tuple[list[str], tuple[str, ...]]:
    table = read_csv(as_path(settings.path))
    texts, pairs = text_columns(table, settings)
    return texts + (pairs or []), table.notes


def _plain_text(settings: DataSettings) -> tuple[list[str], tuple[str, ...]]:
    files = [path for path, _ in sized_text_files(settings)]
    return split_text(settings, [decode(read_bytes(path), file_name(path)) for path in files])


def sized_text_files(settings: DataSettings) -> list[tuple[Path, int]]:
    """The text files and their sizes in bytes. Raises DataError as `text_files`, or if they are too large together."""
    files = [(path, file_size(path)) for path in text_files(settings)]
    size = sum(size for _, size in files)
    if size > MOST_TEXT:
        raise DataError(f"The text has {size / 1e6:,.0f} MB; at most {MOST_TEXT / 1e6:,.0f} MB are read. Name less.")
    return files


def split_text(settings: DataSettings, texts: list[str]) -> tuple[list[str], tuple[str, ...]]:
    """The documents in plain texts and a note where they had to be cut smaller. Raises DataError if there are none."""
    documents = paragraphs(texts)
    if not documents:
        raise DataError(f"{shown(settings.path, 300)} holds no text. Name a file with text in it.")
    if len(documents) >= FEWEST_DOCUMENTS:
        return documents, ()
    pieces = [piece for document in documents for piece in _sentences_together(document)]
    note = (
        f"The text has only {len(documents)} documents (a blank line separates two), so it was cut into {len(pieces)} "
        "of a few sentences; what is learned from and what is scored can come from the same document."
    )
    return pieces, (note,)


def paragraphs(texts: list[str]) -> list[str]:
    """The paragraphs between blank lines, each on one line."""
    ends = [text.replace("\0", "\ufffd").replace("\r\n", "\n").replace("\r", "\n") for text in texts]
    documents = [" ".join(document.split()) for text in ends for document in _BLANK_LINE.split(text)]
    return [document for document in documents if document]


def _sentences_together(document: str) -> list[str]:
    """The document cut at ends of sentences into pieces of at most 2,000 characters, fewer where it is short."""
    # Ten pieces a part if the text allows it, but never single words.
    longest = min(LONGEST_OF_ONE_TEXT, max(200, len(document) // 100))
    pieces = [""]
    for sentence in _SENTENCE_END.split(document):
        if pieces[-1] and len(pieces[-1]) + len(sentence) >= longest:
            pieces.append("")
        pieces[-1] = f"{pieces[-1]} {sentence}".strip()
    return [short for piece in pieces for short in cut(piece, longest)]


_READERS: dict[str, Callable[[DataSettings], tuple[list[str], tuple[str, ...]]]] = {
    "rotten_tomatoes": partial(_bundled, "rotten_tomatoes"),
    "imdb": partial(_bundled, "imdb"),
    "glue_folder": _glue,
    "glue_hub": _glue,
    "csv": _csv,
    "text": _plain_text,
}
