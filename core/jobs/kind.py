"""What a kind of work is to this room: where its folders lie, in which lane it waits, and the function that does it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.jobs.folder import Status
from core.jobs.reporter import Reporter

Lane = str
"""Jobs of one lane never work at the same time on one machine; those of two lanes may."""


@dataclass(frozen=True)
class Kind:
    """One kind of work.

    A folder is of this kind if it lies directly below `root()` and its name begins with `prefix`. `work` does it and
    returns the sentence of its success; it raises StopRequested, or an error for what went wrong. `stopped` gives the
    sentence of a job that was stopped for the reason given ("by you"). `patience` is how far its process stands back
    for others (Unix nice); its Stop interrupts the work at once where `is_interruptible`. Work that
    never `resumes` counts no steps that a person knows, keeps nothing of a process that was killed, and begins anew.
    """

    name: str
    root: Callable[[], Path]
    lane: Lane
    work: Callable[[Path, Reporter], str]
    stopped: Callable[[Path, Status, str], str]
    prefix: str = ""
    patience: int = 0
    is_interruptible: bool = False
    resumes: bool = True

    def has(self, folder: Path) -> bool:
        """True if `folder` is a job of this kind, by where it lies and what it is called."""
        return folder.parent == self.root() and folder.name.startswith(self.prefix)
