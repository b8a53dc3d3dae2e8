"""What a run's teacher and student say about every text of its held-out set: asked once, then kept in the run folder.

The file knows the weights that answered, so other weights are asked anew. It holds the texts too: the data may be gone
by the time somebody looks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

# Until Python 3.12 pydantic takes only these.
from typing_extensions import TypedDict

from core.config import Settings
from core.errors import DistilleryError
from core.jobs.reporter import Progress
from core.models import shelf
from core.models.folder import WEIGHTS, ModelFolder, file_sha256
from core.persisted import Count, Text, is_there, read_as, write_kept
from core.scoring.doubts import Calibration, calibration, softmax
from core.scoring.slices import SliceRow, seldom_words, slice_rows, slices_of
from core.sections import TrainingSettings
from core.storage import BrokenRun

if TYPE_CHECKING:
    from core.data.part import Part
    from core.distill.device import Compute

FILE = "held_out.json"
VERSION = 1

CHANGED = (
    "The data or the teacher's files have changed since this run, so nobody can say which texts its models have not "
    "seen. Start a run with the data as it is now."
)

NEAR = 0.1
"""Scores are called alike if they differ by at most this share of the range of the true scores."""


MOST_BYTES = 500_000_000
"""Of a file of answers: far more than the largest held-out set takes."""


class _Kept(TypedDict):
    """The file, every column of it as long as `texts`."""

    version: int
    weights: dict[Text, Text]
    label_names: tuple[str, ...]
    split: Text
    texts: list[str]
    seconds: list[str] | None
    labels: list[int | float]
    seldom: list[Count]
    answers: dict[Text, list[list[float]]]


@dataclass(frozen=True)
class HeldOut:
    """Texts, true labels (N,) and both models' answers by role: logits (N, C), or scores (N, 1) without label names.

    `seldom` (N,) counts the words of each text that the training texts hardly hold; `split` names the part.
    """

    label_names: tuple[str, ...]
    split: str
    texts: list[str]
    seconds: list[str] | None
    labels: NDArray
    seldom: NDArray[np.int64]
    answers: Mapping[str, NDArray[np.float32]]

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def near(self) -> float:
        """How far two scores may be apart to be called alike."""
        return NEAR * float(np.ptp(self.labels)) if len(self) else 0.0

    @property
    def gaps(self) -> NDArray[np.float64]:
        """How far the two are apart on each text, (N,): total variation, 0 to 1, or the difference of the scores."""
        if not self.label_names:
            first, second = (self.answers[role].astype(np.float64) for role in ("teacher", "student"))
            return np.abs(first - second)[:, 0]
        return np.abs(self.shares("teacher") - self.shares("student")).sum(axis=1) / 2

    @property
    def equal(self) -> NDArray[np.bool_]:
        """Whether both give the same label, or scores that are alike, (N,)."""
        if not self.label_names:
            return self.gaps <= self.near
        return self.answers["teacher"].argmax(axis=1) == self.answers["student"].argmax(axis=1)

    def right(self, role: str) -> NDArray[np.bool_]:
        """Whether a model gives the true label, or a score like the true one, (N,)."""
        if not self.label_names:
            return np.abs(self.answers[role][:, 0] - self.labels) <= self.near
        return self.answers[role].argmax(axis=1) == self.labels

    def shares(self, role: str) -> NDArray[np.float64]:
        """The probability that a model gives each label of each text, (N, C)."""
        return softmax(self.answers[role].astype(np.float64))

    def probabilities(self, role: str, number: int) -> dict[str, float]:
        """What a model says to one text: the probability of each label."""
        shares = softmax(self.answers[role][number].astype(np.float64))
        return dict(zip(self.label_names, shares.tolist(), strict=True))

    @cached_property
    def calibrations(self) -> dict[str, Calibration]:
        """How sure each model is against how often it is right, by role; only where there are label names."""
        return {role: calibration(self.shares(role), self.labels) for role in self.answers}

    def by_slice(self) -> list[SliceRow]:
        """Equal and right answers by kind of text."""
        texts = self.texts if self.seconds is None else list(map(" ".join, zip(self.texts, self.seconds, strict=True)))
        slices = slices_of(texts, self.seldom)
        return slice_rows(slices, self.equal, self.right("teacher"), self.right("student"))

    def furthest(self, most: int) -> list[int]:
        """The texts with the largest gap, the largest first."""
        return np.argsort(-self.gaps, kind="stable")[:most].tolist()


def weights_of(folders: Mapping[str, Path]) -> dict[str, str]:
    """SHA-256 of each model's weights, from its manifest where there is one. Raises DistilleryError without weights."""
    found = {}
    for role, folder in folders.items():
        opened = ModelFolder(folder)
        try:
            found[role] = opened.manifest.get(WEIGHTS) or file_sha256(folder / WEIGHTS)
        except OSError as error:
            raise DistilleryError(f"The {role} has no {WEIGHTS}; it may have been deleted.") from error
    return found


