"""What the process that works on a job says about it: its status, its heartbeat, and whether it should stop."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from core.errors import DistilleryError
from core.jobs import folder as jobs
from core.jobs.folder import Status
from core.jobs.owner import BEAT_S, HEARTBEAT, of_folder, this_process
from core.storage import BrokenRun

REPORT_S = 0.2


class StopRequested(Exception):
    """Somebody asked this job to end. Not an error: what was done is kept."""


class Progress(Protocol):
    """Told how far a piece of work is; both methods raise StopRequested if it should end."""

    def report(self, done: int, total: int) -> None:
        """So much of it is done."""

    def check_stop(self) -> None:
        """Called between two parts of it."""


def never() -> bool:
    """For a process that does not plan to leave."""
    return False


class Reporter:
    """Writes status.json of the job in `folder`. `leaving` says that the process itself is about to end."""

    def __init__(self, folder: Path, leaving: Callable[[], bool] = never) -> None:
        self.folder = folder
        self.leaving = leaving
        self._status = Status("preparing", "Getting ready.")
        self._ended = threading.Event()
        self._published = 0.0

    @property
    def status(self) -> Status:
        """The status as last published."""
        return self._status

    def begin(self, sentence: str) -> None:
        """Take the job over for this process. Raises OSError if its folder has gone or cannot be written."""
        try:
            self._status = jobs.written_status(self.folder)
        except BrokenRun:
            pass  # whatever it said, from now on this process says it
        by = (self._status.owner or {}).get("by")
        owner = of_folder(this_process(), self.folder) | ({"by": by} if by else {})
        self.publish(durable=False, state="preparing", sentence=sentence, owner=owner)
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()

    def say(self, sentence: str) -> None:
        """Show `sentence` while something takes a moment. Raises StopRequested if the job should end."""
        self.publish(durable=False, sentence=sentence)
        self.check_stop()

    def report(self, done: int, total: int) -> None:
        """Say how far the work is, a few times a second. Raises StopRequested if the job should end."""
        self._status = replace(self._status, state="running", step=done, total_steps=total)
        if done >= total or time.monotonic() - self._published > REPORT_S:
            self.publish(durable=False)
        self.check_stop()

    def publish(self, durable: bool = True, **changes: Any) -> None:
        """Change some of the status and write it."""
        self._status = replace(self._status, **changes)
        self._published = time.monotonic()
        jobs.write_status(self.folder, self._status, durable)

    def reached(self, step: int) -> None:
        """Remember how far the work is; the next status says so."""
        self._status = replace(self._status, step=step)

    def check_stop(self) -> None:
        """Raise StopRequested if somebody asked this job to stop or the process is about to leave."""
        if self.should_stop():
            raise StopRequested
        if not self.folder.exists():
            raise DistilleryError(f"The folder {self.folder.name} was removed while it was worked on.")

    def should_stop(self) -> bool:
        """True once somebody has asked this job to stop or the process is about to leave."""
        return self.leaving() or jobs.stop_requested(self.folder)

    def end(self, state: jobs.State, sentence: str) -> None:
        """Publish the last status; the heartbeat ends."""
        self._ended.set()
        (self.folder / HEARTBEAT).unlink(missing_ok=True)
        self.publish(state=state, sentence=sentence)

    def _beat(self) -> None:
        """Show somebody on another machine, who cannot look at this process, that it lives."""
        while not self._ended.wait(BEAT_S):
            try:
                descriptor = os.open(self.folder / HEARTBEAT, os.O_WRONLY | os.O_CREAT, 0o600)
                os.utime(descriptor)
                os.close(descriptor)
            except OSError:
                continue  # a full disk, or a folder that has gone: the work itself will say so
