"""The bundled teacher: MiniLM, a BERT of 6 layers, from checked bytes, with a fresh head for the task."""

from __future__ import annotations

import json

import safetensors.torch
import torch
from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

from core.data.bundle import MINILM_CONFIG, MINILM_VOCABULARY, MINILM_WEIGHTS
from core.errors import DistilleryError


def bundled_config(label_names: tuple[str, ...]) -> BertConfig:
    """The bundled teacher's architecture, with one output for each label. Raises BundleError."""
    names = dict(enumerate(label_names))
    return BertConfig(
        **json.loads(MINILM_CONFIG.read()), id2label=names, label2id={name: i for i, name in names.items()}
    )


def bundled_tokenizer() -> BertTokenizer:
    """The bundled teacher's tokenizer (the vocabulary of bert-base-uncased). Raises BundleError."""
    pieces = MINILM_VOCABULARY.read().decode().splitlines()
    return BertTokenizer(vocab={piece: i for i, piece in enumerate(pieces)}, do_lower_case=True, model_max_length=512)


def bundled_teacher(label_names: tuple[str, ...], seed: int) -> BertForSequenceClassification:
    """The bundled teacher before fine-tuning; its classification head is random and follows from `seed`.

    Raises BundleError if a file is missing or altered.
    """
    weights = safetensors.torch.load(MINILM_WEIGHTS.read())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = BertForSequenceClassification(bundled_config(label_names))
    # Older checkpoints store the positions 0, 1, 2, …, which the model makes itself.
    weights.pop("embeddings.position_ids", None)
    found = model.load_state_dict({f"bert.{name}": tensor for name, tensor in weights.items()}, strict=False)
    if found.unexpected_keys or set(found.missing_keys) != {"classifier.weight", "classifier.bias"}:
        raise DistilleryError(
            f"The bundled teacher's weights do not fit its configuration: missing {found.missing_keys}, "
            f"unexpected {found.unexpected_keys}."
        )
    return model
