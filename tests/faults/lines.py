"""metrics.jsonl cut at every byte, and written by processes that are killed as they write."""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.config import Settings
from core.jobs.events import EventWriter, read_events
from core.runs import folder as runs
from core.runs.feed import feed


@dataclass
class Report:
    """How many cuts or lines were tried, and how many of them were read wrongly or lost."""

    tried: int = 0
    bad: int = 0
    kills: int = 0


def event(step: int) -> dict[str, Any]:
    """What a run writes at each step."""
    return {"event": "step", "stage": "student", "step": step, "loss": 1 / step, "elapsed_s": step / 10, "sentences": 8}


def cut_everywhere(home: Path, lines: int) -> Report:
    """Cut a file of so many lines at every byte, then complete it: each line is read once, when it is whole.

    Both readers are asked, the one of events and the one of the live view, the latter at every tenth byte.
    """
    os.environ["DISTILLERY_HOME"] = str(home)
    folder = runs.create_run(Settings(), "cut")
    path = folder / "metrics.jsonl"
    content = "".join(json.dumps(event(step)) + "\n" for step in range(1, lines + 1)).encode()
    report = Report()
    for cut in range(len(content) + 1):
        path.write_bytes(content[:cut])
        before, offset = read_events(path)
        seen = feed(folder, 0)["stages"].get("student", {}).get("steps", {}).get("step", []) if cut % 10 == 0 else None
        path.write_bytes(content)
        after, end = read_events(path, offset)
        whole = content[:cut].count(b"\n")
        right = len(before) == whole and (seen is None or len(seen) == whole) and end == len(content)
        report.tried += 1
        report.bad += not (right and [one["step"] for one in before + after] == list(range(1, lines + 1)))
    return report


class Buffered:
    """What a writer may not be: one that keeps lines to itself until it has many. For the proof that this is seen."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")

    def append(self, line: dict[str, Any]) -> None:
        """Write a line when it suits Python."""
        self._file.write(json.dumps(line) + "\n")


def kill_writers(folder: Path, lines: int, writer: Callable[[Path], Any] = EventWriter) -> Report:
    """Kill writing processes until they have acknowledged so many lines, and count acknowledged lines that are lost."""
    report, chance = Report(), random.Random(0)
    while report.tried < lines:
        path = folder / f"{report.kills}.jsonl"
        acknowledged = _write_until_killed(path, chance.randint(200, 2_000), writer)
        found, _ = read_events(path)
        steps = [one["step"] for one in found]
        report.tried += acknowledged
        report.bad += max(0, acknowledged - len(steps)) + (steps != list(range(1, len(steps) + 1)))
        report.kills += 1
        path.unlink()
    return report


def _write_until_killed(path: Path, after: int, writer: Callable[[Path], Any]) -> int:
    """Let a fork write and acknowledge each line through a pipe; kill it after so many; returns how many there were."""
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            target = writer(path)
            for step in range(1, 1_000_000):
                target.append(event(step))
                os.write(tell, b".")
        finally:
            os._exit(1)
    os.close(tell)
    acknowledged = 0
    while acknowledged < after and (some := os.read(told, 4096)):
        acknowledged += len(some)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while some := os.read(told, 65_536):
        acknowledged += len(some)
    os.close(told)
    return acknowledged
