"""Teacher and student side by side: which runs can be compared, and what both models say about a sentence.

Compares the two models of one run. Models are named by their role, so a third can join them. Importing this file does
not load torch: a page lists the runs before anybody has asked a question.
"""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import DistilleryError
from core.models import shelf
from core.runs import folder as runs

if TYPE_CHECKING:
    from torch import Tensor

    from core.models.shelf import Loaded

MAX_LINES = 50
MAX_CHARACTERS = 10_000
"""Longer lines are cut first: a tokeniser reads all of a text before it cuts it to length."""

FEW, PASSES_FOR_FEW = 5, 3
"""Up to this many sentences are each timed this often, and the median counts; more of them are timed once."""

_SURROGATE = re.compile(r"[\ud800-\udfff]")
_TEACHER_KEY = re.compile(r"[0-9a-f]{8,64}")

_NO_STUDENT = {
    "queued": "It is waiting for its turn.",
    "preparing": "It is still training.",
    "running": "It is still training.",
    "stopping": "It is still training.",
    "stopped": "It was stopped before its student had begun to learn.",
    "failed": "It failed before its student was saved.",
    "interrupted": "It was interrupted before its student was saved.",
    "finished": "Its student is no longer in its folder.",
}


@dataclass(frozen=True)
class RunToCompare:
    """A run as the chooser shows it. `kept` is a share, None if it was not measured.

    `reason` says in a sentence why it cannot be compared; empty if it can. `state` is None if it cannot be read.
    """

    run_id: str
    name: str
    state: runs.State | None
    kept: float | None
    reason: str


@dataclass(frozen=True)
class Lines:
    """What a person typed, as sentences to compare, and one note for everything that was left out."""

    sentences: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """What one model says: a probability for each label, and the milliseconds of its forward pass.

    `was_cut` is True if the sentence had more word pieces than the model reads.
    """

    probabilities: Mapping[str, float]
    milliseconds: float
    was_cut: bool

    @property
    def label(self) -> str:
        """The most probable label."""
        return max(self.probabilities, key=lambda label: self.probabilities[label])

    @property
    def confidence(self) -> float:
        """The probability of the most probable label."""
        return self.probabilities[self.label]


@dataclass(frozen=True)
class Comparison:
    """One sentence and every model's answer to it, by role."""

    sentence: str
    answers: Mapping[str, Answer]

    @property
    def agree(self) -> bool:
        """True if all models give the same label."""
        return len({answer.label for answer in self.answers.values()}) == 1

    @property
    def apart(self) -> float:
        """The largest total variation distance between two models, 0 (same probabilities) to 1."""
        pairs = combinations((answer.probabilities for answer in self.answers.values()), 2)
        return max((_distance(first, second) for first, second in pairs), default=0.0)


def comparable_runs() -> list[RunToCompare]:
    """Every run: those that can be compared first, finished before unfinished, newest before older."""
    found = [_describe(folder) for folder in runs.list_runs()]
    return sorted(found, key=lambda run: (bool(run.reason), run.state != "finished"))


def model_folders(run_dir: Path) -> dict[str, Path]:
    """Where the run's teacher and student lie, by role. Raises DistilleryError, with the reason, if one is missing."""
    status = runs.read_status(run_dir)
    student = run_dir / "student"
    if status.state in runs.ACTIVE or not student.is_dir():
        raise DistilleryError(_NO_STUDENT[status.state])
    return {"teacher": _teacher_folder(run_dir), "student": student}


def is_loaded(run_dir: Path) -> bool:
    """True if `answers` would not have to open a model first. Raises DistilleryError as `model_folders` does."""
    return all(shelf.holds(folder) for folder in model_folders(run_dir).values())


def read_lines(text: str) -> Lines:
    """The sentences in a text, one a line: empty lines skipped, long ones cut, lone surrogates replaced."""
    written = [line.strip() for line in text.splitlines() if line.strip()]
    notes = [
        f"Line {number} has {len(line)} characters; the first {MAX_CHARACTERS} are read."
        for number, line in enumerate(written[:MAX_LINES], 1)
        if len(line) > MAX_CHARACTERS
    ]
    if len(written) > MAX_LINES:
        notes.append(f"You wrote {len(written)} lines; the first {MAX_LINES} are compared.")
    return Lines(tuple(_readable(line) for line in written[:MAX_LINES]), tuple(notes))


