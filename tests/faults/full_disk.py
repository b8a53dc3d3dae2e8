"""A real run whose disk is really full: a small tmpfs, filled to the last page in the middle of the run.

    unshare -m python -m tests.faults.full_disk FOLDER

Needs a mount namespace of its own. Prints one line of JSON: how the run ended, what is left, how the next one ended.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.cli.kinds import carry_out
from core.distill.checkpoint import newest_checkpoint
from core.runs import folder as runs
from core.runs.recorder import FolderRecorder
from core.runs.resume import request_resume
from core.storage import read_json
from tests.fixtures.broken_runs import new_run
from tests.fixtures.small_runs import world_of

SIZE = "24m"


def may_mount() -> str:
    """Empty where a process may mount a small disk of its own; otherwise the reason why not."""
    command = ["unshare", "-m", "sh", "-c", "mount -t tmpfs -o size=1m none /mnt"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except OSError as error:
        return f"unshare: {error.strerror}"
    return "" if done.returncode == 0 else f"nothing can be mounted here: {done.stderr.strip()[:100]}"


def main(folder: str) -> None:
    """Fill the disk after update 7, make room again, and resume."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", folder], check=True)
    with world_of(Path(folder)):
        carry_out(new_run("teacher-first"))
        run = new_run("full")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(FolderRecorder, "step", _filling(FolderRecorder.step, Path(folder) / "filler"))
            state = carry_out(run)
        status, kept = runs.read_status(run), newest_checkpoint(run / "checkpoints")
        report = {
            "state": state,
            "written": read_json(run / "status.json")["state"],
            "sentence": status.sentence,
            "kept": kept.step if kept else None,
            "half": [path.name for path in (run / "checkpoints").glob(".*")] + [path.name for path in run.glob(".*")],
        }
        (Path(folder) / "filler").unlink()
        request_resume(run)
        print(json.dumps(report | {"next": carry_out(run)}))


def read_only(folder: str) -> None:
    """A disk that can only be read: what the command line says."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,ro", "none", folder], check=True)
    command = [sys.executable, "-m", "core", "distill"]
    os.environ["DISTILLERY_HOME"] = folder
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    print(json.dumps({"status": done.returncode, "said": done.stderr}))


def _filling(step: Any, filler: Path) -> Any:
    def step_then_fill(self: FolderRecorder, number: int, *rest: Any) -> None:
        step(self, number, *rest)
        if number == 7 and self.reporter.status.stage == "student":
            with filler.open("wb", buffering=0) as file:
                try:
                    while file.write(bytes(65_536)):
                        pass
                except OSError:
                    pass  # full, to the last page

    return step_then_fill


if __name__ == "__main__":
    import torch

    torch.set_num_threads(1)
    read_only(sys.argv[1]) if sys.argv[2:] == ["read-only"] else main(sys.argv[1])
