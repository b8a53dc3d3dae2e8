"""Saving a model as a plain `from_pretrained` folder, and opening one again without trusting it."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path

import torch
from torch import Tensor
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    BertTokenizer,
    DistilBertConfig,
    DistilBertForMaskedLM,
    DistilBertForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils.logging import disable_progress_bar

from core.models.description import Description, read_description
from core.models.folder import CONFIG, ModelFolder, write_manifest
from core.models.layout import TIED, contents_of_ours, head_of
from core.models.shape import Head
from core.models.tokenizer import load_tokenizer
from core.models.weights import ModelError
from core.storage import sync

__all__ = ["Model", "ModelError", "load_model", "save_model"]

# Progress bars of single files tell nobody anything, and they would run through the server's log.
disable_progress_bar()

Model = BertForSequenceClassification | BertForMaskedLM | DistilBertForSequenceClassification | DistilBertForMaskedLM

CONFIGS = {"bert": BertConfig, "distilbert": DistilBertConfig}
CLASSES = {
    ("bert", "labels"): BertForSequenceClassification,
    ("bert", "words"): BertForMaskedLM,
    ("distilbert", "labels"): DistilBertForSequenceClassification,
    ("distilbert", "words"): DistilBertForMaskedLM,
}


def save_model(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write weights (safetensors), configuration, tokenizer and the SHA-256 of each.

    The folder appears complete or not at all.
    """
    for leftover in folder.parent.glob(f".{folder.name}.*"):
        shutil.rmtree(leftover)  # of a process that was killed while it saved
    building = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    try:
        model.save_pretrained(building)
        tokenizer.save_pretrained(building)
        write_manifest(building)
        # A run's checkpoints are deleted soon after: by then its student must be on the disk, not on its way there.
        for path in (*building.iterdir(), building):
            sync(path)
        if folder.exists():
            shutil.rmtree(folder)
        building.rename(folder)
        sync(folder.parent)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def load_model(folder: Path) -> tuple[Model, BertTokenizer]:
    """A saved teacher or student in fp32 and evaluation mode on the CPU, and its tokenizer.

    Raises ModelError unless it is a BERT or DistilBERT with a head for labels or words whose weights are all there,
    all known, all finite and, if this program saved them, unchanged. Nothing is built before the sizes in config.json
    have been held against the weights; no random number is drawn.
    """
    opened = ModelFolder(folder)
    description = read_description(opened, ("bert", "distilbert"))
    head = head_of(description, opened.where(CONFIG))
    with opened.weights() as weights:
        contents = contents_of_ours(weights, description, head)
        sizes = description.sizes
        tokenizer = load_tokenizer(opened, sizes["vocabulary"], sizes["positions"])
        tensors, sha256 = weights.read(set(contents.stored.values()))
    opened.check_weights(sha256)
    named = {name: tensors[stored] for name, stored in contents.stored.items()}
    for second, first in TIED.items():
        if second in named and not torch.equal(named.pop(second), named[first]):
            raise ModelError(f"{weights.label}: {second} is not {first}, as it should be.")
    return _built(description, head, named), tokenizer


def _built(description: Description, head: Head, tensors: dict[str, Tensor]) -> Model:
    """The model of these tensors, which it takes over. Built without memory first, so nothing is allocated twice."""
    with torch.device("meta"):
        model = CLASSES[description.family, head](CONFIGS[description.family](**description.values))
    model.load_state_dict(tensors, strict=False, assign=True)
    model.tie_weights()
    embeddings = model.base_model.embeddings
    embeddings.position_ids = torch.arange(model.config.max_position_embeddings).expand((1, -1))
    if description.family == "bert":
        embeddings.token_type_ids = torch.zeros_like(embeddings.position_ids)
    empty = [name for name, tensor in (*model.named_parameters(), *model.named_buffers()) if tensor.is_meta]
    assert not empty, empty
    return model.eval()
