"""What a measurement is called in words: where, how many texts, how long, in which form, on which machine."""

from __future__ import annotations

import time

from core import numbers
from core.numbers import plural
from core.speed.measurement import Cell, Device, FormMeasured, Measurement, Runtime

DEVICES: dict[Device, str] = {"cpu": "Processor", "cuda": "GPU", "mps": "GPU (Apple)"}
RUNTIMES: dict[Runtime, str] = {"torch": "", "onnx": ", ONNX", "int8": ", ONNX int8"}
BUSY = 0.5
"""Load for each core above which somebody else was computing as well."""


def one_pass(cell: Cell) -> str:
    """ "One text" or "32 texts"."""
    return "One text" if cell.batch == 1 else f"{cell.batch} texts together"


def of_cell(cell: Cell) -> str:
    """ "64 word pieces each, processor"."""
    each = "" if cell.batch == 1 else " each"
    return f"{cell.tokens} word pieces{each}, {DEVICES[cell.device][0].lower() + DEVICES[cell.device][1:]}"


def form_name(form: FormMeasured) -> str:
    """ "Student, ONNX int8"."""
    return form.role.capitalize() + RUNTIMES[form.runtime]


def on_what(measurement: Measurement) -> str:
    """The machine, in a sentence: processor, threads, GPUs, versions."""
    machine = measurement.machine
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    gpus = "".join(f", {gpu}" for gpu in machine.gpus)
    threads = f"{machine.threads} compute {plural('thread', machine.threads)}"
    return f"{machine.processor}{gpus}, {threads}; {versions}"


def how_busy(measurement: Measurement) -> str:
    """The load before and after, and what to make of it where the machine was busy; empty where nothing is known."""
    before, after = measurement.load
    if before is None or after is None:
        return ""
    words = f"Load {before:.2g} before and {after:.2g} after."
    if before > BUSY * measurement.machine.threads:
        words += (
            " Something else was computing too, so each number of milliseconds may be too long. The models took turns, "
            "so how they compare still holds."
        )
    return words


def when(measurement: Measurement) -> str:
    """ "22 Nov, 23:10, in about 40 s"."""
    begun = time.strftime("%d %b, %H:%M", time.localtime(measurement.begun_at))
    return f"{begun}, in {numbers.duration(measurement.elapsed_s).removeprefix('about ')}"
