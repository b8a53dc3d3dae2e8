"""From the scores of all jobs to one number for a model and a task, and to the teacher that it is compared with."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, TypeGuard

from core import numbers
from core.data.glue import TASKS
from core.glue.cells import Cell
from core.glue.metrics import metric_of
from core.glue.table import Origin, Value

ZERO_SHOT, FINE_TUNED = "zero-shot", "fine-tuned"
OFFICIAL = "official dev"
ROLES = ("teacher", "student", "control")

Key = tuple[str, str]
"""A model and the way it learned: what a row of a table is about."""


@dataclass(frozen=True)
class Pooled:
    """The cells of one model, task and way that may be pooled: one recipe, one cell a seed, the newest cell first."""

    cells: tuple[Cell, ...]

    @property
    def first(self) -> Cell:
        """The newest cell, which stands for what all have in common."""
        return self.cells[0]

    @cached_property
    def defined(self) -> tuple[float, ...]:
        """The scores of the seeds that have one, in points."""
        return tuple(100 * cell.score for cell in self.cells if _is_defined(cell.score))

    @cached_property
    def number(self) -> float | None:
        """The median over the seeds, in points; None if it is undefined for all of them."""
        return _median([cell.score for cell in self.cells])

    @cached_property
    def origin(self) -> Origin:
        """ "demo scale" where less than the official task was learned from or scored on."""
        return "demo scale" if _is_smaller(self.first) else "measured here"

    @property
    def is_leaked(self) -> bool:
        """True if the model had learned from texts of the task before: its score is compared with nothing."""
        return self.first.is_leaked

    @cached_property
    def value(self) -> Value:
        """As a value of a table; what depends on other rows is left out."""
        cell, defined = self.first, self.defined
        majority = _median([cell.majority])
        return Value(
            self.number,
            self.origin,
            metric=metric_of(cell.task),
            split=cell.split,
            seeds=tuple(sorted(cell.seed for cell in self.cells)),
            low=min(defined, default=None),
            high=max(defined, default=None),
            majority=majority,
            over_majority=None if self.number is None or majority is None else self.number - majority,
            reason=self._reason(),
            examples=cell.examples,
            train_examples=cell.train_examples,
            train_total=cell.train_total,
            parts=self._parts(),
            notes=cell.notes if cell.way == ZERO_SHOT else self._rates(),
            is_leaked=self.is_leaked,
        )

    def _parts(self) -> dict[str, float | None]:
        parts = {name: _median([cell.scores.get(name) for cell in self.cells]) for name in self.first.scores}
        for name in self.first.mismatched or {}:
            parts[f"mismatched {name}"] = _median([(cell.mismatched or {}).get(name) for cell in self.cells])
        return parts

    def _rates(self) -> tuple[str, ...]:
        """Which learning rates were chosen, where they were."""
        by_seed = sorted((cell.seed, cell.chosen_rate) for cell in self.cells if cell.chosen_rate is not None)
        chosen = [f"{numbers.rate(rate)} (seed {seed + 1})" for seed, rate in by_seed]
        said = f"Learning rate chosen on a held-out tenth of the training examples: {', '.join(chosen)}."
        return (said,) if chosen else ()

    def _reason(self) -> str:
        missing = [cell for cell in self.cells if not _is_defined(cell.score)]
        if not missing:
            return ""
        reasons = missing[0].reasons
        reason = reasons.get(metric_of(self.first.task)) or next(iter(reasons.values()), "The score is undefined.")
        if len(missing) == len(self.cells):
            return reason
        return f"Undefined for {len(missing)} of {len(self.cells)} seeds: {reason}"


class Scores:
    """The newest scores of all jobs, pooled over seeds. `jobs` are the cells of each job, the newest job first.

    Whoever builds several tables makes it once: what was pooled is kept.
    """

    def __init__(self, jobs: Sequence[Sequence[Cell]]) -> None:
        groups: dict[tuple[str, str, str], list[Cell]] = {}
        self._newest: dict[Key, Cell] = {}
        for cell in chain.from_iterable(jobs):
            groups.setdefault((cell.model, cell.way, cell.task), []).append(cell)
            self._newest.setdefault((cell.model, cell.way), cell)
        self._groups = groups
        self._pooled: dict[tuple[str, str, str], Pooled] = {}
        self._teachers = _teachers(jobs)

    def models(self, tasks: Iterable[str], zero_shot: bool = False) -> list[Key]:
        """The models that have a score on one of these tasks: teachers, students, controls; the newest first."""
        wanted = set(tasks)
        found = dict.fromkeys(
            (model, way) for model, way, task in self._groups if task in wanted and (way == ZERO_SHOT) == zero_shot
        )
        return sorted(found, key=lambda key: ROLES.index(self.newest(key).role))

    def newest(self, key: Key) -> Cell:
        """The newest cell of a model, which has its title and role."""
        return self._newest[key]

    def get(self, key: Key, task: str) -> Pooled | None:
        """What a model has on a task; None if nothing."""
        group = (*key, task)
        if group in self._groups and group not in self._pooled:
            self._pooled[group] = _pool(self._groups[group])
        return self._pooled.get(group)

    def teacher_of(self, key: Key) -> Key | None:
        """The teacher that it learned from again, else the first of the newest job in which it stands beside one,
        else the only teacher that there is. None for a teacher itself, and for models that learned no task.
        """
        newest = self.newest(key)
        if newest.role == "teacher" or key[1] == ZERO_SHOT:
            return None
        again = (newest.recipe.get("teacher"), FINE_TUNED)
        if again in self._newest:
            return again
        every = set(self._teachers.values())
        return self._teachers.get(key) or (every.pop() if len(every) == 1 else None)


Jobs = Scores | Sequence[Sequence[Cell]]
"""What every table is made of: the cells of each job, newest job first, or what has been made of them already."""


def number_beside(one: Pooled, other: Pooled | None) -> float | None:
    """The other's number, if both have one on the same examples, new to both, after learning from equally many."""
    if other is None or one.number is None or one.is_leaked or other.is_leaked:
        return None
    return other.number if _scale(one.first) == _scale(other.first) else None


