"""The work of a run: a distillation from its frozen settings to results.json."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import libraries
from core.config import Settings
from core.errors import DistilleryError
from core.jobs.events import read_events
from core.jobs.folder import Status
from core.jobs.reporter import Reporter
from core.persisted import write_kept
from core.runs import folder as runs
from core.runs.tensorboard import refresh_tensorboard
from core.storage import cache_root

if TYPE_CHECKING:
    from core.estimate import Plan

log = logging.getLogger("distillery")

TRAINED = "Finished: the student is trained, scored and saved."


def distil(folder: Path, reporter: Reporter) -> str:
    """Train, score and save the student of a run, from its newest checkpoint if it has one; returns what to say.

    Raises StopRequested, keeping what was learned, and whatever went wrong.
    """
    try:
        if not (folder / "results.json").exists():
            _train(folder, runs.read_settings(folder), reporter)
        # Only now: until the results are on the disk the checkpoints are what the run can go on from.
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    finally:
        _refresh_event_file(folder)
    return TRAINED


def stopped(folder: Path, status: Status, why: str) -> str:
    """What a run says that was stopped: whether its student can be used and gone on with."""
    if (folder / "student").exists():
        where = f"at step {status.step} of {status.total_steps}"
        return f"Stopped {why} {where}. What the student had learned is kept, and you can resume it."
    return f"Stopped {why} before the student had begun to learn."


def _train(folder: Path, settings: Settings, reporter: Reporter) -> None:
    libraries.load()
    # Every page reads the table of all work, and with it this file; the rest is for those who train.
    from core import estimate
    from core.distill.job import run_job
    from core.runs.recorder import FolderRecorder
    from core.runs.resume import rewind

    checkpoints = folder / "checkpoints"
    with FolderRecorder(reporter, rewind(folder, settings)) as recorder:
        resumed, predicted = checkpoints.exists(), estimate.plan(settings)
        results = run_job(settings, folder / "student", cache_root() / "teachers", recorder, checkpoints)
    # A run that was cut off behind its teacher's stage finds the teacher that it has taught itself.
    taught = any(event.get("stage") == "teacher" for event in read_events(folder / "metrics.jsonl", kind="stage")[0])
    results["teacher_from_cache"] = results["teacher_from_cache"] and not taught
    write_kept(folder / "results.json", results)
    if not resumed:
        _remember_pace(settings, predicted, results)


def _remember_pace(settings: Settings, predicted: Plan, results: dict[str, Any]) -> None:
    from core import estimate

    try:
        estimate.learn(settings, predicted, results)
    except OSError as error:
        # The run is complete; only the next estimate is the worse for it.
        log.warning("how long the run took could not be kept: %s", error)


def _refresh_event_file(folder: Path) -> None:
    """For a run whose curves TensorBoard shall show: all of them, now that it ends."""
    try:
        refresh_tensorboard(folder)
    except (DistilleryError, OSError) as error:
        log.warning("the event file of run %s could not be written anew: %s", folder.name, error)
