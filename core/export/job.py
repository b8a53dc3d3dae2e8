"""The job that makes a run's ONNX files: one for each run, in its turn, at low priority."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from core.jobs import folder as jobs
from core.jobs.folder import Status
from core.jobs.owner import Owner
from core.jobs.reporter import Reporter
from core.persisted import read_kept
from core.runs import folder as runs
from core.storage import jobs_root

PREFIX = "export-"


def start(run: Path, owner: Owner | None = None) -> Path:
    """Queue the making of a run's files, unless it waits or is under way; returns the job's folder.

    With an `owner` it is that process's own job, beside one that a page may have asked for.
    """
    name = _name(run) + (f"-{os.getpid()}" if owner else "")
    return jobs.create_anew(jobs_root(), {"job": "export", "run": run.name}, name, owner=owner)


def status_of(run: Path) -> Status | None:
    """What the job of a run is doing, or how it ended; None if there is none to speak of."""
    status = jobs.find_status(jobs_root() / _name(run))
    return None if status is None or status.state in ("finished", "stopped") else status


def stop(run: Path) -> None:
    """End the making of a run's files; nothing is left behind."""
    if (jobs_root() / _name(run)).exists():
        jobs.request_stop(jobs_root() / _name(run))


def make(folder: Path, reporter: Reporter) -> str:
    """The work: make the files of the run that the job names. Raises DistilleryError if they cannot be made."""
    # Every page reads the table of all work, and with it this file; numpy is for those who make the files.
    from core.export.make_forms import make_forms

    run = runs.run_folder(str(read_kept(folder / "config.json").get("run")))
    make_forms(run, tell=reporter.say)
    return "The ONNX files are made."


def stopped(_folder: Path, _status: Status, why: str) -> str:
    """What is said of a job that was stopped."""
    return f"Stopped {why}. Nothing was kept."


def _name(run: Path) -> str:
    # A run may have any name that the system takes; a job's is plain.
    return PREFIX + hashlib.sha256(os.fsencode(run.name)).hexdigest()[:16]