def answers(run_dir: Path, sentences: Sequence[str]) -> list[Comparison]:
    """What the run's teacher and student say about each sentence.

    Computes in fp32, one sentence at a time, on one processor thread, with the models in turn. Raises DistilleryError
    if a model is missing or cannot be opened, or if there are more than `MAX_LINES` sentences.
    """
    if len(sentences) > MAX_LINES:
        raise DistilleryError(f"{len(sentences)} sentences are too many at once; compare at most {MAX_LINES}.")
    folders = model_folders(run_dir)
    max_tokens = runs.read_settings(run_dir).data.max_tokens
    models = {role: shelf.get(folder) for role, folder in folders.items()}
    passes = PASSES_FOR_FEW if len(sentences) <= FEW else 1
    with _one_thread():
        return [_compare(models, _readable(sentence), max_tokens, passes) for sentence in sentences]


def _describe(folder: Path) -> RunToCompare:
    name, state, kept, reason = "", None, None, ""
    try:
        state = runs.read_status(folder).state
        name = runs.read_settings(folder).name
        model_folders(folder)
        kept = _kept(folder)
    except DistilleryError as error:
        reason = str(error)
    return RunToCompare(folder.name, name, state, kept, reason)


def _kept(run_dir: Path) -> float | None:
    results = runs.read_results(run_dir) or {}
    kept = results.get("kept")
    return float(kept) if isinstance(kept, (int, float)) else None


def _teacher_folder(run_dir: Path) -> Path:
    key = runs.read_json(run_dir / "teacher.json").get("key")
    # The key becomes part of a path, and the file may come from somewhere else.
    if not isinstance(key, str) or not _TEACHER_KEY.fullmatch(key):
        raise DistilleryError(f"{run_dir.name}/teacher.json does not name a teacher.")
    folder = runs.cache_root() / "teachers" / key / "model"
    if not folder.is_dir():
        raise DistilleryError(
            "Its teacher is no longer in the cache. Start a run with the same data and teacher settings: "
            "that trains the same teacher again."
        )
    return folder


def _readable(text: str) -> str:
    """Cut to length, with half characters, which no tokeniser and no page can encode, replaced."""
    return _SURROGATE.sub("\ufffd", text[:MAX_CHARACTERS])


def _compare(models: Mapping[str, Loaded], sentence: str, max_tokens: int, passes: int) -> Comparison:
    """Every model's answer. The models take turns, so that a machine that slows down slows all of them alike."""
    inputs = {role: _word_pieces(loaded, sentence, max_tokens) for role, loaded in models.items()}
    times: dict[str, list[float]] = {role: [] for role in models}
    shares: dict[str, dict[str, float]] = {}
    for _ in range(passes):
        for role, loaded in models.items():
            shares[role], milliseconds = _forward(loaded, inputs[role][0])
            times[role].append(milliseconds)
    return Comparison(
        sentence, {role: Answer(shares[role], statistics.median(times[role]), inputs[role][1]) for role in models}
    )


def _word_pieces(loaded: Loaded, sentence: str, max_tokens: int) -> tuple[Tensor, bool]:
    """Ids (1, L), [CLS] and [SEP] included, and whether the sentence was cut. Control tokens typed are plain text."""
    longest = min(max_tokens, loaded.model.config.max_position_embeddings)
    encoded = loaded.tokenizer(
        sentence, truncation=True, max_length=longest, split_special_tokens=True, return_tensors="pt"
    )
    return encoded["input_ids"], bool(encoded.encodings[0].overflowing)


def _forward(loaded: Loaded, input_ids: Tensor) -> tuple[dict[str, float], float]:
    """Probabilities by label, and milliseconds of the forward pass alone."""
    import torch

    with torch.inference_mode():
        begin = time.perf_counter()
        logits = loaded.model(input_ids).logits
        milliseconds = 1000 * (time.perf_counter() - begin)
        shares = logits[0].softmax(-1).tolist()
    names = loaded.model.config.id2label
    return {str(names[place]): share for place, share in enumerate(shares)}, milliseconds


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute on one processor thread within the block, and leave the number as it was.

    Short sentences gain nothing from a second thread; beside a training, two wait for each other and take
    twice as long.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _distance(first: Mapping[str, float], second: Mapping[str, float]) -> float:
    labels = {*first, *second}
    return sum(abs(first.get(label, 0.0) - second.get(label, 0.0)) for label in labels) / 2
