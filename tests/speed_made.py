"""Measurements written by hand: the grid of a run's two saved models, without measuring anything."""

from __future__ import annotations

from pathlib import Path

from core.speed.forms import weights_of
from core.speed.machine import this_machine
from core.speed.measurement import Cell, FormMeasured, Measurement, Time, write_measurement


def made_form(role: str, ms: float, runtime: str = "torch", **facts: float) -> FormMeasured:
    """A form that takes `ms` for one text of 64 word pieces, and as long for each of 32."""
    cells = [Cell(batch=batch, tokens=tokens) for batch in (1, 32) for tokens in (16, 64)]
    times = [
        Time(
            cell=cell,
            median_ms=ms * cell.batch * cell.tokens / 64,
            p95_ms=1.2 * ms * cell.batch * cell.tokens / 64,
            repeats=60,
        )
        for cell in cells
    ]
    known = {"embeddings": 11_700_000, "encoder": 10_600_000, "head": 148_000, "disk_mb": 90.9, "memory_mb": 210.0}
    return FormMeasured(role=role, runtime=runtime, times=tuple(times), **known | facts)


def made_measurement(folder: Path, teacher_ms: float = 8.0, student_ms: float = 4.0) -> Measurement:
    """A measurement of this machine and this run's weights, kept in its folder."""
    student = {"encoder": 5_300_000, "disk_mb": 69.6, "memory_mb": 160.0}
    measurement = Measurement(
        machine=this_machine(),
        weights=weights_of(folder),
        forms=(made_form("teacher", teacher_ms), made_form("student", student_ms, **student)),
        begun_at=1_790_000_000.0,
        elapsed_s=42.0,
        load=(0.2, 1.1),
    )
    write_measurement(folder, measurement)
    return measurement
