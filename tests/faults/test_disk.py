"""A disk that is full, or can only be read, or is taken away: said in words, and nothing that was good is lost."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.cli import kinds
from core.cli.kinds import carry_out
from core.jobs import worker as worker_module
from core.jobs.process import Launcher
from core.jobs.queue import Queue
from core.jobs.worker import Worker
from core.runs import folder as runs
from core.runs.recorder import FolderRecorder
from core.storage import runs_root
from tests.faults.full_disk import may_mount
from tests.fixtures.broken_runs import new_run
from tests.fixtures.serving import ROOT
from tests.fixtures.small_runs import world_of


def in_a_mount_of_its_own(folder: Path, *arguments: str) -> dict[str, Any]:
    """Run the script on a disk of its own; skip where that is not allowed."""
    if reason := may_mount():
        pytest.skip(reason)
    folder.mkdir()
    command = ["unshare", "-m", sys.executable, "-m", "tests.faults.full_disk", str(folder), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_a_disk_that_is_really_full_costs_no_checkpoint(tmp_path: Path) -> None:
    found = in_a_mount_of_its_own(tmp_path / "disk")
    assert (found["state"], found["written"]) == ("failed", "failed")
    assert found["sentence"].startswith("The disk was full at step ") and "Make room" in found["sentence"]
    assert found["kept"] == 6 and found["half"] == []
    assert found["next"] == "finished"


def test_a_disk_that_can_only_be_read_is_named(tmp_path: Path) -> None:
    found = in_a_mount_of_its_own(tmp_path / "disk", "read-only")
    assert found["status"] == 1
    assert str(tmp_path / "disk") in found["said"] and "Read-only file system" in found["said"]
    assert "Traceback" not in found["said"]


@pytest.fixture
def world(tmp_path: Path, teachers: Path) -> Iterator[Path]:
    with world_of(tmp_path, teachers) as home:
        yield home


def test_a_queue_that_cannot_be_read_for_a_while_comes_back(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of runs lies on a disk that goes away and comes back: the thread that trains lives on."""
    answers: list[Any] = [OSError(errno.ESTALE, "Stale file handle")] * 2
    looked = threading.Event()

    class Unusable(Queue):
        def waiting(self, lane: str, *names: str) -> list[Path]:
            if answers:
                raise answers.pop()
            looked.set()
            return []

    monkeypatch.setattr(worker_module, "UNUSABLE_S", 0.01)
    worker = Worker(Unusable(kinds.KINDS[:1]), Launcher(lambda _: []))
    worker.start()
    assert looked.wait(20) and worker.is_working
    worker.shutdown(20)


def test_a_run_whose_folder_is_renamed_stops_and_makes_no_other(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, elsewhere, step = new_run("renamed"), world / "elsewhere", FolderRecorder.step

    def step_then_rename(self: FolderRecorder, number: int, *rest: Any) -> None:
        step(self, number, *rest)
        if number == 7:
            folder.rename(elsewhere)

    monkeypatch.setattr(FolderRecorder, "step", step_then_rename)
    assert carry_out(folder) == "failed"
    assert not folder.exists() and [path.name for path in runs_root().glob("[!.]*")] == []
    assert (elsewhere / "checkpoints" / "student-00000006" / "manifest.json").exists()
    assert runs.read_settings(elsewhere)
