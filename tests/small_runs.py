"""Whole runs in a second or two: a tiny BERT in a folder as the teacher, 240 sentences in a CSV file as the data.

Nothing is replaced: the runs take the ways that a user's own teacher and own data take.
"""

from __future__ import annotations

import csv
import gc
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertForSequenceClassification

from core.config import Settings
from core.models.saved import save_model
from core.runs import folder as runs
from core.runs.events import Event, read_events
from core.runs.execute import execute
from core.settings_file import override
from core.storage import home
from tests.tiny import tiny_teacher, tiny_tokenizer

GOOD, BAD = ("warm", "funny", "moving", "good", "charm"), ("dull", "lifeless", "mess", "bad", "without")
SMALL = (
    "teacher.epochs=4", "teacher.batch_size=16", "teacher.learning_rate=2e-3", "training.epochs=2",
    "training.batch_size=16", "training.learning_rate=1e-3", "training.threads=1", "training.device=cpu",
    "training.precision=fp32", "data.max_tokens=32",
)  # fmt: skip
MASKED = (
    "objective=masked_words", 'probes=["the film is [MASK] and funny ."]', "data.max_tokens=16",
    "teacher.epochs=12", "teacher.batch_size=8", "teacher.learning_rate=3e-3",
)  # fmt: skip
"""What makes the small run one that learns words."""


def settings_of(*assignments: str) -> Settings:
    """The small settings with some changed; their teacher and data are written below the home of the moment."""
    inputs = home() / "inputs"
    if not inputs.exists():
        write_inputs(inputs)
    where = ("data.source=csv", f"data.path={inputs / 'reviews.csv'}")
    teacher = ("teacher.source=folder", f"teacher.path={inputs / 'teacher'}")
    return override(Settings(), [*where, *teacher, *SMALL, *assignments])


def write_inputs(folder: Path) -> None:
    """The teacher's folder and the file of sentences."""
    folder.mkdir(parents=True)
    save_model(teachable(), tiny_tokenizer(), folder / "teacher")
    with (folder / "reviews.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *reviews()])


def reviews() -> list[tuple[str, str]]:
    """240 different sentences whose label is the mood of their words."""
    labelled = [
        (f"{subject} is {very}{first} and {second} .", label)
        for label, words in (("negative", BAD), ("positive", GOOD))
        for subject in ("the film", "a movie", "the story")
        for very in ("", "very ")
        for first, second in permutations(words, 2)
    ]
    order = np.random.default_rng(0).permutation(len(labelled))
    return [labelled[i] for i in order]


def teachable(labels: int = 2) -> BertForSequenceClassification:
    """A tiny teacher of 6 layers, calm enough to learn the task in a second."""
    model = tiny_teacher(labels, layers=6)
    with torch.no_grad():
        for parameter in model.bert.encoder.parameters():
            if parameter.dim() == 2:
                parameter.mul_(0.5)
    return model


@contextmanager
def world_of(home: Path) -> Iterator[Path]:
    """Runs within the block live below `home`, where teachers are trained once and then found in the cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DISTILLERY_HOME", str(home))
        # Every run ends with a garbage collection, which need not look at the libraries each time.
        gc.freeze()
        yield home
        gc.unfreeze()


def run_once(name: str, *assignments: str, leaving=lambda: False) -> Path:
    """Execute a run in the home of the moment; returns its folder."""
    folder = runs.create_run(settings_of(*assignments), name)
    execute(folder, leaving)
    return folder


def events(folder: Path, kind: str, stage: str = "student") -> list[Event]:
    """The events of one kind that a run has recorded."""
    found, _ = read_events(folder / "metrics.jsonl")
    return [event for event in found if event["event"] == kind and event["stage"] == stage]


def listing(folder: Path) -> list[str]:
    """Every file below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
