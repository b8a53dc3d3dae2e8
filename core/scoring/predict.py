"""A sequence model's answers for many examples, and what they say about it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from core.data.tokens import Batch, Tokens, scoring_batches
from core.distill.device import Compute
from core.errors import DistilleryError
from core.models.families import family_of
from core.models.in_memory import label_names

BATCH = 64


NOT_NUMBERS = (
    "The model's answers are not numbers any more, so it cannot be scored. Choose a smaller learning rate, or "
    "precision fp32, and start again."
)


@torch.inference_mode()
def predict(model: PreTrainedModel, data: Tokens, compute: Compute, before_batch: Callable[[], None]) -> NDArray:
    """Logits (N, C) in fp32, in the order of the data. The model is left in evaluation mode.

    `before_batch` is called before every batch and may raise to end early. Raises DistilleryError if an answer is not
    a number: the most probable of such answers would be a label like any other.
    """
    model.eval()
    logits = np.empty((len(data), len(label_names(model))), dtype=np.float32)
    for examples in scoring_batches(data.lengths, BATCH):
        before_batch()
        batch = data.batch(examples, compute.device)
        with compute.autocast():
            output = model(**inputs_of(model, batch))
        logits[examples] = output.logits.float().cpu().numpy()
    if not np.isfinite(logits).all():
        raise DistilleryError(NOT_NUMBERS)
    return logits


def work_of(data: Tokens) -> list[float]:
    """The word pieces of each batch that `predict` computes, in its order."""
    return [float(data.lengths[examples].sum()) for examples in scoring_batches(data.lengths, BATCH)]


def inputs_of(model: PreTrainedModel, batch: Batch) -> dict[str, Tensor]:
    """What a model reads of a batch: token types, which tell the texts of a pair apart, only where it knows them."""
    inputs = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
    if batch.token_type_ids is not None and family_of(model).tells_segments_apart(model):
        inputs["token_type_ids"] = batch.token_type_ids
    return inputs


def accuracy(logits: NDArray, labels: NDArray) -> float:
    """Share of the examples whose most probable label is the true one."""
    return float((logits.argmax(axis=1) == labels).mean())


def agreement(student_logits: NDArray, teacher_logits: NDArray) -> float:
    """Share of the examples for which both models give the same label, right or wrong."""
    return float((student_logits.argmax(axis=1) == teacher_logits.argmax(axis=1)).mean())


def correlation(scores: NDArray, others: NDArray) -> float | None:
    """Mean of Pearson's and Spearman's correlation, as GLUE scores STS-B; None, undefined, if a side is constant."""
    if np.ptp(scores) == 0 or np.ptp(others) == 0:
        return None
    # A second of the processor's time, which a run that sorts texts can do without.
    from scipy.stats import pearsonr, spearmanr

    return float((pearsonr(scores, others).statistic + spearmanr(scores, others).statistic) / 2)
