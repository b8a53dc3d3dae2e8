"""What several models say about the same sentences, side by side.

Models are named by their role, so a third can join the teacher and the student. Importing this file does not load
torch: a page is drawn before anybody has asked a question.
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

if TYPE_CHECKING:
    from torch import Tensor

    from core.models.shelf import Loaded

MAX_LINES = 50
MAX_CHARACTERS = 10_000
"""Longer lines are cut first: a tokeniser reads all of a text before it cuts it to length."""

FEW, PASSES_FOR_FEW = 5, 3
"""Up to this many sentences are each timed this often, and the median counts; more of them are timed once."""

_SURROGATE = re.compile(r"[\ud800-\udfff]")


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


def is_loaded(folders: Mapping[str, Path]) -> bool:
    """True if `answers` would not have to open a model first."""
    return all(shelf.holds(folder) for folder in folders.values())


def answers(folders: Mapping[str, Path], sentences: Sequence[str], max_tokens: int) -> list[Comparison]:
    """What the models in these folders, named by their role, say about each sentence.

    Computes in fp32, one sentence at a time, on one processor thread, with the models in turn. Raises DistilleryError
    if a model is missing or cannot be opened, or if there are more than `MAX_LINES` sentences.
    """
    if len(sentences) > MAX_LINES:
        raise DistilleryError(f"{len(sentences)} sentences are too many at once; compare at most {MAX_LINES}.")
    models = {role: shelf.get(folder) for role, folder in folders.items()}
    passes = PASSES_FOR_FEW if len(sentences) <= FEW else 1
    with _one_thread():
        return [_compare(models, _readable(sentence), max_tokens, passes) for sentence in sentences]


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
