"""One job is one folder, and the folder is the truth.

Every kind of work has config.json (frozen settings) and status.json (one state word, one sentence, whose process), and
may have metrics.jsonl, log.txt, a file called stop once somebody has asked it to end, and a heartbeat while it is
worked on. Whoever works on it writes; whoever watches only reads.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from filelock import FileLock

from core.jobs import owner as owners
from core.jobs.bell import ring
from core.jobs.owner import Owner
from core.persisted import read_kept, write_kept
from core.redact import redacted
from core.storage import BrokenRun, is_number, where

State = Literal["queued", "preparing", "running", "stopping", "stopped", "finished", "failed", "interrupted"]
ACTIVE: tuple[State, ...] = ("preparing", "running", "stopping")
ENDED: tuple[State, ...] = ("stopped", "finished", "failed", "interrupted")
RESUMABLE: tuple[State, ...] = ("stopped", "interrupted", "failed")

WAITING = "Waiting for its turn."
STOPPING = "Stopping after the current step. Until all is saved this may take ten seconds."
NEVER_BEGAN = "Stopped before it began."
LONGEST_SENTENCE = 10_000
MOST_STEPS = 10**12

NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
"""What a new job may be called. A person may rename its folder to anything that the system takes."""

HIDDEN = ".deleted-"
"""How the name of a folder begins that has been deleted and still has to be removed."""

MISNAMED = "The name of its folder holds what is no UTF-8 text or cannot be shown. Rename the folder or delete it here."
_UNWRITABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(frozen=True)
class Status:
    """What a job is doing: one state word, one sentence, how far it is, and whose process does it.

    Times are seconds since 1970. `queued_at` is when it was last put into the queue, 0 in files of earlier versions.
    """

    state: State
    sentence: str
    stage: Literal["teacher", "student", "scores"] | None = None
    step: int = 0
    total_steps: int = 0
    updated_at: float = 0.0
    owner: Owner | None = None
    queued_at: float = 0.0

    def __post_init__(self) -> None:
        """Raise ValueError for what nothing here ever writes, so that a foreign file is not taken for a status."""
        counts = (self.step, self.total_steps)
        if not all(type(count) is int and 0 <= count < MOST_STEPS for count in counts):
            raise ValueError(f"step {self.step!r} of {self.total_steps!r}")
        if self.state not in get_args(State) or self.stage not in (None, "teacher", "student", "scores"):
            raise ValueError(f"state {str(self.state)[:80]!r}, stage {str(self.stage)[:80]!r}")
        if not isinstance(self.sentence, str) or len(self.sentence) > LONGEST_SENTENCE:
            raise ValueError("its sentence is none")
        if not is_number(self.updated_at) or not is_number(self.queued_at):
            raise ValueError(f"updated_at {self.updated_at!r}, queued_at {self.queued_at!r}")
        if self.owner is not None and not owners.is_owner(self.owner):
            raise ValueError(f"owner {str(self.owner)[:200]}")

    @property
    def share(self) -> float:
        """How much is done, 0 to 1."""
        return min(self.step / self.total_steps, 1.0) if self.total_steps else 0.0


def new_id() -> str:
    """A name for a job that has not started yet: date, time and four random letters."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


def existing(root: Path, name: str, kind: str) -> Path:
    """The folder of a job that exists. Raises BrokenRun for anything that is no folder directly below `root`."""
    folder = root / name
    if "\\" in name and not os.path.isdir(folder):
        name = next((path.name for path in folders_in(root, misnamed=True) if id_of(path) == name), name)
        folder = root / name
    try:
        found = bool(name) and not name.startswith(".") and Path(name).name == name and folder.is_dir()
    except (OSError, ValueError):
        # A name longer than any file system takes.
        found = False
    if not found:
        raise BrokenRun(f"There is no {kind} called {name[:80]!r}. It may have been deleted or renamed.")
    return folder


def create(
    root: Path,
    settings: dict[str, Any],
    name: str,
    owner: Owner | None = None,
    files: Mapping[str, bytes] | None = None,
) -> Path:
    """Make the folder of a queued job; asking again with the same name gives the same folder, unchanged.

    The folder appears at once and complete (it is built beside and renamed), so five quick clicks make one job
    and no reader ever sees half of one. `owner` reserves it for a process that will carry it out itself; `files` are
    put into it.

    Raises BrokenRun if the name is not a plain one, OSError if the folder cannot be written.
    """
    if not NAME.fullmatch(name):
        raise BrokenRun(f"A run cannot be called {name[:80]!r}.")
    final = root / name
    building = root / f".new-{name}-{secrets.token_hex(4)}"
    building.mkdir(mode=0o700)
    try:
        for file, content in (files or {}).items():
            (building / file).write_bytes(content)
        write_kept(building / "config.json", settings)
        write_status(building, queued(WAITING, owners.of_folder(owner, building) if owner else None))
        building.rename(final)
    except OSError as error:
        shutil.rmtree(building)
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
    ring()
    return final


