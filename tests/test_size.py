"""What the form says about size before anything is built is what the built models have."""

from __future__ import annotations

import pytest
import torch
from transformers import BertForSequenceClassification, DistilBertForSequenceClassification

from core.models.size import Shape, student_shape, teacher_shape
from core.models.student import student_config
from core.models.teacher import bundled_config


def counted(model: torch.nn.Module) -> tuple[int, int, int]:
    """Parameters of all, of the embeddings and of the encoder's layers."""
    of = {name: parameter.numel() for name, parameter in model.named_parameters()}
    embeddings = sum(count for name, count in of.items() if "embeddings." in name)
    return sum(of.values()), embeddings, sum(count for name, count in of.items() if ".layer." in name)


def said(shape: Shape) -> tuple[int, int, int]:
    return shape.parameters, shape.embedding_parameters, shape.encoder_parameters


@pytest.mark.parametrize("labels", [2, 3])
def test_the_bundled_teacher_has_the_parameters_that_are_said(labels: int) -> None:
    with torch.device("meta"):
        model = BertForSequenceClassification(bundled_config(tuple("abc"[:labels])))
    assert said(teacher_shape(labels)) == counted(model)


@pytest.mark.parametrize("layers", [1, 2, 3, 4, 5, 6])
def test_every_student_has_the_parameters_that_are_said(layers: int) -> None:
    with torch.device("meta"):
        model = DistilBertForSequenceClassification(student_config(bundled_config(("negative", "positive")), layers))
    assert said(student_shape(layers)) == counted(model)


def test_half_the_layers_halve_the_encoder_and_only_that() -> None:
    """Word embeddings are half of the bundled teacher: the student is a quarter smaller, not 40 %."""
    teacher, student = teacher_shape(), student_shape(3)
    assert student.encoder_parameters * 2 == teacher.encoder_parameters
    assert 1 - student.parameters / teacher.parameters == pytest.approx(0.236, abs=0.002)
    assert teacher.embedding_parameters / teacher.parameters > 0.5
    assert teacher.size_mb == pytest.approx(90.9, abs=0.05)
