"""What somebody watching a run needs, read from its folder by byte offset.

The first answer carries the history, thinned to what a screen can show; every later one carries only what was appended
since. Nothing is remembered between two questions, so any number of viewers cost one short read each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from core.jobs.events import Event
from core.runs.folder import ENDED, Status, read_status
from core.runs.history import read_history
from core.storage import is_number
from core.terms import TERMS

LIMIT = 2000
"""Most points of one curve in one answer."""

STEP_CURVES = ("loss", *(term.name for term in TERMS))
SCORE_CURVES = ("score", "agreement")
FACTS = ("total_steps", "metric", "teacher_score", "majority", "weights")

RECENT_S = 20.0
"""How far back the pace is measured, of the lines that are read for it."""

Table = dict[str, list[float | None]]


def feed(run_dir: Path, since: int) -> dict[str, Any]:
    """State, newest numbers and, by stage, the points that were appended at or after byte `since`.

    `offset` is the `since` of the next question. `reset` is true where the file no longer continues what was read
    before (a resumed run cuts it back), or where too much has come since: the answer then starts over. Losses and
    rates have 4 significant digits, `speed` is in texts a second, times are in seconds; a number that is not known yet
    is None. Of a very long history it carries rows from everywhere (`core.runs.history`).

    Raises BrokenRun if status.json or metrics.jsonl cannot be read.
    """
    # The status comes first: a run that is over by then has already written its last line.
    status = read_status(run_dir)
    read = read_history(run_dir / "metrics.jsonl", since)
    now = _newest(read.recent, status)
    return {
        "offset": read.offset,
        "reset": read.anew and since > 0,
        "state": status.state,
        "sentence": status.sentence,
        "stage": status.stage,
        "step": now.pop("step"),
        "total_steps": status.total_steps,
        "now": now,
        "stages": {name: _stage(rows, thin=read.anew) for name, rows in _by_stage(read.events).items()},
    }


def thin_out(table: Table, curves: Sequence[str], limit: int = LIMIT) -> Table:
    """At most `limit` rows, real ones, in order: first, last, and of every bucket each curve's least, greatest and gap.

    A curve that has no missing value costs two rows a bucket, one that has some costs three.
    """
    rows = len(table["step"])
    if rows <= limit:
        return table
    cost = sum(3 if None in table[curve] else 2 for curve in curves)
    keep = {0, rows - 1}
    for bucket in _buckets(rows, max(1, (limit - 2) // cost)):
        for curve in curves:
            keep.update(_extremes(table[curve], bucket))
    return {name: [values[row] for row in sorted(keep)] for name, values in table.items()}


def bucket_means(table: Table, curves: Sequence[str], limit: int = LIMIT) -> Table:
    """Each curve's mean in the buckets of `thin_out`, dated by the bucket's last step: what a smoothed line follows.

    Least and greatest alone would make the smoothed line swing; a bucket with no value at all has the mean None.
    """
    rows = len(table["step"])
    cost = sum(3 if None in table[curve] else 2 for curve in curves)
    buckets = list(_buckets(rows, max(1, (limit - 2) // cost)))
    means: Table = {"step": [table["step"][bucket[-1]] for bucket in buckets]}
    for curve in curves:
        means[curve] = [_mean(table[curve][bucket.start : bucket.stop]) for bucket in buckets]
    return means


def _stage(events: list[Event], thin: bool) -> dict[str, Any]:
    """One stage on the wire; empty tables are left out."""
    stage: dict[str, Any] = {}
    for event in events:
        if event["event"] == "stage":
            stage.setdefault("facts", {}).update({name: event[name] for name in FACTS if name in event})
        stage["elapsed_s"] = _number(event.get("elapsed_s"))
    steps = _table(events, "step", STEP_CURVES)
    scores = _table(events, "score", SCORE_CURVES)
    if thin and len(steps["step"]) > LIMIT:
        curves = [name for name in steps if name != "step"]
        stage["means"] = bucket_means(steps, curves)
        steps = thin_out(steps, curves)
    if thin:
        scores = thin_out(scores, [name for name in scores if name != "step"])
    tables = {"steps": steps, "scores": scores}
    return stage | {name: table for name, table in tables.items() if table["step"]}


def _table(events: Iterable[Event], kind: str, curves: Sequence[str]) -> Table:
    """Columns by step; a step that was written twice counts as it was written last."""
    rows: list[Event] = []
    for event in events:
        if event["event"] != kind:
            continue
        while rows and rows[-1]["step"] >= event["step"]:
            rows.pop()
        rows.append(event)
    present = [name for name in curves if any(name in row for row in rows)]
    table: Table = {"step": [row["step"] for row in rows]}
    return table | {name: [_number(row.get(name)) for row in rows] for name in present}


def _by_stage(events: Iterable[Event]) -> dict[str, list[Event]]:
    stages: dict[str, list[Event]] = {}
    for event in filter(_is_known, events):
        stages.setdefault(event["stage"], []).append(event)
    return stages


def _is_known(event: Event) -> bool:
    """True for the three kinds of event that are drawn; probes are, and a foreign line may be, something else."""
    numbered = event.get("event") in ("step", "score") and type(event.get("step")) is int
    return event.get("stage") in ("teacher", "student") and (numbered or event.get("event") == "stage")


def _newest(recent: list[Event], status: Status) -> dict[str, Any]:
    """Step, learning rate, speed and time left, from the last lines that this session has written."""
    session = _session(recent, status.stage)
    steps = [event for event in session if event["event"] == "step"]
    last = steps[-1] if steps else {}
    latest = [step for step in steps if step["elapsed_s"] >= session[-1]["elapsed_s"] - RECENT_S]
    ended = status.state in ENDED
    return {
        "step": max(status.step, last.get("step", 0)),
        "lr": _number(last.get("lr")),
        "speed": _speed(latest),
        "left_s": None if ended else _left(latest, status.total_steps),
    }


def _session(events: list[Event], stage: str | None) -> list[Event]:
    """The last events of a stage whose clock runs on without a break: what one process wrote in one go."""
    known = [event for event in filter(_is_known, events) if _number(event.get("elapsed_s")) is not None]
    stage = stage or (known[-1]["stage"] if known else None)
    session: list[Event] = []
    for event in (event for event in known if event["stage"] == stage):
        if event["event"] == "stage" or (session and event["elapsed_s"] < session[-1]["elapsed_s"]):
            session = []
        session.append(event)
    return session


def _speed(steps: list[Event]) -> float | None:
    """Texts a second: the median over single steps, so that a pause for scoring does not count as slow training."""
    pairs = zip(steps, steps[1:], strict=False)
    rates = [
        (after["sentences"] - before["sentences"]) / (after["elapsed_s"] - before["elapsed_s"])
        for before, after in pairs
        if after["elapsed_s"] > before["elapsed_s"] and "sentences" in before and "sentences" in after
    ]
    return _number(median(rates)) if rates else None


def _left(steps: list[Event], total_steps: int) -> float | None:
    """Seconds left in the stage at the recent pace, pauses for scoring included."""
    if len(steps) < 2 or not total_steps:
        return None
    first, last = steps[0], steps[-1]
    pace = (last["elapsed_s"] - first["elapsed_s"]) / max(1, last["step"] - first["step"])
    return round(max(0, total_steps - last["step"]) * pace, 1)


def _buckets(rows: int, count: int) -> Iterator[range]:
    edges = [rows * number // count for number in range(count + 1)]
    return (range(start, stop) for start, stop in zip(edges, edges[1:], strict=False) if start < stop)


def _extremes(values: list[float | None], bucket: range) -> set[int]:
    """Rows of the least and the greatest value in a bucket, and of the first that is missing."""
    known = {row: value for row in bucket if (value := values[row]) is not None}
    missing = next((row for row in bucket if values[row] is None), None)
    ends = {min(known, key=known.__getitem__), max(known, key=known.__getitem__)} if known else set()
    return ends if missing is None else ends | {missing}


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return _number(sum(known) / len(known)) if known else None


def _number(value: Any) -> float | None:
    """A finite number with 4 significant digits; anything else is a gap."""
    return float(f"{value:.4g}") if is_number(value) else None
