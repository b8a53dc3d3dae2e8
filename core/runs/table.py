"""All runs at a glance: what each is called, how it ended, what it kept, and its loss in a few points.

Imports no torch, and reads of a long metrics.jsonl only as much as a picture of a thumb's width can show. What cannot
have changed is remembered by the files' times and sizes; whether a run still lives is asked anew each time.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.config import Settings
from core.errors import DistilleryError
from core.persisted import is_there
from core.runs import folder as runs
from core.runs.about import FILE, read_about, run_name, started
from core.runs.disk import size_mb
from core.runs.events import parse_event
from core.runs.results import FILE as RESULTS
from core.runs.results import Results, read_result
from core.storage import is_number, open_plain, where

POINTS = 40
"""Most points of a loss in short."""

WHOLE_BYTES = 16 * 1024
CHUNKS, CHUNK_BYTES = 56, 512
"""A longer metrics.jsonl is read at so many places, so much at each."""

FROZEN_FILES = ("config.json", "results.json", "metrics.jsonl", "teacher.json", FILE)


@dataclass(frozen=True)
class RunRow:
    """One run in the list. `name`, `notes`, `sentence` and `problem` are foreign text.

    `state` is None if status.json cannot be read, `settings` likewise; `results` is None unless the run has finished
    and its results are complete. `problem` says in a sentence what is broken; empty if nothing is. `loss` is oldest
    first, the student's as soon as it has begun.
    """

    run_id: str
    name: str
    notes: str
    state: runs.State | None
    sentence: str
    settings: Settings | None
    results: Results | None
    loss: tuple[float, ...]
    size_mb: float
    problem: str = ""


@dataclass(frozen=True)
class _Files:
    """What a run's files said when they were last read."""

    settings: Settings | None
    results: Results | None
    notes: str
    loss: tuple[float, ...]
    problem: str


_remembered: dict[Path, tuple[tuple[Any, ...], _Files]] = {}


def list_rows() -> list[RunRow]:
    """Every run, newest first, the broken ones with their cause; folders whose names cannot be shown come last."""
    folders = runs.list_runs()
    for folder in set(_remembered).difference(folders):
        _remembered.pop(folder, None)
    return [*map(row_of, folders), *map(_misnamed, runs.misnamed_runs())]


def _misnamed(folder: Path) -> RunRow:
    """A folder that nothing can be read of on a page, because no page could say what is read."""
    run_id = runs.id_of(folder)
    return RunRow(run_id, started(run_id), "", None, "", None, None, (), size_mb(folder), runs.MISNAMED)


def row_of(folder: Path) -> RunRow:
    """One run as the list shows it; never raises for what a folder holds."""
    if runs.id_of(folder) != folder.name:
        return _misnamed(folder)
    files, status, problem = _read(folder), None, ""
    try:
        status = runs.read_status(folder)
    except DistilleryError as error:
        problem = str(error)
    finished = status is not None and status.state == "finished"
    if finished and files.results is None and not files.problem:
        problem = f"{where(folder / RESULTS)} is missing, although the run has finished."
    return RunRow(
        folder.name,
        run_name(folder, files.settings),
        files.notes,
        status.state if status else None,
        status.sentence if status else "",
        files.settings,
        files.results if finished else None,
        files.loss,
        size_mb(folder),
        problem or files.problem,
    )


def _read(folder: Path) -> _Files:
    """What the files say, from memory where none of them has changed."""
    signature = tuple(_stamp(folder / name) for name in FROZEN_FILES)
    known = _remembered.get(folder)
    if known is None or known[0] != signature:
        known = _remembered[folder] = (signature, _read_anew(folder))
    return known[1]


def _read_anew(folder: Path) -> _Files:
    settings, results, notes, problems = None, None, "", []
    try:
        settings = runs.read_settings(folder)
    except DistilleryError as error:
        problems.append(str(error))
    try:
        results = read_result(folder) if is_there(folder / RESULTS) else None
    except DistilleryError as error:
        problems.append(str(error))
    try:
        notes = read_about(folder).notes
    except DistilleryError as error:
        problems.append(str(error))
    problems += _unreadable(folder / "metrics.jsonl")
    return _Files(settings, results, notes, loss_in_short(folder / "metrics.jsonl"), " ".join(problems))


def _unreadable(path: Path) -> list[str]:
    """Why a file that is there cannot be read, in a sentence."""
    try:
        open_plain(path).close()
    except FileNotFoundError:
        return []
    except OSError as error:
        return [f"{where(path)} cannot be read: {error.strerror}."]
    return []


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_mode


def loss_in_short(path: Path) -> tuple[float, ...]:
    """At most POINTS means of the total loss over equal parts of a stage: the student's, else the teacher's.

    Empty where nothing was recorded or the file cannot be read.
    """
    try:
        pieces = _pieces(path)
    except OSError:
        return ()
    losses: dict[str, list[list[float]]] = {stage: [[] for _ in pieces] for stage in ("student", "teacher")}
    for place, piece in enumerate(pieces):
        for line in piece:
            stage, loss = _loss(line)
            if stage in losses and loss is not None:
                losses[stage][place].append(loss)
    means = next(filter(None, (_means(found) for found in losses.values())), [])
    return tuple(means)


def _pieces(path: Path) -> list[list[bytes]]:
    """Whole lines of the file: all of it where it is short, else of places evenly spread, the end among them."""
    with open_plain(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size <= WHOLE_BYTES:
            return [[line] for line in file.read().splitlines()]
        pieces = []
        for place in range(CHUNKS):
            file.seek((size - CHUNK_BYTES) * place // (CHUNKS - 1))
            # The first and the last line of a chunk may be cut; half a line is no JSON and is passed over.
            pieces.append(file.read(CHUNK_BYTES).splitlines())
    return pieces


def _loss(line: bytes) -> tuple[str | None, float | None]:
    if b'"loss"' not in line:
        return None, None
    event = parse_event(line)
    if event is None:
        return None, None
    stage, loss = event.get("stage"), event.get("loss")
    return (stage if isinstance(stage, str) else None), (float(loss) if is_number(loss) else None)


def _means(pieces: Iterable[Sequence[float]]) -> list[float]:
    """Means of the pieces that hold anything, joined until there are no more than POINTS."""
    found = [sum(piece) / len(piece) for piece in pieces if piece]
    size = -(-len(found) // POINTS) or 1
    return [sum(part) / len(part) for start in range(0, len(found), size) if (part := found[start : start + size])]
