"""How quick this machine is: for each device, number format and kind of work, what finished runs took.

Kept in `cache/pace.json`, which is only ever a guess: whatever is wrong in it counts as not there. Loads no torch, so
the file also remembers what "auto" turned out to mean here.
"""

from __future__ import annotations

import time
from typing import Any, Literal, NamedTuple

from core.persisted import read_kept, write_kept
from core.sections import TrainingSettings
from core.storage import BrokenRun, cache_root, is_number

FILE = "pace.json"
SLOWEST, QUICKEST = 10_000.0, 0.001
"""No machine is further than that from the reference."""

MATMUL_S = 0.0168
"""Of the product that `calibrate` times, on the reference machine."""

Kind = Literal["labels", "masked_words"]
CALIBRATION = "calibration"


class Pace(NamedTuple):
    """How many times slower than the reference machine, and whether a finished run of this kind says so."""

    times: float
    is_measured: bool


class Here(NamedTuple):
    """The device and number format that a run computes with."""

    device: str
    precision: str


def pace_here(training: TrainingSettings, kind: Kind) -> Pace:
    """The pace of such a run: what one of its kind took; else one of another kind, or a calibration, on its device."""
    content = _read()
    here, paces = _meant(content, training), _section(content, "paces")
    if here is not None:
        if known := _number(paces.get(_name(here, kind))):
            return Pace(known, is_measured=True)
        for other in ("labels", "masked_words", CALIBRATION):
            if guess := _number(paces.get(_name(here, other))):
                return Pace(guess, is_measured=False)
    return Pace(_former(content) or 1.0, is_measured=False)


def remember_pace(training: TrainingSettings, kind: Kind, here: Here, times: float) -> None:
    """Keep how many times slower than the reference a finished run was. Raises OSError if it cannot be written."""
    if _number(times):
        _add(_name(here, kind), times, {training.device: list(here)} if training.precision == "auto" else {})


def calibrate() -> None:
    """Note what "auto" means here, and on a machine that has finished no run yet, time one product of matrices
    (about 0.1 s) for a first guess. Loads torch.
    """
    from core.distill.device import choose_compute

    content, meanings = _read(), {}
    for device in ("auto", "cpu"):
        compute = choose_compute(TrainingSettings(device=device))
        meanings[device] = [str(compute.device), compute.precision]
    here, known = Here(*meanings["auto"]), _section(content, "paces")
    if any(_number(known.get(_name(here, kind))) for kind in ("labels", "masked_words", CALIBRATION)):
        if _section(content, "means").items() >= meanings.items():
            return
        # A graphics card came or went, or only the terminal was used so far.
        _write(known, _section(content, "means") | meanings)
    else:
        _add(_name(here, CALIBRATION), _former(content) or _timed(), meanings)


def _timed() -> float:
    """How many times longer than the reference machine the device that is chosen by itself takes for one product."""
    import torch

    from core.distill.device import choose_compute

    compute = choose_compute(TrainingSettings())
    # Not random: a run that trains meanwhile must draw its own numbers and no others.
    left = torch.ones(960, 1536, device=compute.device)
    right = torch.ones(1536, 1536, device=compute.device)
    times = []
    for _ in range(8):
        begin = time.perf_counter()
        with compute.autocast():
            float((left @ right)[0, 0])
        times.append(time.perf_counter() - begin)
    return min(times) / MATMUL_S


def _add(name: str, times: float, meanings: dict[str, list[str]]) -> None:
    content = _read()
    _write(_section(content, "paces") | {name: round(times, 3)}, _section(content, "means") | meanings)


def _write(paces: dict[str, Any], means: dict[str, Any]) -> None:
    sound = {name: pace for name, pace in paces.items() if _number(pace)}
    write_kept(cache_root() / FILE, {"means": means, "paces": sound}, durable=False)


def _meant(content: dict[str, Any], training: TrainingSettings) -> Here | None:
    """What a run with these settings is going to compute with, as far as that is known without torch."""
    if "auto" not in (training.device, training.precision):
        return Here(training.device, training.precision)
    match _section(content, "means").get(training.device):
        case [str(device), str(precision)]:
            return Here(device, precision if training.precision == "auto" else training.precision)
    return None


def _former(content: dict[str, Any]) -> float | None:
    """From a file of an older program: one pace for everything, which is a guess for each."""
    is_old = content.get("measured_by") in ("run", "calibration")
    return _number(content.get("pace")) if is_old else None


def _name(here: Here, kind: str) -> str:
    return f"{here.device} {here.precision} {kind}"


def _read() -> dict[str, Any]:
    try:
        return read_kept(cache_root() / FILE)
    except BrokenRun:
        return {}


def _section(content: dict[str, Any], name: str) -> dict[str, Any]:
    found = content.get(name)
    return found if isinstance(found, dict) else {}


def _number(pace: Any) -> float | None:
    return float(pace) if is_number(pace) and QUICKEST <= pace <= SLOWEST else None