def create_anew(root: Path, settings: dict[str, Any], name: str, **options: Any) -> Path:
    """The same in place of a job of this name that has ended; one that waits or is at work stays as it is."""
    # Of two tabs the second must not delete what the first has just queued.
    with FileLock(root / ".anew.lock", mode=0o600):
        if state_of(root / name) in (None, *ENDED):
            remove(root / name)
        return create(root, settings, name, **options)


def remove(folder: Path) -> None:
    """Delete a job's folder: it is gone from every list at once and whole, and its files follow."""
    hidden = folder.parent / f"{HIDDEN}{secrets.token_hex(8)}"
    try:
        folder.rename(hidden)
    except FileNotFoundError:
        return
    shutil.rmtree(hidden, ignore_errors=True)


def queued(sentence: str, owner: Owner | None) -> Status:
    """The status of a job that waits for its turn from now on."""
    return Status("queued", sentence, owner=owner, queued_at=time.time())


def folders_in(root: Path, misnamed: bool = False) -> list[Path]:
    """Folders of all jobs below `root`, newest first: those with a name that can be shown, or the `misnamed` ones."""
    named = (path for path in root.iterdir() if bool(_UNWRITABLE.search(path.name)) == misnamed)
    # os.path: a link that may not even be followed is no job, and no reason to show none.
    folders = (path for path in named if not path.name.startswith(".") and os.path.isdir(path))
    return sorted(folders, key=lambda path: path.name, reverse=True)


def id_of(folder: Path) -> str:
    """The id of a job: its folder's name, with what cannot be written on a page as Python escapes it."""
    return _UNWRITABLE.sub(lambda match: ascii(match[0])[1:-1], folder.name)


def read_status(folder: Path) -> Status:
    """What a job is doing now. A job whose process has gone reads as interrupted, whatever its file says.

    Raises BrokenRun if the file cannot be read.
    """
    status = written_status(folder)
    if status.state == "queued" and stop_requested(folder):
        return replace(status, state="stopped", sentence=NEVER_BEGAN)
    waiting_for_nobody = status.state == "queued" and status.owner is None
    if status.state in ENDED or waiting_for_nobody or owners.is_alive(status.owner, folder):
        return _stopping(folder, status)
    sentence = f"The process that worked on it ended at step {status.step} without saying why."
    return replace(status, state="interrupted", sentence=sentence)


def written_status(folder: Path) -> Status:
    """What status.json says, whether or not the process that wrote it still lives. Raises BrokenRun."""
    raw = read_kept(folder / "status.json")
    try:
        return Status(**raw)
    except (TypeError, ValueError) as error:
        file = where(folder / "status.json")
        raise BrokenRun(f"{file} does not look like a status file: {str(error)[:300]}.") from error


def find_status(folder: Path) -> Status | None:
    """What `read_status` says; None for a folder that is not there or cannot be read."""
    try:
        return read_status(folder)
    except BrokenRun:
        return None


def state_of(folder: Path) -> State | None:
    """The state word alone; None for a folder that is not there or cannot be read."""
    status = find_status(folder)
    return status.state if status else None


def write_status(folder: Path, status: Status, durable: bool = True) -> None:
    """Replace status.json in one piece, stamped with the time."""
    stamped = replace(status, sentence=redacted(status.sentence), updated_at=time.time())
    write_kept(folder / "status.json", asdict(stamped), durable)


def request_stop(folder: Path) -> None:
    """Ask a job to stop after its current step, whichever process works on it; a queued one never starts.

    The file is all there is to it, and the status stays with who works on the job: written from here as well, it could
    say "stopped" of one that a worker has begun in this moment.
    """
    (folder / "stop").touch(mode=0o600)


def stop_requested(folder: Path) -> bool:
    """True once somebody has asked this job to stop."""
    return (folder / "stop").exists()


def queue_again(folder: Path, sentence: str, owner: Owner | None = None) -> None:
    """Put a job that was stopped or cut off at the end of the queue, or reserve it for the process `owner`."""
    again = queued(sentence, owners.of_folder(owner, folder) if owner else None)
    before = written_status(folder)
    write_status(folder, replace(again, stage=before.stage, step=before.step, total_steps=before.total_steps))
    # Last: without it the job may begin.
    (folder / "stop").unlink(missing_ok=True)
    ring()


def append_log(folder: Path, text: str) -> None:
    """Add text to log.txt, stamped with the time, secrets blotted out. Raises OSError if it cannot."""
    descriptor = os.open(folder / "log.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8") as file:
        file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {redacted(text.rstrip())}\n")


def _stopping(folder: Path, status: Status) -> Status:
    if status.state in ("preparing", "running") and stop_requested(folder):
        return replace(status, state="stopping", sentence=STOPPING)
    return status
