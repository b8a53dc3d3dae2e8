"""Size and speed as the paper measured them: every pair of STS-B's development set, one at a time, on the processor.

The models take turns on each pair, so that a machine that slows down slows all of them alike.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedModel

from core.data.tokens import Tokens
from core.distill.device import Compute
from core.distill.job import versions
from core.distill.recorder import Recorder
from core.glue.entrants import Entrant
from core.glue.fine_tuning import new_learner
from core.glue.settings import GlueSettings
from core.glue.tasks import TIMED, read_task
from core.glue.timed import TIMING
from core.models.size import size_of
from core.persisted import write_kept
from core.scoring.predict import inputs_of

WARM_UP = 5
SAY_EVERY = 250


def time_models(settings: GlueSettings, entrants: Sequence[Entrant], job: Path, recorder: Recorder) -> None:
    """Measure every model and keep it as the job's timing.json; nothing is done if that is there already."""
    if (job / TIMING).exists():
        return
    compute = Compute(torch.device("cpu"), "fp32", torch.get_num_threads())
    texts = read_task(settings, TIMED)
    learners = {one.key: new_learner(one, (), settings.max_tokens, compute, seed=0) for one in entrants}
    models = {key: learner.model.eval() for key, learner in learners.items()}
    tokens = {key: learner.tokens(texts.dev) for key, learner in learners.items()}
    seconds = _seconds(models, tokens, recorder)
    same = {"pairs": len(texts.dev), "device": "cpu", "precision": "fp32", "threads": compute.threads}
    found = [
        {"model": one.key, "role": one.role, "title": one.title, "seconds": round(seconds[one.key], 2)}
        | size_of(models[one.key])
        | {"embedding_parameters": _in_embeddings(models[one.key])}
        | same
        for one in entrants
    ]
    write_kept(job / TIMING, {"models": found, "task": TIMED, "split": texts.split, "versions": versions()})


@torch.inference_mode()
def _seconds(models: dict[str, PreTrainedModel], tokens: dict[str, Tokens], recorder: Recorder) -> dict[str, float]:
    """Seconds of one pass over all examples, by model."""
    total = dict.fromkeys(models, 0.0)
    examples = len(next(iter(tokens.values())))
    # The first passes of a model allocate and are slower.
    for example in [*range(min(WARM_UP, examples)), *range(examples)]:
        recorder.check_stop()
        if example % SAY_EVERY == 0:
            recorder.preparing(f"Timing every model on {TIMED}: pair {example + 1:,} of {examples:,}.")
        for key, model in models.items():
            batch = tokens[key].batch(np.array([example]), torch.device("cpu"))
            inputs = inputs_of(model, batch)
            begin = time.perf_counter()
            model(**inputs)
            total[key] += time.perf_counter() - begin
    return total


def _in_embeddings(model: PreTrainedModel) -> int:
    return sum(values.numel() for values in model.base_model.get_submodule("embeddings").parameters())
