"""What several models say about the same texts, side by side: a label, or a score.

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

from core.data.limits import MAX_CHARACTERS
from core.errors import DistilleryError
from core.models import shelf
from core.models.families import family_of
from core.models.in_memory import label_names

if TYPE_CHECKING:
    from torch import Tensor

    from core.models.shelf import Loaded

MAX_LINES = 50

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

    `was_cut` is True if the text had more word pieces than the model reads.
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
    """One text, or a pair of them, and every model's answer to it, by role."""

    sentence: str
    answers: Mapping[str, Answer]
    second: str | None = None

    @property
    def agree(self) -> bool:
        """True if all models give the same label."""
        return len({answer.label for answer in self.answers.values()}) == 1

    @property
    def apart(self) -> float:
        """The largest total variation distance between any two models, 0 (same probabilities) to 1."""
        pairs = combinations((answer.probabilities for answer in self.answers.values()), 2)
        return max((_distance(first, second) for first, second in pairs), default=0.0)


@dataclass(frozen=True)
class Score:
    """What a model whose labels are a score says: a number on their scale, and as for an answer."""

    value: float
    milliseconds: float
    was_cut: bool


@dataclass(frozen=True)
class ScoreComparison:
    """One text, or a pair of them, and every model's score for it, by role."""

    sentence: str
    answers: Mapping[str, Score]
    second: str | None = None

    @property
    def apart(self) -> float:
        """The largest difference between two models, on the scale of the labels."""
        values = [score.value for score in self.answers.values()]
        return max(values) - min(values)


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
    return Lines(tuple(readable(line) for line in written[:MAX_LINES]), tuple(notes))


def read_pair(first: str, second: str) -> Lines:
    """Both texts of a pair, each on one line, cut and mended as lines are; fewer than two if one is empty."""
    written = {"first": " ".join(first.split()), "second": " ".join(second.split())}
    notes = [
        f"The {name} text has {len(text)} characters; the first {MAX_CHARACTERS} are read."
        for name, text in written.items()
        if len(text) > MAX_CHARACTERS
    ]
    return Lines(tuple(readable(text) for text in written.values() if text), tuple(notes))


def readable(text: str) -> str:
    """Cut to length, with half characters, which no tokeniser and no page can encode, replaced."""
    return _SURROGATE.sub("\ufffd", text[:MAX_CHARACTERS])


def is_loaded(folders: Mapping[str, Path]) -> bool:
    """True if no model would have to be opened before it can answer."""
    return all(shelf.holds(folder) for folder in folders.values())


def answers(
    folders: Mapping[str, Path], sentences: Sequence[str], max_tokens: int, seconds: Sequence[str] | None = None
) -> list[Comparison] | list[ScoreComparison]:
    """What the models in these folders, named by their role, say about each sentence, or pair with its second text.

    Models with one output give scores, others labels. Computes in fp32, one question at a time, on one processor
    thread, with the models in turn. Raises DistilleryError if a model is missing or cannot be opened, if the models
    answer different kinds of question, or if there are more than `MAX_LINES` sentences.
    """
    check_number(sentences)
    models = {role: shelf.get(folder) for role, folder in folders.items()}
    are_labels = bool(shared_labels(models))
    passes = passes_for(sentences)
    others = [readable(text) for text in seconds] if seconds else [None] * len(sentences)
    pairs = zip(map(readable, sentences), others, strict=True)
    with one_thread():
        if are_labels:
            return [_labels(models, first, second, max_tokens, passes) for first, second in pairs]
        return [_scores(models, first, second, max_tokens, passes) for first, second in pairs]


def check_number(sentences: Sequence[str]) -> None:
    """Raise DistilleryError for more sentences than are compared at once."""
    if len(sentences) > MAX_LINES:
        raise DistilleryError(f"{len(sentences)} sentences are too many at once; compare at most {MAX_LINES}.")


def passes_for(sentences: Sequence[str]) -> int:
    """How often each of these sentences is timed."""
    return PASSES_FOR_FEW if len(sentences) <= FEW else 1


