"""Which process a run belongs to, told apart from a later process that happens to get the same number."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

TEXTS = ("host", "boot", "started")
LONGEST = 255
LARGEST_PID = 2**31 - 1
"""What the system's own type for the number of a process holds; 0 and less would mean a group of them."""


def is_owner(value: Any) -> bool:
    """True for what this_process makes, read back from a file that anybody may have written."""
    if not isinstance(value, dict):
        return False
    texts, pid = [value.get(name) for name in TEXTS], value.get("pid")
    are_texts = all(isinstance(text, str) and len(text) <= LONGEST for text in texts)
    return are_texts and type(pid) is int and 0 < pid <= LARGEST_PID


def boot_id() -> str:
    """Identifies the machine's current boot; empty where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def process_start(pid: int) -> str:
    """When a process started, in the kernel's own ticks; empty if it does not exist or the system does not tell."""
    try:
        # The name in field 2 may hold spaces and brackets, so count from behind it; field 22 is the start time.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def this_process() -> dict[str, str | int]:
    """Host, boot, process number and process start: enough to say later whether it still lives."""
    pid = os.getpid()
    return {"host": socket.gethostname(), "boot": boot_id(), "pid": pid, "started": process_start(pid)}


def is_alive(owner: dict[str, str | int] | None) -> bool:
    """True if the process that wrote this still runs. A process on another host counts as alive: we cannot look."""
    if not owner:
        return False
    if owner["host"] != socket.gethostname():
        return True
    if owner["boot"] != boot_id():
        return False
    pid = int(owner["pid"])
    if owner["started"]:
        return process_start(pid) == owner["started"]
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
