"""A whole run is killed, or finds its disk full, where it writes each of its files, and is gone on with.

`python -m benchmarks.faults everywhere` tries every call.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import saves, whole_run


def test_a_run_that_is_killed_or_fills_the_disk_anywhere_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    if reason := saves.may_trace():
        pytest.skip(reason)
    report = whole_run.disturb(tmp_path, whole_run.one_in_each_place)
    assert report.by_fault == {"ENOSPC": 5, "KILL": 5}
    assert report.bad == []
