"""A run begun in the page and resumed in a terminal, and back; resumed by many at once; resumed on other data."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.cli import kinds
from core.cli.kinds import carry_out
from core.errors import DistilleryError
from core.jobs.events import read_events
from core.jobs.process import Launcher
from core.jobs.worker import Worker
from core.runs import folder as runs
from core.runs.resume import request_resume
from tests.fixtures.broken_runs import new_run, outcome, stop_after_update
from tests.fixtures.serving import ROOT
from tests.fixtures.small_runs import reviews, world_of

LIMIT_S = 120.0


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, teachers: Path) -> Iterator[Path]:
    with world_of(tmp_path_factory.mktemp("home"), teachers) as home:
        carry_out(new_run("unbroken"))
        yield home


def terminal(*arguments: str) -> subprocess.Popen[str]:
    """`python -m core …` beside us."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-m", "core", *arguments], cwd=ROOT, env=environment, **pipes)


@contextmanager
def server() -> Iterator[Worker]:
    """A worker as a server has it, with processes of its own."""
    worker = Worker(kinds.queue, Launcher(lambda argument: [sys.executable, "-m", "core", "job", argument]))
    yield worker
    worker.shutdown(LIMIT_S)


def ended(folder: Path) -> runs.State:
    """Wait until a run has ended; returns how."""
    deadline = time.monotonic() + LIMIT_S
    while runs.read_status(folder).state not in runs.ENDED and time.monotonic() < deadline:
        time.sleep(0.02)
    return runs.read_status(folder).state


def test_begun_by_the_server_resumed_from_the_terminal_and_the_reverse(world: Path) -> None:
    folder = new_run("both-ways")
    with stop_after_update(7):
        assert carry_out(folder) == "stopped"
    going_on = terminal("resume", folder.name)
    deadline = time.monotonic() + LIMIT_S
    while runs.read_status(folder).step <= 8 and going_on.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    runs.request_stop(folder)
    said, _ = going_on.communicate(timeout=LIMIT_S)
    if going_on.returncode == 3:  # on a quick machine it is over before it can be stopped
        assert "stopped" in said
        with server() as worker:
            request_resume(folder)
            worker.start()
            assert ended(folder) == "finished"
    assert outcome(folder) | {"files": 0} == outcome(runs.run_folder("unbroken")) | {"files": 0}


def test_resumed_by_six_at_once_it_is_trained_once(world: Path) -> None:
    folder = new_run("six")
    with stop_after_update(7):
        carry_out(folder)

    def resume(_: int) -> str:
        try:
            request_resume(folder)
        except DistilleryError as error:
            return str(error)
        return ""

    with server() as worker:
        worker.start()
        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(resume, range(6)))
        assert ended(folder) == "finished"
    assert "" in answers
    assert all("so there is nothing to resume" in answer for answer in answers if answer)
    steps = [event["step"] for event in read_events(folder / "metrics.jsonl")[0] if event["event"] == "step"]
    assert steps == sorted(set(steps))


def test_changed_data_are_refused_before_anything_is_trained_anew(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = new_run("other-data")
    with stop_after_update(7):
        carry_out(folder)
    table = world / "inputs" / "reviews.csv"
    kept = table.read_bytes()
    with table.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *((f"{text} indeed", label) for text, label in reviews())])
    try:
        request_resume(folder)
        lines = (folder / "metrics.jsonl").read_bytes()
        assert carry_out(folder) == "failed"
    finally:
        table.write_bytes(kept)
    said = runs.read_status(folder).sentence
    assert "teacher: was" in said and "Set up a new run" in said
    taught = [event for event in read_events(folder / "metrics.jsonl")[0] if event["stage"] == "teacher"]
    assert not [event for event in taught if event["event"] == "step"], len(lines)
    assert (folder / "checkpoints" / "student-00000007").exists()
