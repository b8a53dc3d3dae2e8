"""What the form says about size before anything is built is what the built models have, tensor by tensor."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    DistilBertForMaskedLM,
    DistilBertForSequenceClassification,
    PreTrainedModel,
)

from core.config import Objective
from core.models.families import FAMILIES
from core.models.outline import BUNDLED, KNOWN_ON_HUB, TeacherOutline
from core.models.shape import Shape
from core.models.size import student_shape, teacher_shape
from core.models.student import student_config
from core.sections import StudentSettings

OUTLINES = {
    "bundled": BUNDLED,
    "BERT-base": KNOWN_ON_HUB["google-bert/bert-base-uncased"],
    "odd": TeacherOutline(3, 30, 5, 77, 1000, 40, 1, has_word_head=True, label_names=()),
}
OBJECTIVES = ("labels", "masked_words")
TEACHERS = {"labels": BertForSequenceClassification, "masked_words": BertForMaskedLM}
STUDENTS = {"labels": DistilBertForSequenceClassification, "masked_words": DistilBertForMaskedLM}
CHOICES = (
    StudentSettings(layers=1),
    StudentSettings(layers=3),
    StudentSettings(layers=2, width=20, heads=4, initial_weights="random"),
    StudentSettings(layers=2, width=400, heads=4, initial_weights="random"),
)


def config(outline: TeacherOutline, labels: int) -> BertConfig:
    return BertConfig(
        vocab_size=outline.vocabulary,
        hidden_size=outline.width,
        num_hidden_layers=outline.depth,
        num_attention_heads=outline.heads,
        intermediate_size=outline.feed_forward,
        max_position_embeddings=outline.positions,
        type_vocab_size=outline.segments,
        id2label={place: str(place) for place in range(labels)},
    )


def agrees(shape: Shape, model: PreTrainedModel) -> None:
    """The tensors that are said are those of the model, and so are their sums."""
    tied = FAMILIES[shape.family].tied
    built = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items() if name not in tied}
    assert shape.tensors() == built
    of = {name: parameter.numel() for name, parameter in model.named_parameters()}
    assert shape.parameters == sum(of.values())
    assert shape.embedding_parameters == sum(count for name, count in of.items() if "embeddings." in name)
    assert shape.encoder_parameters == sum(count for name, count in of.items() if ".layer." in name)
    assert shape.head_parameters == shape.parameters - shape.embedding_parameters - shape.encoder_parameters


@pytest.mark.parametrize("labels", [1, 2, 3])
@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("name", OUTLINES)
def test_every_teacher_has_the_parameters_that_are_said(name: str, objective: Objective, labels: int) -> None:
    with torch.device("meta"):
        model = TEACHERS[objective](config(OUTLINES[name], labels))
    agrees(teacher_shape(OUTLINES[name], objective, labels), model)


@pytest.mark.parametrize("student", CHOICES)
@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("name", OUTLINES)
def test_every_student_has_the_parameters_that_are_said(name, objective: Objective, student) -> None:
    with torch.device("meta"):
        model = STUDENTS[objective](student_config(config(OUTLINES[name], 3), _shared(student, OUTLINES[name])))
    agrees(student_shape(OUTLINES[name], student, objective, labels=3), model)


def _shared(student: StudentSettings, outline: TeacherOutline) -> StudentSettings:
    """Heads do not count for the size, but the library wants them to share the width."""
    return student if student.heads or outline.width % outline.heads == 0 else student.model_copy(update={"heads": 1})


def test_half_the_layers_halve_the_encoder_and_only_that() -> None:
    """Word embeddings are half of the bundled teacher: the student is a quarter smaller, not 40 %."""
    teacher, student = teacher_shape(), student_shape(BUNDLED, StudentSettings(layers=3))
    assert student.encoder_parameters * 2 == teacher.encoder_parameters
    assert 1 - student.parameters / teacher.parameters == pytest.approx(0.236, abs=0.002)
    assert teacher.embedding_parameters / teacher.parameters > 0.5
    assert teacher.size_mb == pytest.approx(90.9, abs=0.05)


def test_the_papers_students_are_40_percent_smaller_than_their_teacher() -> None:
    """66 and 110 million parameters (Sanh et al. 2019, table 3)."""
    base = OUTLINES["BERT-base"]
    teacher, student = teacher_shape(base), student_shape(base, StudentSettings(layers=6))
    assert teacher.parameters / 1e6 == pytest.approx(109.5, abs=0.1)
    assert student.parameters / 1e6 == pytest.approx(67.0, abs=0.1)


def test_a_narrower_student_keeps_the_teachers_proportions() -> None:
    shape = student_shape(BUNDLED, StudentSettings(layers=2, width=192, initial_weights="random"))
    assert (shape.width, shape.feed_forward) == (192, 768)
    wide = replace(shape, width=BUNDLED.width, feed_forward=BUNDLED.feed_forward)
    assert shape.encoder_parameters < wide.encoder_parameters / 3.9
