"""One run is one folder, and the folder is the truth.

`runs/<id>/` holds config.json (frozen settings), status.json, metrics.jsonl, log.txt, teacher.json (which cached
teacher it learns from), checkpoints/ while it is not complete, student/ (a plain `from_pretrained` folder) and, written
last, results.json. Whoever trains writes here; whoever watches only reads.

A GLUE job is such a folder too, `scores/<id>/`: with cells/ (one file a score) in place of a student, plan.json (what
is measured, in order) and, if asked for, timing.json.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from core.config import Settings
from core.glue.settings import GlueSettings, parse_glue
from core.persisted import read_if_there, read_kept, write_kept
from core.redact import redacted
from core.runs import owner as owners
from core.settings_file import SettingsError, as_frozen_then, parse_settings
from core.storage import BrokenRun, is_number, runs_root, scores_root, where

State = Literal["queued", "preparing", "running", "stopping", "stopped", "finished", "failed", "interrupted"]
Frozen = TypeVar("Frozen")
ACTIVE: tuple[State, ...] = ("preparing", "running", "stopping")
ENDED: tuple[State, ...] = ("stopped", "finished", "failed", "interrupted")

LONGEST_SENTENCE = 10_000
MOST_STEPS = 10**12

NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
"""What a new run may be called. A person may rename its folder to anything that the system takes."""

MISNAMED = "The name of its folder holds what is no UTF-8 text or cannot be shown. Rename the folder or delete it here."
_UNWRITABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(frozen=True)
class Status:
    """What a run is doing: one state word, one sentence, how far it is, and whose process does it."""

    state: State
    sentence: str
    stage: Literal["teacher", "student", "scores"] | None = None
    step: int = 0
    total_steps: int = 0
    updated_at: float = 0.0
    owner: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for what nothing here ever writes, so that a foreign file is not taken for a status."""
        counts = (self.step, self.total_steps)
        if not all(type(count) is int and 0 <= count < MOST_STEPS for count in counts):
            raise ValueError(f"step {self.step!r} of {self.total_steps!r}")
        if self.state not in get_args(State) or self.stage not in (None, "teacher", "student", "scores"):
            raise ValueError(f"state {str(self.state)[:80]!r}, stage {str(self.stage)[:80]!r}")
        if not isinstance(self.sentence, str) or len(self.sentence) > LONGEST_SENTENCE:
            raise ValueError("its sentence is none")
        if not is_number(self.updated_at):
            raise ValueError(f"updated_at {self.updated_at!r}")
        if self.owner is not None and not owners.is_owner(self.owner):
            raise ValueError(f"owner {str(self.owner)[:200]}")


def new_run_id() -> str:
    """A name for a run that has not started yet: date, time and four random letters."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


def run_folder(run_id: str) -> Path:
    """The folder of a run that exists.

    Raises BrokenRun for anything that is not the name of a folder directly below runs/.
    """
    return _existing(runs_root(), run_id, "run")


def job_folder(job_id: str) -> Path:
    """The folder of a GLUE job that exists; errors as `run_folder`, for what is not directly below scores/."""
    return _existing(scores_root(), job_id, "GLUE job")


def create_run(settings: Settings, run_id: str, owner: dict[str, Any] | None = None) -> Path:
    """Make the folder of a queued run; asking again with the same id gives the same folder, unchanged.

    The folder appears at once and complete (it is built beside and renamed), so five quick clicks make one run
    and no reader ever sees half of one. `owner` reserves it for a process that will train it itself.

    Raises BrokenRun if the id is not a plain name, OSError if the folder cannot be written.
    """
    return _create(runs_root, settings, run_id, owner)


def create_job(settings: GlueSettings, job_id: str, owner: dict[str, Any] | None = None) -> Path:
    """Make the folder of a queued GLUE job, in the same way and with the same errors."""
    return _create(scores_root, settings, job_id, owner)


def list_runs() -> list[Path]:
    """Folders of all runs, newest first, without those of `misnamed_runs`."""
    return _folders_in(runs_root(), misnamed=False)


def list_jobs() -> list[Path]:
    """Folders of all GLUE jobs, newest first, without those of `misnamed_jobs`."""
    return _folders_in(scores_root(), misnamed=False)


def misnamed_runs() -> list[Path]:
    """Folders among the runs whose names cannot be written on a page: all that can be done is to rename or delete."""
    return _folders_in(runs_root(), misnamed=True)


def misnamed_jobs() -> list[Path]:
    """The same among the GLUE jobs."""
    return _folders_in(scores_root(), misnamed=True)


def id_of(folder: Path) -> str:
    """The id of a run or job: its folder's name, with what cannot be written on a page as Python escapes it."""
    return _UNWRITABLE.sub(lambda match: ascii(match[0])[1:-1], folder.name)


def is_job(folder: Path) -> bool:
    """True for the folder of a GLUE job, by where it lies."""
    return folder.parent == scores_root()


