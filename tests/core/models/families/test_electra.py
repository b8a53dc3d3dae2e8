"""ELECTRA as a teacher: the discriminator sorts texts and guesses no words, the generator does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    ElectraConfig,
    ElectraForMaskedLM,
    ElectraForPreTraining,
    ElectraForSequenceClassification,
    ElectraModel,
    PreTrainedModel,
)

from core.config import Settings
from core.data.part import Part
from core.data.tokens import tokenise
from core.distill.word_terms import word_rows
from core.export.convert import write_onnx
from core.export.onnx_forms import OnnxModel
from core.models.families import family_of
from core.models.outline import check_teacher, teacher_outline, why_not
from core.models.saved import ModelError
from core.models.size import student_shape, teacher_shape
from core.models.student import student_for_labels, student_for_words
from core.models.teacher import teacher_for_labels, teacher_for_words
from core.scoring.predict import inputs_of
from core.sections import StudentSettings, TeacherSettings
from tests.core.models.test_saved import edit, tensors
from tests.fixtures.family_path import LABELS, built, full_depth_is_the_teacher, walk, written
from tests.fixtures.small_runs import world_of
from tests.fixtures.tiny_models import tiny_tokenizer

KINDS = {"labels": ElectraForSequenceClassification, "words": ElectraForMaskedLM}
WIDTHS = (16, 32)
IDS = torch.tensor([[2, 7, 9, 4, 12, 3], [2, 8, 3, 0, 0, 0]])


def tiny(kind: type[PreTrainedModel], layers: int = 2, embedding: int = 16) -> PreTrainedModel:
    config = ElectraConfig(
        vocab_size=len(tiny_tokenizer()), embedding_size=embedding, hidden_size=32, num_hidden_layers=layers,
        num_attention_heads=2, intermediate_size=64, max_position_embeddings=64, initializer_range=0.2,
        id2label=LABELS, label2id={name: place for place, name in LABELS.items()},
    )  # fmt: skip
    return built(kind, config)


def settings(folder: Path, **changes: Any) -> TeacherSettings:
    return TeacherSettings(source="folder", path=str(folder), **changes)


def test_a_discriminator_from_its_folder_to_a_student_that_is_measured_asked_and_exported(tmp_path: Path) -> None:
    with world_of(tmp_path / "home"):
        walk(written(tiny(ElectraForPreTraining), tiny_tokenizer(), tmp_path / "teacher"), tmp_path)


def test_a_generator_too(tmp_path: Path) -> None:
    with world_of(tmp_path / "home"):
        folder = written(tiny(KINDS["words"]), tiny_tokenizer(), tmp_path / "teacher")
        walk(folder, tmp_path, "teacher.epochs=20", "teacher.learning_rate=5e-3", head="words")


@pytest.mark.parametrize("embedding", WIDTHS)
@pytest.mark.parametrize("head", KINDS)
def test_a_full_depth_copy_is_the_teacher(head: str, embedding: int) -> None:
    full_depth_is_the_teacher(tiny(KINDS[head], layers=3, embedding=embedding), IDS, head)


@pytest.mark.parametrize("kind", [ElectraForPreTraining, ElectraForSequenceClassification, ElectraModel])
def test_without_the_generators_head_no_words_can_be_learned_which_is_known_before_loading(tmp_path, kind) -> None:
    folder = written(tiny(kind), tiny_tokenizer(), tmp_path / "model")
    outline, chosen = teacher_outline(settings(folder)), Settings(teacher=settings(folder))
    assert why_not(outline, "labels") == "" and "guesses none" in why_not(outline, "masked_words")
    chosen = chosen.model_copy(update={"data": chosen.data.model_copy(update={"max_tokens": 32})})
    check_teacher(chosen, outline)
    for refuse in (
        lambda: check_teacher(chosen.model_copy(update={"objective": "masked_words"}), outline),
        lambda: teacher_for_words(settings(folder)),
    ):
        with pytest.raises(ModelError, match="The objective is masked_words, but an ELECTRA without its generator's"):
            refuse()


@pytest.mark.parametrize("embedding", WIDTHS)
@pytest.mark.parametrize("head", KINDS)
def test_what_is_said_of_its_size_is_what_is_built(tmp_path: Path, head: str, embedding: int) -> None:
    teacher = tiny(KINDS[head], layers=3, embedding=embedding)
    outline = teacher_outline(settings(written(teacher, tiny_tokenizer(), tmp_path / "model")))
    objective = "masked_words" if head == "words" else "labels"
    shape = teacher_shape(outline, objective)
    assert shape.tensors() == {
        name: tuple(tensor.shape)
        for name, tensor in teacher.state_dict().items()
        if name not in family_of(teacher).tied
    }
    assert shape.parameters == teacher.num_parameters()
    chosen = StudentSettings(layers=2, width=16, heads=2, initial_weights="random")
    make = student_for_words if head == "words" else student_for_labels
    assert student_shape(outline, chosen, objective).parameters == make(teacher, chosen, 0).num_parameters()


def test_its_head_up_to_the_vocabulary_is_that_of_the_library() -> None:
    model = tiny(KINDS["words"])
    with torch.inference_mode():
        hidden = model.electra(IDS).last_hidden_state.flatten(0, 1)
        words = word_rows(model, hidden)
        torch.testing.assert_close(words.rows @ words.matrix.T + words.bias, model(IDS).logits.flatten(0, 1))


def test_pairs_are_told_apart_in_the_file_that_is_exported_too(tmp_path: Path) -> None:
    student = student_for_labels(tiny(KINDS["labels"]), StudentSettings(layers=1), 0).eval()
    part = Part(["a warm film", "good"], np.zeros(2, dtype=np.int64), ["it is dull", "the story is bad and dull"])
    batch = tokenise(part, tiny_tokenizer(), 32).batch(np.arange(2), torch.device("cpu"))
    inputs = inputs_of(student, batch)
    with torch.inference_mode():
        expected = student(**inputs).logits.numpy()
        assert np.abs(student(batch.input_ids, attention_mask=batch.attention_mask).logits.numpy() - expected).max() > 0
    write_onnx(student, tmp_path / "model.onnx")
    found = OnnxModel(tmp_path / "model.onnx").logits(*(tensor.numpy() for tensor in inputs.values()))
    assert np.abs(found - expected).max() < 1e-4


HOSTILE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a layer is missing": (edit("config.json", num_hidden_layers=3), "lacks electra.encoder.layer.2"),
    "word rows of another width": (
        edit("config.json", embedding_size=24),
        r"has the shape \d+ × 16; expected \d+ × 24",
    ),
    "word rows of no width": (edit("config.json", embedding_size=None), "embedding_size is None; expected a whole"),
    "no layer between": (tensors(lambda t: t.pop("electra.embeddings_project.bias")), "lacks electra.embeddings_pro"),
    "half a generator": (
        tensors(lambda t: t.update({"generator_lm_head.bias": torch.zeros(len(tiny_tokenizer()))})),
        "lacks generator_predictions",
    ),
    "a decoder": (edit("config.json", is_decoder=True), "is_decoder is set; expected a plain ELECTRA"),
    "something unknown": (tensors(lambda t: t.update(adapter=torch.zeros(2))), "holds adapter, which no such model"),
    "not numbers": (tensors(lambda t: t["electra.embeddings.LayerNorm.bias"].fill_(torch.nan)), "not numbers"),
    "only pickled weights": (
        lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"),
        "only pytorch_model.bin",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_folder_is_refused_with_its_cause(tmp_path: Path, name: str) -> None:
    change, reason = HOSTILE[name]
    folder = written(tiny(ElectraForPreTraining), tiny_tokenizer(), tmp_path / "model")
    change(folder)
    with pytest.raises(ModelError, match=reason):
        teacher_for_labels(settings(folder), ("negative", "positive"))