def in_turn(
    models: Mapping[str, Loaded], inputs: Mapping[str, Mapping[str, Tensor]], passes: int
) -> dict[str, tuple[Tensor, float]]:
    """Logits of each model for its inputs, and the median milliseconds of its forward pass alone.

    The models take turns, so that a machine that slows down slows all of them alike.
    """
    import torch

    logits: dict[str, Tensor] = {}
    times: dict[str, list[float]] = {role: [] for role in models}
    with torch.inference_mode():
        for _ in range(passes):
            for role, loaded in models.items():
                begin = time.perf_counter()
                logits[role] = loaded.model(**inputs[role]).logits
                times[role].append(1000 * (time.perf_counter() - begin))
    return {role: (logits[role], statistics.median(times[role])) for role in models}


@contextmanager
def one_thread() -> Iterator[None]:
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


def longest_input(loaded: Loaded, max_tokens: int) -> int:
    """How many word pieces, [CLS] and [SEP] included, a model reads at most."""
    return min(max_tokens, family_of(loaded.model).longest_input(loaded.model))


def softened(probabilities: Mapping[str, float], temperature: float) -> dict[str, float]:
    """The same answer at a temperature: softmax of the logits divided by it (Hinton et al. 2015, section 2).

    At 1 nothing changes; the higher it is, the more alike the probabilities become. Raises ValueError unless it is
    positive.
    """
    if temperature <= 0:
        raise ValueError(f"a temperature of {temperature} is not positive")
    highest = max(probabilities.values())
    # A softmax's logarithms are its logits, shifted; divided by the highest first, so that no power underflows to 0/0.
    powers = {label: (share / highest) ** (1 / temperature) for label, share in probabilities.items()}
    total = sum(powers.values())
    return {label: power / total for label, power in powers.items()}


def shared_labels(models: Mapping[str, Loaded]) -> tuple[str, ...]:
    """The labels that all models choose from; empty for models that give a score.

    Raises DistilleryError if they cannot be asked the same question.
    """
    kinds = set()
    for role, loaded in models.items():
        if loaded.model.get_output_embeddings() is not None:
            raise DistilleryError(f"The {role} guesses words and knows no labels, so it cannot be asked for one.")
        names = label_names(loaded.model)
        kinds.add(() if len(names) == 1 else names)
    if len(kinds) > 1 and () in kinds:
        raise DistilleryError("One of the models gives a score and another a label, so they cannot be compared.")
    if len(kinds) > 1:
        raise DistilleryError("The models do not have the same labels to choose from, so they cannot be compared.")
    return kinds.pop() if kinds else ()


def _labels(
    models: Mapping[str, Loaded], sentence: str, second: str | None, max_tokens: int, passes: int
) -> Comparison:
    read = {role: word_pieces(loaded, sentence, second, max_tokens) for role, loaded in models.items()}
    found = in_turn(models, {role: inputs for role, (inputs, _) in read.items()}, passes)
    given: dict[str, Answer] = {}
    for role, (logits, milliseconds) in found.items():
        shares = dict(zip(label_names(models[role].model), logits[0].softmax(-1).tolist(), strict=True))
        given[role] = Answer(shares, milliseconds, read[role][1])
    return Comparison(sentence, given, second)


def _scores(
    models: Mapping[str, Loaded], sentence: str, second: str | None, max_tokens: int, passes: int
) -> ScoreComparison:
    read = {role: word_pieces(loaded, sentence, second, max_tokens) for role, loaded in models.items()}
    found = in_turn(models, {role: inputs for role, (inputs, _) in read.items()}, passes)
    given = {role: Score(logits.item(), time_ms, read[role][1]) for role, (logits, time_ms) in found.items()}
    return ScoreComparison(sentence, given, second)


def word_pieces(loaded: Loaded, sentence: str, second: str | None, max_tokens: int) -> tuple[dict[str, Tensor], bool]:
    """What a model reads, (1, L) with [CLS] and [SEP], and whether it was cut. Control tokens typed are plain text."""
    encoded = loaded.tokenizer(
        sentence,
        second,
        truncation=True,
        max_length=longest_input(loaded, max_tokens),
        split_special_tokens=True,
        return_tensors="pt",
    )
    inputs = {"input_ids": encoded["input_ids"]}
    if second is not None and family_of(loaded.model).tells_segments_apart(loaded.model):
        inputs["token_type_ids"] = encoded["token_type_ids"]
    return inputs, bool(encoded.encodings[0].overflowing)


def _distance(first: Mapping[str, float], second: Mapping[str, float]) -> float:
    labels = {*first, *second}
    return sum(abs(first.get(label, 0.0) - second.get(label, 0.0)) for label in labels) / 2
