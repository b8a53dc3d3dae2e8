"""A CSV file that several models answer, row by row: read by the one reader, asked in batches of similar length.

The models compute in the precision of their run, as its result was measured: in fp32 the answers are those of the
side-by-side view to the fifth digit, in bf16 to the second. What is offered for download holds nothing that a
spreadsheet would run.
"""

from __future__ import annotations

import csv
import io
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.data.csv_file import Table
from core.data.csv_labels import number
from core.data.files import shown
from core.data.limits import MAX_CHARACTERS
from core.jobs.reporter import Progress, StopRequested
from core.models import shelf
from core.scoring.answers import longest_input, readable, shared_labels
from core.scoring.doubts import softmax
from core.sections import TrainingSettings

if TYPE_CHECKING:
    from core.data.part import Part
    from core.distill.device import Compute
    from core.models.shelf import Loaded

WINDOW = 2_048
"""So many texts are cut into word pieces at a time: enough to sort by length, few enough to stop between."""

FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r", "\n", "\0")


@dataclass(frozen=True)
class FileQuestion:
    """The rows of a file as the models read them; `labels` (N,) are true classes or scores, NaN where there is none.

    `lines` says where each row begins in the file. `notes` are sentences about what was read in another way than it
    stands there.
    """

    texts: list[str]
    seconds: list[str] | None
    labels: NDArray[np.float64] | None
    lines: list[int]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class FileAnswers:
    """What the models say, by name: logits (N, C), or scores (N, 1) without label names.

    `answered` (N,) is False for rows that were not reached before somebody stopped it. `precision` is what the models
    computed in: "fp32" or "bf16".
    """

    question: FileQuestion
    label_names: tuple[str, ...]
    answers: Mapping[str, NDArray[np.float32]]
    answered: NDArray[np.bool_]
    elapsed_s: float
    precision: str

    @property
    def rows(self) -> NDArray[np.int64]:
        """The answered rows, the largest gap first."""
        found = np.flatnonzero(self.answered)
        return found[np.argsort(-self.gaps()[found], kind="stable")]

    def gaps(self) -> NDArray[np.float64]:
        """The largest distance between any two models, (N,): total variation, 0 to 1, or of the scores."""
        values = [self._values(each) for each in self.answers.values()]
        shape = 1.0 if not self.label_names else 0.5
        pairs = [shape * np.abs(first - second).sum(axis=1) for first, second in combinations(values, 2)]
        return np.max(pairs, axis=0) if pairs else np.zeros(len(self.question))

    def agree(self) -> NDArray[np.bool_]:
        """Whether all give the same label, (N,). Without label names there is no such thing: all False."""
        if not self.label_names:
            return np.zeros(len(self.question), dtype=bool)
        said = np.stack([rows.argmax(axis=1) for rows in self.answers.values()])
        return (said == said[0]).all(axis=0)

    def right(self, name: str) -> tuple[int, int]:
        """How many of the answered rows with a known label a model gets right, and how many those are."""
        known = self.known
        return int(self.is_right(name)[known].sum()), int(known.sum())

    @property
    def known(self) -> NDArray[np.bool_]:
        """Whether a row is answered and its true label known, (N,). Scores have no label: all False."""
        labels = self.question.labels
        if labels is None or not self.label_names:
            return np.zeros(len(self.question), dtype=bool)
        return self.answered & np.isfinite(labels)

    def is_right(self, name: str) -> NDArray[np.bool_]:
        """Whether a model gives the true label of a row, (N,). False where that is not known."""
        labels = self.question.labels
        return self.known if labels is None else self.known & (self.answers[name].argmax(axis=1) == labels)

    def said(self, name: str, row: int) -> tuple[str, float]:
        """One model's label and how sure it is, 0 to 1; of scores the number as text, and itself."""
        values = self._values(self.answers[name][row])
        if not self.label_names:
            return f"{values[0]:.4g}", float(values[0])
        place = int(values.argmax())
        return self.label_names[place], float(values[place])

    def label_of(self, row: int) -> str:
        """The true label of a row as text; empty where there is none."""
        labels = self.question.labels
        if labels is None or not np.isfinite(labels[row]):
            return ""
        return self.label_names[int(labels[row])] if self.label_names else f"{labels[row]:.4g}"

    def _values(self, answers: NDArray[np.float32]) -> NDArray[np.float64]:
        """Probabilities of logits; scores as they are. Of one row or of all."""
        values = answers.astype(np.float64)
        return softmax(values) if self.label_names else values


