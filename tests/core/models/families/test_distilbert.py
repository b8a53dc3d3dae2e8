"""DistilBERT as a teacher: its student is a DistilBERT with fewer layers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    DistilBertConfig,
    DistilBertForMaskedLM,
    DistilBertForSequenceClassification,
    DistilBertModel,
    PreTrainedModel,
)

from core.models.outline import teacher_outline
from core.models.saved import ModelError
from core.models.size import student_shape, teacher_shape
from core.models.student import student_for_labels
from core.models.teacher import teacher_for_labels, teacher_for_words
from core.sections import StudentSettings, TeacherSettings
from tests.core.models.test_saved import edit, tensors
from tests.core.models.test_size import agrees
from tests.fixtures.family_path import LABELS, built, full_depth_is_the_teacher, walk, written
from tests.fixtures.small_runs import world_of
from tests.fixtures.tiny_models import tiny_tokenizer

KINDS = {"labels": DistilBertForSequenceClassification, "words": DistilBertForMaskedLM}
IDS = torch.tensor([[2, 7, 9, 4, 12, 3], [2, 8, 3, 0, 0, 0]])


def tiny(kind: type[PreTrainedModel], layers: int = 2) -> PreTrainedModel:
    config = DistilBertConfig(
        vocab_size=len(tiny_tokenizer()), dim=32, n_layers=layers, n_heads=2, hidden_dim=64, max_position_embeddings=64,
        initializer_range=0.15, id2label=LABELS, label2id={name: place for place, name in LABELS.items()},
    )  # fmt: skip
    return built(kind, config)


def settings(folder: Path, **changes: Any) -> TeacherSettings:
    return TeacherSettings(source="folder", path=str(folder), **changes)


@pytest.mark.parametrize("head", KINDS)
def test_from_a_folder_to_a_student_that_is_measured_asked_and_exported(tmp_path: Path, head: str) -> None:
    with world_of(tmp_path / "home"):
        walk(written(tiny(KINDS[head]), tiny_tokenizer(), tmp_path / "teacher"), tmp_path, head=head)


@pytest.mark.parametrize("head", KINDS)
def test_a_full_depth_copy_is_the_teacher(head: str) -> None:
    full_depth_is_the_teacher(tiny(KINDS[head], layers=3), IDS, head)


def test_what_is_said_of_its_size_is_what_is_built(tmp_path: Path) -> None:
    teacher = tiny(KINDS["labels"], layers=3)
    outline = teacher_outline(settings(written(teacher, tiny_tokenizer(), tmp_path / "model")))
    agrees(teacher_shape(outline), teacher)
    chosen = StudentSettings(layers=2, width=16, heads=2, initial_weights="random")
    agrees(student_shape(outline, chosen), student_for_labels(teacher, chosen, 0))


def test_a_bare_encoder_gets_a_head_and_keeps_its_weights(tmp_path: Path) -> None:
    model = tiny(DistilBertModel)
    folder = written(model, tiny_tokenizer(), tmp_path / "model")
    for made in (teacher_for_labels(settings(folder), ("a", "b")), teacher_for_words(settings(folder))):
        found = made.base_model.state_dict()
        assert all(torch.equal(tensor, found[name]) for name, tensor in model.state_dict().items())


def test_its_own_head_is_used(tmp_path: Path) -> None:
    model = tiny(KINDS["labels"])
    folder = written(model, tiny_tokenizer(), tmp_path / "model")
    made = teacher_for_labels(settings(folder, epochs=0), ("positive", "negative"))
    assert torch.equal(made.classifier.weight, model.classifier.weight[[1, 0]])
    assert torch.equal(made.pre_classifier.weight, model.pre_classifier.weight)


HOSTILE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a layer is missing": (edit("config.json", n_layers=3), "lacks distilbert.transformer.layer.2"),
    "half a head for words": (
        tensors(lambda t: t.update({"vocab_transform.bias": torch.zeros(32)})),
        "lacks vocab_transform.weight",
    ),
    "something unknown": (tensors(lambda t: t.update(adapter=torch.zeros(2))), "holds adapter, which no such model"),
    "not numbers": (tensors(lambda t: t["classifier.bias"].fill_(torch.inf)), "values that are not numbers"),
    "a program beside it": (lambda f: (f / "modeling.py").write_text("1/0"), "brings a program"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_folder_is_refused_with_its_cause(tmp_path: Path, name: str) -> None:
    change, reason = HOSTILE[name]
    folder = written(tiny(KINDS["labels"]), tiny_tokenizer(), tmp_path / "model")
    change(folder)
    with pytest.raises(ModelError, match=reason):
        teacher_for_labels(settings(folder), ("negative", "positive"))
