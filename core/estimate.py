"""How long a run will take here, before it begins: arithmetic, corrected by what this machine really did."""

from __future__ import annotations

import time
from dataclasses import dataclass

from core.config import DataSettings, Settings
from core.distill.cache import teacher_key
from core.models.size import Shape, student_shape, teacher_shape
from core.storage import BrokenRun, cache_root, read_json, teacher_model, write_json

TEXTS = {"rotten_tomatoes": (8_530, 27.4), "imdb": (24_902, 314.0)}
"""Examples without duplicates, and word pieces in one on average."""

FLOPS_PER_S = 2.6e11
SECONDS_PER_PARAMETER = 1.3e-9
MATMUL_S = 0.0168
"""A reference machine: arithmetic, one optimiser update, and the product that `calibrate` times. Every other machine
is this one times its pace."""

TEACHER_SCORES, STUDENT_SCORES = 4, 11
START_S = 6.0


@dataclass(frozen=True)
class Plan:
    """What a run is going to do. Steps are optimiser updates; `teacher_steps` is 0 where a trained teacher is kept."""

    train_examples: int
    teacher_steps: int
    student_steps: int
    seconds: float
    pace_measured: bool


def plan(settings: Settings) -> Plan:
    """Steps and expected seconds of a run on this machine."""
    examples, length = _texts(settings.data)
    train = round(0.8 * examples)
    teacher, student = teacher_shape(), student_shape(settings.student.layers)
    kept = teacher_model(teacher_key(settings)).exists()
    teacher_steps = 0 if kept else settings.teacher.epochs * -(-train // settings.teacher.batch_size)
    student_steps = settings.training.epochs * -(-train // settings.training.batch_size)
    held_out = examples - train
    seconds = START_S + _forward(teacher, held_out * length)
    if not kept:
        seconds += _training(teacher, settings.teacher.epochs * train * length, teacher_steps)
        seconds += _forward(teacher, (train + TEACHER_SCORES * held_out / 2) * length)
    seconds += _training(student, settings.training.epochs * train * length, student_steps)
    seconds += _forward(student, STUDENT_SCORES * held_out / 2 * length)
    pace, measured = _pace()
    return Plan(train, teacher_steps, student_steps, seconds * pace, measured)


def learn(predicted: Plan, elapsed_s: float) -> None:
    """Remember how long a finished run took against what `plan` had said before it."""
    pace, _ = _pace()
    corrected = pace * elapsed_s / predicted.seconds
    write_json(cache_root() / "pace.json", {"pace": round(corrected, 3), "measured_by": "run"}, durable=False)


def calibrate() -> None:
    """On a machine that has finished no run yet: time one product of matrices (about 0.1 s) for a first guess."""
    if (cache_root() / "pace.json").exists():
        return
    import torch

    from core.config import TrainingSettings
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
    pace = {"pace": round(min(times) / MATMUL_S, 3), "measured_by": "calibration"}
    write_json(cache_root() / "pace.json", pace, durable=False)


def _texts(data: DataSettings) -> tuple[int, float]:
    examples, length = TEXTS[data.source]
    return min(examples, data.max_examples or examples), min(length, data.max_tokens)


def _forward(shape: Shape, tokens: float) -> float:
    return 2 * shape.encoder_parameters * tokens / FLOPS_PER_S


def _training(shape: Shape, tokens: float, steps: int) -> float:
    # A backward pass costs two forward passes.
    return 3 * _forward(shape, tokens) + steps * shape.parameters * SECONDS_PER_PARAMETER


def _pace() -> tuple[float, bool]:
    """How many times slower than the reference this machine is, and whether a finished run says so."""
    try:
        known = read_json(cache_root() / "pace.json")
        return float(known["pace"]), known["measured_by"] == "run"
    except (BrokenRun, KeyError, TypeError, ValueError):
        return 1.0, False
