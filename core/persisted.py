"""Files that Distillery wrote and that anybody may have changed since: each is read as one typed value, or refused.

Every such file says in `format` how it is laid out. One without it is of the first format; one of a later format is
refused, because what it means cannot be known here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from core.storage import MOST_BYTES, BrokenRun, read_json, where, write_json

FORMAT = "format"
FIRST = 1

Kept = TypeVar("Kept")

Text = Annotated[str, Field(max_length=10_000)]
Count = Annotated[int, Field(ge=0, le=10**15)]
Some = Annotated[int, Field(gt=0, le=10**15)]
Amount = Annotated[float, Field(ge=0, le=1e15)]
"""Of megabytes, milliseconds or seconds; with more, sums and quotients would leave what numbers can hold."""

Positive = Annotated[float, Field(gt=0, le=1e15)]
Score = Annotated[float, Field(ge=-1.001, le=1.001)]
"""A share or a correlation; rounding may carry the latter just past 1."""

Moment = Annotated[float, Field(ge=0, le=1e11)]
"""Seconds since 1970; beyond, calendars end."""


def read_kept(path: Path, newest: int = FIRST, most_bytes: int = MOST_BYTES) -> dict[str, Any]:
    """The fields of a kept file but for its format. Raises BrokenRun, naming the file."""
    return without_format(read_json(path, most_bytes), where(path), newest)


def read_if_there(path: Path, newest: int = FIRST, most_bytes: int = MOST_BYTES) -> dict[str, Any] | None:
    """The same; None if there is no such file."""
    return read_kept(path, newest, most_bytes) if is_there(path) else None


def write_kept(path: Path, fields: dict[str, Any], durable: bool = True, format: int = FIRST) -> None:
    """Write a kept file in one piece, with its format."""
    write_json(path, {FORMAT: format} | fields, durable)


def read_as(kind: type[Kept], path: Path, what: str, newest: int = FIRST, most_bytes: int = MOST_BYTES) -> Kept:
    """A kept file as a dataclass, model or typed dict, every field checked and nothing converted.

    Fields that `kind` does not have are passed over. Raises BrokenRun, naming the file and the first field that is
    wrong; `what` says what the file should look like.
    """
    return checked(kind, read_kept(path, newest, most_bytes), path, what)


def checked(kind: type[Kept], fields: Any, path: Path, what: str) -> Kept:
    """The same of fields that have been read already."""
    try:
        # As JSON, because only there may a list stand for a tuple while nothing else is converted.
        value: Kept = _adapter(kind).validate_json(json.dumps(fields), strict=True)
    except ValidationError as error:
        raise BrokenRun(f"{where(path)} does not look like {what}: {first_problem(error)}.") from error
    return value


def first_problem(error: ValidationError) -> str:
    """Which field is wrong first, and what it should be."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"]))
    said = first["msg"][:1].lower() + first["msg"][1:]
    return f"{place[:100]}: {said[:200]}" if place else said[:200]


_adapters: dict[Any, TypeAdapter[Any]] = {}
"""Made once for each kind: that takes milliseconds, and a list of runs reads hundreds of files."""


def _adapter(kind: Any) -> TypeAdapter[Any]:
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]


def is_there(path: Path) -> bool:
    """True unless there is nothing of that name. What cannot even be looked at is there, and broken."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def without_format(fields: dict[str, Any], name: str, newest: int = FIRST) -> dict[str, Any]:
    """The fields of a file but for its format. Raises BrokenRun, with the file's name, for one that is not known."""
    format = fields.get(FORMAT, FIRST)
    if type(format) is not int or format < FIRST:
        raise BrokenRun(f"{name} has the format {str(format)[:40]!r}, which is none.")
    if format > newest:
        raise BrokenRun(
            f"{name} was made by a newer version of Distillery: its format is {format}, the newest known here "
            f"is {newest}. Open it with that version."
        )
    return {field: value for field, value in fields.items() if field != FORMAT}
