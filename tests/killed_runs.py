"""Kill real runs on tiny models with SIGKILL, resume them, and compare what they end with.

    python -m tests.killed_runs HOME KILLS [VARIANT]

Prints one line of JSON. Every try is a fork of this process, made after the libraries are loaded, so that a kill lands
in training and not in the imports; half of them wait for a checkpoint that is being written. Fails if fewer than one
kill in ten came inside a save: then nothing was proved.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

from core.distill import checkpoint
from core.runs import folder as runs
from core.runs.events import read_events
from core.runs.execute import execute
from core.runs.resume import request_resume
from tests.broken_runs import STEPS, new_run, outcome

LIMIT_S = 60
LAST = f"student-{STEPS:08d}"


def main(home: str, kills: int, variant: str = "labels") -> None:
    """Kill until `kills` kills have landed; every run is resumed until it ends and compared with an unbroken one."""
    os.environ["DISTILLERY_HOME"] = home
    _train("teacher-first", variant)
    expected = _end_of(_train("unbroken", variant))
    report = {"kills": 0, "inside_save": 0, "resumes": 0, "runs": 0, "equal": 0}
    chance = random.Random(0)
    while report["kills"] < kills:
        folder = new_run(f"run-{report['runs']}", variant)
        while _kill_one(folder, chance, report):
            if runs.read_status(folder).state != "interrupted":
                raise SystemExit(f"a killed run reads as {runs.read_status(folder).state}")
            request_resume(folder)
            report["resumes"] += 1
        report["runs"] += 1
        report["equal"] += _end_of(folder) == expected
    if report["inside_save"] * 10 < report["kills"]:
        raise SystemExit(f"only {report['inside_save']} of {report['kills']} kills came inside a save")
    print(json.dumps(report))


def _end_of(folder: Path) -> dict[str, Any]:
    """A run's outcome, and the SHA-256 of the optimiser after its last update."""
    optimiser = _optimiser_file(folder)
    return outcome(folder) | {"optimiser": optimiser.read_text() if optimiser.exists() else "never saved"}


def _optimiser_file(folder: Path) -> Path:
    return folder.parents[1] / f"{folder.name}.optimiser"


def _note_optimiser(folder: Path) -> None:
    """Keep the hash of the last checkpoint's optimiser; a run that finishes deletes its checkpoints."""
    manifest = folder / "checkpoints" / LAST / "manifest.json"
    if manifest.exists():
        _optimiser_file(folder).write_text(json.loads(manifest.read_bytes())["optimiser.safetensors"])


def _train(name: str, variant: str) -> Path:
    """A run that nobody disturbs, in a fork of its own like all others."""
    folder = new_run(name, variant)
    os.waitpid(_fork(folder), 0)
    return folder


def _fork(folder: Path) -> int:
    child = os.fork()
    if child == 0:
        committed = checkpoint.commit

        def commit(*arguments: Any) -> None:
            committed(*arguments)
            _note_optimiser(folder)

        checkpoint.commit = commit
        execute(folder)
        os._exit(0)
    return child


def _kill_one(folder: Path, chance: random.Random, report: dict[str, int]) -> bool:
    """Let the run go on and kill it once; False if it reached its end before."""
    left_over = _saves(folder)
    child = _fork(folder)
    in_save = chance.random() < 0.5
    step = _steps(folder) + chance.randint(1, 8)
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        if os.waitpid(child, os.WNOHANG)[0]:
            return False
        saving = bool(_saves(folder) - left_over)
        if saving if in_save else _steps(folder) >= step:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            _note_optimiser(folder)
            report["kills"] += 1
            report["inside_save"] += bool(_saves(folder) - left_over)
            return True
    raise SystemExit(f"{folder.name} neither ended nor reached step {step} within {LIMIT_S} s")


def _saves(folder: Path) -> set[Path]:
    """Checkpoints that are being written, or were when a kill came."""
    return set((folder / "checkpoints").glob(".building-*"))


def _steps(folder: Path) -> int:
    events, _ = read_events(folder / "metrics.jsonl")
    mine = (event for event in events if event["stage"] == "student" and event["event"] == "step")
    return max((event["step"] for event in mine), default=0)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:4])
