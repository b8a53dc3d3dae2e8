"""The table of all work: what it costs to read, and which work of a person's machine it knows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from core.cli import kinds
from core.errors import DistilleryError
from core.storage import jobs_root, runs_root, scores_root
from tests.fixtures.serving import ROOT

HEAVY = {"torch", "transformers", "onnxruntime", "numpy", "scipy", "pandas", "streamlit"}


def test_every_page_reads_the_table_so_it_loads_nothing_heavy():
    code = f"import sys, core.cli.kinds; heavy = {HEAVY} & set(sys.modules); sys.exit(str(heavy) if heavy else 0)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_each_folder_is_of_one_kind(home):
    folders = {
        runs_root() / "20261122-120000-ab12": kinds.DISTIL,
        scores_root() / "20261122-120000-ab12": kinds.GLUE,
        jobs_root() / "export-0123": kinds.EXPORT,
        jobs_root() / "export-0123-77": kinds.EXPORT,
        jobs_root() / "measure": kinds.MEASURE,
        jobs_root() / "held-out-0123": kinds.HELD_OUT,
        jobs_root() / "file-0123": kinds.FILE,
    }
    for folder, name in folders.items():
        assert [kind.name for kind in kinds.KINDS if kind.has(folder)] == [name]
    for stranger in (home / "measure", jobs_root() / "else", runs_root() / "a" / "b", Path("/")):
        with pytest.raises(DistilleryError, match="is no folder of a job"):
            kinds.queue.kind_of(stranger)


def test_only_answers_have_a_lane_beside_the_trainings():
    beside = {kind.name for kind in kinds.KINDS if kind.lane == kinds.BESIDE}
    assert beside == {kinds.HELD_OUT, kinds.FILE}
    assert {kind.lane for kind in kinds.KINDS} == {kinds.MACHINE, kinds.BESIDE}
