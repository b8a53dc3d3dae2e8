"""A run's curves for TensorBoard: metrics.jsonl once more, as an event file in tensorboard/ below the run.

The file is made anew from all of metrics.jsonl each time and replaces the one before in one piece, so that it can be
asked for as often as one likes, during a run too.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.errors import DistilleryError
from core.jobs.events import Event, read_events
from core.storage import is_number

FOLDER = "tensorboard"

NOT_DRAWN = ("event", "stage", "step", "elapsed_s")
"""Fields of an event that are no curve."""


def write_tensorboard(run_dir: Path) -> Path:
    """Write the event file of a run; returns its folder, for `tensorboard --logdir`. The same run, the same bytes.

    Tags are "student/loss", "teacher/score" and so on; a point's time is the start of the run plus the seconds that
    its stage had taken. Raises DistilleryError if the run has recorded nothing yet or tensorboardX is not installed.
    """
    try:
        from tensorboardX.record_writer import RecordWriter
    except ImportError as error:
        raise DistilleryError("tensorboardX is not installed. Run: pip install -r requirements.txt") from error
    as_of = _modified(run_dir / "metrics.jsonl")
    records = list(_records(run_dir))
    if len(records) < 2:
        raise DistilleryError("This run has recorded no curves yet, so there is nothing to write.")
    target = run_dir / FOLDER
    target.mkdir(mode=0o700, exist_ok=True)
    path = target / f"events.out.tfevents.{int(_begun(run_dir))}.{run_dir.name}"
    part = target / f".{secrets.token_hex(4)}"
    try:
        writer = RecordWriter(str(part))
        for record in records:
            writer.write(record)
        writer.close()
        # What is appended while we write makes the metrics the newer file again.
        os.utime(part, ns=(as_of, as_of))
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    # TensorBoard would draw the curves of a run that was renamed or copied here twice.
    for other in target.iterdir():
        if other != path:
            other.unlink()
    return target


def is_written(run_dir: Path) -> bool:
    """True if a run has an event file."""
    return any((run_dir / FOLDER).glob("events.out.tfevents.*"))


def is_fresh(run_dir: Path) -> bool:
    """True if the event file holds all that the run has recorded."""
    files = [*(run_dir / FOLDER).glob("events.out.tfevents.*")]
    return bool(files) and min(map(_modified, files)) >= _modified(run_dir / "metrics.jsonl")


def refresh_tensorboard(run_dir: Path) -> None:
    """Write the event file of a run that has one anew if the run has gone on since; a run without one stays without.

    Raises DistilleryError or OSError as `write_tensorboard` does.
    """
    if is_written(run_dir) and not is_fresh(run_dir):
        write_tensorboard(run_dir)


def remove_tensorboard(run_dir: Path) -> None:
    """Delete the event file; nothing else depends on it."""
    shutil.rmtree(run_dir / FOLDER, ignore_errors=True)


def _records(run_dir: Path) -> Iterator[bytes]:
    """The records of the file: which version it is, then one for each step and each score, in the order of time."""
    from tensorboardX.proto.event_pb2 import Event as Record
    from tensorboardX.proto.summary_pb2 import Summary

    begun = _begun(run_dir)
    yield Record(wall_time=begun, file_version="brain.Event:2").SerializeToString()
    for event in _last_of_each(read_events(run_dir / "metrics.jsonl")[0]):
        values = [Summary.Value(tag=f"{event['stage']}/{name}", simple_value=value) for name, value in _curves(event)]
        if values:
            moment = begun + (_number(event.get("elapsed_s")) or 0.0)
            yield Record(wall_time=moment, step=event["step"], summary=Summary(value=values)).SerializeToString()


def _last_of_each(events: list[Event]) -> list[Event]:
    """Steps and scores; of those that were written twice, as in a run that went on, the last."""
    drawn = (event for event in events if event.get("event") in ("step", "score") and type(event.get("step")) is int)
    known = (event for event in drawn if event.get("stage") in ("teacher", "student"))
    return [*{(event["event"], event["stage"], event["step"]): event for event in known}.values()]


def _curves(event: Event) -> list[tuple[str, float]]:
    numbers = ((name, _number(value)) for name, value in event.items() if name not in NOT_DRAWN)
    return [(name, value) for name, value in numbers if value is not None]


def _number(value: Any) -> float | None:
    return float(value) if is_number(value) else None


def _begun(run_dir: Path) -> float:
    """When the run was set up: its settings are written once, then."""
    try:
        return (run_dir / "config.json").stat().st_mtime
    except OSError:
        return 0.0


def _modified(path: Path) -> int:
    """When a file was last written, in nanoseconds; 0 if there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
