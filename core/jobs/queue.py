"""The queue, as it stands on the disk: what waits, what is at work, and whose turn it is.

Between processes of one machine a lock for each lane decides; the system frees it when its holder dies. Whoever has it
looks for a job at work all the same, so nothing follows from deleting the lock's file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from core.jobs import folder as jobs
from core.jobs.kind import Kind, Lane
from core.storage import BrokenRun, runs_root

RETRY_S = 1.0
"""How often a lane is looked at again while it is in use."""

POLL_S = 0.02

MACHINE: Lane = "training"
"""The lane of whatever needs the machine for itself; its lock is called so since there was only training."""


def lane_lock(lane: Lane) -> FileLock:
    """Held by whoever works in this lane, on this machine and with this folder of runs."""
    return FileLock(runs_root() / f".{lane}.lock", mode=0o600)


class Queue:
    """Jobs of all kinds, read from their folders each time."""

    def __init__(self, kinds: tuple[Kind, ...]) -> None:
        self.kinds = kinds

    @property
    def lanes(self) -> list[Lane]:
        """Every lane once."""
        return list(dict.fromkeys(kind.lane for kind in self.kinds))

    def kind_of(self, folder: Path) -> Kind:
        """The kind of a job. Raises BrokenRun for a folder that is none."""
        for kind in self.kinds:
            if kind.has(folder):
                return kind
        raise BrokenRun(f"{folder.name} is no folder of a job.")

    def all(self, lane: Lane, *names: str) -> list[Path]:
        """Folders of the jobs of a lane, of the kinds named or of all."""
        kinds = [kind for kind in self.kinds if kind.lane == lane and (not names or kind.name in names)]
        folders = (folder for root in dict.fromkeys(kind.root() for kind in kinds) for folder in jobs.folders_in(root))
        return [folder for folder in folders if any(kind.has(folder) for kind in kinds)]

    def waiting(self, lane: Lane, *names: str) -> list[Path]:
        """Those that wait for the server's worker, the one that has waited longest first."""
        since = ((_waiting_since(folder), folder) for folder in self.all(lane, *names))
        found = [(moment, folder.name, folder) for moment, folder in since if moment is not None]
        return [folder for *_, folder in sorted(found)]

    def active(self, lane: Lane, *names: str) -> list[Path]:
        """Those that are at work now, in whatever process."""
        return [folder for folder in self.all(lane, *names) if jobs.state_of(folder) in jobs.ACTIVE]

    @contextmanager
    def turn(self, folder: Path, timeout_s: float = 0.0) -> Iterator[bool]:
        """Hold the lane of a job within the block; False, holding nothing, if another job has it."""
        lane = self.kind_of(folder).lane
        lock = lane_lock(lane)
        try:
            lock.acquire(timeout=timeout_s, poll_interval=POLL_S)
        except Timeout:
            yield False
            return
        try:
            yield not any(other != folder for other in self.active(lane))
        finally:
            lock.release()


def _waiting_since(folder: Path) -> float | None:
    """Seconds since 1970; None for a job that does not wait for a server's worker."""
    status = jobs.find_status(folder)
    if status is None or status.state != "queued" or status.owner is not None:
        return None
    # Files of earlier versions do not say when they were queued; then their settings were written.
    return status.queued_at or _written(folder / "config.json")


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
