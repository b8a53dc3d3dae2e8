"""A student's curves along steps, time or sentences, so that runs can be laid over each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from core.jobs.events import Event
from core.runs.feed import SCORE_CURVES, STEP_CURVES, Table, bucket_means, thin_out
from core.runs.history import read_history
from core.storage import is_number

Along = Literal["step", "elapsed_s", "sentences"]
"""What a curve is drawn over: updates, seconds since the stage began, texts read."""

AXES: tuple[Along, ...] = ("step", "elapsed_s", "sentences")
RAW_POINTS = 300
SMOOTH_POINTS = 160


@dataclass(frozen=True)
class StudentCurves:
    """Everything a student's training has recorded: columns of equal length in each table, None where it has none.

    `steps` holds the axes and the losses, `scores` the axes and the scores on the validation part. `facts` are those
    of the stage (metric, teacher_score, weights); empty where the student has not begun.
    """

    steps: Table
    scores: Table
    facts: dict[str, Any]

    def names(self) -> list[str]:
        """The curves that hold at least one value."""
        tables = ((self.scores, SCORE_CURVES), (self.steps, STEP_CURVES))
        return [name for table, curves in tables for name in curves if any(value is not None for value in table[name])]

    def raw(self, curve: str, along: Along) -> tuple[list[float | None], list[float | None]]:
        """A curve's points, thinned where there are many but with every extreme: (x, y)."""
        thin = thin_out(_two(self._table(curve), curve, along), [curve], RAW_POINTS)
        return thin["step"], thin[curve]

    def smooth(self, curve: str, along: Along) -> tuple[list[float | None], list[float | None]]:
        """The means of a curve over equal parts of the training: (x, y)."""
        table = _two(self._table(curve), curve, along)
        if not table["step"]:
            return [], []
        means = bucket_means(table, [curve], SMOOTH_POINTS)
        return means["step"], means[curve]

    def _table(self, curve: str) -> Table:
        return self.scores if curve in SCORE_CURVES else self.steps


def read_curves(run_dir: Path) -> StudentCurves:
    """What a run's student has recorded so far; a step that was written twice counts as it was written last.

    Raises BrokenRun if metrics.jsonl cannot be read.
    """
    events = [event for event in read_history(run_dir / "metrics.jsonl").events if event.get("stage") == "student"]
    steps, scores = (_by_step(events, kind) for kind in ("step", "score"))
    read = {step: event.get("sentences") for step, event in steps.items()} | {0: 0}
    rows = [event | {"sentences": read.get(step)} for step, event in scores.items()]
    facts = next((event for event in reversed(events) if event.get("event") == "stage"), {})
    return StudentCurves(_table([*steps.values()], STEP_CURVES), _table(rows, SCORE_CURVES), facts)


def _by_step(events: list[Event], kind: str) -> dict[int, Event]:
    numbered = (event for event in events if event.get("event") == kind and type(event.get("step")) is int)
    return dict(sorted({event["step"]: event for event in numbered}.items()))


def _table(rows: list[Event], curves: tuple[str, ...]) -> Table:
    return {name: [_number(row.get(name)) for row in rows] for name in (*AXES, *curves)}


def _two(table: Table, curve: str, along: Along) -> Table:
    """The curve over its axis, as the thinning wants it: under the name `step`, without rows that have no place."""
    rows = [(x, y) for x, y in zip(table[along], table[curve], strict=True) if x is not None]
    return {"step": [x for x, _ in rows], curve: [y for _, y in rows]}


def _number(value: Any) -> float | None:
    return value if is_number(value) else None
