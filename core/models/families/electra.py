"""ELECTRA (Clark et al. 2020): built as BERT is, with word rows that may be narrower than the layers.

It comes in two parts. The discriminator, which most people use, tells exchanged words from real ones and has no head
for words; the generator has one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.models.families.bert import ATTENTION, LAYER, RANGES, SIZES
from core.models.families.family import Family, Linear, Norm, Numbers, Table
from core.models.word_pieces import WORD_PIECES

if TYPE_CHECKING:
    from torch import Tensor


def _head_rows(model: Any, hidden: Tensor) -> Tensor:
    return model.generator_predictions(hidden)


FAMILY = Family(
    name="electra",
    title="ELECTRA",
    prefix="electra",
    config_class="ElectraConfig",
    classes={"labels": "ElectraForSequenceClassification", "words": "ElectraForMaskedLM"},
    word_classes=("ElectraForMaskedLM",),
    sizes=SIZES | {"embedding_size": ("embedding", 2, 8192)},
    ranges=RANGES,
    activation="hidden_act",
    embeddings=(
        Table("embeddings.word_embeddings", "vocabulary", "embedding"),
        Table("embeddings.position_embeddings", "positions", "embedding"),
        Table("embeddings.token_type_embeddings", "segments", "embedding"),
        Norm("embeddings.LayerNorm", "embedding"),
        Linear("embeddings_project", "width", "embedding", only_between_widths=True),
    ),
    layers="encoder.layer",
    layer=LAYER,
    attention=ATTENTION,
    heads={
        "labels": (Linear("classifier.dense", "width", "width"), Linear("classifier.out_proj", "labels", "width")),
        "words": (
            Linear("generator_predictions.dense", "embedding", "width"),
            Norm("generator_predictions.LayerNorm", "embedding"),
            Numbers("generator_lm_head.bias", "vocabulary"),
        ),
    },
    label_rows="classifier.out_proj",
    output_layer="generator_lm_head",
    head_rows=_head_rows,
    tops=("generator_predictions.", "generator_lm_head.", "discriminator_predictions.", "classifier.", "qa_outputs."),
    tied={"generator_lm_head.weight": "electra.embeddings.word_embeddings.weight"},
    tokenizer=WORD_PIECES,
    reads_segments=True,
    words_need_head="an ELECTRA without its generator's head tells exchanged words from real ones and guesses none",
)
