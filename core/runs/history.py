"""Of a metrics.jsonl as much as a picture can show: all of a short one, of a long one rows from everywhere.

A million steps are 170 MB, and parsing them takes longer than anybody waits. Every row here is a real one; between two
of them a long file may hold others, greater or smaller. Scores and the beginnings of stages are all there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from core.jobs.events import Event, parse_event
from core.storage import BrokenRun, open_plain, where

WHOLE_BYTES = 4 * 2**20
"""Up to about 24,000 steps everything is read."""

PLACES, PLACE_BYTES = 400, 4096
"""A longer file is read at so many places, so much at each: about 9,000 rows for the 2,000 points of a curve."""

RECENT_BYTES = 32 * 2**10
"""How much of the end tells the pace: about 250 lines."""

END_BYTES = 64 * 2**10
MOST_AT_PLACE, MOST_AT_ENDS = 40, 800
"""Lines; of the usual length there are half as many."""

BLOCK = 2**20
SCANNED_BYTES = 256 * 2**20
"""Of a file up to this size every score is found; of a larger one those at the places."""

MOST_SCORES = 4000
SCORE, STAGE = b'"event":"score"', b'"event":"stage"'


@dataclass(frozen=True)
class History:
    """What was read: `events` in the order of the file, and the `recent` ones before `offset`, the end of its lines.

    `anew` is true where it is the whole history, and not only what was appended since.
    """

    events: list[Event]
    recent: list[Event]
    offset: int
    anew: bool


def read_history(path: Path, since: int = 0) -> History:
    """The history, or what was appended to it since that byte; nothing if the file is missing.

    It is read anew where no line begins at `since`, or where so much has come that it has to be thinned. Raises
    BrokenRun if the file cannot be read.
    """
    try:
        with open_plain(path) as file:
            return _read(file, since)
    except FileNotFoundError:
        return History([], [], 0, anew=True)
    except OSError as error:
        raise BrokenRun(f"{where(path)} cannot be read: {error.strerror or error}.") from error


def _read(file: BinaryIO, since: int) -> History:
    size = file.seek(0, 2)
    anew = not _continues(file, since, size)
    if not anew:
        lines, end = _appended(file, since)
    elif size <= WHOLE_BYTES:
        lines, end = _appended(file, 0)
    else:
        lines, end = _some_lines(file, size)
    recent = _lines_at(file, max(0, end - RECENT_BYTES), end)
    return History(_events(lines), _events(recent.values()), end, anew)


def _continues(file: BinaryIO, since: int, size: int) -> bool:
    """True if a line begins at byte `since`, or would: the file still is what was read up to there."""
    return 0 < since <= size <= since + WHOLE_BYTES and _between(file, since - 1, since) == b"\n"


def _events(lines: Iterable[bytes]) -> list[Event]:
    # Looked at before parsing: a file may be full of other lines.
    return [event for line in lines if b'"event"' in line and (event := parse_event(line)) is not None]


def _appended(file: BinaryIO, since: int) -> tuple[list[bytes], int]:
    # Bounded, should somebody else write faster than this reads.
    new = _between(file, since, since + 2 * WHOLE_BYTES)
    end = new.rfind(b"\n") + 1
    return new[:end].splitlines(), since + end


def _some_lines(file: BinaryIO, size: int) -> tuple[list[bytes], int]:
    """Lines by offset, so that one that is found twice counts once."""
    end = _end_of_lines(file, size)
    lines = _lines_at(file, 0, min(END_BYTES, end), MOST_AT_ENDS)
    lines |= dict([*_lines_at(file, max(0, end - END_BYTES), end).items()][-MOST_AT_ENDS:])
    for place in range(PLACES):
        start = end * place // PLACES
        lines |= _lines_at(file, start, min(start + PLACE_BYTES, end), MOST_AT_PLACE)
    for begins in _lines_with(file, STAGE, *_change_of_stage(lines)):
        lines |= _lines_at(file, begins, min(begins + PLACE_BYTES, end), MOST_AT_PLACE)
    if end <= SCANNED_BYTES:
        lines |= _lines_with(file, SCORE, 0, end)
    return [lines[offset] for offset in sorted(lines)], end


def _end_of_lines(file: BinaryIO, size: int) -> int:
    """The offset behind the last complete line."""
    stop = size
    while stop > 0:
        start = max(0, stop - END_BYTES)
        if found := _between(file, start, stop).rfind(b"\n") + 1:
            return start + found
        stop = start
    return 0


def _lines_at(file: BinaryIO, start: int, stop: int, most: int = END_BYTES) -> dict[int, bytes]:
    """At most `most` whole lines between two offsets; the one that `start` lies in only if it begins there."""
    before = max(0, start - 1)
    piece = _between(file, before, stop)
    at = 0 if start == 0 else piece.find(b"\n") + 1
    lines: dict[int, bytes] = {}
    while (line_end := piece.find(b"\n", at)) >= 0 and (at or start == 0) and len(lines) < most:
        lines[before + at] = piece[at:line_end]
        at = line_end + 1
    return lines


def _change_of_stage(lines: dict[int, bytes]) -> tuple[int, int]:
    """Between which two offsets the student begins; both 0 where that cannot be told."""
    first = min((offset for offset, line in lines.items() if b'"stage":"student"' in line), default=0)
    before = (offset for offset, line in lines.items() if offset < first and b'"stage":"teacher"' in line)
    return max(before, default=0), first


def _lines_with(file: BinaryIO, mark: bytes, start: int, stop: int) -> dict[int, bytes]:
    """The lines between two offsets that hold `mark`, evenly thinned where there are very many."""
    places: list[int] = []
    while start < stop:
        # A mark that the cut goes through is found in the next block, which begins before it.
        block = _between(file, start, min(start + BLOCK + len(mark) - 1, stop))
        at = block.find(mark)
        while at >= 0:
            places.append(start + at)
            at = block.find(mark, at + 1)
        start += BLOCK
    every = -(-len(places) // MOST_SCORES) or 1
    lines: dict[int, bytes] = {}
    for place in places[::every]:
        lines |= _line_around(file, place)
    return lines


def _line_around(file: BinaryIO, place: int) -> dict[int, bytes]:
    start = max(0, place - PLACE_BYTES)
    piece = _between(file, start, place + PLACE_BYTES)
    begins, ends = piece.rfind(b"\n", 0, place - start) + 1, piece.find(b"\n", place - start)
    return {start + begins: piece[begins:ends]} if ends >= 0 and (begins or start == 0) else {}


def _between(file: BinaryIO, start: int, stop: int) -> bytes:
    file.seek(start)
    return file.read(max(0, stop - start))
