"""The one background thread that trains: it takes queued runs and GLUE jobs in order, one at a time.

A module-level object, so every page of the server shares it. It calls no `st.*` and keeps no truth: that is on disk.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from filelock import FileLock, Timeout

from core.config import Settings
from core.errors import DistilleryError
from core.glue.settings import GlueSettings
from core.runs import folder as runs
from core.runs.execute import execute
from core.runs.resume import request_resume
from core.storage import runs_root

log = logging.getLogger("distillery")

RETRY_S = 1.0
"""How often the queue is looked at again while another process on this machine trains."""

UNUSABLE_S = 10.0
"""The same while the folder of runs cannot be used."""


class Worker:
    """Trains queued runs on one daemon thread. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._guard = threading.Lock()
        self._wake = threading.Event()
        self._leaving = threading.Event()

    def start(self) -> None:
        """Begin to work off the queue; does nothing if it is being worked off already."""
        with self._guard:
            if self._leaving.is_set() or (self._thread and self._thread.is_alive()):
                return
            # A daemon, since a thread that is waited for would keep a closed server alive for ever.
            self._thread = threading.Thread(target=self._work, name="training", daemon=True)
            self._thread.start()

    def submit(self, settings: Settings, run_id: str) -> Path:
        """Queue a run and return its folder; the same id again is the same run."""
        folder = runs.create_run(settings, run_id)
        self.start()
        self._wake.set()
        return folder

    def submit_job(self, settings: GlueSettings, job_id: str) -> Path:
        """Queue a GLUE job and return its folder; the same id again is the same job."""
        folder = runs.create_job(settings, job_id)
        self.start()
        self._wake.set()
        return folder

    def resume(self, folder: Path) -> None:
        """Queue a run or job that was stopped or cut off. Raises DistilleryError if there is nothing to resume."""
        request_resume(folder)
        self.start()
        self._wake.set()

    def shutdown(self, timeout_s: float) -> None:
        """End the run that trains after its current step, keeping what it learned, and wait for that."""
        self._leaving.set()
        self._wake.set()
        thread = self._thread
        if thread and thread.is_alive():
            thread.join(timeout_s)

    def _work(self) -> None:
        while not self._leaving.is_set():
            try:
                folder = next_in_queue()
                if folder is None:
                    self._wake.wait()
                    self._wake.clear()
                elif not train_alone(folder, self._leaving) or next_in_queue() == folder:
                    # Another process trains, or the run could not even be marked as begun: a full disk.
                    self._leaving.wait(RETRY_S)
            except OSError as error:
                # The folder of runs has gone or become read-only; it may come back, and the queue with it.
                log.error("the queue cannot be worked off: %s", error)
                self._leaving.wait(UNUSABLE_S)


def queue() -> list[Path]:
    """Folders of the runs that wait for the server's worker, the one that has waited longest first."""
    return sorted(filter(_waits, runs.list_runs()), key=_waiting_since)


def job_queue() -> list[Path]:
    """The same of the GLUE jobs. Runs and jobs wait in one line: see `next_in_queue`."""
    return sorted(filter(_waits, runs.list_jobs()), key=_waiting_since)


def next_in_queue() -> Path | None:
    """The run or GLUE job that has waited longest, or None."""
    return min((*queue()[:1], *job_queue()[:1]), key=_waiting_since, default=None)


def active_run() -> Path | None:
    """The run that trains now, in whatever process, or None."""
    return next((folder for folder in runs.list_runs() if _state(folder) in runs.ACTIVE), None)


def active_job() -> Path | None:
    """The GLUE job that is measured now, in whatever process, or None."""
    return next((folder for folder in runs.list_jobs() if _state(folder) in runs.ACTIVE), None)


def at_work() -> Path | None:
    """The run or GLUE job that the machine works on now, or None."""
    return active_run() or active_job()


def machine_lock() -> FileLock:
    """Held by whoever trains in this runs folder. The system frees it when its holder dies."""
    return FileLock(runs_root() / ".training.lock", mode=0o600)


def train_alone(folder: Path, leaving: threading.Event) -> bool:
    """Carry out the run or job unless another process is training: then return False and change nothing."""
    lock = machine_lock()
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return False
    try:
        # Another server may have taken it, or somebody stopped it, while we reached for the lock.
        if _state(folder) == "queued":
            execute(folder, leaving.is_set)
    finally:
        lock.release()
    return True


def _waits(folder: Path) -> bool:
    try:
        status = runs.read_status(folder)
    except DistilleryError:
        return False
    return status.state == "queued" and status.owner is None


def _waiting_since(folder: Path) -> tuple[float, str]:
    # An id tells when its form was drawn, the file when it was sent.
    try:
        return (folder / "config.json").stat().st_mtime, folder.name
    except OSError:
        return 0.0, folder.name


def _state(folder: Path) -> runs.State | None:
    try:
        return runs.read_status(folder).state
    except DistilleryError:
        return None


_worker = Worker()
start = _worker.start
submit = _worker.submit
submit_job = _worker.submit_job
resume = _worker.resume
shutdown = _worker.shutdown
