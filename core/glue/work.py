"""The work of a GLUE job, from its frozen settings to results.json."""

from __future__ import annotations

from pathlib import Path

from core import libraries
from core.jobs.folder import Status
from core.jobs.reporter import Reporter
from core.persisted import write_kept
from core.runs import folder as runs

SCORED = "Finished: every model is measured on every task."


def score(folder: Path, reporter: Reporter) -> str:
    """Measure every model on every task that is not measured yet; returns what to say.

    Raises StopRequested, keeping every score, and whatever went wrong.
    """
    if not (folder / "results.json").exists():
        settings = runs.read_job_settings(folder)
        libraries.load()
        from core.glue.job import run_job
        from core.runs.recorder import FolderRecorder
        from core.runs.resume import rewind

        with FolderRecorder(reporter, rewind(folder, settings)) as recorder:
            results = run_job(settings, folder, recorder)
        write_kept(folder / "results.json", results)
    return SCORED


def stopped(_folder: Path, status: Status, why: str) -> str:
    """What a job says that was stopped."""
    return f"Stopped {why} at step {status.step} of {status.total_steps}. Every score is kept; you can resume it."
