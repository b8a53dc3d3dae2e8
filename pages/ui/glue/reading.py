"""What the page shows of the GLUE jobs on disk. Imports no torch; what cannot have changed is not read again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import DistilleryError
from core.glue.cells import Cell, readable_cells
from core.glue.plan import Plan, read_plan
from core.glue.seen import with_seen
from core.glue.settings import GlueSettings
from core.glue.timed import TIMING, Timing, read_timing
from core.jobs.events import read_events
from core.runs import folder as runs
from core.storage import is_number

TAIL_BYTES, RECENT_S = 64_000, 90.0
"""How much of metrics.jsonl tells the pace, and how far back it counts."""

SAID_AT_ONCE = 3
"""Of how many scores that cannot be read the cause is told."""


@dataclass(frozen=True)
class Job:
    """One GLUE job as it stands. `problem` says in a sentence what of it cannot be read; empty if all can.

    `status` and `settings` are None where they cannot be read; of the scores those that can be read are in `cells`.
    """

    folder: Path
    status: runs.Status | None
    settings: GlueSettings | None
    cells: tuple[Cell, ...]
    timing: Timing | None
    problem: str = ""

    @property
    def state(self) -> str:
        """The state word, "broken" where there is none."""
        return self.status.state if self.status else "broken"

    @property
    def is_over(self) -> bool:
        """True if nothing happens to it any more by itself."""
        return self.status is None or self.status.state in runs.ENDED


@dataclass(frozen=True)
class _Files:
    settings: GlueSettings | None
    cells: tuple[Cell, ...]
    timing: Timing | None
    problem: str


_remembered: dict[Path, tuple[tuple[int, ...], _Files]] = {}


def read_jobs() -> list[Job]:
    """All jobs, the newest first, the broken ones with their cause."""
    folders = runs.list_jobs()
    for gone in set(_remembered).difference(folders):
        _remembered.pop(gone, None)
    misnamed = [Job(folder, None, None, (), None, runs.MISNAMED) for folder in runs.misnamed_jobs()]
    return [*map(_read_job, folders), *misnamed]


def seconds_left(job: Job) -> float | None:
    """How long a running job still takes at the pace of its last minutes; None while that is not known.

    Steps of different models take different times, so what counts is the plan's work, not the steps.
    """
    path = job.folder / "metrics.jsonl"
    try:
        plan = read_plan(job.folder)
        size = path.stat().st_size
        events, _ = read_events(path, max(0, size - TAIL_BYTES))
    except (DistilleryError, OSError):
        return None
    if plan is None or job.status is None or job.status.state != "running":
        return None
    timed = (event for event in events if event.get("event") == "step" and is_number(event.get("elapsed_s")))
    steps = [event for event in timed if "step" in event]
    recent = [step for step in steps if step["elapsed_s"] >= steps[-1]["elapsed_s"] - RECENT_S]
    if len(recent) < 2:
        return None
    done = work_until(plan, recent[-1]["step"]) - work_until(plan, recent[0]["step"])
    spent = recent[-1]["elapsed_s"] - recent[0]["elapsed_s"]
    rest = work_until(plan, plan.total_steps) - work_until(plan, job.status.step)
    return rest * spent / done if done > 0 else None


def work_until(plan: Plan, step: int) -> float:
    """How much of a plan's work is done after a step, on the plan's own scale."""
    return sum(cell.work * min(max(step - cell.first_step, 0), cell.steps) / cell.steps for cell in plan.cells)


def scores_planned(job: Job) -> int | None:
    """How many scores the job is going to have; None while it has no plan."""
    try:
        plan = read_plan(job.folder)
    except DistilleryError:
        return None
    return len(plan.cells) if plan else None


def _read_job(folder: Path) -> Job:
    stamp = tuple(_stamp(folder / name) for name in ("config.json", "cells", TIMING))
    known = _remembered.get(folder)
    if known is None or known[0] != stamp:
        known = _remembered[folder] = (stamp, _read_files(folder))
    files = known[1]
    try:
        return Job(folder, runs.read_status(folder), files.settings, files.cells, files.timing, files.problem)
    except DistilleryError as error:
        problem = " ".join(filter(None, (str(error), files.problem)))
        return Job(folder, None, files.settings, files.cells, files.timing, problem)


def _read_files(folder: Path) -> _Files:
    """Each part for itself: broken scores do not hide the settings."""
    problems: list[str] = []

    def read(part: Any, otherwise: Any) -> Any:
        try:
            return part()
        except DistilleryError as error:
            problems.append(str(error))
            return otherwise

    settings = read(lambda: runs.read_job_settings(folder), None)
    cells, unread = readable_cells(folder)
    problems += unread[:SAID_AT_ONCE]
    if len(unread) > SAID_AT_ONCE:
        problems.append(f"{len(unread) - SAID_AT_ONCE} more scores cannot be read.")
    timing = read(lambda: read_timing(folder), None)
    return _Files(settings, tuple(with_seen(cells)), timing, " ".join(problems))


def _stamp(path: Path) -> int:
    """Changes with a file's content, and of a folder with the files in it; 0 if there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
