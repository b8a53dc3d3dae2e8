"""A run begun in the page and resumed in a terminal, and back; resumed by many at once; resumed on other data."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.errors import DistilleryError
from core.runs import folder as runs
from core.runs import worker as worker_module
from core.runs.events import read_events
from core.runs.execute import execute
from core.runs.resume import request_resume
from core.runs.worker import Worker
from tests.faults.phases import Living
from tests.fixtures.broken_runs import new_run, outcome, stop_after_update
from tests.fixtures.serving import ROOT
from tests.fixtures.small_runs import reviews, world_of

LIMIT_S = 60.0


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, teachers: Path) -> Iterator[Path]:
    with world_of(tmp_path_factory.mktemp("home"), teachers) as home:
        execute(new_run("unbroken"))
        yield home


def terminal(*arguments: str) -> subprocess.Popen[str]:
    """`python -m core …` beside us."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-m", "core", *arguments], cwd=ROOT, env=environment, **pipes)


def test_begun_by_the_server_resumed_from_the_terminal_and_the_reverse(world: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        living = Living(patch)
        folder = new_run("both-ways")
        with stop_after_update(7):
            assert living.run(lambda: None) == "stopped"
        going_on = terminal("resume", folder.name)
        deadline = time.monotonic() + LIMIT_S
        while runs.read_status(folder).step <= 8 and going_on.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        runs.request_stop(folder)
        said, _ = going_on.communicate(timeout=LIMIT_S)
        if going_on.returncode == 3:  # on a quick machine it is over before it can be stopped
            assert "stopped" in said
            assert living.run(lambda: living.worker.resume(folder)) == "finished"
        living.worker.shutdown(LIMIT_S)
    assert outcome(folder) | {"files": 0} == outcome(runs.run_folder("unbroken")) | {"files": 0}


def test_resumed_by_six_at_once_it_is_trained_once(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = new_run("six")
    with stop_after_update(7):
        execute(folder)
    trained: list[str] = []
    train = worker_module.execute
    monkeypatch.setattr(worker_module, "execute", lambda *rest: (trained.append("once"), train(*rest))[1])
    worker = Worker()

    def resume(_: int) -> str:
        try:
            worker.resume(folder)
        except DistilleryError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(resume, range(6)))
    deadline = time.monotonic() + LIMIT_S
    while runs.read_status(folder).state not in runs.ENDED and time.monotonic() < deadline:
        time.sleep(0.02)
    worker.shutdown(LIMIT_S)
    assert trained == ["once"] and "" in answers
    assert all("so there is nothing to resume" in answer for answer in answers if answer)
    steps = [event["step"] for event in read_events(folder / "metrics.jsonl")[0] if event["event"] == "step"]
    assert steps == sorted(set(steps))


def test_changed_data_are_refused_before_anything_is_trained_anew(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = new_run("other-data")
    with stop_after_update(7):
        execute(folder)
    table = world / "inputs" / "reviews.csv"
    kept = table.read_bytes()
    with table.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *((f"{text} indeed", label) for text, label in reviews())])
    try:
        request_resume(folder)
        lines = (folder / "metrics.jsonl").read_bytes()
        assert execute(folder) == "failed"
    finally:
        table.write_bytes(kept)
    said = runs.read_status(folder).sentence
    assert "teacher: was" in said and "Set up a new run" in said
    taught = [event for event in read_events(folder / "metrics.jsonl")[0] if event["stage"] == "teacher"]
    assert not [event for event in taught if event["event"] == "step"], len(lines)
    assert (folder / "checkpoints" / "student-00000007").exists()