RIGHT = "right"
"""The column of the file of answers that names the models that are right; where no label is known it is left out."""


def read_question(table: Table, text: str, second: str, label: str, label_names: Sequence[str]) -> FileQuestion:
    """The columns named, as a question; empty names mean that there is none. Without label names labels are scores.

    Raises DataError if a column is not there.
    """
    texts = table.column(text, "the text column")
    seconds = table.column(second, "the second text column") if second else None
    notes = list(table.notes)
    for column in [texts] if seconds is None else [texts, seconds]:
        if long := sum(len(each) > MAX_CHARACTERS for each in column):
            notes.append(f"{long:,} texts have more than {MAX_CHARACTERS:,} characters; only so many are read of each.")
    labels = None
    if label:
        written = [each.strip() for each in table.column(label, "the label column")]
        labels, said = _labels(written, table, label_names)
        notes += said
    texts, seconds = list(map(readable, texts)), None if seconds is None else list(map(readable, seconds))
    return FileQuestion(texts, seconds, labels, table.lines, tuple(notes))


def answer_file(
    folders: Mapping[str, Path],
    question: FileQuestion,
    max_tokens: int,
    training: TrainingSettings,
    progress: Progress,
) -> FileAnswers:
    """What the models in these folders say about every row.

    `training` says in which precision and on how many threads of the processor.

    After Stop it returns what was answered until then. Raises DistilleryError if a model cannot be opened or cannot be
    asked for labels.
    """
    models = {name: shelf.get(folder) for name, folder in folders.items()}
    # Not before: the shelf has loaded torch, on one thread.
    import torch

    names = shared_labels(models)
    from core.distill.device import choose_compute

    compute = choose_compute(training)
    torch.set_num_threads(compute.threads)
    found = {name: np.zeros((len(question), len(names) or 1), dtype=np.float32) for name in models}
    answered = np.zeros(len(question), dtype=bool)
    begun = time.perf_counter()
    try:
        progress.report(0, len(question))
        for rows in _windows(question):
            _answer(models, question, rows, max_tokens, compute, found, _reporter(progress, answered))
            answered[rows] = True
            progress.report(int(answered.sum()), len(question))
    except StopRequested:
        if not answered.any():
            raise
    return FileAnswers(question, names, found, answered, time.perf_counter() - begun, compute.precision)


def on_the_processor(training: TrainingSettings, threads: int) -> TrainingSettings:
    """A run's precision, on so many threads of the processor, where the models on the shelf are."""
    # Processors have no quick fp16; the run's own had a GPU.
    precision = "auto" if training.precision == "fp16" else training.precision
    return training.model_copy(update={"device": "cpu", "precision": precision, "threads": threads})


def usable_cores() -> int:
    """Processor cores that this process may use: fewer than the machine has where it is held to some of them."""
    held_to = getattr(os, "sched_getaffinity", None)
    return len(held_to(0)) if held_to else os.cpu_count() or 1


