"""Checkpoints: written without a copy in memory, read as what was written, and older ones are still understood."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from pydantic import Field
from torch.utils._python_dispatch import TorchDispatchMode

from core import settings_file
from core.config import Settings
from core.distill import job
from core.distill.checkpoint import Keeper, Progress, newest_checkpoint
from core.distill.tensor_file import read_tensors, write_tensors
from core.errors import DistilleryError
from core.sections import Section, TrainingSettings
from core.settings_file import as_frozen_then
from core.whole_folder import HashedFile, damage, hashes_of, sha256_of
from tests.faults.saves import Silent, keeper, progress, save

WIDTH = 1024


def large() -> Progress:
    """A model whose weights take 8 MB and whose moments 16 MB."""
    model = torch.nn.Sequential(torch.nn.Linear(WIDTH, WIDTH), torch.nn.Linear(WIDTH, WIDTH))
    optimiser = torch.optim.AdamW(model.parameters())
    model(torch.ones(WIDTH)).sum().backward()
    optimiser.step()
    return Progress("student", model, optimiser, torch.amp.GradScaler(enabled=False))


class Largest(TorchDispatchMode):
    """Remembers the largest tensor that any operation within the block makes anew."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Callable, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {one.untyped_storage().data_ptr() for one in _tensors(args)}
        made = func(*args, **(kwargs or {}))
        for one in _tensors([made]):
            if one.untyped_storage().data_ptr() not in given:
                self.bytes = max(self.bytes, one.untyped_storage().nbytes())
        return made


def _tensors(values: Any) -> list[torch.Tensor]:
    if isinstance(values, torch.Tensor):
        return [values]
    return [one for each in values for one in _tensors(each)] if isinstance(values, list | tuple) else []


def test_a_save_copies_nothing_and_a_restore_holds_what_it_loads_once(tmp_path: Path) -> None:
    """24 MB are saved; more than one small buffer would be a second copy."""
    saved, loaded = large(), large()
    with torch.no_grad():
        for weights in loaded.learner.parameters():
            weights.zero_()
    biggest = max(weights.nbytes for weights in saved.learner.parameters())
    tracemalloc.start()
    try:
        with Largest() as made:
            keeper(tmp_path).save(saved, 1)
        _, in_save = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        keeper(tmp_path).restore(loaded)
        _, in_restore = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert in_save < 2_000_000 and in_restore < 2_000_000
    assert made.bytes <= biggest
    for mine, theirs in zip(loaded.learner.parameters(), saved.learner.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_what_is_written_is_a_safetensors_file_that_everybody_reads(tmp_path: Path) -> None:
    tensors = {
        "single": torch.randn(3, 4),
        "half": torch.randn(5).half(),
        "brain": torch.randn(2, 2).bfloat16(),
        "double": torch.randn(2).double(),
        "whole": torch.arange(7),
        "bytes": torch.arange(7, dtype=torch.uint8),
        "truth": torch.tensor([True, False]),
        "scalar": torch.tensor(3.0),
        "empty": torch.empty(0, 4),
        "turned": torch.randn(4, 6).T,
        "not finite": torch.tensor([float("nan"), float("inf")]),
    }
    path = tmp_path / "tensors.safetensors"
    file = HashedFile(path)
    write_tensors(file, tensors)
    assert file.close(durable=False) == sha256_of(path)
    file.release()
    for found in (safetensors.torch.load(path.read_bytes()), read_tensors(path)):
        assert found.keys() == tensors.keys()
        for name, tensor in tensors.items():
            assert found[name].dtype == tensor.dtype and found[name].shape == tensor.shape
            torch.testing.assert_close(found[name], tensor, rtol=0, atol=0, equal_nan=True)


def as_before(folder: Path) -> None:
    """Turn a checkpoint into one of a program that knew no format numbers."""
    hashes = hashes_of(folder)
    state = json.loads((folder / "state.json").read_bytes())
    del state["format"]
    (folder / "state.json").write_text(json.dumps(state))
    hashes["state.json"] = sha256_of(folder / "state.json")
    (folder / "manifest.json").write_text(json.dumps(hashes))


def test_a_checkpoint_without_format_numbers_is_gone_on_from(tmp_path: Path) -> None:
    save(tmp_path, 1)
    as_before(tmp_path / "student-00000001")
    found, other = newest_checkpoint(tmp_path), progress(5)
    assert found is not None and found.step == 1
    assert keeper(tmp_path).restore(other) == 1
    assert torch.equal(other.learner.weight, progress(1).learner.weight)  # type: ignore[arg-type]


@pytest.mark.parametrize("manifest", ['{"format": 2, "sha256": {}}', '{"format": 1}', "{}", "[]", '{"sha256": 5}'])
def test_a_manifest_that_says_nothing_we_know_is_damage(tmp_path: Path, manifest: str) -> None:
    save(tmp_path, 1)
    (tmp_path / "student-00000001" / "manifest.json").write_text(manifest)
    assert damage(tmp_path / "student-00000001") and newest_checkpoint(tmp_path) is None


def test_a_manifest_may_not_name_what_lies_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "elsewhere").write_text("x")
    hashes = {"../elsewhere": sha256_of(tmp_path / "elsewhere")}
    (tmp_path / "folder" / "manifest.json").write_text(json.dumps({"format": 1, "sha256": hashes}))
    assert "elsewhere" in damage(tmp_path / "folder")


