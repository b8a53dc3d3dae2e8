"""Going on with a run that was stopped or cut off: where it stood, and its curves cut back to exactly there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.config import Settings
from core.distill.cache import teacher_key
from core.errors import DistilleryError
from core.glue.plan import resume_step
from core.glue.settings import GlueSettings
from core.jobs.events import parse_event
from core.jobs.folder import RESUMABLE, queue_again
from core.jobs.owner import Owner
from core.runs import folder as runs
from core.storage import teacher_model

if TYPE_CHECKING:
    from core.distill.recorder import Stage


@dataclass(frozen=True)
class ResumePoint:
    """The last update that is kept, and the seconds its stage had taken by then."""

    stage: Stage
    step: int
    elapsed_s: float


def request_resume(folder: Path, owner: Owner | None = None) -> None:
    """Queue a run again, behind those that wait, for the server's worker or for the process `owner`.

    Raises DistilleryError, changing nothing, if the run is complete or under way.
    """
    status = runs.read_status(folder)
    if status.state not in RESUMABLE:
        raise DistilleryError(f"The run is {status.state}, so there is nothing to resume.")
    runs.read_any_settings(folder)
    queue_again(folder, "Waiting for its turn to go on.", owner)


def rewind(folder: Path, settings: Settings | GlueSettings) -> ResumePoint | None:
    """Cut metrics.jsonl back to what the run is going to continue from; None if it begins a stage anew.

    What came after the checkpoint is going to happen again, in the same way, and is recorded then. A run that is
    complete has nothing ahead of it and keeps every line.
    """
    from core.distill.checkpoint import newest_checkpoint

    metrics = folder / "metrics.jsonl"
    if not metrics.exists() or (folder / "results.json").exists():
        return None
    if isinstance(settings, GlueSettings):
        return _rewind_job(folder, metrics)
    newest = newest_checkpoint(folder / "checkpoints")
    if newest is not None and newest.stage == "student":
        return _cut_after(metrics, newest.stage, newest.step)
    if teacher_model(teacher_key(settings)).exists():
        _cut_before_student(metrics)
        return None
    if newest is not None:
        return _cut_after(metrics, newest.stage, newest.step)
    os.truncate(metrics, 0)
    return None


def _rewind_job(folder: Path, metrics: Path) -> ResumePoint | None:
    """Steps of a job are counted over all it measures, so what lies behind one is what has a greater number."""
    kept = resume_step(folder)
    end, elapsed_s = 0, 0.0
    for line in metrics.read_bytes().splitlines(keepends=True):
        event = parse_event(line)
        if kept is None or not event or event.get("step", 0) > kept:
            break
        end += len(line)
        elapsed_s = event["elapsed_s"]
    os.truncate(metrics, end)
    return ResumePoint("scores", kept, elapsed_s) if kept is not None and end else None


def _cut_after(metrics: Path, stage: Stage, step: int) -> ResumePoint:
    end = 0
    for line in metrics.read_bytes().splitlines(keepends=True):
        end += len(line)
        event = parse_event(line) or {}
        if (event.get("event"), event.get("stage"), event.get("step")) == ("step", stage, step):
            os.truncate(metrics, end)
            return ResumePoint(stage, step, event["elapsed_s"])
    raise DistilleryError(
        f"metrics.jsonl has no line for step {step} of the {stage}, so the run cannot go on from there."
    )


def _cut_before_student(metrics: Path) -> None:
    end = 0
    for line in metrics.read_bytes().splitlines(keepends=True):
        event = parse_event(line)
        if not event or (event.get("event"), event.get("stage")) == ("stage", "student"):
            break
        end += len(line)
    os.truncate(metrics, end)
