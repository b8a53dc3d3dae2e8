"""Stopped, killed, resumed: a run ends with the same bits as if nothing had happened."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from core.config import Settings
from core.distill import checkpoint
from core.distill.checkpoint import commit, newest_checkpoint
from core.distill.recorder import StopRequested
from core.errors import DistilleryError
from core.runs import folder as runs
from core.runs.events import read_events
from core.runs.execute import execute
from core.runs.recorder import FolderRecorder
from core.runs.resume import request_resume
from tests.serving import ROOT
from tests.small_runs import digest, listing, settings_of
from tests.test_loop import one_thread  # noqa: F401  used by every test here

# 192 sentences in batches of 13: 15 updates an epoch, 30 in all, the last of each epoch a short one.
SETTINGS = ("training.batch_size=13", "training.checkpoint_every=3")
STEPS = 30


@pytest.fixture(scope="module", autouse=True)
def world(tmp_path_factory: pytest.TempPathFactory):
    """One home whose teacher is trained once."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DISTILLERY_HOME", str(home))
        # A run that finds its teacher trained records no teacher's curve; so must the one all are compared with.
        new_run("teacher-first")
        execute(runs.runs_root() / "teacher-first")
        yield home


def new_run(name: str, *assignments: str) -> Path:
    return runs.create_run(settings_of(*SETTINGS, *assignments), name)


def outcome(folder: Path) -> dict[str, Any]:
    """Everything a run ends with that must not depend on how often it was cut off."""
    events, _ = read_events(folder / "metrics.jsonl")
    return {
        "state": runs.read_status(folder).state,
        "weights": digest(folder / "student" / "model.safetensors"),
        "events": [{name: value for name, value in event.items() if name != "elapsed_s"} for event in events],
        "files": listing(folder),
    }


