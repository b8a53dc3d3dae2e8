"""Where and how a run computes: device, precision, threads."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from core.errors import DistilleryError
from core.sections import TrainingSettings

Device = Literal["cuda", "mps", "cpu"]
HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Compute:
    """The device, number format and processor threads that a run really uses."""

    device: torch.device
    precision: str
    threads: int

    def autocast(self) -> AbstractContextManager[object]:
        """Context in which matrix products run in the chosen precision."""
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=HALF[self.precision])

    def scaler(self) -> torch.amp.GradScaler:
        """Keeps fp16 gradients from vanishing by scaling the loss; does nothing at other precisions."""
        return torch.amp.GradScaler(self.device.type, enabled=self.precision == "fp16")


def choose_compute(settings: TrainingSettings) -> Compute:
    """What the settings mean on this machine. Raises DistilleryError if they ask for what is not here."""
    available: dict[Device, bool] = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if settings.device == "auto":
        name = next(device for device, is_here in available.items() if is_here)
    else:
        name = settings.device
    if not available[name]:
        raise DistilleryError(f"training.device is {name}, but this machine has none. Choose Automatic or Processor.")
    precision = settings.precision
    if precision == "fp16" and name != "cuda":
        raise DistilleryError(
            f"training.precision is fp16, which needs an NVIDIA GPU; this run computes on {name}. "
            "Choose Automatic, fp32 or bf16."
        )
    if precision == "auto":
        precision = "bf16" if _bf16_is_fast(name) else "fp32"
    return Compute(torch.device(name), precision, settings.threads or os.cpu_count() or 1)


def _bf16_is_fast(device: Device) -> bool:
    if device == "cuda":
        return torch.cuda.is_bf16_supported()
    if device == "mps":
        return False
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
