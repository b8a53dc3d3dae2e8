"""What was measured of one run on one machine, and the file that keeps it: `runs/<id>/speed/<machine>.json`.

Importing this file does not load torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from core.persisted import Amount, Count, Moment, Positive, Some, Text, is_there, read_as, write_kept
from core.runs.comparable import Role
from core.speed.machine import Machine, this_machine
from core.storage import BrokenRun

Runtime = Literal["torch", "onnx", "int8"]
Device = Literal["cpu", "cuda", "mps"]

BATCHES = (1, 32)
LENGTHS = (16, 64, 128)
"""Texts at a time and word pieces of each text: the grid."""

FOLDER = "speed"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Cell(_Record):
    """One place of the grid: so many texts at a time, so many word pieces each, on one device."""

    device: Device = "cpu"
    batch: Some = 1
    tokens: Some = 64


class Time(_Record):
    """How long one pass took: the median and the time that 95 of 100 passes keep within, in milliseconds."""

    cell: Cell
    median_ms: Positive
    p95_ms: Positive
    repeats: Some


class FormMeasured(_Record):
    """One model in one form. Parameters apart: word and position rows, layers, and the head on top of them.

    `disk_mb` is the file that holds its weights; `memory_mb` is the most that a fresh process needed, above its
    libraries, to open it and answer the largest batch. None where the system does not tell.
    """

    role: Role
    runtime: Runtime
    embeddings: Some
    encoder: Some
    head: Count
    disk_mb: Amount
    memory_mb: Amount | None = None
    times: Annotated[tuple[Time, ...], Field(max_length=1_000)] = ()

    @property
    def parameters(self) -> int:
        """All of them."""
        return self.embeddings + self.encoder + self.head

    def time(self, cell: Cell) -> Time | None:
        """What was measured in this place of the grid, or None if it was not."""
        return next((time for time in self.times if time.cell == cell), None)


class Measurement(_Record):
    """Every form of a run's two models, measured together. `load` is the machine's before and after."""

    machine: Machine
    weights: dict[Role, Text]
    forms: Annotated[tuple[FormMeasured, ...], Field(max_length=100)]
    begun_at: Moment
    elapsed_s: Amount
    load: tuple[Amount | None, Amount | None]

    def form(self, role: Role, runtime: Runtime = "torch") -> FormMeasured | None:
        """The model of this role in this form, or None if it was not there to be measured."""
        return next((form for form in self.forms if (form.role, form.runtime) == (role, runtime)), None)

    def time(self, role: Role, cell: Cell) -> Time | None:
        """What was measured of this model as it was trained in this place of the grid, or None if it was not."""
        form = self.form(role)
        return None if form is None else form.time(cell)

    def times_as_fast(self, form: FormMeasured, cell: Cell) -> float | None:
        """The teacher's time divided by this form's; None where either was not measured."""
        teacher, student = self.time("teacher", cell), form.time(cell)
        return teacher.median_ms / student.median_ms if teacher and student else None

    def devices(self) -> list[Device]:
        """Where its models were timed: the processor first."""
        found = {time.cell.device for form in self.forms for time in form.times}
        return sorted(found, key=("cpu", "cuda", "mps").index)


def read_measurement(run_dir: Path, weights: dict[Role, str], machine: Machine | None = None) -> Measurement | None:
    """What was measured of this run with these weights on this machine, or None. Raises BrokenRun, naming the file."""
    path = place(run_dir, weights, machine or this_machine())
    return _read(path) if is_there(path) else None


def write_measurement(run_dir: Path, measurement: Measurement) -> None:
    """Keep a measurement in its run; an earlier one of the same machine and weights is replaced."""
    path = place(run_dir, measurement.weights, measurement.machine)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    write_kept(path, measurement.model_dump(mode="json"))


def others(
    run_dir: Path, weights: dict[Role, str], machine: Machine | None = None
) -> tuple[list[Measurement], list[str]]:
    """What was measured of this run on other machines, with other versions, or with earlier weights.

    And of each file that cannot be read a sentence that names it.
    """
    mine = place(run_dir, weights, machine or this_machine())
    found, problems = [], []
    for path in sorted((run_dir / FOLDER).glob("[0-9a-f]*.json")):
        if path == mine:
            continue
        try:
            found.append(_read(path))
        except BrokenRun as error:
            problems.append(str(error))
    return found, problems


def place(run_dir: Path, weights: dict[Role, str], machine: Machine) -> Path:
    """The file of a measurement."""
    return run_dir / FOLDER / f"{machine.key(weights)}.json"


def _read(path: Path) -> Measurement:
    try:
        return read_as(Measurement, path, "a measurement")
    except BrokenRun as error:
        # The file says nothing of the run it lies in, and its folder is called the same in all of them.
        raise BrokenRun(f"{path.parent.parent.name}/{error} Delete it and measure again.") from error
