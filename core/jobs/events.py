"""metrics.jsonl: one JSON object a line, appended as training goes and read by offset.

A line is one `write` on a descriptor opened for appending, so a killed process loses nothing it has written and never
leaves two half lines mixed. A torn last line is simply not there yet for a reader.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

from core.storage import BrokenRun, open_plain, parse_json, where

Event = dict[str, Any]

MOST_BYTES = 1_000_000_000
"""So much of a file is read at once: five million steps."""

NUMBERS = frozenset(("elapsed_s", "lr", "loss", "score", "agreement", "teacher_score", "majority"))
COUNTS = frozenset(("step", "total_steps", "sentences"))
WORDS = frozenset(("event", "stage", "metric"))
MOST, LONGEST_WORD = 10**15, 100
"""Beyond, sums and quotients leave what numbers can hold, and nothing here is called so."""


class EventWriter:
    """Appends events to one metrics.jsonl. One writer a run."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def append(self, event: Event) -> None:
        """Write one line at once. NaN and infinity are written as null, which JSON has. Raises OSError if it cannot."""
        line = (json.dumps(_finite(event), separators=(",", ":"), allow_nan=False) + "\n").encode()
        # A disk that is nearly full takes the beginning of a line and says so; only the next write is an error.
        while line := line[os.write(self._descriptor, line) :]:
            pass

    def sync(self) -> None:
        """Push everything written to the disk: a power cut then loses nothing of it."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file; the writer cannot be used again."""
        os.close(self._descriptor)


def read_events(path: Path, since: int = 0, kind: str = "") -> tuple[list[Event], int]:
    """Events that begin at or after byte `since`, and the byte offset behind the last complete line.

    With a `kind` only events of that kind; most lines are steps, and are then not even parsed. A missing file has no
    events. A line that is not a JSON object is passed over: it is what a full disk leaves. Of more than MOST_BYTES the
    rest is for the next question.

    Raises BrokenRun, naming the file, if it is none or cannot be read.
    """
    try:
        with open_plain(path) as file:
            file.seek(since)
            data = file.read(MOST_BYTES)
    except FileNotFoundError:
        return [], since
    except OSError as error:
        raise BrokenRun(f"{where(path)} cannot be read: {error.strerror}.") from error
    whole = data[: data.rfind(b"\n") + 1]
    lines = (line for line in whole.splitlines() if kind.encode() in line)
    events = (event for line in lines if (event := parse_event(line)) is not None)
    return [event for event in events if not kind or event.get("event") == kind], since + len(whole)


def parse_event(line: bytes) -> Event | None:
    """One line of the file, without the fields that are not what they are called; None if it is not a JSON object."""
    try:
        event = parse_json(line)
    except ValueError:
        return None
    return {name: value for name, value in event.items() if _fits(name, value)} if isinstance(event, dict) else None


def _fits(name: str, value: Any) -> bool:
    """True for a value that EventWriter could have been given under this name.

    Under a name that is not known here, as those of the terms of a loss, everything but a number that is none.
    """
    if name in NUMBERS:
        return value is None or _is_moderate(value)
    if name in COUNTS:
        return type(value) is int and 0 <= value <= MOST
    if name in WORDS:
        return isinstance(value, str) and len(value) <= LONGEST_WORD
    if name == "weights":
        return isinstance(value, dict) and all(map(_is_moderate, value.values()))
    return not isinstance(value, int | float) or isinstance(value, bool) or _is_moderate(value)


def _is_moderate(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -MOST <= value <= MOST


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
