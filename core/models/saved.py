"""Saving a model as a plain `from_pretrained` folder, and opening one again without trusting it."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils.logging import disable_progress_bar

from core.models.description import Description, load_tokenizer, read_description
from core.models.families.family import Head
from core.models.folder import CONFIG, ModelFolder, write_manifest
from core.models.layout import contents_of_ours, head_of
from core.models.weights import ModelError
from core.storage import sync

__all__ = ["ModelError", "load_model", "save_model"]

# Progress bars of single files tell nobody anything, and they would run through the server's log.
disable_progress_bar()


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


def load_model(folder: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A saved teacher or student in fp32 and evaluation mode on the CPU, and its tokenizer.

    Raises ModelError unless it is of a known family with a head for labels or words, and its weights are all there, all
    known, all finite and, if this program saved them, unchanged. Nothing is built before the sizes in config.json have
    been held against the weights; no random number is drawn.
    """
    opened = ModelFolder(folder)
    description = read_description(opened)
    head = head_of(description, opened.where(CONFIG))
    with opened.weights() as weights:
        contents = contents_of_ours(weights, description, head)
        tokenizer = load_tokenizer(opened, description)
        tensors, sha256 = weights.read(set(contents.stored.values()))
    opened.check_weights(sha256)
    named = {name: tensors[stored] for name, stored in contents.stored.items()}
    for second, first in description.family.tied.items():
        if second in named and not torch.equal(named.pop(second), named[first]):
            raise ModelError(f"{weights.label}: {second} is not {first}, as it should be.")
    return _built(description, head, named), tokenizer


def _built(description: Description, head: Head, tensors: dict[str, Tensor]) -> PreTrainedModel:
    """The model of these tensors, which it takes over. Built without memory first, so nothing is allocated twice."""
    family = description.family
    with torch.device("meta"):
        model = family.model_type(head)(family.config_type()(**description.values))
    model.load_state_dict(tensors, strict=False, assign=True)
    model.tie_weights()
    for name, counted in family.counted_anew(model).items():
        setattr(model.base_model.embeddings, name, counted)
    empty = [name for name, tensor in (*model.named_parameters(), *model.named_buffers()) if tensor.is_meta]
    assert not empty, empty
    return model.eval()
