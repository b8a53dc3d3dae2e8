"""Runs that are stopped or killed and resumed, and all that they must end with as if nothing had happened."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from core.distill import checkpoint
from core.distill.checkpoint import commit
from core.runs import folder as runs
from core.runs.events import read_events
from core.runs.execute import execute
from core.runs.recorder import FolderRecorder
from core.runs.resume import request_resume
from tests.small_runs import MASKED, digest, listing, settings_of

STEPS = 30
LABELS = ("training.batch_size=13", "training.checkpoint_every=3")
"""192 sentences: 15 updates an epoch, two epochs, the last update of each a short one."""

WORDS = (*MASKED, "training.batch_size=20", "training.epochs=3", "training.checkpoint_every=3")
"""192 blocks: 10 updates an epoch, three epochs."""

VARIANTS: dict[str, tuple[str, ...]] = {
    "labels": LABELS,
    "labels in 3 parts": (*LABELS, "training.accumulation=3"),
    "masked words": WORDS,
    "masked words in 3 parts": (*WORDS, "training.accumulation=3"),
}
"""Both objectives, each update computed at once and in parts."""


def new_run(name: str, variant: str = "labels", *assignments: str) -> Path:
    """A queued run of one variant."""
    return runs.create_run(settings_of(*VARIANTS[variant], *assignments), name)


def outcome(folder: Path) -> dict[str, Any]:
    """Everything a run ends with that must not depend on how often it was cut off."""
    events, _ = read_events(folder / "metrics.jsonl")
    return {
        "state": runs.read_status(folder).state,
        "weights": digest(folder / "student" / "model.safetensors"),
        "events": [{name: value for name, value in event.items() if name != "elapsed_s"} for event in events],
        "files": listing(folder),
    }


def stopped_and_resumed(name: str, variant: str, step: int) -> dict[str, Any]:
    """Stop a run right after one update of the student, resume it to its end; its outcome and its last optimiser."""
    folder = new_run(name, variant)
    with watched_optimisers() as hashes:
        with stop_after_update(step):
            state = execute(folder)
        if state != "stopped":
            raise AssertionError(f"{name} did not stop at step {step}: {runs.read_status(folder).sentence}")
        request_resume(folder)
        execute(folder)
    return end_of(folder, hashes)


def unbroken_end(name: str, variant: str) -> dict[str, Any]:
    """What a run ends with that nobody disturbs."""
    folder = new_run(name, variant)
    with watched_optimisers() as hashes:
        execute(folder)
    return end_of(folder, hashes)


def end_of(folder: Path, hashes: dict[str, str]) -> dict[str, Any]:
    """A run's outcome, and the SHA-256 of the optimiser after its last update."""
    return outcome(folder) | {"optimiser": hashes.get(f"student-{STEPS:08d}")}


@contextmanager
def stop_after_update(step: int) -> Iterator[None]:
    """Ask every run within the block to stop right after one update of the student, before that step is scored."""
    recorded = FolderRecorder.step

    def step_then_stop(self: FolderRecorder, number: int, *rest: Any) -> None:
        recorded(self, number, *rest)
        if number == step and self.status.stage == "student":
            runs.request_stop(self._folder)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FolderRecorder, "step", step_then_stop)
        yield


@contextmanager
def watched_optimisers() -> Iterator[dict[str, str]]:
    """SHA-256 of the optimiser in each checkpoint written within the block, by the checkpoint's name."""
    hashes: dict[str, str] = {}

    def watch(root: Path, name: str, files: dict[str, bytes]) -> None:
        commit(root, name, files)
        manifest = json.loads((root / name / "manifest.json").read_bytes())
        hashes[name] = manifest["optimiser.safetensors"]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "commit", watch)
        yield hashes
