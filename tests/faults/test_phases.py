"""Disk full, out of memory, not a number, a panic: at every moment of a run, and then the next run."""

from __future__ import annotations

from pathlib import Path

from tests.faults import phases
from tests.fixtures.small_runs import world_of


def test_every_fault_at_every_moment_leaves_the_last_good_checkpoint_and_the_next_run(tmp_path: Path) -> None:
    with world_of(tmp_path):
        tries = phases.try_all()
    assert len(tries) == 20
    assert [f"{one.fault} at {one.phase}: {one.problem}" for one in tries if one.problem] == []
