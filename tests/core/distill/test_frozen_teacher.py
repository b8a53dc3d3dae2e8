"""The cache deleted between a stop and a resume: the teacher is taught anew, and whether it is the same is said."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.cli.kinds import carry_out
from core.distill import teacher_stage
from core.distill.checkpoint import newest_checkpoint
from core.distill.job import OTHER_TEACHER
from core.runs import folder as runs
from core.runs.resume import request_resume
from core.storage import cache_root, read_json
from core.whole_folder import sha256_of
from tests.fixtures.broken_runs import new_run, outcome, stop_after_update
from tests.fixtures.small_runs import digest, world_of


@pytest.fixture(scope="module", autouse=True)
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with world_of(tmp_path_factory.mktemp("home")) as home:
        yield home


@pytest.fixture(scope="module")
def weights(world: Path) -> str:
    """Of the student of a run that nobody disturbs."""
    folder = new_run("unbroken")
    assert carry_out(folder) == "finished"
    return outcome(folder)["weights"]


def stopped(name: str) -> Path:
    folder = new_run(name)
    with stop_after_update(10):
        assert carry_out(folder) == "stopped"
    return folder


def teacher_weights(folder: Path) -> Path:
    return cache_root() / "teachers" / read_json(folder / "teacher.json")["key"] / "model" / "model.safetensors"


def forget_the_teachers_of(folder: Path) -> None:
    """As a checkpoint of a program that did not freeze its teacher."""
    for checkpoint in (folder / "checkpoints").iterdir():
        state, manifest = checkpoint / "state.json", checkpoint / "manifest.json"
        facts = json.loads(state.read_bytes())
        del facts["teachers"]
        state.write_text(json.dumps(facts))
        content = json.loads(manifest.read_bytes())
        content["sha256"]["state.json"] = sha256_of(state)
        manifest.write_text(json.dumps(content))


def log_of(folder: Path) -> str:
    path = folder / "log.txt"
    return path.read_text() if path.exists() else ""


def test_a_run_freezes_the_weights_that_it_learns_from(weights: str) -> None:
    folder = stopped("frozen")
    frozen = digest(teacher_weights(folder))
    assert read_json(folder / "teacher.json")["sha256"] == frozen
    newest = newest_checkpoint(folder / "checkpoints")
    assert newest is not None and newest.state()["teachers"] == [frozen]


def test_a_teacher_taught_anew_to_the_same_bits_is_the_same_teacher(weights: str) -> None:
    folder = stopped("same")
    shutil.rmtree(cache_root())
    request_resume(folder)
    assert carry_out(folder) == "finished"
    assert outcome(folder)["weights"] == weights
    assert "taught anew, and has the same weights to the bit" in log_of(folder)
    assert OTHER_TEACHER not in (runs.read_results(folder) or {})["notes"]


@pytest.mark.parametrize("before", ["known", "unknown"])
def test_a_teacher_that_came_out_otherwise_is_said_in_the_log_and_in_the_result(
    weights: str, before: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where it is taught anew on another device; and, however often the run is stopped after that, to its end."""
    folder = stopped(f"other-{before}")
    if before == "unknown":
        forget_the_teachers_of(folder)
    shutil.rmtree(cache_root())
    with monkeypatch.context() as patch:
        patch.setattr("core.distill.job.teach_teacher", other_teacher)
        request_resume(folder)
        with stop_after_update(20):
            assert carry_out(folder) == "stopped"
    assert OTHER_TEACHER in log_of(folder)
    request_resume(folder)
    assert carry_out(folder) == "finished"
    assert outcome(folder)["weights"] != weights
    assert OTHER_TEACHER in (runs.read_results(folder) or {})["notes"]
    shutil.rmtree(cache_root())


def test_an_older_checkpoint_whose_teacher_is_kept_is_gone_on_from_without_a_word(weights: str) -> None:
    folder = stopped("older")
    forget_the_teachers_of(folder)
    request_resume(folder)
    assert carry_out(folder) == "finished"
    assert outcome(folder)["weights"] == weights and log_of(folder) == ""


def other_teacher(session: Any, objective: Any) -> Any:
    """A teacher of one more epoch."""
    teacher = session.settings.teacher
    longer = session.settings.model_copy(update={"teacher": teacher.model_copy(update={"epochs": teacher.epochs + 1})})
    return teacher_stage.teach_teacher(type(session)(longer, session.compute, session.recorder), objective)
