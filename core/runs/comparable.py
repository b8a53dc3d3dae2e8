"""Which runs have a teacher and a student that can be asked, what they can be asked, and where both lie."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.config import GLUE_SOURCES, Settings
from core.errors import DistilleryError
from core.persisted import is_there, read_kept
from core.runs import folder as runs
from core.runs.about import run_name, started
from core.runs.results import FILE as RESULTS
from core.runs.results import read_result
from core.storage import BrokenRun, read_json, teacher_model, where

Role = Literal["teacher", "student"]
ROLES: tuple[Role, ...] = ("teacher", "student")
"""A run's two models."""

Kind = Literal["texts", "pairs", "words"]
"""What a run's models read: one text, two texts, or one text with hidden words to guess."""

TASKS_OF_ONE_TEXT = ("CoLA", "SST-2")
"""The GLUE tasks that are not about pairs."""

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
    """A run whose models can be asked, as the chooser shows it. `kept` is a share, None if it was not measured."""

    run_id: str
    name: str
    state: runs.State
    kept: float | None
    settings: Settings

    @property
    def kind(self) -> Kind:
        """What its models read."""
        return kind_of(self.settings)


@dataclass(frozen=True)
class UnusableRun:
    """A run that cannot be compared: `reason` says why in a sentence; `state` is None if it cannot be read."""

    run_id: str
    name: str
    state: runs.State | None
    reason: str


def comparable_runs() -> tuple[list[RunToCompare], list[UnusableRun]]:
    """The runs that can be compared and those that cannot: finished before unfinished, newest before older."""
    found = sorted(map(_describe, runs.list_runs()), key=lambda run: run.state != "finished")
    ids = map(runs.id_of, runs.misnamed_runs())
    misnamed = [UnusableRun(run_id, started(run_id), None, runs.MISNAMED) for run_id in ids]
    return (
        [run for run in found if isinstance(run, RunToCompare)],
        [*(run for run in found if isinstance(run, UnusableRun)), *misnamed],
    )


def kind_of(settings: Settings) -> Kind:
    """What the models of a run with these settings read."""
    data = settings.data
    if settings.objective == "masked_words":
        return "words"
    if data.source in GLUE_SOURCES:
        return "texts" if data.task in TASKS_OF_ONE_TEXT else "pairs"
    return "pairs" if data.source == "csv" and data.pair_column.strip() else "texts"


def model_folders(run_dir: Path) -> dict[str, Path]:
    """Where the run's teacher and student lie, by role. Raises DistilleryError, with the reason, if one is missing."""
    status = runs.read_status(run_dir)
    student = run_dir / "student"
    if status.state in runs.ACTIVE or not student.is_dir():
        raise DistilleryError(_NO_STUDENT[status.state])
    return {"teacher": _teacher_folder(run_dir), "student": student}


def label_names(run_dir: Path, count: int) -> tuple[str, ...]:
    """What the run's labels are called: by the saved student, while it trains by its teacher, else by number."""
    for folder in (lambda: run_dir / "student", lambda: _teacher_folder(run_dir)):
        try:
            names = read_json(folder() / "config.json").get("id2label")
        except DistilleryError:
            continue
        if isinstance(names, dict) and set(names) == {str(place) for place in range(count)}:
            return tuple(str(names[str(place)]) for place in range(count))
    return tuple(f"class {place}" for place in range(count))


def _describe(folder: Path) -> RunToCompare | UnusableRun:
    state, settings = None, None
    try:
        state = runs.read_status(folder).state
        settings = runs.read_settings(folder)
        model_folders(folder)
        kept = _kept(folder)
    except DistilleryError as error:
        return UnusableRun(folder.name, run_name(folder, settings), state, str(error))
    return RunToCompare(folder.name, run_name(folder, settings), state, kept, settings)


def _kept(run_dir: Path) -> float | None:
    return read_result(run_dir)["kept"] if is_there(run_dir / RESULTS) else None


def _teacher_folder(run_dir: Path) -> Path:
    key = read_kept(run_dir / "teacher.json").get("key")
    # The key becomes part of a path, and the file may come from somewhere else.
    if not isinstance(key, str) or not _TEACHER_KEY.fullmatch(key):
        raise BrokenRun(f"{where(run_dir / 'teacher.json')} does not name a teacher.")
    folder = teacher_model(key)
    if not folder.is_dir():
        raise DistilleryError(
            "Its teacher is no longer in the cache. Start a run with the same data and teacher settings: "
            "that trains the same teacher again."
        )
    return folder
