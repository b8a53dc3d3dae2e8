"""Saving a classifier as a plain `from_pretrained` folder, and opening one again without trusting it."""

from __future__ import annotations

import json
import secrets
import shutil
import threading
from pathlib import Path

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import (
    BertForSequenceClassification,
    BertTokenizer,
    DistilBertForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils.logging import disable_progress_bar

from core.errors import DistilleryError

# Progress bars of single files tell nobody anything, and they would run through the server's log.
disable_progress_bar()

Classifier = BertForSequenceClassification | DistilBertForSequenceClassification
CLASSES = {"bert": BertForSequenceClassification, "distilbert": DistilBertForSequenceClassification}


_one_at_a_time = threading.Lock()
"""from_pretrained exchanges methods of its base class while it works; two at once can leave them exchanged for good."""


class ModelError(DistilleryError):
    """A model folder that cannot be opened; the message names the folder and the reason."""


def save_model(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write weights (safetensors), configuration and tokenizer; the folder appears complete or not at all."""
    building = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    try:
        model.save_pretrained(building)
        tokenizer.save_pretrained(building)
        if folder.exists():
            shutil.rmtree(folder)
        building.rename(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def load_classifier(folder: Path) -> tuple[Classifier, BertTokenizer]:
    """A saved teacher or student in evaluation mode on the CPU, and its tokenizer.

    Raises ModelError unless it is a BERT or DistilBERT whose weights are all there, all known and all finite.
    """
    try:
        kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
        if kind not in CLASSES:
            raise ModelError(f"{folder.name}/config.json names the model type {kind!r}; expected bert or distilbert.")
        # Without this file the tokenizer opens all the same, with no words in it.
        if not (folder / "tokenizer.json").is_file():
            raise ModelError(f"The model in {folder.name}/ has no tokenizer.json; it may have been deleted.")
        # Not memory-mapped: a file that is cut or overwritten later must not change, or crash, a loaded model.
        with _one_at_a_time:
            model, report = CLASSES[kind].from_pretrained(
                folder, use_safetensors=True, disable_mmap=True, output_loading_info=True, local_files_only=True
            )
        tokenizer = BertTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, AttributeError, RuntimeError, SafetensorError, StrictDataclassError) as error:
        raise ModelError(f"The model in {folder.name}/ cannot be opened: {error}") from error
    wrong = [*report["missing_keys"], *report["unexpected_keys"], *report["mismatched_keys"]]
    if wrong:
        raise ModelError(f"The weights in {folder.name}/ do not fit its config.json: {', '.join(map(str, wrong[:3]))}.")
    if not all(torch.isfinite(tensor).all() for tensor in model.state_dict().values()):
        raise ModelError(f"The weights in {folder.name}/ hold values that are not numbers.")
    return model.eval(), tokenizer