def is_official(split: str) -> bool:
    """True for the task's official development set, on which the paper's numbers were measured."""
    return split.startswith(OFFICIAL)


def scores_of(jobs: Jobs) -> Scores:
    """Scores as they are, or made of the cells of jobs."""
    return jobs if isinstance(jobs, Scores) else Scores(jobs)


def _pool(cells: Sequence[Cell]) -> Pooled:
    """The recipe used last wins; of each seed the newest cell that was made by it."""
    first, by_seed = cells[0], {}
    for cell in cells:
        if cell.seed not in by_seed and cell.recipe == first.recipe and _scale(cell) == _scale(first):
            by_seed[cell.seed] = cell
    return Pooled(tuple(by_seed.values()))


def _scale(cell: Cell) -> tuple[Any, ...]:
    return cell.split, cell.examples, cell.train_examples, cell.train_total


def _median(scores: Sequence[float | None]) -> float | None:
    """In points, of those that are defined; None if none is."""
    found = [100 * score for score in scores if _is_defined(score)]
    return statistics.median(found) if found else None


def _is_defined(score: float | None) -> TypeGuard[float]:
    """False also for what a file of numbers may hold that is none."""
    return score is not None and math.isfinite(score)


def _is_smaller(cell: Cell) -> bool:
    official = TASKS.get(cell.task)
    if official and cell.examples < official.dev_size:
        return True
    if cell.way == ZERO_SHOT:
        return False
    return cell.train_examples < (official.train_size if official else cell.train_total)


def _teachers(jobs: Sequence[Sequence[Cell]]) -> dict[Key, Key]:
    """For each model that stood beside a teacher in a job: the first teacher of the newest such job."""
    found: dict[Key, Key] = {}
    for job in jobs:
        keys = {(cell.model, cell.way): cell for cell in job if cell.way != ZERO_SHOT}
        teacher = next((key for key, cell in keys.items() if cell.role == "teacher"), None)
        if teacher:
            found = dict.fromkeys(keys, teacher) | found
    return found
