"""ONNX files being made for the pages: one process for each run, watched by one thread of the server.

What is made lies in the run's folder; here is only what is under way and what went wrong last.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

from core.storage import PROJECT


@dataclass
class Job:
    """One run's files being made. `sentence` says what is being done, or with `over`, what went wrong."""

    sentence: str = "Starting."
    over: bool = False
    _process: subprocess.Popen[str] | None = field(default=None, repr=False)
    _cancelled: bool = field(default=False, repr=False)
    _ended: threading.Event = field(default_factory=threading.Event, repr=False)

    def cancel(self) -> None:
        """End it; nothing is left behind."""
        self._cancelled = True
        if self._process and self._process.poll() is None:
            self._process.terminate()

    def wait(self, limit_s: float) -> bool:
        """Wait until it is over; False if it still works after `limit_s` seconds."""
        return self._ended.wait(limit_s)

    def work(self, folder: Path) -> None:
        """Run the process to its end. Called on a thread of its own: no st.* here."""
        went_wrong = "The process that makes them could not be watched."
        try:
            went_wrong = self._run(folder)
        except OSError as error:
            went_wrong = f"The process that makes them could not be started: {error.strerror}."
        finally:
            self.sentence = "" if self._cancelled else went_wrong
            self.over = True
            self._ended.set()

    def _run(self, folder: Path) -> str:
        """What went wrong, in a sentence; empty if nothing did."""
        command = [sys.executable, "-m", "core.export", str(folder)]
        with subprocess.Popen(
            command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
        ) as process:
            self._process = process
            if self._cancelled:
                process.terminate()
            errors: list[str] = []
            reader = threading.Thread(target=lambda: errors.extend(process.stderr or ()), daemon=True)
            reader.start()
            for line in process.stdout or ():
                self.sentence = line.strip()
            reader.join()
        if not process.returncode:
            return ""
        last = next((line.strip() for line in reversed(errors) if line.strip()), "")
        return last or f"The process that made them ended with code {process.returncode}."


class Jobs:
    """The jobs of this server, at most one for each run. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._jobs: dict[Path, Job] = {}
        self._guard = threading.Lock()

    def start(self, folder: Path) -> None:
        """Begin to make a run's files; does nothing while they are being made."""
        folder = folder.resolve()
        with self._guard:
            job = self._jobs.get(folder)
            if job is not None and not job.over:
                return
            job = self._jobs[folder] = Job()
            threading.Thread(target=job.work, args=(folder,), name="export", daemon=True).start()

    def of(self, folder: Path) -> Job | None:
        """The job of a run: under way, or over with a sentence that says what went wrong; None for neither."""
        job = self._jobs.get(folder.resolve())
        return None if job is None or (job.over and not job.sentence) else job

    def cancel(self, folder: Path) -> None:
        """End the making of a run's files."""
        if job := self.of(folder):
            job.cancel()


_jobs = Jobs()
start = _jobs.start
of = _jobs.of
cancel = _jobs.cancel
