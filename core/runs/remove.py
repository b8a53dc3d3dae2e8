"""Deleting a run: never one that trains or is about to, and never half of one."""

from __future__ import annotations

import logging
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import Timeout

from core.errors import DistilleryError
from core.jobs.folder import HIDDEN
from core.jobs.queue import MACHINE, lane_lock
from core.runs import folder as runs
from core.storage import runs_root, scores_root

log = logging.getLogger("distillery")


def why_not(folder: Path) -> str:
    """Why a run must not be deleted now, in a sentence; empty if it may be. A broken run may always be."""
    try:
        status = runs.read_status(folder)
    except DistilleryError:
        return ""
    if status.state in runs.ACTIVE:
        return "It is training. Stop it first; then it can be deleted."
    if status.state == "queued" and status.owner is not None:
        return "Another process has taken it and is about to train it. Stop it first; then it can be deleted."
    return ""


def remove(folder: Path) -> None:
    """Delete a run or a GLUE job: it is gone from the list at once and whole, and its files follow.

    Raises DistilleryError, changing nothing, if there is no such run or it trains, OSError if it cannot be renamed.
    """
    folder = runs.job_folder(folder.name) if runs.is_job(folder) else runs.run_folder(folder.name)
    hidden = folder.parent / f"{HIDDEN}{secrets.token_hex(8)}"
    with _nothing_begins():
        if reason := why_not(folder):
            raise DistilleryError(f"This {'job' if runs.is_job(folder) else 'run'} cannot be deleted. {reason}")
        folder.rename(hidden)
    sweep()


def sweep() -> None:
    """Free the space of all that was deleted, also where a deletion was cut off. Logs what it cannot."""
    for left in (*runs_root().glob(f"{HIDDEN}*"), *scores_root().glob(f"{HIDDEN}*")):
        try:
            left.unlink() if left.is_symlink() else shutil.rmtree(left)
        except FileNotFoundError:
            continue  # another process sweeps too
        except OSError as error:
            log.warning("a deleted run still takes space in %s: %s", left.name, error)


@contextmanager
def _nothing_begins() -> Iterator[None]:
    """While nobody trains, keep everybody from beginning: a run that was looked at is then still what it was.

    Where another run trains, the lock is taken, and whoever holds it is busy with that one.
    """
    lock = lane_lock(MACHINE)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        yield
        return
    try:
        yield
    finally:
        lock.release()
