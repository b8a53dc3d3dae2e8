"""Where every run stands between quality and speed, and which is the smallest that is good enough.

Reads run folders only; importing this file does not load torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from core import paper
from core.config import is_control
from core.errors import DistilleryError
from core.runs import folder as runs
from core.runs.comparable import ROLES, Role, model_folders
from core.runs.results import Results
from core.runs.table import RunRow, list_rows
from core.speed.forms import forms_of, weights_of
from core.speed.measurement import FOLDER, Cell, Measurement, read_measurement


@dataclass(frozen=True)
class MeasuredRun:
    """A run whose models have a size. `name` and `problem` are foreign text.

    `measurement` is what this machine measured on the grid, None before; `reason` says why nothing can be measured
    (empty if it can), `problem` what is wrong with what was.
    """

    row: RunRow
    measurement: Measurement | None
    reason: str
    problem: str

    @property
    def run_id(self) -> str:
        """The name of its folder."""
        return self.row.run_id

    @property
    def results(self) -> Results | None:
        """What the run itself measured at its end; None if it has not come to that."""
        return self.row.results

    @property
    def is_control(self) -> bool:
        """True if its student learned without a teacher."""
        return self.row.settings is not None and is_control(self.row.settings.loss)


@dataclass(frozen=True)
class Sizes:
    """Parameters of a run's teacher or student: all, those in its layers, and those of its word list and positions.

    The last is None where the model is no longer there to be looked at.
    """

    parameters: int
    encoder: int
    words: int | None


@dataclass(frozen=True)
class Pace:
    """Milliseconds of teacher and student, on the grid or as results.json has them."""

    teacher_ms: float
    student_ms: float
    on_grid: bool

    @property
    def times_as_fast(self) -> float:
        """How many passes the student makes in the time of one of its teacher's."""
        return self.teacher_ms / self.student_ms

    @property
    def less_time(self) -> float:
        """The share of the teacher's time that the student saves; negative if it is slower."""
        return 1 - self.student_ms / self.teacher_ms


@dataclass(frozen=True)
class Standing:
    """One point of the map. `kept` is the student's score as a share of its own teacher's, both by `metric`."""

    run: MeasuredRun
    kept: float
    metric: str
    pace: Pace
    parameters: int
    size_mb: float


def measured_runs() -> tuple[list[MeasuredRun], list[tuple[RunRow, str]]]:
    """Runs with models of known size, newest first; and the others, each with the reason."""
    found: list[MeasuredRun] = []
    others: list[tuple[RunRow, str]] = []
    for row in list_rows():
        run = _measured_run(row)
        if run.results is None and run.reason:
            others.append((row, row.problem or run.reason))
        else:
            found.append(run)
    return found, others


def shown_first(found: Sequence[MeasuredRun]) -> MeasuredRun:
    """Of runs, newest first: the newest finished student of a teacher; without one a finished control; else any."""
    return min(found, key=lambda run: (run.row.state != "finished", run.is_control))


def standing(run: MeasuredRun, cell: Cell) -> Standing | None:
    """Where a run stands when it is asked so; None if it was not scored, or its score or its teacher's is undefined."""
    results = run.results
    if results is None or results["kept"] is None:
        return None
    student = results["student"]
    pace = pace_of(run, cell) or _pace_of_results(results)
    return Standing(run, results["kept"], results["metric"], pace, student["parameters"], student["size_mb"])


def pace_of(run: MeasuredRun, cell: Cell) -> Pace | None:
    """What the grid says of both models in this cell, or None."""
    if run.measurement is None:
        return None
    teacher, student = (run.measurement.time(role, cell) for role in ROLES)
    return Pace(teacher.median_ms, student.median_ms, on_grid=True) if teacher and student else None


def pace_at_the_end(run: MeasuredRun) -> Pace | None:
    """What the run itself measured at its end: one sentence at a time; None if it has not come to that."""
    return _pace_of_results(run.results) if run.results else None


def sizes_of(run: MeasuredRun) -> dict[Role, Sizes]:
    """Parameters of both models, as they were saved, else from the results. Raises DistilleryError without either."""
    cards = run.results
    if run.reason and cards:
        known = {role: (cards[role]["parameters"], cards[role]["encoder_parameters"]) for role in ROLES}
        return {role: Sizes(*known[role], words=None) for role in ROLES}
    shapes = {form.role: form.shape for form in forms_of(runs.run_folder(run.run_id)) if form.runtime == "torch"}
    return {
        role: Sizes(shape.parameters, shape.encoder_parameters, shape.embedding_parameters)
        for role, shape in shapes.items()
    }


def smallest_keeping(standings: Iterable[Standing], share: float) -> Standing | None:
    """The run with the fewest parameters that keeps at least this share; of equals the one that keeps more."""
    enough = [point for point in standings if point.kept >= share]
    return min(enough, key=lambda point: (point.parameters, -point.kept), default=None)


def closest(standings: Iterable[Standing]) -> Standing | None:
    """The run that keeps most."""
    return max(standings, key=lambda point: point.kept, default=None)


@dataclass(frozen=True)
class Reported:
    """DistilBERT beside BERT-base, as the paper reports them: shares, and how many times as fast."""

    kept: float
    smaller: float
    times_as_fast: float
    parameters: float

    @property
    def less_time(self) -> float:
        """The share of its teacher's time that it saves."""
        return 1 - 1 / self.times_as_fast


def reported() -> Reported:
    """The paper's student: macro score of Table 1, parameters and seconds of Table 3."""
    by_name = {row.name: row for row in paper.SIZE_ROWS}
    teacher, student = by_name["BERT-base"], by_name["DistilBERT"]
    return Reported(
        kept=paper.DISTILBERT.macro / paper.BERT_BASE.macro,
        smaller=1 - student.parameters / teacher.parameters,
        times_as_fast=teacher.seconds / student.seconds,
        parameters=student.parameters,
    )


def _measured_run(row: RunRow) -> MeasuredRun:
    measurement, reason, problem = None, "", ""
    try:
        folder = runs.run_folder(row.run_id)
        model_folders(folder)
    except DistilleryError as error:
        reason = str(error)
    try:
        measurement = None if reason else _measurement(folder)
    except DistilleryError as error:
        problem = str(error)
    return MeasuredRun(row, measurement, reason, problem)


def _measurement(folder: Path) -> Measurement | None:
    return read_measurement(folder, weights_of(folder)) if (folder / FOLDER).is_dir() else None


def _pace_of_results(results: Results) -> Pace:
    teacher, student = (results[role]["ms_per_sentence"] for role in ROLES)
    return Pace(teacher, student, on_grid=False)
