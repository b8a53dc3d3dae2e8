"""Start, watch and stop a measurement from a page: one at a time on this machine, in a process of its own.

What it does stands in `runs/.measuring.json`, so that every tab and every server sees the same, and a closed page
loses nothing. Importing this file does not load torch.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import DistilleryError
from core.runs import owner as owners
from core.runs import worker
from core.runs.owner import is_alive, process_start, this_process
from core.storage import PROJECT, BrokenRun, read_json, runs_root, write_json

TRAINS = (
    "A run trains now. Both would share the processor, and every time measured would be wrong; "
    "measure when it has finished."
)
TAKEN = (
    "Something on this machine trains or is being exported now. Both would share the processor, and every time "
    "measured would be wrong; measure when it has finished."
)
WAITS = "A run waits for its turn and is about to train. Measure when it has finished."
DIED = (
    "The measurement ended without saying why; the machine may have run out of memory. Nothing was kept; measure again."
)
STOPPED = "Stopped. Nothing was kept."


class Progress(BaseModel):
    """What a measurement does or how it ended: one state word, one sentence, how far it is, whose process it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_id: str
    state: Literal["measuring", "finished", "stopped", "failed"]
    sentence: str
    done: int = Field(default=0, ge=0)
    total: int = Field(default=0, ge=0)
    stopping: bool = False
    owner: dict[str, Any]
    updated_at: float = 0.0

    @property
    def share(self) -> float:
        """How much of the work is done, 0 to 1."""
        return min(self.done / self.total, 1.0) if self.total else 0.0


def current() -> Progress | None:
    """The measurement that runs on this machine, or the last one that ran; None before the first."""
    try:
        progress = Progress.model_validate(read_json(_file()))
    except (BrokenRun, ValidationError):
        return None
    if not owners.is_owner(progress.owner):
        return None
    if progress.state == "measuring" and not is_alive(progress.owner):
        state, sentence = ("stopped", STOPPED) if progress.stopping else ("failed", DIED)
        return progress.model_copy(update={"state": state, "sentence": sentence})
    return progress


def measuring() -> Progress | None:
    """The measurement that runs now, or None."""
    progress = current()
    return progress if progress and progress.state == "measuring" else None


def why_not() -> str:
    """Why nothing can be measured now, in a sentence; empty if it can."""
    if worker.active_run():
        return TRAINS
    return WAITS if worker.next_in_queue() else ""


def begin(run_id: str) -> None:
    """Start measuring a run, unless something is being measured already: then do nothing.

    Raises DistilleryError, with the reason, while a run trains. May be called by several tabs and servers at once.
    """
    with FileLock(runs_root() / ".measuring.lock", mode=0o600):
        if measuring():
            return
        if reason := why_not():
            raise DistilleryError(reason)
        process = subprocess.Popen(
            [sys.executable, "-m", "core.speed", run_id, "--leave-with", str(os.getpid())],
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        child = this_process() | {"pid": process.pid, "started": process_start(process.pid)}
        write_progress(Progress(run_id=run_id, state="measuring", sentence="Starting.", owner=child))
    # A process that nobody waits for would look alive after its end.
    threading.Thread(target=process.wait, name="measuring", daemon=True).start()


def stop() -> None:
    """Ask the measurement that runs now to end; it does after the pass it is in. Nothing happens if there is none."""
    progress = measuring()
    if progress and progress.owner["host"] == this_process()["host"]:
        # In its first moments it would end at once, without a word of its own.
        write_progress(progress.model_copy(update={"stopping": True, "sentence": "Stopping after the pass it is in."}))
        try:
            os.kill(progress.owner["pid"], signal.SIGTERM)
        except ProcessLookupError:
            return


def write_progress(progress: Progress) -> None:
    """Say what the measurement does, stamped with the time. Called by the process that measures."""
    write_json(_file(), progress.model_copy(update={"updated_at": time.time()}).model_dump(mode="json"), durable=False)


def _file() -> Path:
    return runs_root() / ".measuring.json"
