"""The work of a run within its job: what fails in it is said, and nothing of it outlives it."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch

from core.cli.kinds import carry_out
from core.config import Settings
from core.distill import job, labels
from core.runs import folder as runs
from core.terms import cosine as cosine_term
from tests.fixtures.small_runs import settings_of

pytestmark = pytest.mark.usefixtures("home")


def log_of(folder: Path) -> str:
    return (folder / "log.txt").read_text(encoding="utf-8")


def test_memory_of_a_gpu_that_ran_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(settings: Settings, student: Path, teachers: Path, recorder: Any, *_: Any) -> dict[str, Any]:
        recorder.stage("student", 10)
        recorder.step(1, {"loss": torch.tensor(0.5)}, 1e-4, 32)
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(job, "run_job", full)
    folder = runs.create_run(Settings(), "bad")
    assert carry_out(folder) == "failed"
    status = runs.read_status(folder)
    assert (status.sentence, status.step) == (
        "There was not enough memory at step 1. Choose a smaller batch or shorter inputs and start again.",
        1,
    )
    assert "OutOfMemoryError" in log_of(folder) and runs.read_results(folder) is None


def test_values_that_cannot_be_fetched_any_more_do_not_hide_the_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a broken GPU: what was waiting on the device fails a second time when the run is closed."""

    def broken(settings: Settings, student: Path, teachers: Path, recorder: Any, *_: Any) -> dict[str, Any]:
        recorder.stage("student", 10)
        recorder.step(1, {"loss": torch.tensor(0.5)}, 1e-4, 32)
        for terms in ({"loss": torch.tensor(0.5)}, {"loss": torch.tensor(0.5), "soft": torch.tensor(0.5)}):
            recorder.step(2, terms, 1e-4, 64)
        raise RuntimeError("device-side assert triggered")

    monkeypatch.setattr(job, "run_job", broken)
    folder = runs.create_run(Settings(), "bad")
    assert carry_out(folder) == "failed"
    assert "RuntimeError" in runs.read_status(folder).sentence and "device-side assert" in log_of(folder)


def test_a_run_that_cannot_even_begin_fails() -> None:
    blocked = runs.create_run(Settings(), "blocked")
    (blocked / "metrics.jsonl").mkdir()
    assert carry_out(blocked) == "failed"
    assert runs.read_status(blocked).state == "failed" and "IsADirectoryError" in log_of(blocked)


def test_broken_settings_fail_the_run_with_a_sentence() -> None:
    folder = runs.create_run(Settings(), "broken")
    (folder / "config.json").write_text('{"loss": {"soft": -1}}')
    assert carry_out(folder) == "failed"
    assert "loss.soft is -1; expected a number from 0 to 100" in runs.read_status(folder).sentence


def test_what_a_finished_run_measured_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = {"elapsed_s": 1.0, "teacher_from_cache": False, "compute": {"device": "cpu", "precision": "fp32"}}
    monkeypatch.setattr(job, "run_job", lambda *_: measured)
    folder = runs.create_run(Settings(), "good")
    assert carry_out(folder) == "finished"
    assert runs.read_results(folder) == measured


# Memory, where a run shares its process with others, as in the tests and the course project


def tensors() -> int:
    gc.collect()
    # By type, since isinstance would ask strange objects what they are, and some answer with a warning.
    return sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())


@pytest.mark.parametrize("end", ["finished", "failed", "stopped"])
def test_no_model_and_no_tensor_outlives_its_run(monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    """Real tiny models: an exception that was kept would keep its frames, and they everything that was computed."""
    kept: list[weakref.ref] = []
    build_student, cosine = labels.student_for_labels, cosine_term.hidden_cosine_loss

    def build(teacher: torch.nn.Module, *rest: Any) -> torch.nn.Module:
        student = build_student(teacher, *rest)
        kept.extend(weakref.ref(thing) for thing in (teacher, student, *student.parameters()))
        return student

    def fail(student: torch.Tensor, *_: Any) -> torch.Tensor:
        kept.append(weakref.ref(student))
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(labels, "student_for_labels", build)
    monkeypatch.setattr(cosine_term, "hidden_cosine_loss", fail if end == "failed" else cosine)
    before = tensors()
    folder = runs.create_run(settings_of(), "one")
    metrics = folder / "metrics.jsonl"
    carry_out(folder, lambda: end == "stopped" and metrics.exists() and b'"cosine"' in metrics.read_bytes())
    alive = [reference for reference in kept if reference() is not None]
    assert runs.read_status(folder).state == end, log_of(folder)
    assert len(kept) > 20 and not alive
    assert tensors() == before
