"""The same for masked words: what teacher and student put in place of every hidden word of the held-out texts.

The words are hidden as the run's own score hides them, so the shares over all of them are those of its result.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

# Until Python 3.12 pydantic takes only these.
from typing_extensions import TypedDict

from core.config import MASK, Settings
from core.data.pieces import word_pieces_of
from core.distill.silence import Silence
from core.jobs.reporter import Progress
from core.models import shelf
from core.models.in_memory import pieces_of
from core.persisted import Count, Text, is_there, read_as, write_kept
from core.scoring.held_out import MOST_BYTES, prepare, weights_of
from core.scoring.hidden_words import shown
from core.scoring.slices import Slice, SliceRow, has_negation, slice_rows
from core.sections import TrainingSettings
from core.storage import BrokenRun

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from core.distill.device import Compute

FILE = "held_out_words.json"
VERSION = 1

AROUND = 24
"""Word pieces that are kept on each side of a hidden word."""

RARE, FREQUENT = 20, 1_000
"""A word piece is rare if the training texts hold it at most so often, frequent if at least so often."""


@dataclass(frozen=True)
class HeldOutWords:
    """Every hidden word: the text around it with [MASK], the word, both first guesses, its count in training texts."""

    contexts: list[str]
    words: list[str]
    teacher: list[str]
    student: list[str]
    counts: list[Count]

    def __len__(self) -> int:
        return len(self.words)

    def by_slice(self) -> list[SliceRow]:
        """Equal and right guesses by kind of hidden word and of text."""
        words, teacher, student = (np.array(column) for column in (self.words, self.teacher, self.student))
        return slice_rows(self._slices(), teacher == student, teacher == words, student == words)

    def lost(self, most: int) -> list[int]:
        """Words that the teacher guesses and the student does not, the rarest first."""
        found = [i for i, word in enumerate(self.words) if self.teacher[i] == word != self.student[i]]
        return sorted(found, key=lambda i: self.counts[i])[:most]

    def _slices(self) -> list[Slice]:
        counts, words = np.array(self.counts), self.words
        rules: tuple[tuple[str, str, NDArray[np.bool_]], ...] = (
            ("All", "Every hidden word of the held-out set.", np.ones(len(self), dtype=bool)),
            ("Frequent words", f"The training texts hold them {FREQUENT:,} times or more.", counts >= FREQUENT),
            ("Rare words", f"The training texts hold them {RARE} times or less.", counts <= RARE),
            ("Ends of words", "Pieces that go on with a word.", _each(word.startswith("…") for word in words)),
            ("Numbers", "Pieces with a digit.", _each(any(map(str.isdigit, word)) for word in words)),
            ("Signs", "Neither a letter nor a digit.", _each(not any(map(str.isalnum, word)) for word in words)),
            ("Near a negation", "A word such as not or never stands near.", _each(map(has_negation, self.contexts))),
            ("Near a question mark", "A question mark stands near.", _each("?" in text for text in self.contexts)),
        )
        return [Slice(name, rule, members) for name, rule, members in rules if members.any()]


class _Kept(TypedDict):
    """The file."""

    version: int
    weights: dict[Text, Text]
    found: HeldOutWords


def read_held_out_words(run_dir: Path, folders: Mapping[str, Path]) -> HeldOutWords | None:
    """The kept guesses of these very models; None if there are none that can be used."""
    if not is_there(run_dir / FILE):
        return None
    try:
        kept = read_as(_Kept, run_dir / FILE, "a set of held-out words", most_bytes=MOST_BYTES)
    except BrokenRun:
        return None
    found, fits = kept["found"], kept["version"] == VERSION and kept["weights"] == weights_of(folders)
    columns = (found.contexts, found.words, found.teacher, found.student, found.counts)
    return found if fits and {len(column) for column in columns} == {len(found)} and len(found) else None


def ask_held_out_words(
    settings: Settings, run_dir: Path, folders: Mapping[str, Path], training: TrainingSettings, progress: Progress
) -> HeldOutWords:
    """Both models' guesses for the run's held-out words, kept in its folder.

    `training` says in which precision and on how many threads of the processor. Raises DistilleryError if the data is
    not what the run was trained on, StopRequested if somebody stops it.
    """
    compute, weights = prepare(settings, folders, training)
    objective, recorder = _objective(settings, compute, progress)
    guessed = {}
    for role, folder in folders.items():
        recorder.total = len(folders) * objective.held_out_batches
        guessed[role] = objective.answers(shelf.get(folder).model, "test", "Asking both models")
    found = _found(objective, guessed)
    write_kept(run_dir / FILE, {"version": VERSION, "weights": weights, "found": asdict(found)}, durable=False)
    return found


def _objective(settings: Settings, compute: Compute, progress: Progress) -> tuple[Any, _BatchCounter]:
    from core.distill.session import Session

    recorder = _BatchCounter(progress)
    return _opened()(Session(settings, compute, recorder)), recorder


class _BatchCounter(Silence):
    """A recorder that counts the batches: it is asked before every one."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.done, self.total = 0, 0

    def check_stop(self) -> None:
        """Count one more. Raises StopRequested if the work should end."""
        self.done += 1
        self._progress.report(self.done, self.total)


def _opened() -> type:
    """The objective with its held-out words in the open. Made late: it needs torch."""
    from core.distill.masked_words import MaskedWords

    class Opened(MaskedWords):
        @property
        def held_out_batches(self) -> int:
            return len(self._held_out["test"])

        def hidden(self) -> Iterator[tuple[list[int], int]]:
            """For every hidden word in the order of the answers: the pieces of its text, and its place in them."""
            for batch in self._held_out["test"]:
                starts = np.cumsum([0, *self._timed.lengths[batch.examples]])
                for place in batch.masked.tolist():
                    row = int(np.searchsorted(starts, place, side="right")) - 1
                    yield self._timed.pieces(batch.examples[row : row + 1]).tolist(), place - int(starts[row])

        def counts(self) -> NDArray[np.int64]:
            return np.bincount(self._train.ids, minlength=len(self.tokenizer))

    return Opened


def _found(objective: Any, guessed: Mapping[str, NDArray]) -> HeldOutWords:
    tokenizer, counts = objective.tokenizer, objective.counts()
    names = [shown(piece) for piece in word_pieces_of(tokenizer, list(range(len(tokenizer))))]
    contexts, truth = [], []
    for pieces, place in objective.hidden():
        truth.append(pieces[place])
        # Without the marks at both ends; the places beside them are the first and last that can be hidden.
        before = pieces[max(1, place - AROUND) : place]
        after = pieces[place + 1 : min(len(pieces) - 1, place + 1 + AROUND)]
        contexts.append(f"{_text(tokenizer, before)} {MASK} {_text(tokenizer, after)}".strip())
    words = {role: [names[piece] for piece in answers.tolist()] for role, answers in guessed.items()}
    return HeldOutWords(
        contexts,
        [names[piece] for piece in truth],
        words["teacher"],
        words["student"],
        [int(counts[piece]) for piece in truth],
    )


def _text(tokenizer: PreTrainedTokenizerBase, pieces: list[int]) -> str:
    return tokenizer.convert_tokens_to_string(pieces_of(tokenizer, pieces))


def _each(members: Iterable[bool]) -> NDArray[np.bool_]:
    return np.fromiter(members, dtype=bool)
