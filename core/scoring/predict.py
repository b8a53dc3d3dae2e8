"""A classifier's answers for many examples, and what they say about it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from core.data.tokens import Tokens, scoring_batches
from core.distill.device import Compute

BATCH = 64


@torch.inference_mode()
def predict(model: PreTrainedModel, data: Tokens, compute: Compute, before_batch: Callable[[], None]) -> NDArray:
    """Logits (N, C) in fp32, in the order of the data. The model is left in evaluation mode.

    `before_batch` is called before every batch and may raise to end early.
    """
    model.eval()
    logits = np.empty((len(data), model.config.num_labels), dtype=np.float32)
    for examples in scoring_batches(data.lengths, BATCH):
        before_batch()
        batch = data.batch(examples, compute.device)
        with compute.autocast():
            output = model(batch.input_ids, attention_mask=batch.attention_mask)
        logits[examples] = output.logits.float().cpu().numpy()
    return logits


def accuracy(logits: NDArray, labels: NDArray) -> float:
    """Share of the examples whose most probable label is the true one."""
    return float((logits.argmax(axis=1) == labels).mean())


def agreement(student_logits: NDArray, teacher_logits: NDArray) -> float:
    """Share of the examples for which both models give the same label, right or wrong."""
    return float((student_logits.argmax(axis=1) == teacher_logits.argmax(axis=1)).mean())


def probabilities(logits: NDArray) -> NDArray:
    """Softmax over the last axis, at temperature 1."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)
