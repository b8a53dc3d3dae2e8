"""The server's background threads, one a lane: they take the queue, start each job's process and say how it ended.

They keep no truth, that is on disk, and call no `st.*`. A job that another process works on, be it a terminal's or that
of a server which was killed, is waited for like one of their own.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

from core.errors import DistilleryError
from core.jobs import folder as jobs
from core.jobs import owner as owners
from core.jobs import queue as queues
from core.jobs.bell import new_bell, ring
from core.jobs.kind import Lane
from core.jobs.owner import Owner
from core.jobs.process import JobProcess, Launcher, say_how_it_ended
from core.jobs.queue import Queue

log = logging.getLogger("distillery")

UNUSABLE_S = 10.0
"""How often the queue is looked at again while the folder of runs cannot be used."""

SERVER = "server"
"""Who started a process: those of a server end with the server, those of a terminal do not."""


class Worker:
    """Works off a queue with processes from `launcher`. All methods may be called from any thread."""

    def __init__(self, queue: Queue, launcher: Launcher) -> None:
        self._queue = queue
        self._launcher = launcher
        self._threads: dict[Lane, threading.Thread] = {}
        self._guard = threading.Lock()
        self._leaving = threading.Event()

    def start(self) -> None:
        """Begin to work off the queue, or look at it again if it is being worked off already."""
        with self._guard:
            for lane in self._queue.lanes:
                thread = self._threads.get(lane)
                if not self._leaving.is_set() and not (thread and thread.is_alive()):
                    # A daemon, since a thread that is waited for would keep a closed server alive for ever.
                    thread = threading.Thread(target=self._work, args=(lane,), name=f"jobs-{lane}", daemon=True)
                    self._threads[lane] = thread
                    thread.start()
        # At every page: a job that another process has queued rings no bell in this one.
        ring()

    @property
    def is_working(self) -> bool:
        """True once `start` was called, while any of its threads lives."""
        return any(thread.is_alive() for thread in self._threads.values())

    def stand_ready(self) -> None:
        """Let a process load the libraries that the next job needs."""
        if not self._leaving.is_set():
            self._launcher.stand_ready()

    def shutdown(self, timeout_s: float) -> None:
        """Let every job that a server has started save and end, and wait for that; the queue stays as it is."""
        self._leaving.set()
        ring()
        deadline = time.monotonic() + timeout_s
        servers = self._of_servers()
        for folder in servers:
            _terminate(folder)
        for thread in self._threads.values():
            thread.join(max(0.0, deadline - time.monotonic()))
        # The jobs of a server that was killed have no thread here that waits for them.
        while any(map(_is_at_work, servers)) and time.monotonic() < deadline:
            time.sleep(queues.POLL_S)
        self._launcher.close()

    def _work(self, lane: Lane) -> None:
        bell = new_bell()
        while not self._leaving.is_set():
            bell.clear()
            try:
                waiting = self._queue.waiting(lane)
                if not waiting:
                    bell.wait()
                elif (process := self._begin(waiting[0])) is None:
                    # Another job is at work, or this one could not even be marked as begun: a full disk.
                    self._leaving.wait(queues.RETRY_S)
                else:
                    self._follow(waiting[0], process)
            except OSError as error:
                # The folder of runs has gone or become read-only; it may come back, and the queue with it.
                log.error("the queue cannot be worked off: %s", error)
                self._leaving.wait(UNUSABLE_S)

    def _begin(self, folder: Path) -> JobProcess | None:
        """Start the process of a job; None if its lane is in use, or it could not be started."""
        with self._queue.turn(folder) as is_ours:
            # Another server may have taken it, or somebody stopped it, while we reached for the lock.
            if not is_ours or jobs.state_of(folder) != "queued":
                return None
            try:
                return self._launcher.launch(folder, lambda pid: _announce(folder, pid))
            except (OSError, DistilleryError) as error:
                log.error("job %s cannot begin: %s", folder.name, error)
                return None

    def _follow(self, folder: Path, process: JobProcess) -> None:
        """Wait for the end of a process and see to it that the job's folder says how it ended."""
        if self._leaving.is_set():
            process.popen.terminate()
        process.popen.wait()
        try:
            say_how_it_ended(folder, process, self._queue.kind_of(folder).resumes)
        except (OSError, DistilleryError) as error:
            log.error("how job %s ended could not be written: %s", folder.name, error)
        process.forget()
        # Beside a training it would take the processor for a job that may never come.
        if not self._at_work():
            self.stand_ready()

    def _at_work(self) -> list[Path]:
        return [folder for lane in self._queue.lanes for folder in self._queue.active(lane)]

    def _of_servers(self) -> list[Path]:
        """Jobs at work on this machine that a server has started: this one, or one that was killed."""
        return [folder for folder in self._at_work() if _server_of(folder)]


def _announce(folder: Path, pid: int) -> None:
    owner = owners.of_folder(owners.process(pid), folder) | {"by": SERVER}
    status = replace(jobs.read_status(folder), state="preparing", sentence="Loading what the models need.", owner=owner)
    jobs.write_status(folder, status, durable=False)


def _is_at_work(folder: Path) -> bool:
    return jobs.state_of(folder) in jobs.ACTIVE


def _server_of(folder: Path) -> Owner | None:
    """The process at work on a job, if a server has started it on this machine."""
    status = jobs.find_status(folder)
    owner = status.owner if status else None
    return owner if owner and owner.get("by") == SERVER and owners.is_here(owner) else None


def _terminate(folder: Path) -> None:
    if owner := _server_of(folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(owner["pid"], signal.SIGTERM)
