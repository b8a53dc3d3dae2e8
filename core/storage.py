"""Where everything is kept, how a small file is written so that nobody ever reads half of it, and how one is read.

A folder may come from anywhere, so whatever is read is a plain file of bounded size that holds JSON as others know it.
What the values of a file must be is said in `core.persisted`.
"""

from __future__ import annotations

import errno
import json
import math
import os
import secrets
from io import BufferedReader
from pathlib import Path
from typing import Any, TypeGuard

from core.errors import DistilleryError
from core.plain_file import NotPlain, open_plain_file

PROJECT = Path(__file__).resolve().parents[1]
MOST_DIGITS = 18
MOST_BYTES = 1_000_000
"""Size of a file of settings, states or results, unless its reader says otherwise."""

DEEPEST = 64
"""Lists in lists and objects in objects. Nothing here writes more than six levels; recursion ends at a thousand."""


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


def jobs_root() -> Path:
    """The folder of what else is done in the background: exports, measurements, answers to many texts."""
    return _private_folder(home() / "jobs")


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


def open_plain(path: Path) -> BufferedReader:
    """A file opened for reading, if it is a plain one. Raises OSError for links, folders, pipes and devices.

    A link could lead out of a run's folder, a pipe would wait for a writer, and a device never ends.
    """
    try:
        return open_plain_file(path, follow=False)
    except (NotPlain, IsADirectoryError) as error:
        raise OSError(errno.EINVAL, "it is not a plain file") from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "it is a link") from error
        raise


def read_plain(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """The content of a plain file. Raises OSError, also if it is larger than that."""
    with open_plain(path) as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise OSError(errno.EFBIG, f"it is larger than {most_bytes / 1e6:g} MB")
    return content


def parse_json(text: str | bytes) -> Any:
    """JSON in UTF-8 as others know it: whole numbers fit into 64 bits, all are finite, no character is half of one.

    Raises ValueError, also for brackets within brackets without end.
    """
    decoded = text if isinstance(text, str) else _decoded(text)
    try:
        value = _decoder.decode(decoded)
    except RecursionError:
        raise ValueError(TOO_DEEP) from None
    if decoded.count("[") + decoded.count("{") > DEEPEST and _is_deep(value):
        raise ValueError(TOO_DEEP)
    if "\\ud" in decoded or "\\uD" in decoded:
        _refuse_half_characters(value)
    return value


TOO_DEEP = f"it holds more than {DEEPEST} brackets within each other"


def _decoded(text: bytes) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8 text") from None


def _whole(digits: str) -> int:
    # Python reads numbers of any length; no chart, clock or file takes a step or a time that no run can reach.
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"the number {digits[:MOST_DIGITS]}… is too long")
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"the number {digits[:MOST_DIGITS]}… is too large")
    return number


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number")


# One for all: a list of runs parses tens of thousands of lines, and json.loads would make one for each.
_decoder = json.JSONDecoder(parse_int=_whole, parse_float=_finite, parse_constant=_no_number)


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        level = [part for each in level for part in _parts(each)]
        if not level:
            return False
    return True


def _parts(value: Any) -> list[Any]:
    """The lists and objects that lie directly in a value."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [part for part in inside if isinstance(part, dict | list)]


def _refuse_half_characters(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("it holds half of a character") from None


def read_json(path: Path, most_bytes: int = MOST_BYTES) -> Any:
    """A JSON object from a run folder. Raises BrokenRun, naming the file, if it is missing or not one."""
    try:
        value = parse_json(read_plain(path, most_bytes))
    except (OSError, ValueError) as error:
        # An error of the system repeats the whole path, which says more about the machine than about the run.
        reason = error.strerror if isinstance(error, OSError) else error
        raise BrokenRun(f"{where(path)} cannot be read: {reason}.") from error
    if not isinstance(value, dict):
        raise BrokenRun(f"{where(path)} does not hold a JSON object.")
    return value


def where(path: Path) -> str:
    """A file of a run as messages name it: "run/status.json". What is not UTF-8 in a folder's name is replaced."""
    return f"{path.parent.name}/{path.name}".encode("utf-8", errors="replace").decode("utf-8")


def is_number(value: Any) -> TypeGuard[float]:
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
