"""Folders whose names no page can show, and names that an address must not take apart."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.runs import folder as runs
from core.runs.comparable import comparable_runs
from core.runs.remove import remove
from core.runs.table import list_rows, row_of
from core.speed.standing import measured_runs
from core.storage import BrokenRun
from pages.ui.glue.reading import read_jobs
from tests.fixtures.made_glue_jobs import make_job
from tests.fixtures.made_runs import make_run

NAMES = (b"run \xff\xfe", b"caf\xe9", b"two\nlines", b"\xe2\x80\xaetxt.exe", b"bell \x07")


@pytest.fixture(params=NAMES, ids=repr)
def misnamed(request: pytest.FixtureRequest, home: Path) -> Path:
    """A good run whose folder was renamed so; another one lies beside it."""
    make_run(home, "20261122-120000-good")
    folder = make_run(home)
    return folder.rename(folder.with_name(os.fsdecode(request.param)))


def test_it_is_one_row_with_its_cause_beside_the_good_ones(misnamed: Path) -> None:
    rows = {row.run_id: row for row in list_rows()}
    run_id = runs.id_of(misnamed)
    assert set(rows) == {"20261122-120000-good", run_id} and run_id.isprintable() and run_id.encode()
    assert rows[run_id].problem == row_of(misnamed).problem == runs.MISNAMED
    assert not rows["20261122-120000-good"].problem
    assert {run.run_id: run.reason for run in comparable_runs()[1]}[run_id] == runs.MISNAMED
    assert {row.run_id: reason for row, reason in measured_runs()[1]}[run_id] == runs.MISNAMED


def test_it_can_be_deleted_and_nothing_else_goes(misnamed: Path) -> None:
    remove(runs.run_folder(runs.id_of(misnamed)))
    assert not misnamed.exists() and [row.run_id for row in list_rows()] == ["20261122-120000-good"]


def test_it_is_neither_queued_nor_listed_as_a_run(misnamed: Path) -> None:
    assert [folder.name for folder in runs.list_runs()] == ["20261122-120000-good"]


@pytest.mark.parametrize("name", ["..", "..\\x", "../runs", "a\\udcff", "\\", "no\x00thing", ""])
def test_an_id_leads_to_no_folder_but_its_own(misnamed: Path, name: str) -> None:
    with pytest.raises(BrokenRun, match="There is no run called"):
        runs.run_folder(name)


def test_a_job_is_listed_and_deleted_in_the_same_way(home: Path) -> None:
    make_job(home, job_id="20261122-150000-good")
    folder = make_job(home)
    folder = folder.rename(folder.with_name(os.fsdecode(b"job \xff")))
    found = {runs.id_of(job.folder): job.problem for job in read_jobs()}
    assert found == {"20261122-150000-good": "", "job \\udcff": runs.MISNAMED}
    remove(runs.job_folder("job \\udcff"))
    assert [job.folder.name for job in read_jobs()] == ["20261122-150000-good"]
