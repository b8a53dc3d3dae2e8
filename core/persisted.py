"""Files that Distillery wrote and that anybody may have changed since: each is read as one typed value, or refused.

Every such file says in `format` how it is laid out. One without it is of the first format; one of a later format is
refused, because what it means cannot be known here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import ConfigDict, Field

from core.storage import MOST_BYTES, BrokenRun, read_json, where, write_json

FORMAT = "format"
FIRST = 1

CHECKED = ConfigDict(strict=True, frozen=True, extra="ignore", allow_inf_nan=False)
"""How the fields of a kept file are checked: nothing is converted. What a later version added is passed over."""

Kept = TypeVar("Kept")

Line = Annotated[str, Field(max_length=1_000)]
Sentence = Annotated[str, Field(max_length=10_000)]
Count = Annotated[int, Field(ge=0, le=10**15)]
Seconds = Annotated[float, Field(ge=0, le=10**12)]
"""Of a clock or a duration: more is no time, and no calendar has a date for it."""


def read_kept(path: Path, newest: int = FIRST, most_bytes: int = MOST_BYTES) -> dict[str, Any]:
    """The fields of a kept file but for its format. Raises BrokenRun, naming the file."""
    return _of_known_format(read_json(path, most_bytes), path, newest)


def read_if_there(path: Path, newest: int = FIRST, most_bytes: int = MOST_BYTES) -> dict[str, Any] | None:
    """The same; None if there is no such file."""
    return read_kept(path, newest, most_bytes) if is_there(path) else None


def write_kept(path: Path, fields: dict[str, Any], durable: bool = True, format: int = FIRST) -> None:
    """Write a kept file in one piece, with its format."""
    write_json(path, {FORMAT: format} | fields, durable)


def is_there(path: Path) -> bool:
    """True unless there is nothing of that name. What cannot even be looked at is there, and broken."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _of_known_format(fields: dict[str, Any], path: Path, newest: int) -> dict[str, Any]:
    format = fields.pop(FORMAT, FIRST)
    if type(format) is not int or format < FIRST:
        raise BrokenRun(f"{where(path)} has the format {str(format)[:40]!r}, which is none.")
    if format > newest:
        raise BrokenRun(
            f"{where(path)} was made by a newer version of Distillery: its format is {format}, the newest known here "
            f"is {newest}. Open it with that version."
        )
    return fields
