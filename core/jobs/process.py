"""The process of a job: started, or taken from one that stands ready, and what its end says when it said nothing.

`command(argument)` is the program that carries out the job in the folder `argument`, or, with "-", loads its libraries
and reads the folder from its standard input.
"""

from __future__ import annotations

import logging
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from core.jobs import folder as jobs
from core.storage import PROJECT

log = logging.getLogger("distillery")

STANDBY = "-"
LAST_WORDS = 32_000
"""So many bytes at the end of what a process printed are kept when it ended without a word of its own: the report of a
crash ends with the names of some two hundred libraries."""

CLOSED = "Stopped because the program was closed before it began."

Command = Callable[[str], list[str]]


@dataclass(frozen=True)
class JobProcess:
    """A process that carries out a job, and what it prints."""

    popen: subprocess.Popen[bytes]
    printed: IO[bytes]
    killed_for_memory: int

    @classmethod
    def start(cls, command: list[str]) -> JobProcess:
        """Start it in a session of its own: a Ctrl-C is for the server, and the job outlives a server that dies."""
        printed = tempfile.TemporaryFile()
        popen = subprocess.Popen(
            command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=printed, stderr=printed, start_new_session=True
        )
        return cls(popen, printed, killed_for_memory())

    def hand_over(self, folder: Path) -> bool:
        """Tell a process that stands ready which job to carry out; False if it has gone."""
        pipe = self.popen.stdin
        if pipe is None:
            return False
        try:
            with pipe:
                pipe.write(f"{folder}\n".encode())
        except OSError:
            return False
        return True

    def last_words(self) -> str:
        """The end of what it printed."""
        self.printed.seek(0, 2)
        self.printed.seek(max(0, self.printed.tell() - LAST_WORDS))
        return self.printed.read().decode("utf-8", errors="replace").strip()

    def forget(self) -> None:
        """Wait until the process has ended, and let go of what it printed."""
        self.popen.wait()
        self.printed.close()


class Launcher:
    """Starts the processes of jobs. Its methods may be called from any thread."""

    def __init__(self, command: Command) -> None:
        self._command = command
        self._guard = threading.Lock()
        self._ready: JobProcess | None = None

    def stand_ready(self) -> None:
        """Let a process load the libraries now, so that the next job begins at once; at most one stands ready."""
        with self._guard:
            if self._ready is None or self._ready.popen.poll() is not None:
                self._ready = JobProcess.start(self._command(STANDBY))

    def launch(self, folder: Path, announce: Callable[[int], None]) -> JobProcess:
        """Begin a job. `announce` is told the process's number before the process looks at the folder.

        Raises OSError if it cannot be started or announced; nothing is then left behind.
        """
        ready = self._take()
        process = ready or JobProcess.start(self._command(str(folder)))
        try:
            announce(process.popen.pid)
            if ready and not ready.hand_over(folder):
                raise OSError("the process that stood ready has ended")
        except BaseException:
            process.popen.kill()
            process.forget()
            raise
        return process

    def close(self) -> None:
        """End the process that stands ready."""
        with self._guard:
            ready, self._ready = self._ready, None
        if ready is not None:
            ready.popen.kill()
            ready.forget()

    def _take(self) -> JobProcess | None:
        """The process that stands ready, if there is one and it lives."""
        with self._guard:
            ready, self._ready = self._ready, None
        if ready is None:
            return None
        if ready.popen.poll() is not None:
            ready.forget()
            return None
        return replace(ready, killed_for_memory=killed_for_memory())


def say_how_it_ended(folder: Path, process: JobProcess, resumes: bool = True) -> None:
    """Write down the end of a job whose process has gone without doing so; nothing where it has.

    Raises OSError if it cannot be written, BrokenRun if the folder has gone.
    """
    status = jobs.written_status(folder)
    owner = status.owner or {}
    if status.state in jobs.ENDED or owner.get("pid") != process.popen.pid:
        return
    code = process.popen.returncode
    if code == -signal.SIGTERM:
        # Asked to leave before it could even listen: a job whose work has begun stops by itself.
        jobs.write_status(folder, replace(status, state="stopped", sentence=CLOSED))
        return
    state: jobs.State = "interrupted" if code < 0 else "failed"
    for_memory = killed_for_memory() > process.killed_for_memory
    sentence = end_in_words(code, status.step if resumes else None, for_memory)
    if words := process.last_words():
        jobs.append_log(folder, f"{sentence} Its last words:\n{words}")
    jobs.write_status(folder, replace(status, state=state, sentence=sentence))


def end_in_words(code: int, step: int | None, for_memory: bool) -> str:
    """What an exit code says, as a sentence; negative ones are signals. `for_memory`: the system killed for memory.

    Without a step it is work that keeps nothing and starts again from the beginning.
    """
    at = "" if step is None else f" at step {step}"
    if code >= 0:
        return f"The process ended{at} with code {code} and without a word. The log may have the details."
    if code == -signal.SIGKILL and for_memory:
        again = "start it again" if step is None else "resume it"
        return (
            f"Memory ran out{at}, and the system ended the process. "
            f"Close other programs or choose a smaller batch or shorter inputs; then {again}."
        )
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    reasons = {
        "SIGKILL": "Somebody, or the system for want of memory, ended the process",
        "SIGBUS": "The process ended because a file or memory could no longer be read (a full or failing disk)",
        "SIGSEGV": "The process crashed",
        "SIGABRT": "The process crashed",
    }
    kept = "Nothing was kept." if step is None else "What it had saved is kept."
    return f"{reasons.get(name, 'The process was ended')}{at} ({name}). {kept}"


def killed_for_memory() -> int:
    """How many processes this system has killed since its start because memory ran out; 0 where it does not tell."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
