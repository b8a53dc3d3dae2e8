"""Measure every form of a run's models together: the grid of batches and lengths, visited several times over.

A visit to a cell lets all forms take turns, and the cells are visited in turn as well: whatever else the machine does
meanwhile falls on all numbers alike.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np

from core.errors import DistilleryError
from core.jobs.reporter import StopRequested
from core.speed import clock
from core.speed.forms import Form, forms_of, weights_of
from core.speed.machine import Machine, load
from core.speed.measurement import BATCHES, LENGTHS, Cell, FormMeasured, Measurement, Time
from core.speed.memory import peak_mb
from core.speed.opened import Opened, devices, open_form, random_texts

VISITS = 4
"""How often each cell is visited: at least 12 passes of each form in all, at most 60."""

Report = Callable[[str, int, int], None]
"""Told what is being measured, how much of the work is done, and how much there is."""


def measure(run_dir: Path, machine: Machine, report: Report, stopped: Callable[[], bool]) -> Measurement:
    """What the run's models need and how long they take. Half a minute to several, by the teacher's size.

    Raises DistilleryError if there is nothing to measure, StopRequested soon after `stopped` says so.
    """
    begun_at, began, load_before = time.time(), time.monotonic(), load()
    forms, weights = forms_of(run_dir), weights_of(run_dir)
    cells = cells_for(forms)
    total = len(forms) + VISITS * len(cells)
    memory = {}
    for done, form in enumerate(forms):
        report(f"Memory of {form.name}.", done, total)
        memory[form.key] = peak_mb(form, machine.threads, stopped)
        _stop_if(stopped)
    times = _time_all(forms, cells, machine, report, stopped)
    return Measurement(
        machine=machine,
        weights=weights,
        forms=tuple(_measured(form, memory[form.key], times[form.key]) for form in forms),
        begun_at=begun_at,
        elapsed_s=time.monotonic() - began,
        load=(load_before, load()),
    )


def cells_for(forms: list[Form]) -> list[tuple[int, int]]:
    """(texts, word pieces) that every form can read, the cheapest first. Raises DistilleryError if there are none."""
    positions = min(form.shape.longest for form in forms)
    cells = [(batch, tokens) for batch in BATCHES for tokens in LENGTHS if tokens <= positions]
    if not cells:
        raise DistilleryError(
            f"These models read at most {positions} word pieces; the shortest text measured here has {LENGTHS[0]}."
        )
    return sorted(cells, key=lambda cell: cell[0] * cell[1])


def _time_all(
    forms: list[Form], cells: list[tuple[int, int]], machine: Machine, report: Report, stopped: Callable[[], bool]
) -> dict[str, list[Time]]:
    done, total = len(forms), len(forms) + VISITS * len(cells)
    report("Opening the models.", done, total)
    opened = {form.key: open_form(form.file, form.runtime, machine.threads) for form in forms}
    times: dict[str, list[Time]] = defaultdict(list)
    found = devices()
    total += VISITS * len(cells) * (len(found) - 1)
    for device in found:
        timed = [form for form in forms if device == "cpu" or form.runtime == "torch"]
        raw: dict[tuple[str, Cell], list[float]] = defaultdict(list)
        for _ in range(VISITS):
            for batch, tokens in cells:
                cell = Cell(device=device, batch=batch, tokens=tokens)
                report(_sentence(cell), done, total)
                for key, values in _visit(timed, opened, cell, stopped).items():
                    raw[key, cell] += values
                done += 1
        for (key, cell), values in raw.items():
            times[key].append(_time(cell, values))
    report("Done.", total, total)
    return times


def _visit(
    forms: list[Form], opened: dict[str, Opened], cell: Cell, stopped: Callable[[], bool]
) -> dict[str, list[float]]:
    passes = {
        form.key: opened[form.key].passes(random_texts(cell, form.shape.vocabulary), cell.device) for form in forms
    }
    rounds = clock.rounds_after_warming_up(passes, lambda: _stop_if(stopped))
    return clock.take_turns(passes, rounds, lambda: _stop_if(stopped))


def _stop_if(stopped: Callable[[], bool]) -> None:
    if stopped():
        raise StopRequested


def _time(cell: Cell, values: list[float]) -> Time:
    return Time(
        cell=cell,
        median_ms=round(float(np.median(values)), 4),
        p95_ms=round(float(np.percentile(values, 95)), 4),
        repeats=len(values),
    )


def _measured(form: Form, memory_mb: float | None, times: list[Time]) -> FormMeasured:
    return FormMeasured(
        role=form.role,
        runtime=form.runtime,
        embeddings=form.shape.embedding_parameters,
        encoder=form.shape.encoder_parameters,
        head=form.shape.head_parameters,
        disk_mb=round(form.disk_mb, 3),
        memory_mb=memory_mb,
        times=tuple(times),
    )


def _sentence(cell: Cell) -> str:
    where = {"cpu": "on the processor", "cuda": "on the GPU", "mps": "on the GPU"}[cell.device]
    texts = "1 text" if cell.batch == 1 else f"{cell.batch} texts at a time"
    return f"{texts} of {cell.tokens} word pieces, {where}."
