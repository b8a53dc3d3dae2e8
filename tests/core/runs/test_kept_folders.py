"""Runs and GLUE jobs that an earlier version left behind open, go on, compare and export.

fixtures/kept_home.tar.xz holds the home of the version before jobs had processes of their own (commit adfe22c): tiny
models, labels and masked words, finished and stopped, made by its own `execute` from fixtures/small_runs.py and
fixtures/small_glue_jobs.py. Paths in it are relative to the folder in which it is unpacked.
"""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import safetensors.torch
import torch

from core.cli import kinds
from core.export.archive import write_zip
from core.export.facts import read_facts
from core.export.report import report
from core.glue.cells import read_cells
from core.runs import folder as runs
from core.runs.comparable import comparable_runs, model_folders
from core.runs.results import read_result
from core.runs.resume import request_resume
from core.runs.table import list_rows
from core.scoring import job as answers
from core.scoring.held_out import read_held_out, weights_of
from core.sections import TrainingSettings

KEPT = Path(__file__).resolve().parents[2] / "fixtures" / "kept_home.tar.xz"
FINISHED, STOPPED = ("control", "finished", "words"), ("stopped-student", "stopped-teacher")
NEAR = 1e-3
"""Processors round differently; on the kind that made the fixture the bits are the same."""


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The earlier version's home, unpacked."""
    with tarfile.open(KEPT) as archive:
        archive.extractall(tmp_path, filter="data")
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "tests" / "fixtures" / "kept_home"
    monkeypatch.setenv("DISTILLERY_HOME", str(home))
    yield home


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load((folder / "student" / "model.safetensors").read_bytes())


def test_every_run_is_listed_without_a_complaint(kept: Path) -> None:
    rows = {row.run_id: row for row in list_rows()}
    assert set(rows) == {*FINISHED, *STOPPED}
    assert not [row.problem for row in rows.values() if row.problem]
    assert {name for name, row in rows.items() if row.state == "finished"} == set(FINISHED)
    assert {name for name, row in rows.items() if row.state == "stopped"} == set(STOPPED)
    for name in FINISHED:
        assert read_result(runs.run_folder(name))["student"]["score"] is not None


@pytest.mark.parametrize("name", STOPPED)
def test_a_stopped_run_goes_on_to_its_end(kept: Path, name: str) -> None:
    folder = runs.run_folder(name)
    request_resume(folder)
    assert kinds.carry_out(folder) == "finished", runs.read_status(folder).sentence
    if name == "stopped-student":
        expected, found = weights(runs.run_folder("finished")), weights(folder)
        assert expected.keys() == found.keys()
        assert max(float((expected[key] - found[key]).abs().max()) for key in expected) < NEAR


def test_a_stopped_glue_job_goes_on_and_measures_the_same(kept: Path) -> None:
    folder, whole = runs.job_folder("scoring-stopped"), runs.job_folder("scored")
    request_resume(folder)
    assert kinds.carry_out(folder) == "finished", runs.read_status(folder).sentence
    expected, found = (
        {(cell.model, cell.task, cell.seed): cell.score for cell in read_cells(each)} for each in (whole, folder)
    )
    assert expected.keys() == found.keys()
    assert all(abs(expected[key] - found[key]) < 10 for key in expected)


def test_its_models_are_compared_and_answer_their_held_out_texts(kept: Path) -> None:
    usable = {run.run_id for run in comparable_runs()[0]}
    assert {*FINISHED, "stopped-student"} <= usable
    folder = runs.run_folder("finished")
    folders = model_folders(folder)
    job = answers.held_out_job(folder.name, weights_of(folders))
    answers.start_held_out(job, folder.name, TrainingSettings(threads=1, device="cpu", precision="fp32"))
    assert kinds.carry_out(job) == "finished", runs.read_status(job).sentence
    found = read_held_out(folder, folders)
    assert found is not None and len(found) == read_result(folder)["examples"]


@pytest.mark.parametrize("name", FINISHED)
def test_it_is_exported(kept: Path, name: str) -> None:
    folder, packed = runs.run_folder(name), io.BytesIO()
    write_zip(folder, packed)
    with zipfile.ZipFile(packed) as archive:
        assert any(member.endswith("model.safetensors") for member in archive.namelist())
    assert "<html" in report(read_facts(folder))
