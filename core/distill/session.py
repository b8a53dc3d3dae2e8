"""What every part of one job works with: its settings, its data, its device, and whom it reports to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core.config import Settings
from core.data.labelled import Part, load_labelled
from core.data.tokens import Tokens, tokenise
from core.distill.checkpoint import Keeper
from core.distill.device import Compute
from core.distill.recorder import Recorder
from core.models.teacher import bundled_tokenizer
from core.scoring.predict import predict


@dataclass(frozen=True)
class Task:
    """The data of one run, as word pieces. `probes` are the sentences being watched; their labels mean nothing."""

    label_names: tuple[str, ...]
    tokenizer: PreTrainedTokenizerBase
    train: Tokens
    validation: Tokens
    test: Tokens
    probes: Tokens


@dataclass(frozen=True)
class Session:
    """One job under way. Without a keeper it leaves no checkpoints."""

    settings: Settings
    task: Task
    compute: Compute
    recorder: Recorder
    keeper: Keeper | None = None

    def predict(self, model: PreTrainedModel, data: Tokens) -> NDArray:
        """Logits (N, C) of a model for some of the data; StopRequested may end it between two batches."""
        return predict(model, data, self.compute, self.recorder.check_stop)


def load_task(settings: Settings) -> Task:
    """Load, split and tokenise the data. Raises BundleError if a bundled file is missing or altered."""
    data = load_labelled(settings.data)
    tokenizer = bundled_tokenizer()
    longest = settings.data.max_tokens
    probes = Part(list(settings.probes), np.zeros(len(settings.probes), dtype=np.int64))
    parts = (tokenise(part, tokenizer, longest) for part in (data.train, data.validation, data.test, probes))
    return Task(data.label_names, tokenizer, *parts)
