"""The oldest versions of the libraries that are safe to serve with. Read from their metadata: nothing is loaded."""

from __future__ import annotations

import re
from importlib import metadata

from core.errors import DistilleryError

FLOORS = {
    "streamlit": (1, 61),  # the first that can name the hosts it serves
    "starlette": (1, 0),
    "torch": (2, 11),  # 2.10 is the last that CVE-2026-4538 names
    "transformers": (5, 3),  # 5.2 is the last with known ways to run foreign code
}


def check_versions() -> None:
    """Raise DistilleryError, naming the library and the command, if one is missing or older than its floor."""
    for name, floor in FLOORS.items():
        least = ".".join(map(str, floor))
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            found = "missing"
        if tuple(int(part) for part in re.findall(r"\d+", found)[:2]) < floor:
            raise DistilleryError(
                f"{name} is {found}; expected {least} or newer, because older ones have known holes. "
                "Install the pinned versions: pip install -r requirements.txt"
            )