def to_csv(answers: FileAnswers, table: Table) -> bytes:
    """The file with the answers beside it, the largest gap first, as UTF-8 with its mark, which spreadsheets need.

    A cell that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    head = [
        f"{name} {what}"
        for name in answers.answers
        for what in (("says", "sure") if answers.label_names else ("says",))
    ]
    gaps, agree, known = answers.gaps(), answers.agree(), answers.known
    head += ["agree", "gap", RIGHT] if known.any() else ["agree", "gap"]
    writer.writerow([neutral(cell) for cell in (*table.columns, *head)])
    right = {name: answers.is_right(name) for name in answers.answers}
    for row in answers.rows.tolist():
        cells: list[str | float] = [neutral(cell) for cell in table.rows[row]]
        for name in answers.answers:
            said, sure = answers.said(name, row)
            cells += [neutral(said), round(sure, 5)] if answers.label_names else [round(sure, 5)]
        cells += [("yes" if agree[row] else "no") if answers.label_names else "", round(float(gaps[row]), 5)]
        if known.any():
            cells.append("; ".join(name for name in right if right[name][row]) if known[row] else "")
        writer.writerow(cells)
    return out.getvalue().encode("utf-8-sig", "replace")


def neutral(cell: str) -> str:
    """A text that no spreadsheet reads as a formula: with an apostrophe before it where it begins like one."""
    return f"'{cell}" if cell.startswith(FORMULA_SIGNS) else cell


def _reporter(progress: Progress, answered: NDArray[np.bool_]) -> Callable[[float], None]:
    before, total = int(answered.sum()), len(answered)
    return lambda rows: progress.report(round(before + rows), total)


def _windows(question: FileQuestion) -> list[NDArray[np.int64]]:
    """Rows of about the same number of characters together, the shortest first."""
    lengths = np.array([len(text) for text in question.texts])
    if question.seconds is not None:
        lengths += [len(text) for text in question.seconds]
    order = np.argsort(lengths, kind="stable")
    return [order[start : start + WINDOW] for start in range(0, len(order), WINDOW)]


def _answer(
    models: Mapping[str, Loaded],
    question: FileQuestion,
    rows: NDArray[np.int64],
    max_tokens: int,
    compute: Compute,
    found: Mapping[str, NDArray[np.float32]],
    report: Callable[[float], None],
) -> None:
    from core.data.token_cache import tokenizer_digest
    from core.data.tokens import tokenise
    from core.scoring.predict import BATCH, predict

    part = _part(question, rows)
    step, batches, kept = len(rows) / (len(models) * -(-len(rows) // BATCH)), 0, {}

    def before_batch() -> None:
        nonlocal batches
        report(batches * step)
        batches += 1

    for name, loaded in models.items():
        longest = longest_input(loaded, max_tokens)
        key = tokenizer_digest(loaded.tokenizer), longest
        # Teacher and student cut a text in the same way, so it is cut once.
        if key not in kept:
            kept[key] = tokenise(part, loaded.tokenizer, longest)
        found[name][rows] = predict(loaded.model, kept[key], compute, before_batch)


def _part(question: FileQuestion, rows: NDArray[np.int64]) -> Part:
    from core.data.part import Part

    seconds = None if question.seconds is None else [question.seconds[i] for i in rows]
    return Part([question.texts[i] for i in rows], np.zeros(len(rows), dtype=np.int64), seconds)


def _labels(written: list[str], table: Table, label_names: Sequence[str]) -> tuple[NDArray[np.float64], list[str]]:
    """True classes by number, or scores; NaN where the cell holds neither, and a sentence about those."""
    known, by_place = _known(written, label_names)
    values, notes = np.array([known(label) for label in written], dtype=np.float64), []
    if by_place and np.isfinite(values).any():
        numbered = ", ".join(f"{place} is {shown(name, 30)}" for place, name in enumerate(label_names[:6]))
        notes.append(f"The labels are numbers, so they are read by their place: {numbered}.")
    unknown = np.flatnonzero(~np.isfinite(values))
    if len(unknown):
        first = unknown[0]
        wanted = ", ".join(shown(name, 30) for name in label_names[:6]) if label_names else "a number"
        notes.append(
            f"{len(unknown):,} of {len(written):,} rows have a label that the models do not know, the first in line "
            f"{table.lines[first]}: {shown(written[first], 30)}. Known: {wanted}. They count for no accuracy."
        )
    return values, notes


def _known(written: list[str], label_names: Sequence[str]) -> tuple[Callable[[str], float], bool]:
    """What turns a written label into a class or a score, and whether it goes by the place of a class, not its name."""
    if not label_names:
        return (lambda label: np.nan if (value := number(label)) is None else value), False
    places = {name.strip().casefold(): place for place, name in enumerate(label_names)}
    if any(label.casefold() in places for label in written):
        return (lambda label: places.get(label.casefold(), np.nan)), False
    numbers = {float(place): place for place in range(len(label_names))}
    return (lambda label: np.nan if (value := number(label)) is None else numbers.get(value, np.nan)), True
