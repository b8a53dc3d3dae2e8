"""Where everything is kept, and how a small file is written so that nobody ever reads half of it."""

from __future__ import annotations

import json
import math
import os
import secrets
from pathlib import Path
from typing import Any

from core.errors import DistilleryError

PROJECT = Path(__file__).resolve().parents[1]
MOST_DIGITS = 18


class BrokenRun(DistilleryError):
    """A run folder that cannot be read; the message names the file and what is wrong with it."""


def home() -> Path:
    """Where runs, GLUE jobs and caches live: DISTILLERY_HOME, else the project's own folder."""
    return Path(os.environ.get("DISTILLERY_HOME") or PROJECT)


def runs_root() -> Path:
    """The folder of all runs, made if missing, private to the user."""
    return _private_folder(home() / "runs")


def scores_root() -> Path:
    """The folder of all GLUE jobs. Beside the runs and not among them: a job makes no student."""
    return _private_folder(home() / "scores")


def cache_root() -> Path:
    """The folder of trained teachers and their cached outputs; safe to delete while nothing trains."""
    return _private_folder(home() / "cache")


def teacher_model(key: str) -> Path:
    """Where the trained teacher of this key is kept, if it is: a plain `from_pretrained` folder."""
    return cache_root() / "teachers" / key / "model"


def write_json(path: Path, value: Any, durable: bool = True) -> None:
    """Write a small JSON file in one piece: a reader sees the old one or the new one, never half of either."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(value, file, indent=2, ensure_ascii=False)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    if durable:
        sync(path.parent)


def parse_json(text: str | bytes) -> Any:
    """JSON in UTF-8 whose whole numbers fit into 64 bits. Raises ValueError, or RecursionError for endless brackets."""
    return _decoder.decode(text if isinstance(text, str) else text.decode("utf-8"))


def _whole(digits: str) -> int:
    # Python reads numbers of any length; no chart, clock or file takes a step or a time that no run can reach.
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"the number {digits[:MOST_DIGITS]}… is too long")
    return int(digits)


# One for all: a list of runs parses tens of thousands of lines, and json.loads would make one for each.
_decoder = json.JSONDecoder(parse_int=_whole)


def read_json(path: Path) -> Any:
    """A JSON object from a run folder. Raises BrokenRun, naming the file, if it is missing or not one."""
    try:
        value = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        # An error of the system repeats the whole path, which says more about the machine than about the run.
        reason = error.strerror if isinstance(error, OSError) else error
        raise BrokenRun(f"{path.parent.name}/{path.name} cannot be read: {reason}.") from error
    if not isinstance(value, dict):
        raise BrokenRun(f"{path.parent.name}/{path.name} does not hold a JSON object.")
    return value


def is_number(value: Any) -> bool:
    """True for a finite number as `parse_json` gives it; a bool is none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def sync(path: Path) -> None:
    """Push a file's content, or the names in a folder, to the disk. Windows, which opens no folder, does it itself."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _private_folder(path: Path) -> Path:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path
