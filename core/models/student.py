"""Building the student: a DistilBERT made of some of the teacher's layers, or a narrower one with random weights.

DistilBERT has no token-type embeddings and no pooler. The teacher adds token-type row 0 to every position of a single
text, so that row is folded into the student's positions: a student with every teacher layer then computes the
teacher's hidden states exactly, and having fewer layers is the only difference there is. (DistilBERT's LayerNorm adds
1e-12 to the variance, as nearly every BERT does; of a teacher that adds more the copy is only near.)
"""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForMaskedLM,
    DistilBertForSequenceClassification,
    DistilBertPreTrainedModel,
    PreTrainedModel,
)

from core.models.shape import SAME_IN_BOTH
from core.models.size import narrower_feed_forward
from core.sections import StudentSettings

Student = TypeVar("Student", bound=DistilBertPreTrainedModel)

LAST_MAP = "projection"
"""What the map of the last hidden states is called in a checkpoint."""

WORD_HEAD = {
    "transform.dense": "vocab_transform",
    "transform.LayerNorm": "vocab_layer_norm",
}
"""Module of a BERT's word head to the module of a DistilBERT's that does the same."""


def student_config(teacher: BertConfig, student: StudentSettings) -> DistilBertConfig:
    """The student's depth, width and heads, and everything else as the teacher has it, in DistilBERT's names."""
    width = student.width or teacher.hidden_size
    return DistilBertConfig(
        vocab_size=teacher.vocab_size,
        max_position_embeddings=teacher.max_position_embeddings,
        n_layers=student.layers,
        n_heads=student.heads or teacher.num_attention_heads,
        dim=width,
        hidden_dim=narrower_feed_forward(width, teacher.hidden_size, teacher.intermediate_size),
        dropout=teacher.hidden_dropout_prob,
        attention_dropout=teacher.attention_probs_dropout_prob,
        activation=teacher.hidden_act,
        initializer_range=teacher.initializer_range,
        pad_token_id=teacher.pad_token_id,
        id2label=teacher.id2label,
        label2id=teacher.label2id,
        problem_type=teacher.problem_type,
    )


def student_for_labels(
    teacher: BertForSequenceClassification, settings: StudentSettings, seed: int
) -> DistilBertForSequenceClassification:
    """A student for the teacher's task: encoder copied from the chosen teacher layers or random, head random.

    Everything random follows from `seed`. The teacher is not changed and shares no memory with the student.
    """
    student = _random(DistilBertForSequenceClassification, student_config(teacher.config, settings), seed)
    _copy_encoder(teacher, student, settings)
    return student


def student_for_words(teacher: BertForMaskedLM, settings: StudentSettings, seed: int) -> DistilBertForMaskedLM:
    """A student that guesses words. Copied: encoder and head from the teacher, so that at full depth it is the teacher.

    The vocabulary matrix is the word embeddings. Everything random follows from `seed`.
    """
    student = _random(DistilBertForMaskedLM, student_config(teacher.config, settings), seed)
    if _copy_encoder(teacher, student, settings):
        head = teacher.cls.predictions
        for bert, distilbert in WORD_HEAD.items():
            student.get_submodule(distilbert).load_state_dict(head.get_submodule(bert).state_dict())
        with torch.no_grad():
            student.vocab_projector.bias.copy_(head.bias)
    return student


def state_maps(student: PreTrainedModel, teacher: PreTrainedModel, layers: int, seed: int) -> dict[str, nn.Linear]:
    """Random maps, without bias, from a narrower student's states to the teacher's width; none if they are as wide.

    One is for the last hidden states, `layers` more are for those after so many student layers. They are learned along
    with the student and not part of it. They follow from `seed`.
    """
    narrow, wide = student.config.hidden_size, teacher.config.hidden_size
    if narrow == wide:
        return {}
    generator = torch.Generator().manual_seed(seed)
    names = [LAST_MAP, *map(layer_map_name, range(layers))]
    return {name: _random_map(narrow, wide, generator) for name in names}


def layer_map_name(layer: int) -> str:
    """What the map of the states after a student layer, counted from 0, is called."""
    return f"{LAST_MAP}_of_layer_{layer}"


def _random_map(narrow: int, wide: int, generator: torch.Generator) -> nn.Linear:
    projection = nn.Linear(narrow, wide, bias=False, device="meta").to_empty(device="cpu")
    with torch.no_grad():
        # Keeps the size of what goes through.
        projection.weight.normal_(std=narrow**-0.5, generator=generator)
    return projection


def copied_encoder(teacher: dict[str, Tensor], layer_map: tuple[int, ...]) -> dict[str, Tensor]:
    """State of a DistilBertModel whose layers are those of a BertModel's state named in `layer_map`."""
    state = {
        "embeddings.word_embeddings.weight": teacher["embeddings.word_embeddings.weight"],
        "embeddings.position_embeddings.weight": teacher["embeddings.position_embeddings.weight"]
        + teacher["embeddings.token_type_embeddings.weight"][0],
        "embeddings.LayerNorm.weight": teacher["embeddings.LayerNorm.weight"],
        "embeddings.LayerNorm.bias": teacher["embeddings.LayerNorm.bias"],
    }
    for place, layer in enumerate(layer_map):
        for bert, distilbert in SAME_IN_BOTH.items():
            for kind in ("weight", "bias"):
                source = teacher[f"encoder.layer.{layer}.{bert}.{kind}"]
                state[f"transformer.layer.{place}.{distilbert}.{kind}"] = source
    return state


def _random(kind: type[Student], config: DistilBertConfig, seed: int) -> Student:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return kind(config)


def _copy_encoder(
    teacher: BertForSequenceClassification | BertForMaskedLM,
    student: DistilBertForSequenceClassification | DistilBertForMaskedLM,
    settings: StudentSettings,
) -> bool:
    """Copy the chosen layers if the settings ask for it; returns whether they do."""
    is_copied = settings.initial_weights == "copied"
    if is_copied:
        layer_map = settings.layer_map(teacher.config.num_hidden_layers)
        student.distilbert.load_state_dict(copied_encoder(teacher.bert.state_dict(), layer_map))
    return is_copied
