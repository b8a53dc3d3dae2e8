"""Which process a job belongs to, and whether it still lives.

On the machine and boot where it was started, process number and start time decide, so a laptop that slept is not
declared dead. Elsewhere (a runs folder shared with a cluster, a container with another set of process numbers) nobody
can look at the process; there a job lives as long as its heartbeat changes, by the reader's own clock.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TEXTS = ("host", "boot", "started")
FURTHER = {"namespace": str, "folder": int, "by": str}
"""What owners written by earlier versions lack."""

LONGEST = 255
LARGEST_PID = 2**31 - 1
"""What the system's own type for the number of a process holds; 0 and less would mean a group of them."""

HEARTBEAT = "heartbeat"
BEAT_S = 5.0
SILENCE_S = 60.0
"""Without a new heartbeat for so long, by the reader's own clock, a job on another machine counts as ended."""

Owner = dict[str, Any]


def is_owner(value: Any) -> bool:
    """True for what `this_process` makes, read back from a file that anybody may have written."""
    if not isinstance(value, dict):
        return False
    texts, pid = [value.get(name) for name in TEXTS], value.get("pid")
    are_texts = all(isinstance(text, str) and len(text) <= LONGEST for text in texts)
    further = all(type(value[name]) is kind for name, kind in FURTHER.items() if name in value)
    return are_texts and further and type(pid) is int and 0 < pid <= LARGEST_PID


def boot_id() -> str:
    """Identifies the machine's current boot; empty where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def pid_namespace() -> str:
    """Identifies the set of process numbers that this process sees; empty where the system does not tell."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def process_start(pid: int) -> str:
    """When a process started, in the kernel's own ticks; empty if it does not exist or the system does not tell."""
    try:
        # The name in field 2 may hold spaces and brackets, so count from behind it; field 22 is the start time.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def this_process() -> Owner:
    """Host, boot, process number and process start: enough to say later whether it still lives."""
    return process(os.getpid())


def process(pid: int) -> Owner:
    """The same of another process of this machine."""
    return {
        "host": socket.gethostname(),
        "boot": boot_id(),
        "namespace": pid_namespace(),
        "pid": pid,
        "started": process_start(pid),
    }


def of_folder(owner: Owner, folder: Path) -> Owner:
    """The owner of a job in this very folder: a copy of the folder belongs to nobody."""
    return owner | {"folder": folder.stat().st_ino}


def is_alive(owner: Owner | None, folder: Path) -> bool:
    """True if the process that works on the job in `folder` still runs, as far as can be told from here."""
    if not owner or not _is_its_folder(owner, folder):
        return False
    return _process_lives(owner) if is_here(owner) else _pulse.is_fresh(folder)


def is_here(owner: Owner) -> bool:
    """True if the owner's process number means a process that this one can look at."""
    if owner["boot"]:
        return owner["boot"] == boot_id() and _is_in_view(owner)
    return not boot_id() and owner["host"] == socket.gethostname()


def _is_in_view(owner: Owner) -> bool:
    if "namespace" in owner:
        return owner["namespace"] == pid_namespace()
    return owner["host"] == socket.gethostname()


def _is_its_folder(owner: Owner, folder: Path) -> bool:
    try:
        return "folder" not in owner or owner["folder"] == folder.stat().st_ino
    except OSError:
        return False


def _process_lives(owner: Owner) -> bool:
    pid = owner["pid"]
    if owner["started"]:
        return process_start(pid) == owner["started"]
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class Pulse:
    """Remembers when this process last saw a job's heartbeat change. `clock` gives seconds that never run backwards."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[Path, tuple[tuple[int, ...], float]] = {}

    def is_fresh(self, folder: Path) -> bool:
        """False once the job has given no sign of life for SILENCE_S seconds; a job seen for the first time lives."""
        stamp = tuple(_modified(folder / name) for name in (HEARTBEAT, "status.json"))
        known = self._seen.get(folder)
        if known is None or known[0] != stamp:
            self._seen[folder] = (stamp, self._clock())
            return True
        return self._clock() - known[1] < SILENCE_S


def _modified(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


_pulse = Pulse()
