"""Many runs, broken runs, clocks that jump: the pages and the command line keep their heads."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from core.cli.kinds import carry_out
from core.config import Settings
from core.jobs.events import read_events
from core.runs import folder as runs
from core.runs.feed import feed
from tests.fixtures.broken_runs import new_run
from tests.fixtures.drawn_pages import RUNS, open_page, words
from tests.fixtures.made_runs import make_run
from tests.fixtures.small_runs import world_of

pytestmark = pytest.mark.usefixtures("home", "nothing_trains")


def two_hundred_runs(home: Path) -> None:
    """195 runs in good order and five that are not."""
    for number in range(195):
        make_run(home, f"20261122-{number:06}-ab12", settings=Settings(name=f"Run {number}"))
    root = home / "runs"
    (root / "z-no-settings").mkdir()
    (root / "z-half").mkdir()
    (root / "z-half" / "status.json").write_text('{"state": "fin')
    (root / "z-foreign").mkdir()
    (root / "z-foreign" / "holiday.jpg").write_bytes(b"\xff\xd8\xff")
    (root / "z-loop").symlink_to("z-loop")
    large = make_run(home, "z-large", state="failed")
    (large / "log.txt").touch()
    os.truncate(large / "log.txt", 1_000_000_000)


def test_two_hundred_runs_of_which_five_are_broken_are_listed(home: Path) -> None:
    two_hundred_runs(home)
    folders = runs.list_runs()
    states = []
    for folder in folders:
        try:
            states.append(runs.read_status(folder).state)
        except runs.BrokenRun as error:
            states.append(f"broken: {error}")
    assert len(folders) == 199 and states.count("finished") == 195
    assert sum(state.startswith("broken: z-") for state in states) == 3


def test_the_page_of_two_hundred_runs_has_neither_a_traceback_nor_an_error(home: Path) -> None:
    two_hundred_runs(home)
    at = open_page(RUNS)
    assert not at.exception and not at.error and "199" in words(at)


@pytest.mark.parametrize("jump_s", [3600, -3600])
def test_a_clock_that_jumps_changes_no_duration_and_no_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump_s: int
) -> None:
    """As a time server, a change to summer time, or a laptop lid would: only the wall clock moves."""
    wall, asked = time.time, iter(range(10**9))
    monkeypatch.setattr(time, "time", lambda: wall() + (jump_s if next(asked) % 2 else 0))
    with world_of(tmp_path):
        folder = new_run("jumping")
        assert carry_out(folder) == "finished"
        for stage in ("teacher", "student"):
            events = [event for event in read_events(folder / "metrics.jsonl")[0] if event["stage"] == stage]
            clock = [event["elapsed_s"] for event in events if "elapsed_s" in event]
            assert clock == sorted(clock) and 0 <= clock[0] and clock[-1] < 600
        assert json.loads((folder / "results.json").read_bytes())["elapsed_s"] < 600
        status = runs.read_status(folder)
        runs.write_status(folder, replace(status, state="running", step=status.total_steps - 1))
        left = feed(folder, 0)["now"]["left_s"]
        assert left is None or 0 <= left < 600
