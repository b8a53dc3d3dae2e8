"""One epoch of fine-tuning on a task: ours against a plain loop, on the same examples in one run, taking turns.

    python -m benchmarks.glue_epoch [--glue FOLDER] [--task TASK] [--examples N] [--rounds N]

The plain loop is what a course notebook does: random batches, every example padded to 128 word pieces, everything in
fp32, the loss read back at every step. Ours groups by length and pads to the longest of a batch. Same model (the
bundled teacher with a head for the task), same optimiser, batch 32. Without a folder: the bundled Rotten Tomatoes,
which are short. Goal: 3 times as fast.
"""

from __future__ import annotations

# Before torch: it sets how torch's threads wait, which matters wherever something else computes too.
import core  # noqa: F401

# isort: split
import argparse
import copy
import os
import tempfile
import time
from functools import partial
from statistics import median

import numpy as np
import torch
import torch.nn.functional as F
from transformers import PreTrainedModel

from benchmarks.labels_epoch import BATCH, CLIP
from core.data.tokens import Tokens
from core.distill.device import Compute, choose_compute
from core.distill.labels import fine_tuning_terms, label_lesson, label_tokens
from core.distill.loop import Schedule, train
from core.distill.silence import Silence
from core.glue.settings import GlueSettings, parse_glue
from core.glue.tasks import TaskTexts, read_task
from core.models.in_memory import on_device
from core.models.teacher import teacher_for_labels, teacher_tokenizer
from core.scoring.predict import inputs_of
from core.sections import TeacherSettings, TrainingSettings

LONGEST, RATE = 128, 5e-5


def main(glue: str, task: str, examples: int, rounds: int) -> None:
    """Print the table."""
    # As many threads as cores that may be used: threads that share one wait for each other at every product.
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    fast = choose_compute(TrainingSettings(threads=threads))
    computes = {f"ours, {kind}": Compute(fast.device, kind, fast.threads) for kind in sorted({"fp32", fast.precision})}
    torch.set_num_threads(fast.threads)
    with tempfile.TemporaryDirectory() as home:
        os.environ["DISTILLERY_HOME"] = home
        texts = _texts(glue, task).drawn(examples, seed=0)
        teacher = TeacherSettings()
        tokens = label_tokens(texts.train, teacher_tokenizer(teacher), LONGEST)
        model = on_device(teacher_for_labels(teacher, texts.label_names), fast.device)
        seconds: dict[str, list[float]] = {name: [] for name in (*computes, "plain")}
        for number in range(rounds):
            for name, compute in computes.items():
                seconds[name].append(_our_epoch(copy.deepcopy(model), tokens, compute, number))
            seconds["plain"].append(_plain_epoch(copy.deepcopy(model), tokens, fast.device, number))
    print(
        f"{texts.name}, {len(tokens)} examples of {tokens.lengths.mean():.1f} word pieces on average, {rounds} rounds, "
        f"{fast.device}, {fast.threads} threads, load {os.getloadavg()[0]:.1f}"
    )
    print("| epoch | seconds, median | times plain, median of rounds |\n|---|---|---|")
    for name, times in seconds.items():
        ratio = median(plain / own for plain, own in zip(seconds["plain"], times, strict=True))
        print(f"| {name} | {median(times):.1f} | {ratio:.2f} |")


def _texts(glue: str, task: str) -> TaskTexts:
    if not glue:
        return read_task(GlueSettings(tasks=("Rotten Tomatoes",)), "Rotten Tomatoes")
    return read_task(parse_glue({"path": glue, "tasks": [task]}), task)


def _our_epoch(model: PreTrainedModel, tokens: Tokens, compute: Compute, seed: int) -> float:
    schedule = Schedule(epochs=1, batch_size=BATCH, learning_rate=RATE, warmup=0.1, seed=seed)
    began = time.perf_counter()
    lesson = label_lesson(tokens, model, partial(fine_tuning_terms, model), compute.device)
    train(lesson, schedule, compute, Silence(), lambda step: None)
    return _since(began)


def _plain_epoch(model: PreTrainedModel, tokens: Tokens, device: torch.device, seed: int) -> float:
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.0)
    began = time.perf_counter()
    order = np.random.default_rng(seed).permutation(len(tokens))
    model.train()
    for start in range(0, len(order), BATCH):
        batch = tokens.batch(order[start : start + BATCH], device)
        short = LONGEST - batch.input_ids.shape[1]
        inputs = {name: F.pad(values, (0, short)) for name, values in inputs_of(model, batch).items()}
        logits = model(**inputs).logits
        is_score = batch.labels.is_floating_point()
        loss = F.mse_loss(logits[:, 0], batch.labels) if is_score else F.cross_entropy(logits, batch.labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimiser.step()
        optimiser.zero_grad()
        loss.item()
    return _since(began)


def _since(began: float) -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--glue", default="", metavar="FOLDER")
    parser.add_argument("--task", default="MRPC")
    parser.add_argument("--examples", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    main(**vars(parser.parse_args()))
