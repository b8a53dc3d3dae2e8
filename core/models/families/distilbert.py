"""DistilBERT (Sanh et al. 2019): a BERT without token types and pooler, in module names of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.models.families.family import SHARE, Family, Linear, Norm, Numbers, Table
from core.models.word_pieces import WORD_PIECES

if TYPE_CHECKING:
    from torch import Tensor

ATTENTION = ("attention.q_lin", "attention.k_lin", "attention.v_lin")


def _head_rows(model: Any, hidden: Tensor) -> Tensor:
    return model.vocab_layer_norm(model.activation(model.vocab_transform(hidden)))


FAMILY = Family(
    name="distilbert",
    title="DistilBERT",
    prefix="distilbert",
    config_class="DistilBertConfig",
    classes={"labels": "DistilBertForSequenceClassification", "words": "DistilBertForMaskedLM"},
    word_classes=("DistilBertForMaskedLM",),
    sizes={
        "n_layers": ("layers", 1, 48),
        "dim": ("width", 2, 8192),
        "n_heads": ("heads", 1, 256),
        "hidden_dim": ("feed_forward", 1, 65_536),
        "vocab_size": ("vocabulary", 5, 2_000_000),
        "max_position_embeddings": ("positions", 8, 65_536),
    },
    ranges={"dropout": SHARE, "attention_dropout": SHARE, "seq_classif_dropout": SHARE},
    activation="activation",
    embeddings=(
        Table("embeddings.word_embeddings", "vocabulary", "width"),
        Table("embeddings.position_embeddings", "positions", "width"),
        Norm("embeddings.LayerNorm", "width"),
    ),
    layers="transformer.layer",
    layer=(
        *(Linear(name, "width", "width") for name in ATTENTION),
        Linear("attention.out_lin", "width", "width"),
        Norm("sa_layer_norm", "width"),
        Linear("ffn.lin1", "feed_forward", "width"),
        Linear("ffn.lin2", "width", "feed_forward"),
        Norm("output_layer_norm", "width"),
    ),
    attention=ATTENTION,
    heads={
        "labels": (Linear("pre_classifier", "width", "width"), Linear("classifier", "labels", "width")),
        "words": (
            Linear("vocab_transform", "width", "width"),
            Norm("vocab_layer_norm", "width"),
            Numbers("vocab_projector.bias", "vocabulary"),
        ),
    },
    label_rows="classifier",
    output_layer="vocab_projector",
    head_rows=_head_rows,
    tops=("pre_classifier.", "classifier.", "vocab_transform.", "vocab_layer_norm.", "vocab_projector.", "qa_outputs."),
    tied={"vocab_projector.weight": "distilbert.embeddings.word_embeddings.weight"},
    tokenizer=WORD_PIECES,
)
