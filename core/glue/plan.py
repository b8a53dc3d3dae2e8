"""Everything a GLUE job is going to measure, in order: written as plan.json before the first step. Loads no torch.

The order is the same at every start, so that steps counted over the whole job say what has been done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

from pydantic import Field

from core.glue.cells import FileName, Role, Way, cell_path
from core.persisted import Amount, Count, Some, Text, is_there, read_as, write_kept

PLAN = "plan.json"
CHECKPOINTS = "checkpoints"
MOST_BYTES = 50_000_000
TEACHERS = "teachers"
"""Below it the teachers of a second distillation wait for their students."""


@dataclass(frozen=True)
class PlannedCell:
    """One score to come. Its updates are those after `first_step`, counted over the job; asking only counts as one.

    With a `rate` it is a trial of this learning rate, and the cell without one that follows takes the best. `work` is
    about how many seconds it takes on the reference machine of `core/estimate.py`.
    """

    model: FileName
    role: Role
    title: Text
    task: FileName
    seed: Count
    way: Way
    first_step: Count
    steps: Some
    work: Amount
    rate: Amount | None = None

    def path(self, job: Path) -> Path:
        """Where its score is going to be; a trial's is kept until the job is done."""
        score = cell_path(job, self.model, self.task, self.seed)
        return score if self.rate is None else job / CHECKPOINTS / f"{score.stem}.{self.rate:.0e}.json"

    @property
    def last_step(self) -> int:
        """The job's step with which it is complete."""
        return self.first_step + self.steps

    def with_seed(self, seed: int) -> PlannedCell:
        """The same with another seed."""
        return replace(self, seed=seed)

    def checkpoints(self, job: Path) -> Path:
        """Where its training is kept until it is complete."""
        return job / CHECKPOINTS / self.path(job).stem

    def kept_teacher(self, job: Path) -> Path:
        """Where, if it is a teacher that students learn from again, it waits for them: model and answers."""
        return job / TEACHERS / self.path(job).stem


@dataclass(frozen=True)
class Plan:
    """The cells of a job in the order in which they are measured."""

    cells: Annotated[tuple[PlannedCell, ...], Field(max_length=100_000)]

    @property
    def total_steps(self) -> int:
        """Steps of the whole job."""
        return self.cells[-1].last_step if self.cells else 0

    def students_of(self, teacher: PlannedCell) -> list[PlannedCell]:
        """The cells that learn again from what this cell has learned."""
        return [
            cell
            for cell in self.cells
            if cell.way == "distilled again" and (cell.task, cell.seed) == (teacher.task, teacher.seed)
        ]

    def teacher_of(self, student: PlannedCell) -> PlannedCell:
        """The cell whose model a second distillation learns from: the first teacher's of this task and seed."""
        same = (cell for cell in self.cells if (cell.task, cell.seed) == (student.task, student.seed))
        return next(cell for cell in same if cell.role == "teacher" and cell.rate is None)

    def trials_of(self, cell: PlannedCell) -> list[PlannedCell]:
        """The trials of the learning rate with which this cell's model learns its task."""
        name = (cell.model, cell.task, cell.seed)
        return [one for one in self.cells if one.rate is not None and (one.model, one.task, one.seed) == name]

    def is_done(self, cell: PlannedCell, job: Path) -> bool:
        """True if nothing of the cell has to be done any more."""
        if not cell.path(job).exists():
            return False
        if cell.role != "teacher" or self.kept_model_exists(cell, job):
            return True
        waiting = [student for student in self.students_of(cell) if not student.path(job).exists()]
        return not waiting or self.teacher_of(waiting[0]) != cell

    def kept_model_exists(self, cell: PlannedCell, job: Path) -> bool:
        """True if the cell's trained model is there to be learned from."""
        return (cell.kept_teacher(job) / "model" / "config.json").exists()


def in_order(cells: Sequence[PlannedCell]) -> Plan:
    """The plan of these cells, each beginning where the one before it ends."""
    placed: list[PlannedCell] = []
    for cell in cells:
        first = placed[-1].last_step if placed else 0
        placed.append(replace(cell, first_step=first))
    return Plan(tuple(placed))


def write_plan(job: Path, plan: Plan) -> None:
    """Keep the plan in the job's folder."""
    write_kept(job / PLAN, {"cells": [asdict(cell) for cell in plan.cells]})


def read_plan(job: Path) -> Plan | None:
    """The plan of a job, None while it has none. Raises BrokenRun if it cannot be read."""
    if not is_there(job / PLAN):
        return None
    return read_as(Plan, job / PLAN, "a plan", most_bytes=MOST_BYTES)


def resume_step(job: Path) -> int | None:
    """The step after which a job that was cut off goes on; None if it begins anew."""
    from core.distill.checkpoint import newest_checkpoint

    plan = read_plan(job)
    if plan is None:
        return None
    following = next((cell for cell in plan.cells if not plan.is_done(cell, job)), None)
    if following is None:
        return plan.total_steps
    newest = newest_checkpoint(following.checkpoints(job))
    return following.first_step + (newest.step if newest else 0)
