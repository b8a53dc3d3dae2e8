"""A save is disturbed at its system calls and cut short by power cuts: the last good checkpoint is always there."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from core.distill import checkpoint
from core.models.saved import save_model
from core.storage import write_json
from tests.faults import saves
from tests.fixtures.tiny_models import tiny_teacher, tiny_tokenizer


def test_no_fault_at_any_system_call_loses_a_checkpoint(tmp_path: Path) -> None:
    if reason := saves.may_trace():
        pytest.skip(reason)
    report = saves.disturb_every_call(tmp_path, every=5)
    assert report.tried >= 50 and set(report.by_fault) == set(saves.FAULTS)
    assert report.bad == []


def test_no_power_cut_loses_a_committed_checkpoint_or_lets_a_damaged_one_in(tmp_path: Path) -> None:
    log = saves.log_of_saves(tmp_path / "root", 8)
    report = saves.power_cuts(log, tmp_path)
    assert report.tried >= 1_000
    assert report.bad == []


def test_the_same_cuts_find_a_save_without_fsync(tmp_path: Path) -> None:
    log = saves.without_fsync(saves.log_of_saves(tmp_path / "root", 4))
    assert any("was lost" in line for line in saves.power_cuts(log, tmp_path, limit=500).bad)


def test_the_same_cuts_find_a_reader_that_checks_no_hashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = saves.without_fsync(saves.log_of_saves(tmp_path / "root", 3))
    monkeypatch.setattr(checkpoint, "_is_whole", lambda folder: (folder / "manifest.json").exists())
    assert any("though it is damaged" in line for line in saves.power_cuts(log, tmp_path, limit=500).bad)


def test_the_log_tells_everything_that_a_save_does(tmp_path: Path) -> None:
    log = saves.log_of_saves(tmp_path / "root", 3)
    kinds = [key for key, _ in itertools.groupby(operation[0] for operation in log.operations[: log.returned[1]])]
    assert kinds[:2] == ["mkdir", "create"] and kinds[-3:] == ["sync", "rename", "sync"]
    assert [operation[0] for operation in log.operations].count("unlink") == 4
    assert len(log.content) == 12


def test_a_model_is_on_the_disk_before_its_folder_has_its_name(tmp_path: Path) -> None:
    """A run deletes its checkpoints once its student is saved."""
    log = saves.Log()
    with saves.recorded(tmp_path, log):
        save_model(tiny_teacher(), tiny_tokenizer(), tmp_path / "student")
    (renamed,) = [number for number, operation in enumerate(log.operations) if operation[0] == "rename"]
    building = log.operations[renamed][1]
    synced = {operation[1] for operation in log.operations[:renamed] if operation[0] == "sync"}
    assert synced == {building, *(f"{building}/{path.name}" for path in (tmp_path / "student").iterdir())}
    assert ("sync", ".") in log.operations[renamed:]


def test_a_small_file_is_on_the_disk_under_its_name(tmp_path: Path) -> None:
    log = saves.Log()
    with saves.recorded(tmp_path, log):
        write_json(tmp_path / "results.json", {"score": 1})
    assert [operation[0] for operation in log.operations] == ["create", "sync", "rename", "sync"]
