"""What is kept of trained teachers for later runs: how much room it takes, and how it is given back."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import Timeout

from core.errors import DistilleryError
from core.jobs.folder import HIDDEN
from core.jobs.queue import MACHINE, lane_lock
from core.runs import folder as runs
from core.runs.disk import size_mb
from core.storage import BrokenRun, cache_root, read_json
from core.whole_folder import remove

ANSWERS = ("answers", "train_hidden.npy", "train_logits.npy")
"""What of a kept teacher's folder is only asked for again where it is missing; the files are an older program's."""


@dataclass(frozen=True)
class KeptTeacher:
    """A trained teacher: megabytes of the model and of its answers, and how many runs here have learned from it."""

    key: str
    model_mb: float
    answers_mb: float
    runs: int


def kept_teachers() -> list[KeptTeacher]:
    """All that are kept, the largest first. Opens no model."""
    used = [_key_of(folder) for folder in runs.list_runs()]
    found = []
    for folder in _folders():
        answers = sum(size_mb(path) if path.is_dir() else path.stat().st_size / 1e6 for path in _answers_in(folder))
        found.append(KeptTeacher(folder.name, size_mb(folder) - answers, answers, used.count(folder.name)))
    return sorted(found, key=lambda one: -(one.model_mb + one.answers_mb))


def delete_answers() -> None:
    """Delete what all teachers have said; the next run of each asks again.

    Raises DistilleryError, changing nothing, while something trains, OSError if the system refuses.
    """
    with _nothing_trains():
        _delete([path for folder in _folders() for path in _answers_in(folder)])


def delete_unused() -> None:
    """Delete the teachers that no run here has learned from, with their answers. Errors as `delete_answers`."""
    with _nothing_trains():
        unused = {teacher.key for teacher in kept_teachers() if not teacher.runs}
        _delete([folder for folder in _folders() if folder.name in unused])


def _delete(paths: list[Path]) -> None:
    for path in paths:
        # Renamed before it is removed: a run that is cut off here finds it whole or not at all.
        path.rename(_teachers() / f"{HIDDEN}{secrets.token_hex(8)}")
    for left in _teachers().glob(f"{HIDDEN}*"):
        remove(left)


def _teachers() -> Path:
    return cache_root() / "teachers"


def _folders() -> list[Path]:
    root = _teachers()
    return [path for path in root.iterdir() if not path.name.startswith(".")] if root.is_dir() else []


def _answers_in(folder: Path) -> list[Path]:
    return [folder / name for name in ANSWERS if (folder / name).exists()]


def _key_of(run: Path) -> str | None:
    try:
        return str(read_json(run / "teacher.json").get("key"))
    except BrokenRun:
        return None


@contextmanager
def _nothing_trains() -> Iterator[None]:
    lock = lane_lock(MACHINE)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise DistilleryError(
            "A training is under way and may need what is kept. Wait until it has ended, or stop it."
        ) from None
    try:
        yield
    finally:
        lock.release()
