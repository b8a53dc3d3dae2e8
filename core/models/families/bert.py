"""BERT, also as a bare encoder (Devlin et al. 2019). Its student is a DistilBERT (Sanh et al. 2019).

DistilBERT has no token-type embeddings and no pooler. The teacher adds token-type row 0 to every position of a single
text, so that row is folded into the student's positions: a student with every teacher layer then computes the
teacher's hidden states exactly, and having fewer layers is the only difference there is. (DistilBERT's LayerNorm adds
1e-12 to the variance, as nearly every BERT does; of a teacher that adds more the copy is only near.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from core.models.families.family import (
    SHARE,
    Family,
    Linear,
    Norm,
    Numbers,
    OtherStudent,
    Part,
    Sizes,
    Table,
)
from core.models.word_pieces import WORD_PIECES

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedConfig

SIZES = {
    "num_hidden_layers": ("layers", 1, 48),
    "hidden_size": ("width", 2, 8192),
    "num_attention_heads": ("heads", 1, 256),
    "intermediate_size": ("feed_forward", 1, 65_536),
    "vocab_size": ("vocabulary", 5, 2_000_000),
    "max_position_embeddings": ("positions", 8, 65_536),
    "type_vocab_size": ("segments", 1, 64),
}
RANGES = {
    "hidden_dropout_prob": SHARE,
    "attention_probs_dropout_prob": SHARE,
    "classifier_dropout": SHARE,
    "layer_norm_eps": (1e-15, 0.1),
}
EMBEDDINGS: tuple[Part, ...] = (
    Table("embeddings.word_embeddings", "vocabulary", "width"),
    Table("embeddings.position_embeddings", "positions", "width"),
    Table("embeddings.token_type_embeddings", "segments", "width"),
    Norm("embeddings.LayerNorm", "width"),
)
ATTENTION = ("attention.self.query", "attention.self.key", "attention.self.value")
LAYER: tuple[Part, ...] = (
    *(Linear(name, "width", "width") for name in ATTENTION),
    Linear("attention.output.dense", "width", "width"),
    Norm("attention.output.LayerNorm", "width"),
    Linear("intermediate.dense", "feed_forward", "width"),
    Linear("output.dense", "width", "feed_forward"),
    Norm("output.LayerNorm", "width"),
)
"""Shared with the families that are built as BERT is."""

IN_DISTILBERT = {
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

WORD_HEAD_IN_DISTILBERT = {"transform.dense": "vocab_transform", "transform.LayerNorm": "vocab_layer_norm"}


def student_config(teacher: Any, sizes: Sizes) -> PreTrainedConfig:
    """The sizes, and everything else as the teacher has it, in DistilBERT's names."""
    from transformers import DistilBertConfig

    return DistilBertConfig(
        vocab_size=teacher.vocab_size,
        max_position_embeddings=teacher.max_position_embeddings,
        n_layers=sizes["layers"],
        n_heads=sizes["heads"],
        dim=sizes["width"],
        hidden_dim=sizes["feed_forward"],
        dropout=teacher.hidden_dropout_prob,
        attention_dropout=teacher.attention_probs_dropout_prob,
        activation=teacher.hidden_act,
        initializer_range=teacher.initializer_range,
        pad_token_id=teacher.pad_token_id,
        id2label=teacher.id2label,
        label2id=teacher.label2id,
        problem_type=teacher.problem_type,
    )


def copied_encoder(teacher: dict[str, Tensor], layer_map: Sequence[int]) -> dict[str, Tensor]:
    """State of a DistilBertModel whose layers are those of a BertModel's state named in `layer_map`."""
    state = {
        "embeddings.word_embeddings.weight": teacher["embeddings.word_embeddings.weight"],
        "embeddings.position_embeddings.weight": teacher["embeddings.position_embeddings.weight"]
        + teacher["embeddings.token_type_embeddings.weight"][0],
        "embeddings.LayerNorm.weight": teacher["embeddings.LayerNorm.weight"],
        "embeddings.LayerNorm.bias": teacher["embeddings.LayerNorm.bias"],
    }
    for place, layer in enumerate(layer_map):
        for bert, distilbert in IN_DISTILBERT.items():
            for kind in ("weight", "bias"):
                source = teacher[f"encoder.layer.{layer}.{bert}.{kind}"]
                state[f"transformer.layer.{place}.{distilbert}.{kind}"] = source
    return state


def copy_word_head(teacher: Any, student: Any) -> None:
    """Copy a BertForMaskedLM's head into a DistilBertForMaskedLM."""
    import torch

    head = teacher.cls.predictions
    for bert, distilbert in WORD_HEAD_IN_DISTILBERT.items():
        student.get_submodule(distilbert).load_state_dict(head.get_submodule(bert).state_dict())
    with torch.no_grad():
        student.vocab_projector.bias.copy_(head.bias)


def _head_rows(model: Any, hidden: Tensor) -> Tensor:
    return model.cls.predictions.transform(hidden)


FAMILY = Family(
    name="bert",
    title="BERT",
    prefix="bert",
    config_class="BertConfig",
    classes={"labels": "BertForSequenceClassification", "words": "BertForMaskedLM"},
    word_classes=("BertForMaskedLM", "BertForPreTraining"),
    sizes=SIZES,
    ranges=RANGES,
    activation="hidden_act",
    embeddings=EMBEDDINGS,
    layers="encoder.layer",
    layer=LAYER,
    attention=ATTENTION,
    heads={
        "labels": (Linear("bert.pooler.dense", "width", "width"), Linear("classifier", "labels", "width")),
        "words": (
            Linear("cls.predictions.transform.dense", "width", "width"),
            Norm("cls.predictions.transform.LayerNorm", "width"),
            Numbers("cls.predictions.bias", "vocabulary"),
        ),
    },
    label_rows="classifier",
    output_layer="cls.predictions.decoder",
    head_rows=_head_rows,
    tops=("bert.pooler.", "cls.", "classifier.", "qa_outputs."),
    tied={
        "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
        "cls.predictions.decoder.bias": "cls.predictions.bias",
    },
    tokenizer=WORD_PIECES,
    pooler="bert.pooler.",
    reads_segments=True,
    student=OtherStudent("distilbert", student_config, copied_encoder, copy_word_head),
)
