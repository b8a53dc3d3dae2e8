"""Building the student: a DistilBERT made of some of the teacher's layers.

DistilBERT has no token-type embeddings and no pooler. The teacher adds token-type row 0 to every position of a single
text, so that row is folded into the student's positions: a student with every teacher layer then computes the
teacher's hidden states exactly, and having fewer layers is the only difference there is.
"""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
)

from core.config import StudentSettings

SAME_IN_BOTH = {
    "attention.self.query": "attention.q_lin",
    "attention.self.key": "attention.k_lin",
    "attention.self.value": "attention.v_lin",
    "attention.output.dense": "attention.out_lin",
    "attention.output.LayerNorm": "sa_layer_norm",
    "intermediate.dense": "ffn.lin1",
    "output.dense": "ffn.lin2",
    "output.LayerNorm": "output_layer_norm",
}
"""Module of a BERT layer to the module of a DistilBERT layer that does the same."""


def student_config(teacher: BertConfig, layers: int) -> DistilBertConfig:
    """The teacher's shape with `layers` layers, in DistilBERT's names."""
    return DistilBertConfig(
        vocab_size=teacher.vocab_size,
        max_position_embeddings=teacher.max_position_embeddings,
        n_layers=layers,
        n_heads=teacher.num_attention_heads,
        dim=teacher.hidden_size,
        hidden_dim=teacher.intermediate_size,
        dropout=teacher.hidden_dropout_prob,
        attention_dropout=teacher.attention_probs_dropout_prob,
        activation=teacher.hidden_act,
        initializer_range=teacher.initializer_range,
        pad_token_id=teacher.pad_token_id,
        id2label=teacher.id2label,
        label2id=teacher.label2id,
    )


def build_student(
    teacher: BertForSequenceClassification, settings: StudentSettings, seed: int
) -> DistilBertForSequenceClassification:
    """A student for the teacher's task: encoder copied from the chosen teacher layers or random, head random.

    Everything random follows from `seed`. The teacher is not changed and shares no memory with the student.
    """
    config = student_config(teacher.config, settings.layers)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        student = DistilBertForSequenceClassification(config)
    if settings.initial_weights == "copied":
        layer_map = settings.layer_map(teacher.config.num_hidden_layers)
        student.distilbert.load_state_dict(copied_encoder(teacher.bert.state_dict(), layer_map))
    return student


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