def read_held_out(run_dir: Path, folders: Mapping[str, Path]) -> HeldOut | None:
    """The kept answers of these very models; None if there are none that can be used."""
    if not is_there(run_dir / FILE):
        return None
    try:
        kept = read_as(_Kept, run_dir / FILE, "a held-out set", most_bytes=MOST_BYTES)
        return _checked(kept) if kept["version"] == VERSION and kept["weights"] == weights_of(folders) else None
    except (BrokenRun, ValueError):
        # Somebody changed it, or a later version wrote it: it is made again.
        return None


def ask_held_out(
    settings: Settings, run_dir: Path, folders: Mapping[str, Path], training: TrainingSettings, progress: Progress
) -> HeldOut:
    """Both models' answers to the run's held-out texts, kept in its folder.

    `training` says in which precision and on how many threads of the processor. Raises DistilleryError if the data is
    not what the run was trained on, StopRequested if somebody stops it.
    """
    from core.data.labelled import load_labelled

    compute, weights = prepare(settings, folders, training)
    data = load_labelled(settings.data)
    progress.check_stop()
    seldom = seldom_words(_together(data.test), _together(data.train))
    answers = _answers(settings, data.test, folders, compute, progress)
    found = HeldOut(
        data.label_names,
        data.test_split,
        data.test.texts,
        data.test.pairs,
        data.test.labels,
        np.array(seldom),
        answers,
    )
    _write(found, run_dir, weights)
    return found


def prepare(
    settings: Settings, folders: Mapping[str, Path], training: TrainingSettings
) -> tuple[Compute, dict[str, str]]:
    """How to compute, and whose weights will answer. Raises DistilleryError if the data or the teacher has changed."""
    import torch

    from core.distill.cache import teacher_key
    from core.distill.device import choose_compute

    compute = choose_compute(training)
    torch.set_num_threads(compute.threads)
    if folders["teacher"].parent.name != teacher_key(settings):
        raise DistilleryError(CHANGED)
    return compute, weights_of(folders)


def _answers(
    settings: Settings, part: Part, folders: Mapping[str, Path], compute: Compute, progress: Progress
) -> dict[str, NDArray[np.float32]]:
    from core.data.tokens import tokenise
    from core.scoring.predict import BATCH, predict

    total, batches, answers = -(-len(part) // BATCH) * len(folders), count(1), {}
    for role, folder in folders.items():
        loaded = shelf.get(folder)
        tokens = tokenise(part, loaded.tokenizer, settings.data.max_tokens)
        answers[role] = predict(loaded.model, tokens, compute, lambda: progress.report(next(batches), total))
    return answers


def _together(part: Part) -> list[str]:
    return part.texts if part.pairs is None else list(map(" ".join, zip(part.texts, part.pairs, strict=True)))


def _write(found: HeldOut, run_dir: Path, weights: dict[str, str]) -> None:
    value = {
        "version": VERSION,
        "weights": weights,
        "label_names": list(found.label_names),
        "split": found.split,
        "texts": found.texts,
        "seconds": found.seconds,
        "labels": found.labels.tolist(),
        "seldom": found.seldom.tolist(),
        "answers": {
            role: [[round(value, 5) for value in row] for row in rows.tolist()] for role, rows in found.answers.items()
        },
    }
    write_kept(run_dir / FILE, value, durable=False)


def _checked(kept: _Kept) -> HeldOut:
    """Raises ValueError unless everything fits together."""
    names, texts, seconds = kept["label_names"], kept["texts"], kept["seconds"]
    if names and not all(isinstance(label, int) for label in kept["labels"]):
        raise ValueError("labels between two names")
    seldom = np.array(kept["seldom"], dtype=np.int64)
    # What is too large for 32 bits becomes infinite here, and is refused below.
    with np.errstate(over="ignore"):
        labels = np.array(kept["labels"], dtype=np.int64 if names else np.float32)
        answers = {role: np.array(rows, dtype=np.float32) for role, rows in kept["answers"].items()}
    shape = (len(texts), len(names) or 1)
    if set(answers) != {"teacher", "student"} or any(rows.shape != shape for rows in answers.values()) or not texts:
        raise ValueError("answers of another shape")
    if not all(np.isfinite(rows).all() for rows in answers.values()) or not np.isfinite(labels).all():
        raise ValueError("numbers that 32 bits do not hold")
    if seconds is not None and len(seconds) != len(texts):
        raise ValueError("second texts of another number")
    is_class = not names or (labels.min() >= 0 and labels.max() < len(names))
    if labels.shape != seldom.shape or labels.shape != (len(texts),) or not is_class:
        raise ValueError("labels that are none")
    return HeldOut(names, kept["split"], texts, seconds, labels, seldom, answers)
