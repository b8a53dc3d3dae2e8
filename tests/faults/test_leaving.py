"""Whoever asks a server that really trains to leave finds the run saved; `test_stop.py` has the odd cases."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import leaving
from tests.fixtures.small_runs import world_of


@pytest.fixture
def world(tmp_path: Path, teachers: Path) -> Iterator[Path]:
    with world_of(tmp_path, teachers) as home:
        leaving.prepare(home)
        yield home


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGHUP")
def test_every_signal_and_every_stop_leaves_a_saved_run(world: Path) -> None:
    report = leaving.Report()
    leaving.signal_servers(world, 1, report)
    leaving.stop_runs(world, 2, report)
    assert {how: len(seconds) for how, seconds in report.seconds.items()} == {
        "SIGTERM": 1, "SIGINT": 1, "SIGHUP": 1, "Stop": 2,
    }  # fmt: skip
    assert report.bad == []