# Settings that a checkpoint does not know


class Younger(TrainingSettings):
    """The settings of a later program: one more field, which before it was as if it were "old"."""

    shuffle: str = Field("new", json_schema_extra={"before": "old"})


class LaterSettings(Settings):
    """The same, whole."""

    training: Younger = Younger()


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> type[Settings]:
    """A program that is younger than the checkpoint."""
    monkeypatch.setattr(job, "Settings", LaterSettings)
    monkeypatch.setattr(job, "parse_settings", lambda raw: settings_file.parse_as(LaterSettings, raw))
    return LaterSettings


def restored(root: Path, settings: Section) -> int:
    facts = {"frozen": {"settings": settings.model_dump(mode="json"), "teacher": "key"}, "compute": {}}
    return Keeper(root, 1, facts, Silent(), job._as_today).restore(progress(9))


def saved(root: Path, settings: Section) -> None:
    facts = {"frozen": {"settings": settings.model_dump(mode="json"), "teacher": "key"}, "compute": {}}
    Keeper(root, 1, facts, Silent()).save(progress(1), 1)


def test_a_setting_that_a_checkpoint_does_not_know_counts_as_what_was_done_then(tmp_path: Path, later: Any) -> None:
    saved(tmp_path, Settings())
    assert restored(tmp_path, later(training=Younger(shuffle="old"))) == 1
    with pytest.raises(DistilleryError, match='training.shuffle: was "old", is "new"'):
        restored(tmp_path, later())


def test_a_setting_that_nobody_knows_any_more_is_a_difference(tmp_path: Path) -> None:
    saved(tmp_path, LaterSettings())
    with pytest.raises(DistilleryError, match='training.shuffle: was "new", is null'):
        restored(tmp_path, Settings())


def test_frozen_settings_are_filled_where_a_field_declares_it_and_nowhere_else() -> None:
    raw = Settings().model_dump(mode="json")
    assert as_frozen_then(Settings, raw) == raw
    assert as_frozen_then(LaterSettings, raw)["training"]["shuffle"] == "old"
    assert as_frozen_then(LaterSettings, {})["training"] == {"copies": 0, "shuffle": "old"}
    for other in (None, [], "x"):
        assert as_frozen_then(LaterSettings, other) == other
        assert as_frozen_then(LaterSettings, {"training": other})["training"] == other


FIRST_FIELDS = 52
"""Fields of the first format; every later one has to say what its absence meant."""


def test_every_field_that_is_younger_than_the_first_format_says_what_its_absence_meant() -> None:
    fields = [field for kind in _sections(Settings) for field in kind.model_fields.values()]
    young = [field for field in fields if "before" in (field.json_schema_extra or {})]
    assert len(fields) - len(young) == FIRST_FIELDS


def _sections(kind: type[Section]) -> list[type[Section]]:
    inner = [one.annotation for one in kind.model_fields.values()]
    found = [one for one in inner if isinstance(one, type) and issubclass(one, Section)]
    return [kind, *(each for one in found for each in _sections(one))]
