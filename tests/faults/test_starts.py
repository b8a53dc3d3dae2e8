"""Twelve starts at one moment are one run, and a lock whose owner was killed is taken over."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.fixtures.serving import ROOT


def test_twelve_simultaneous_starts_are_one_run_and_a_dead_owner_is_replaced(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.starts", str(tmp_path), "3"],
        cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["contenders"] == 12 and report["once"] == report["rounds"] == 3
    assert all(seconds <= 5 for seconds in report["takeovers"])
