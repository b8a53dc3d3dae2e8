"""Carry out one job in this process, to its end, whatever happens on the way."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import traceback
from collections.abc import Callable
from pathlib import Path

from core.failures import why_it_failed
from core.jobs import folder as jobs
from core.jobs.interrupt import Interrupted, interrupting
from core.jobs.kind import Kind
from core.jobs.queue import RETRY_S, Queue
from core.jobs.reporter import Reporter, StopRequested, never

log = logging.getLogger("distillery")

Leaving = Callable[[], bool]
"""Says whether the process that works on a job is about to end."""

RESERVE = ".reserve"
RESERVE_BYTES = 32_768
"""So much is held while a job goes on, to be able to write down how it ended on a disk that has become full."""


def wait_and_carry_out(queue: Queue, folder: Path, leaving: threading.Event) -> jobs.State | None:
    """Carry out a job once its lane is free; returns how it ended.

    Asked to leave while it waits, it stops the job. None if the job had ended, or was another process's, by its turn.
    """
    while True:
        with queue.turn(folder, timeout_s=RETRY_S) as is_ours:
            if is_ours:
                if not _is_for_this_process(folder):
                    return None
                return carry_out(folder, queue.kind_of(folder), leaving.is_set)
        if leaving.wait(RETRY_S):
            jobs.request_stop(folder)
        if jobs.state_of(folder) not in ("queued", *jobs.ACTIVE):
            return None


def carry_out(folder: Path, kind: Kind, leaving: Leaving = never) -> jobs.State:
    """Do the work of the job in `folder` on the calling thread, and return the state it ended in.

    Nothing escapes: an error ends up as one sentence in status.json and a traceback in log.txt.
    """
    reporter = Reporter(folder, leaving)
    state: jobs.State = "failed"
    try:
        # Loading what is needed takes seconds, so say so before it begins.
        reporter.begin("Loading what the models need.")
        _hold_room(folder)
        with interrupting(reporter.should_stop) if kind.is_interruptible else contextlib.nullcontext():
            sentence = kind.work(folder, reporter)
        state = "finished"
    except (StopRequested, Interrupted):
        why = "because the program was closed" if leaving() else "by you"
        state, sentence = "stopped", kind.stopped(folder, reporter.status, why)
    except BaseException as error:  # noqa: BLE001  the one place that catches all: a job always says how it ended
        # A panic in a tokenizer, a SystemExit or no memory left: a person gets a sentence, the log the rest.
        sentence = _in_a_sentence(error, folder, kind, reporter.status.step)
        _let_room_go(folder)
        _write_log(folder, traceback.format_exc())
    _let_room_go(folder)
    try:
        reporter.end(state, sentence)
    except OSError as error:
        log.error("job %s ended as %s, and that could not be written: %s", folder.name, state, error)
    return state


def _in_a_sentence(error: BaseException, folder: Path, kind: Kind, step: int) -> str:
    if kind.resumes:
        return why_it_failed(error, step)
    return why_it_failed(error, log=f"The file log.txt in {folder.parent.name}/{folder.name}")


def _is_for_this_process(folder: Path) -> bool:
    """False for a job that has ended, was stopped, or has been taken by another process."""
    status = jobs.read_status(folder)
    mine = status.owner is None or status.owner["pid"] == os.getpid()
    return mine and status.state in ("queued", *jobs.ACTIVE)


def _hold_room(folder: Path) -> None:
    descriptor = os.open(folder / RESERVE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(os.urandom(RESERVE_BYTES))  # nothing that a file system could compress away


def _let_room_go(folder: Path) -> None:
    with contextlib.suppress(OSError):
        (folder / RESERVE).unlink(missing_ok=True)


def _write_log(folder: Path, text: str) -> None:
    try:
        jobs.append_log(folder, text)
    except OSError as error:
        log.error("job %s failed and its log could not be written (%s):\n%s", folder.name, error, text)
