"""How long one sentence takes, measured as the paper did: one at a time, on the processor, in fp32."""

from __future__ import annotations

import statistics
import time

import numpy as np
import torch
from transformers import PreTrainedModel

from core.data.tokens import Tokens

WARM_UP = 5


@torch.inference_mode()
def milliseconds_per_sentence(
    models: dict[str, PreTrainedModel], data: Tokens, sentences: int = 120
) -> dict[str, float]:
    """Median milliseconds of one forward pass, by model, over the first sentences of `data`.

    The models take turns on each sentence, so that a machine that slows down slows all of them alike.
    """
    for model in models.values():
        model.cpu().eval()
    times: dict[str, list[float]] = {name: [] for name in models}
    for example in range(min(sentences, len(data))):
        batch = data.batch(np.array([example]), torch.device("cpu"))
        for name, model in models.items():
            begin = time.perf_counter()
            model(batch.input_ids, attention_mask=batch.attention_mask)
            times[name].append(1000 * (time.perf_counter() - begin))
    return {name: statistics.median(values[WARM_UP:] or values) for name, values in times.items()}