@pytest.fixture
def optimisers(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """SHA-256 of the optimiser in each checkpoint written during the test, by the checkpoint's name."""
    hashes: dict[str, str] = {}

    def watch(root: Path, name: str, files: dict[str, bytes]) -> None:
        commit(root, name, files)
        manifest = json.loads((root / name / "manifest.json").read_bytes())
        hashes[name] = manifest["optimiser.safetensors"]

    monkeypatch.setattr(checkpoint, "commit", watch)
    return hashes


@pytest.fixture(scope="module")
def unbroken(world: Path) -> dict[str, Any]:
    folder = new_run("unbroken")
    assert execute(folder) == "finished"
    return outcome(folder)


def leave_after(steps: int, folder: Path) -> Callable[[], bool]:
    """True once the student has done so many updates."""
    return lambda: runs.read_status(folder).step >= steps and runs.read_status(folder).stage == "student"


def stop_at_call(number: int) -> Callable[[], bool]:
    """True at the number-th question whether to stop, which is asked before every update and every scored batch."""
    asked = iter(range(number))
    return lambda: next(asked, None) is None


def test_stopped_at_every_question_and_resumed_each_time(unbroken: dict[str, Any], optimisers: dict[str, str]) -> None:
    assert execute(new_run("calm")) == "finished"
    calm = dict(optimisers)
    folder = new_run("chain")
    stops = 0
    # The first questions of a session lead up to the student's next update; the few after it end in different places.
    while execute(folder, stop_at_call(4 + stops % 3)) == "stopped":
        stops += 1
        request_resume(folder)
        assert stops < 200
    assert stops >= 10
    assert outcome(folder) == unbroken
    assert optimisers[f"student-{STEPS:08d}"] == calm[f"student-{STEPS:08d}"]


@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_stopped_after_any_update_and_resumed(step: int, unbroken: dict[str, Any], monkeypatch) -> None:
    folder = new_run(f"stopped-{step}")
    stop_after_update(monkeypatch, step)
    assert execute(folder) == "stopped"
    assert newest_checkpoint(folder / "checkpoints").step == step
    monkeypatch.undo()
    request_resume(folder)
    assert execute(folder) == "finished"
    assert outcome(folder) == unbroken


def stop_after_update(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Ask the run to stop right after one update of the student, before that step is scored."""
    recorded = FolderRecorder.step

    def step_then_stop(self: FolderRecorder, number: int, *rest: Any) -> None:
        recorded(self, number, *rest)
        if number == step:
            runs.request_stop(self._folder)

    monkeypatch.setattr(FolderRecorder, "step", step_then_stop)


def test_stopped_in_the_teachers_stage_and_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def teacher_too(home: str) -> dict[str, Any]:
        monkeypatch.setenv("DISTILLERY_HOME", str(tmp_path / home))
        folder = new_run("run")
        while execute(folder, stop_at_call(33) if home == "broken" else lambda: False) == "stopped":
            request_resume(folder)
        return outcome(folder)

    assert teacher_too("broken") == teacher_too("whole")


@pytest.mark.parametrize("lost", ["weights.safetensors", "optimiser.safetensors"])
def test_every_saved_part_is_needed(lost: str, unbroken: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = new_run(f"without-{lost}")
    stop_after_update(monkeypatch, 10)
    execute(folder)
    monkeypatch.undo()
    tensors = checkpoint.Checkpoint.tensors

    def blank(self: checkpoint.Checkpoint, name: str) -> dict[str, torch.Tensor]:
        found = tensors(self, name)
        return {key: torch.zeros_like(one) for key, one in found.items()} if lost.startswith(name) else found

    monkeypatch.setattr(checkpoint.Checkpoint, "tensors", blank)
    request_resume(folder)
    execute(folder)
    assert outcome(folder)["weights"] != unbroken["weights"]


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(unbroken: dict[str, Any], monkeypatch) -> None:
    folder = new_run("damaged")
    stop_after_update(monkeypatch, 10)
    execute(folder)
    monkeypatch.undo()
    newest = newest_checkpoint(folder / "checkpoints")
    weights = newest.folder / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    assert newest_checkpoint(folder / "checkpoints").step < newest.step
    request_resume(folder)
    assert execute(folder) == "finished"
    assert outcome(folder) == unbroken


def test_changed_settings_are_refused_with_the_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = new_run("changed")
    stop_after_update(monkeypatch, 5)
    execute(folder)
    monkeypatch.undo()
    changed = settings_of(*SETTINGS, "loss.soft=3")
    runs.write_json(folder / "config.json", changed.model_dump(mode="json"))
    request_resume(folder)
    assert execute(folder) == "failed"
    assert "loss.soft: was 5.0, is 3.0" in runs.read_status(folder).sentence
    assert newest_checkpoint(folder / "checkpoints").step == 5


def test_another_thread_count_is_allowed_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = new_run("threads")
    stop_after_update(monkeypatch, 5)
    execute(folder)
    monkeypatch.undo()
    state = newest_checkpoint(folder / "checkpoints").folder / "state.json"
    facts = json.loads(state.read_bytes())
    facts["compute"]["threads"] = 7
    state.write_text(json.dumps(facts))
    manifest = state.with_name("manifest.json")
    hashes = json.loads(manifest.read_bytes()) | {"state.json": digest(state)}
    manifest.write_text(json.dumps(hashes))
    request_resume(folder)
    assert execute(folder) == "finished"
    assert "threads: was 7, is 1" in (folder / "log.txt").read_text()


def test_a_finished_run_is_left_alone(unbroken: dict[str, Any]) -> None:
    folder = runs.runs_root() / "unbroken"
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    with pytest.raises(DistilleryError, match="finished"):
        request_resume(folder)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == times


def test_weights_that_are_no_numbers_never_replace_a_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = new_run("poisoned")
    recorded = FolderRecorder.step

    def poison(self: FolderRecorder, number: int, *rest: Any) -> None:
        recorded(self, number, *rest)
        if number == 7:
            model = next(one for one in _models() if one.training)
            with torch.no_grad():
                next(model.parameters()).fill_(float("nan"))

    monkeypatch.setattr(FolderRecorder, "step", poison)
    assert execute(folder) == "failed"
    assert "learning rate" in runs.read_status(folder).sentence
    assert newest_checkpoint(folder / "checkpoints").step == 6


def _models() -> list[Any]:
    import gc

    from transformers import DistilBertForSequenceClassification

    return [one for one in gc.get_objects() if type(one) is DistilBertForSequenceClassification]


def test_a_full_disk_leaves_the_older_checkpoint_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(tmp_path, "student-00000001", {"a": b"old"})
    written = checkpoint._write_through

    def full(path: Path, content: bytes) -> None:
        if path.name == "b":
            path.write_bytes(content[:1])
            raise OSError(28, "No space left on device")
        written(path, content)

    monkeypatch.setattr(checkpoint, "_write_through", full)
    with pytest.raises(OSError):
        commit(tmp_path, "student-00000002", {"a": b"new", "b": b"newer"})
    assert [path.name for path in tmp_path.iterdir()] == ["student-00000001"]


def test_twenty_kills_are_twenty_resumes_with_the_same_bits(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.killed_runs", str(tmp_path), "20"],
        cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=170,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["kills"] == report["resumes"] == 20
    assert report["inside_save"] >= 3
    assert report["equal"] == report["runs"] >= 1


def test_stop_requested_is_not_an_error() -> None:
    assert not issubclass(StopRequested, DistilleryError)
    assert Settings().training.checkpoint_every == 200
