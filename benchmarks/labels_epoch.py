"""One epoch of distilling labels: ours against a plain loop, on the same sentences in one run, taking turns.

    python -m benchmarks.labels_epoch [EXAMPLES] [ROUNDS]

The plain loop reads random batches padded to their longest, asks the teacher at every step and computes in fp32. Ours
groups by length, has asked the teacher once and reads its answers from disk; what asking once costs is a row of its
own, paid in the first run only. Bundled teacher of 6 layers, student of 3, Rotten Tomatoes sentences, batch 32, weights
5/2/1. Goal: 4 times as fast in bf16.
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
from pathlib import Path
from statistics import median

import numpy as np
import torch
import torch.nn.functional as F
from transformers import PreTrainedModel

from core.config import Settings
from core.data.labelled import load_labelled
from core.data.tokens import Tokens, tokenise
from core.distill.device import Compute
from core.distill.labels import Labels
from core.distill.loop import Lesson, Schedule, train
from core.distill.session import Session
from core.distill.silence import Silence
from core.models.in_memory import on_device
from core.models.saved import save_model
from core.settings_file import override

BATCH, CLIP = 32, 5.0


def main(examples: int, rounds: int) -> None:
    """Print the table."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    threads = os.cpu_count() or 1
    settings = override(Settings(), [f"data.max_examples={round(examples / 0.8)}"])
    computes = {kind: Compute(device, kind, threads) for kind in ("fp32", "bf16")}
    with tempfile.TemporaryDirectory() as home:
        os.environ["DISTILLERY_HOME"] = home
        objectives = {kind: Labels(Session(settings, compute, Silence())) for kind, compute in computes.items()}
        teacher = on_device(objectives["fp32"].new_teacher(), device).requires_grad_(False).eval()
        student = on_device(objectives["fp32"].new_student(teacher), device)
        tokens = tokenise(load_labelled(settings.data).train, objectives["fp32"].tokenizer, settings.data.max_tokens)
        seconds: dict[str, list[float]] = {}
        for number in range(rounds):
            for kind, compute in computes.items():
                kept = Path(home) / f"{kind}-{number}"
                own = copy.deepcopy(student)
                # What it says is kept by the hash of its weights.
                save_model(teacher, objectives[kind].tokenizer, kept / "model")
                began = time.perf_counter()
                lesson = objectives[kind].student_lesson(own, {}, teacher, kept)
                _note(seconds, f"asking the teacher once, {kind}", began)
                began = time.perf_counter()
                _our_epoch(lesson, compute)
                _note(seconds, f"ours, {kind}", began)
            own = copy.deepcopy(student)
            began = time.perf_counter()
            _plain_epoch(own, teacher, tokens, device, number)
            _note(seconds, "plain", began)
    print(f"{len(tokens)} sentences, {rounds} rounds, {device}, load {os.getloadavg()[0]:.1f}")
    print("| epoch | seconds, median | times plain, median of rounds |\n|---|---|---|")
    for name, times in sorted(seconds.items()):
        ratio = median(plain / own for plain, own in zip(seconds["plain"], times, strict=True))
        print(f"| {name} | {median(times):.1f} | {ratio:.2f} |")


def _note(seconds: dict[str, list[float]], name: str, began: float) -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    seconds.setdefault(name, []).append(time.perf_counter() - began)


def _our_epoch(lesson: Lesson, compute: Compute) -> None:
    schedule = Schedule(epochs=1, batch_size=BATCH, learning_rate=1e-4, warmup=0.05, seed=0)
    train(lesson, schedule, compute, Silence(), lambda step: None)


def _plain_epoch(
    student: PreTrainedModel, teacher: PreTrainedModel, tokens: Tokens, device: torch.device, seed: int
) -> None:
    optimiser = torch.optim.AdamW(student.parameters(), lr=1e-4, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.0)
    order = np.random.default_rng(seed).permutation(len(tokens))
    student.train()
    for start in range(0, len(order), BATCH):
        batch = tokens.batch(order[start : start + BATCH], device)
        inputs = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask, "output_hidden_states": True}
        own = student(**inputs)
        with torch.no_grad():
            theirs = teacher(**inputs)
        soft = F.kl_div(
            F.log_softmax(own.logits / 2, dim=-1), F.softmax(theirs.logits / 2, dim=-1), reduction="batchmean"
        )
        is_piece = batch.attention_mask.bool()
        hidden, goal = own.hidden_states[-1][is_piece], theirs.hidden_states[-1][is_piece]
        cosine = (1 - F.cosine_similarity(hidden, goal, dim=-1)).mean()
        loss = 5 * 4 * soft + 2 * F.cross_entropy(own.logits, batch.labels) + cosine
        loss.backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), CLIP)
        optimiser.step()
        optimiser.zero_grad()
        loss.item()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("examples", type=int, nargs="?", default=1024)
    parser.add_argument("rounds", type=int, nargs="?", default=3)
    main(**vars(parser.parse_args()))
