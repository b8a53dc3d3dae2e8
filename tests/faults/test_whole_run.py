"""A whole run is killed, or finds its disk full, at some of the calls by which it changes files, and is gone on with.

`python -m benchmarks.faults everywhere` tries every call.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import saves, whole_run


def test_a_run_that_is_killed_or_fills_the_disk_anywhere_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    if reason := saves.may_trace():
        pytest.skip(reason)
    report = whole_run.disturb(tmp_path, every=131, first=7)
    assert report.tried >= 8 and set(report.by_fault) == {"KILL", "ENOSPC"}
    assert report.bad == []
