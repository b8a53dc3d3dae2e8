"""What a measurement was made on. Times of different machines, libraries or thread counts are never mixed.

Importing this file does not load torch: the page asks it before anything is painted.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field

from core.persisted import Count, Text

if TYPE_CHECKING:
    from core.runs.comparable import Role

LIBRARIES = ("torch", "transformers", "onnxruntime")
"""Whose version changes how fast a model answers."""

GPUS = Path("/proc/driver/nvidia/gpus")


class Machine(BaseModel):
    """A processor, how many of its threads compute, the NVIDIA GPUs beside it, and the versions of the libraries."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    processor: Text
    threads: Count
    gpus: Annotated[tuple[Text, ...], Field(max_length=100)]
    versions: dict[Text, Text]

    def key(self, weights: Mapping[Role, str]) -> str:
        """16 hexadecimal digits that change with the machine and with the models' weights (SHA-256 by role)."""
        facts = json.dumps([self.model_dump(mode="json"), weights], sort_keys=True)
        return hashlib.sha256(facts.encode()).hexdigest()[:16]


@functools.cache
def this_machine(threads: int | None = None) -> Machine:
    """This machine with so many compute threads; without a number, with every core this process may use."""
    return Machine(processor=_processor(), threads=threads or usable_cores(), gpus=_nvidia_gpus(), versions=_versions())


def usable_cores() -> int:
    """Cores this process may compute on, which can be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def load() -> float | None:
    """How many processes want a core, averaged over the last minute; None where the system does not tell."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found.group(1).strip() if found else platform.processor() or platform.machine()


def _nvidia_gpus() -> tuple[str, ...]:
    try:
        texts = [(folder / "information").read_text() for folder in sorted(GPUS.iterdir())]
    except OSError:
        return ()
    found = (re.search(r"^Model:\s*(.+)$", text, re.MULTILINE) for text in texts)
    return tuple(name.group(1).strip() for name in found if name)


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