def read_settings(folder: Path) -> Settings:
    """The frozen settings of a run. Raises BrokenRun if they cannot be read."""
    return _read_settings(folder, lambda raw: parse_settings(as_frozen_then(Settings, raw)))


def read_job_settings(folder: Path) -> GlueSettings:
    """The frozen settings of a GLUE job. Raises BrokenRun if they cannot be read."""
    return _read_settings(folder, lambda raw: parse_glue(as_frozen_then(GlueSettings, raw)))


def read_any_settings(folder: Path) -> Settings | GlueSettings:
    """The frozen settings of a run or of a GLUE job, as config.json says. Raises BrokenRun if they cannot be read."""
    is_glue = read_kept(folder / "config.json").get("job") == "glue"
    return read_job_settings(folder) if is_glue else read_settings(folder)


def read_status(folder: Path) -> Status:
    """What a run is doing now. A run whose process has gone reads as interrupted, whatever its file says.

    Raises BrokenRun if the file cannot be read.
    """
    raw = read_kept(folder / "status.json")
    try:
        status = Status(**raw)
    except (TypeError, ValueError) as error:
        raise BrokenRun(
            f"{where(folder / 'status.json')} does not look like a status file: {str(error)[:300]}."
        ) from error
    waiting_for_nobody = status.state == "queued" and status.owner is None
    if status.state in ENDED or waiting_for_nobody or owners.is_alive(status.owner):
        return _stopping(folder, status)
    sentence = f"The process that trained it ended at step {status.step} without saying why."
    return replace(status, state="interrupted", sentence=sentence)


def write_status(folder: Path, status: Status, durable: bool = True) -> None:
    """Replace status.json in one piece, stamped with the time."""
    stamped = replace(status, sentence=redacted(status.sentence), updated_at=time.time())
    write_kept(folder / "status.json", asdict(stamped), durable)


def read_results(folder: Path) -> dict[str, Any] | None:
    """What a finished run measured, or None if it has not finished."""
    return read_if_there(folder / "results.json")


def request_stop(folder: Path) -> None:
    """Ask a run to stop after its current step, whichever process trains it; a queued run never starts."""
    (folder / "stop").touch(mode=0o600)
    status = read_status(folder)
    if status.state == "queued":
        write_status(folder, replace(status, state="stopped", sentence="Stopped before it began."))


def stop_requested(folder: Path) -> bool:
    """True once somebody has asked this run to stop."""
    return (folder / "stop").exists()


def append_log(folder: Path, text: str) -> None:
    """Add text to log.txt, stamped with the time, secrets blotted out. Raises OSError if it cannot."""
    descriptor = os.open(folder / "log.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8") as file:
        file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {redacted(text.rstrip())}\n")


def _existing(root: Path, name: str, kind: str) -> Path:
    folder = root / name
    if "\\" in name and not os.path.isdir(folder):
        name = next((path.name for path in _folders_in(root, misnamed=True) if id_of(path) == name), name)
        folder = root / name
    try:
        found = bool(name) and not name.startswith(".") and Path(name).name == name and folder.is_dir()
    except OSError:
        # A name longer than any file system takes.
        found = False
    if not found:
        raise BrokenRun(f"There is no {kind} called {name[:80]!r}. It may have been deleted or renamed.")
    return folder


def _create(
    root: Callable[[], Path], settings: Settings | GlueSettings, name: str, owner: dict[str, Any] | None
) -> Path:
    if not NAME.fullmatch(name):
        raise BrokenRun(f"A run cannot be called {name[:80]!r}.")
    final = root() / name
    building = root() / f".new-{name}-{secrets.token_hex(4)}"
    building.mkdir(mode=0o700)
    try:
        write_kept(building / "config.json", settings.model_dump(mode="json"))
        write_status(building, Status("queued", "Waiting for its turn.", owner=owner))
        building.rename(final)
    except OSError as error:
        shutil.rmtree(building)
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
    return final


def _folders_in(root: Path, misnamed: bool) -> list[Path]:
    named = (path for path in root.iterdir() if bool(_UNWRITABLE.search(path.name)) == misnamed)
    # os.path: a link that may not even be followed is no run, and no reason to show none.
    folders = (path for path in named if not path.name.startswith(".") and os.path.isdir(path))
    return sorted(folders, key=lambda path: path.name, reverse=True)


def _read_settings(folder: Path, parse: Callable[[Any], Frozen]) -> Frozen:
    try:
        return parse(read_kept(folder / "config.json"))
    except SettingsError as error:
        raise BrokenRun(f"{where(folder / 'config.json')}: {error}") from error


def _stopping(folder: Path, status: Status) -> Status:
    if status.state in ("preparing", "running") and stop_requested(folder):
        return replace(status, state="stopping", sentence="Stopping after the current step.")
    return status
