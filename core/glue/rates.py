"""With which learning rate a model learns a task: the best of a few, tried on a held-out tenth of the training texts.

Every model of a job tries the same ones for as long, so none is favoured; the development set is not looked at.
"""

from __future__ import annotations

import math
from pathlib import Path

# Until Python 3.12 pydantic takes only these.
from typing_extensions import TypedDict

from core.data.part import Part
from core.data.splits import HELD_OUT_SHARE, held_out
from core.glue.plan import Plan, PlannedCell
from core.glue.tasks import TaskTexts
from core.persisted import Amount, Score, read_as, write_kept


class _Tried(TypedDict):
    rate: Amount
    score: Score | None


def held_out_count(train: int) -> int:
    """How many of the training examples a rate is judged by."""
    return math.ceil(HELD_OUT_SHARE * train)


def without_held_out(texts: TaskTexts, seed: int) -> tuple[Part, Part]:
    """What is learned from while a rate is tried, and what it is judged by. Raises DistilleryError for too few."""
    return held_out(texts.label_names, texts.train, held_out_count(len(texts.train)), seed)


def keep_tried(trial: PlannedCell, job: Path, score: float | None) -> None:
    """Keep what came of a trial; None for a score that is undefined."""
    trial.path(job).parent.mkdir(mode=0o700, exist_ok=True)
    write_kept(trial.path(job), {"rate": trial.rate, "score": score})


def best_rate(plan: Plan, cell: PlannedCell, job: Path) -> float:
    """The rate of the best trial of a cell, the smallest of equals. Raises BrokenRun."""
    tried = [read_as(_Tried, trial.path(job), "a tried learning rate") for trial in plan.trials_of(cell)]
    best = max(tried, key=lambda one: (-math.inf if one["score"] is None else one["score"], -one["rate"]))
    return best["rate"]
