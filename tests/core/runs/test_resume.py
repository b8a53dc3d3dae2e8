"""Stopped, killed, resumed: a run ends with the same bits as if nothing had happened."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from core.cli.kinds import carry_out
from core.config import Settings
from core.distill import checkpoint
from core.distill.checkpoint import commit, newest_checkpoint
from core.errors import DistilleryError
from core.jobs.reporter import StopRequested
from core.runs import folder as runs
from core.runs.recorder import FolderRecorder
from core.runs.resume import ResumePoint, _cut_after, request_resume
from core.storage import write_json
from core.whole_folder import HashedFile
from tests.fixtures.broken_runs import (
    LABELS,
    STEPS,
    VARIANTS,
    end_of,
    new_run,
    outcome,
    stop_after_update,
    stopped_and_resumed,
    unbroken_end,
    watched_optimisers,
)
from tests.fixtures.serving import ROOT
from tests.fixtures.small_runs import copy_teachers, digest, settings_of, world_of

SOME = range(1, STEPS + 1, 4)
"""Stop points where not every one is tried; `python -m benchmarks.stop_and_kill` tries them all."""


@pytest.fixture(scope="module", autouse=True)
def world(tmp_path_factory: pytest.TempPathFactory, teachers: Path) -> Iterator[Path]:
    """One home for all tests of this file. No run trains a teacher, so all can be compared with an unbroken one."""
    with world_of(tmp_path_factory.mktemp("home"), teachers) as home:
        yield home


@pytest.fixture(scope="module")
def ends(world: Path) -> dict[str, dict[str, Any]]:
    """What an unbroken run of each variant ends with."""
    found = {variant: unbroken_end(f"unbroken-{number}", variant) for number, variant in enumerate(VARIANTS)}
    assert all(end["state"] == "finished" and end["optimiser"] for end in found.values())
    return found


@pytest.fixture
def unbroken(ends: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {name: value for name, value in ends["labels"].items() if name != "optimiser"}


def stop_at_call(number: int) -> Callable[[], bool]:
    """True at the number-th question whether to stop, which is asked before every update and every scored batch."""
    asked = iter(range(number))
    return lambda: next(asked, None) is None


def test_stopped_at_every_question_and_resumed_each_time(ends: dict[str, dict[str, Any]]) -> None:
    folder = new_run("chain")
    stops = 0
    with watched_optimisers() as hashes:
        # The first questions of a session lead up to the student's next update; the few after it end in different
        # places.
        while carry_out(folder, stop_at_call(4 + stops % 3)) == "stopped":
            stops += 1
            request_resume(folder)
            assert stops < 200
    assert stops >= 10
    assert end_of(folder, hashes) == ends["labels"]


@pytest.mark.parametrize(
    ("variant", "step"),
    [(variant, step) for variant in VARIANTS for step in (range(1, STEPS + 1) if variant == "labels" else SOME)],
)
def test_stopped_after_any_update_and_resumed(variant: str, step: int, ends: dict[str, dict[str, Any]]) -> None:
    name = f"stopped-{list(VARIANTS).index(variant)}-{step}"
    assert stopped_and_resumed(name, variant, step) == ends[variant]


def test_stopped_in_the_teachers_stage_and_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def teacher_too(home: str) -> dict[str, Any]:
        monkeypatch.setenv("DISTILLERY_HOME", str(tmp_path / home))
        folder = new_run("run")
        while carry_out(folder, stop_at_call(33) if home == "broken" else lambda: False) == "stopped":
            request_resume(folder)
        return outcome(folder)

    assert teacher_too("broken") == teacher_too("whole")


@pytest.mark.parametrize("lost", ["weights.safetensors", "optimiser.safetensors"])
def test_every_saved_part_is_needed(lost: str, unbroken: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = new_run(f"without-{lost}")
    with stop_after_update(10):
        carry_out(folder)
    tensors = checkpoint.Checkpoint.tensors

    def blank(self: checkpoint.Checkpoint, name: str) -> dict[str, torch.Tensor]:
        found = tensors(self, name)
        return {key: torch.zeros_like(one) for key, one in found.items()} if lost.startswith(name) else found

    monkeypatch.setattr(checkpoint.Checkpoint, "tensors", blank)
    request_resume(folder)
    carry_out(folder)
    assert outcome(folder)["weights"] != unbroken["weights"]


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(unbroken: dict[str, Any], monkeypatch) -> None:
    folder = new_run("damaged")
    with stop_after_update(10):
        carry_out(folder)
    newest = newest_checkpoint(folder / "checkpoints")
    weights = newest.folder / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    assert newest_checkpoint(folder / "checkpoints").step < newest.step
    request_resume(folder)
    assert carry_out(folder) == "finished"
    assert outcome(folder) == unbroken


def test_changed_settings_are_refused_with_the_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = new_run("changed")
    with stop_after_update(5):
        carry_out(folder)
    changed = settings_of(*LABELS, "loss.soft=3")
    write_json(folder / "config.json", changed.model_dump(mode="json"))
    request_resume(folder)
    assert carry_out(folder) == "failed"
    assert "loss.soft: was 5.0, is 3.0" in runs.read_status(folder).sentence
    assert newest_checkpoint(folder / "checkpoints").step == 5


def test_another_thread_count_is_allowed_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = new_run("threads")
    with stop_after_update(5):
        carry_out(folder)
    state = newest_checkpoint(folder / "checkpoints").folder / "state.json"
    facts = json.loads(state.read_bytes())
    facts["compute"]["threads"] = 7
    state.write_text(json.dumps(facts))
    manifest = state.with_name("manifest.json")
    content = json.loads(manifest.read_bytes())
    content["sha256"]["state.json"] = digest(state)
    manifest.write_text(json.dumps(content))
    request_resume(folder)
    assert carry_out(folder) == "finished"
    assert "threads: was 7, is 1" in (folder / "log.txt").read_text()


def test_a_finished_run_is_left_alone(unbroken: dict[str, Any]) -> None:
    folder = runs.runs_root() / "unbroken-0"
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
    assert carry_out(folder) == "failed"
    assert "learning rate" in runs.read_status(folder).sentence
    assert newest_checkpoint(folder / "checkpoints").step == 6


def _models() -> list[Any]:
    import gc

    from transformers import DistilBertForSequenceClassification

    return [one for one in gc.get_objects() if type(one) is DistilBertForSequenceClassification]


def test_a_full_disk_leaves_the_older_checkpoint_whole(tmp_path: Path) -> None:
    def holding(content: bytes) -> checkpoint.Writer:
        return lambda file: file.write(content)

    def full(file: HashedFile) -> None:
        file.write(b"n")
        raise OSError(28, "No space left on device")

    commit(tmp_path, "student-00000001", {"a": holding(b"old")})
    with pytest.raises(OSError):
        commit(tmp_path, "student-00000002", {"a": holding(b"new"), "b": full})
    assert [path.name for path in tmp_path.iterdir()] == ["student-00000001"]


def test_twenty_kills_are_twenty_resumes_with_the_same_bits(tmp_path: Path, teachers: Path) -> None:
    copy_teachers(teachers, tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "tests.fixtures.killed_runs", str(tmp_path), "20"],
        cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["kills"] == report["resumes"] == 20
    assert report["inside_save"] >= 3
    assert report["equal"] == report["runs"] >= 1


def test_stop_requested_is_not_an_error() -> None:
    assert not issubclass(StopRequested, DistilleryError)
    assert Settings().training.checkpoint_every == 200


def test_a_broken_line_before_the_checkpoint_does_not_keep_a_run_from_going_on(tmp_path: Path):
    metrics = tmp_path / "metrics.jsonl"
    whole = b'{"event":"step","stage":"student","step":1,"elapsed_s":0.5}\n'
    metrics.write_bytes(b"\0\0\n[1]\n" + whole + b'{"event":"step","stage":"student","step":2,"elapsed_s":0.9}\n')
    assert _cut_after(metrics, "student", 1) == ResumePoint("student", 1, 0.5)
    assert metrics.read_bytes() == b"\0\0\n[1]\n" + whole


@pytest.mark.parametrize("left", ["running", "preparing"])
def test_a_run_cut_off_behind_its_results_keeps_every_curve(unbroken: dict[str, Any], left: Any) -> None:
    """Killed after results.json was written: nothing is rewound, nothing trained again, and what is left goes."""
    folder = new_run(f"complete-{left}")
    with stop_after_update(10):
        carry_out(folder)
    kept = runs.runs_root() / "kept-checkpoints"
    shutil.copytree(folder / "checkpoints", kept)
    request_resume(folder)
    assert carry_out(folder) == "finished"
    kept.rename(folder / "checkpoints")
    content = {name: (folder / name).read_bytes() for name in ("metrics.jsonl", "results.json")}
    status = runs.read_status(folder)
    assert status.owner is not None
    killed = replace(status, state=left, owner=status.owner | {"started": "of a process that has gone"})
    runs.write_status(folder, killed)
    assert runs.read_status(folder).state == "interrupted"
    request_resume(folder)
    assert carry_out(folder) == "finished"
    assert {name: (folder / name).read_bytes() for name in content} == content
    assert outcome(folder) == unbroken
    after = runs.read_status(folder)
    assert (after.stage, after.step, after.total_steps) == ("student", STEPS, STEPS)
