"""What a look at a run of a million steps costs: the first of a viewer, the next ones, and its curves beside another's.

    python -m benchmarks.million_steps [--steps 1000000]

Goal: the first look takes at most 0.5 s, and memory does not grow with the steps. Seconds by the clock and of the
processor: on a machine that does other things meanwhile only the second tell something.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import TypeVar

from core.runs.curves import read_curves
from core.runs.feed import feed
from tests.fixtures.synthetic_curves import SyntheticRun, student_events, teacher_events

T = TypeVar("T")
LOOKS = 5


def main() -> None:
    """Write the run, look at it, and print a line for each kind of look."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1_000_000)
    steps = parser.parse_args().steps
    with tempfile.TemporaryDirectory() as home:
        run = SyntheticRun(Path(home))
        with run.metrics.open("w", encoding="utf-8") as file:
            for event in chain(teacher_events(steps // 5), student_events(steps - steps // 5)):
                file.write(json.dumps(event, separators=(",", ":")) + "\n")
        print(f"{steps:,} steps, {run.metrics.stat().st_size / 1e6:.0f} MB")
        before = peak_mb()
        offset = measured("first look", lambda: feed(run.folder, 0))["offset"]
        measured("next look", lambda: feed(run.folder, offset))
        measured("curves", lambda: read_curves(run.folder))
        print(f"memory: {peak_mb() - before:.0f} MB more at most")


def measured(kind: str, look: Callable[[], T]) -> T:
    """What a look gives; prints the quickest of five, by the clock and of the processor."""
    clock: list[float] = []
    processor: list[float] = []
    for _ in range(LOOKS):
        wall, cpu = time.perf_counter(), time.process_time()
        seen = look()
        clock.append(time.perf_counter() - wall)
        processor.append(time.process_time() - cpu)
    print(f"{kind}: {min(clock):.3f} s, of the processor {min(processor):.3f} s")
    return seen


def peak_mb() -> float:
    """The most memory that this process has held so far; Linux counts it in kB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == "__main__":
    main()
