"""Small GLUE folders that can be learned, and jobs over them that take a second."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from numpy.typing import NDArray

from core.data.part import Part
from core.glue import measure
from core.glue.fine_tuning import Learner
from core.glue.settings import GlueSettings, StudentModel, TeacherModel
from core.runs import folder as runs
from core.sections import TeacherSettings
from core.settings_file import override
from core.storage import home
from tests.glue_files import HEADERS, write, write_task
from tests.small_runs import reviews, run_once, settings_of

ALL = ("CoLA", "SST-2", "MRPC", "STS-B", "QQP", "MNLI", "QNLI", "RTE", "WNLI")
LEARNED = ("MRPC", "SST-2", "STS-B")
"""The tasks of the learnable folder."""

CHECKPOINT_EVERY = 3


def prepare() -> None:
    """In the home of the moment: a run "one", its control "control", a GLUE folder of all tasks and a learnable one."""
    run_once("one")
    run_once("control", "loss.soft=0", "loss.hard=1", "loss.cosine=0", "name=No teacher")
    for task in ALL:
        write_task(home() / "glue", task)
    write_learnable(home() / "learnable")


def job_settings(*assignments: str, **fields: Any) -> GlueSettings:
    """A small job: the tiny teacher and the student of run "one" on the learnable folder."""
    defaults: dict[str, Any] = {
        "path": str(home() / "learnable"),
        "tasks": LEARNED,
        "models": (teacher(), StudentModel(run="one")),
        "batch_size": 16,
        "epochs": 2,
        "learning_rate": 1e-3,
        "max_tokens": 32,
        "threads": 1,
    }
    return override(GlueSettings(**(defaults | fields)), assignments)


def teacher() -> TeacherModel:
    """The tiny teacher of all small runs."""
    return TeacherModel(teacher=TeacherSettings(source="folder", path=settings_of().teacher.path))


def job(name: str, *assignments: str, **fields: Any) -> Path:
    """A queued job in the home of the moment."""
    return runs.create_job(job_settings(*assignments, **fields), name)


def write_learnable(root: Path) -> None:
    """Three tasks whose labels follow from the mood of their sentences: one of single texts, two of pairs."""
    texts = [(text.replace("\t", " "), int(label == "positive")) for text, label in reviews()]
    pairs = list(zip(texts, texts[1:] + texts[:1], strict=True))
    rows = {
        "SST-2": [f"{text}\t{mood}" for text, mood in texts],
        "MRPC": [f"{int(a == b)}\t1\t2\t{one}\t{other}" for (one, a), (other, b) in pairs],
        "STS-B": [f"{i}\tx\tx\t1\t1\tx\tx\t{one}\t{other}\t{2.5 * (a + b):.3f}"
                  for i, ((one, a), (other, b)) in enumerate(pairs)],
    }  # fmt: skip
    for task, lines in rows.items():
        write(root / task / "train.tsv", [HEADERS[task], *lines[:192]])
        write(root / task / "dev.tsv", [HEADERS[task], *lines[192:]])


@contextmanager
def watched_answers() -> Iterator[dict[str, str]]:
    """SHA-256 of the answers that each model gives within the block, by the number of the question and what it is."""
    hashes: dict[str, str] = {}
    really = Learner.answers

    def watch(self: Learner, part: Part, recorder: Any) -> NDArray:
        answers = really(self, part, recorder)
        hashes[f"{len(hashes)}"] = hashlib.sha256(answers.tobytes()).hexdigest()
        return answers

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Learner, "answers", watch)
        patch.setattr(measure, "CHECKPOINT_EVERY", CHECKPOINT_EVERY)
        yield hashes
