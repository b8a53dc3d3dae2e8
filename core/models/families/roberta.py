"""RoBERTa (Liu et al. 2019): built as BERT is, with pieces of bytes, and positions counted from behind the padding's.

It is never told which text of a pair a word piece belongs to: two marks between them have to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.models.byte_level import BYTE_LEVEL
from core.models.families.bert import ATTENTION, EMBEDDINGS, LAYER, RANGES, SIZES
from core.models.families.family import Family, Linear, Norm, Numbers

if TYPE_CHECKING:
    from torch import Tensor


def _head_rows(model: Any, hidden: Tensor) -> Tensor:
    from torch.nn.functional import gelu

    return model.lm_head.layer_norm(gelu(model.lm_head.dense(hidden)))


FAMILY = Family(
    name="roberta",
    title="RoBERTa",
    prefix="roberta",
    config_class="RobertaConfig",
    classes={"labels": "RobertaForSequenceClassification", "words": "RobertaForMaskedLM"},
    word_classes=("RobertaForMaskedLM",),
    sizes=SIZES,
    ranges=RANGES,
    activation="hidden_act",
    embeddings=EMBEDDINGS,
    layers="encoder.layer",
    layer=LAYER,
    attention=ATTENTION,
    heads={
        "labels": (Linear("classifier.dense", "width", "width"), Linear("classifier.out_proj", "labels", "width")),
        "words": (
            Linear("lm_head.dense", "width", "width"),
            Norm("lm_head.layer_norm", "width"),
            Numbers("lm_head.bias", "vocabulary"),
        ),
    },
    label_rows="classifier.out_proj",
    output_layer="lm_head.decoder",
    head_rows=_head_rows,
    tops=("roberta.pooler.", "pooler.", "lm_head.", "classifier.", "qa_outputs."),
    tied={
        "lm_head.decoder.weight": "roberta.embeddings.word_embeddings.weight",
        "lm_head.decoder.bias": "lm_head.bias",
    },
    tokenizer=BYTE_LEVEL,
    padding=1,
    positions_follow_padding=True,
)
