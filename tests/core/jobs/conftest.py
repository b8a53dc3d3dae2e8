"""Servers' workers that start real processes of a program without models."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from core.jobs import folder as jobs
from core.jobs import queue as queues
from core.jobs import worker as worker_module
from core.jobs.worker import Worker
from tests.fixtures import job_stand_in as stand_in

LIMIT_S = 60.0

Ended = Callable[[], tuple[str, jobs.State | None]]
Until = Callable[[Callable[[], bool]], None]


@pytest.fixture
def until() -> Until:
    """Wait for what another process does."""

    def wait(is_true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + LIMIT_S
        while not is_true():
            assert time.monotonic() < deadline, f"nothing happened for {LIMIT_S:g} s; so far: {stand_in.journal()}"
            time.sleep(0.01)

    return wait


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> Ended:
    """Wait for the next job that a worker is done with; gives its name and state, None if its folder has gone."""
    done: queue.Queue[tuple[str, jobs.State | None]] = queue.Queue()
    say = worker_module.say_how_it_ended

    def and_tell(folder: Path, *rest: Any) -> None:
        try:
            say(folder, *rest)
        finally:
            done.put((folder.name, jobs.state_of(folder)))

    monkeypatch.setattr(worker_module, "say_how_it_ended", and_tell)
    monkeypatch.setattr(queues, "RETRY_S", 0.02)
    return lambda: done.get(timeout=LIMIT_S)


@pytest.fixture
def new_worker(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Worker]]:
    """Make workers; all of them, and the jobs that they have started, end with the test."""
    made: list[Worker] = []

    def make() -> Worker:
        made.append(Worker(stand_in.new_queue(), stand_in.new_launcher()))
        # A process that stands ready after each job is tried where it matters; it doubles what is to be started.
        monkeypatch.setattr(made[-1]._launcher, "stand_ready", lambda: None)
        return made[-1]

    yield make
    stand_in.finish()
    for worker in made:
        worker.shutdown(LIMIT_S)


@pytest.fixture
def worker(new_worker: Callable[[], Worker]) -> Worker:
    """One server's."""
    return new_worker()
