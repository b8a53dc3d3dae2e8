"""Every kind of work, and which may run beside which: the one table that knows them all.

Training, scoring, exporting and measuring take turns on a machine, in the order in which they were asked for; answers
to many texts have a lane of their own beside them. A measurement is refused, not queued, while anything else is at
work: see `why_not_measure`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from core.export import job as export
from core.glue import work as glue
from core.jobs import carry_out as carrying
from core.jobs import folder as jobs
from core.jobs.kind import Kind
from core.jobs.process import Launcher
from core.jobs.queue import MACHINE, Queue
from core.jobs.reporter import never
from core.jobs.worker import Worker
from core.runs import work as distil
from core.scoring import job as answers
from core.speed import job as speed
from core.storage import jobs_root, runs_root, scores_root

DISTIL, GLUE, EXPORT, MEASURE, HELD_OUT, FILE = "distil", "glue", "export", "measure", "held-out", "file"
BESIDE = "answers"
BEHIND_PAGES, BEHIND_ALL = 5, 10
"""How far a process stands back, Unix nice: for the pages, which answer within a moment, or for trainings as well."""

KINDS = (
    Kind(DISTIL, runs_root, MACHINE, distil.distil, distil.stopped, patience=BEHIND_PAGES),
    Kind(GLUE, scores_root, MACHINE, glue.score, glue.stopped, patience=BEHIND_PAGES),
    Kind(
        EXPORT,
        jobs_root,
        MACHINE,
        export.make,
        export.stopped,
        export.PREFIX,
        patience=BEHIND_ALL,
        is_interruptible=True,
        resumes=False,
    ),
    Kind(MEASURE, jobs_root, MACHINE, speed.measure_run, speed.stopped, speed.NAME, resumes=False),
    Kind(HELD_OUT, jobs_root, BESIDE, answers.ask_about_held_out, answers.stopped, answers.HELD_OUT, resumes=False),
    Kind(FILE, jobs_root, BESIDE, answers.answer_upload, answers.stopped, answers.FILE, resumes=False),
)

queue = Queue(KINDS)
worker = Worker(queue, Launcher(lambda argument: [sys.executable, "-m", "core", "job", argument]))
"""The server's: nothing of it works before somebody calls `start`."""


def start() -> None:
    """Begin to work off the queue; files that an earlier server was sent are deleted. Harmless when called again."""
    if not worker.is_working:
        answers.forget_files()
    worker.start()


def shutdown(timeout_s: float) -> None:
    """Let everything that a server started save and end; files that were sent are deleted, answered or not."""
    worker.shutdown(timeout_s)
    answers.forget_files(waiting_too=True)


def carry_out(folder: Path, leaving: carrying.Leaving = never) -> jobs.State:
    """Do the work of any job in this process, now, and return the state it ended in."""
    return carrying.carry_out(folder, queue.kind_of(folder), leaving)


def waiting_runs() -> list[Path]:
    """The runs that wait for the server's worker, the one that has waited longest first."""
    return queue.waiting(MACHINE, DISTIL)


def active_run() -> Path | None:
    """The run that trains now, in whatever process, or None."""
    return next(iter(queue.active(MACHINE, DISTIL)), None)


def active_glue() -> Path | None:
    """The GLUE job that is measured now, in whatever process, or None."""
    return next(iter(queue.active(MACHINE, GLUE)), None)


def at_work() -> Path | None:
    """What has the machine for itself now, in whatever process, or None."""
    return next(iter(queue.active(MACHINE)), None)


def why_not_measure() -> str:
    """Why nothing can be measured now, in a sentence; empty if it can."""
    if at_work():
        return speed.TAKEN
    return speed.WAITS if queue.waiting(MACHINE) else ""
