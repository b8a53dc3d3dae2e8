"""One training step of masked-word distillation: ours against a plain implementation, on the same batches in one run.

    python -m benchmarks.masked_step                 both sizes, speed and memory; --help for more
    python -m benchmarks.masked_step --shape base     BERT-base shapes only

A step is: build the batch, forward, backward, clip, AdamW. Batches are 32 texts of 8 to 128 word pieces, models have
random weights and train with dropout; "in 2 parts" computes a batch in two halves of equal work. The steps take turns
on every batch; the table has medians, and ratios of times on the same batch. Goals on two cores: 2.5 times as fast in
fp32, 4 times in bf16, a third of the memory, and below 6 GB for one step of BERT-base shapes on 32 texts of 128. On a
GPU: 4 times. Memory is measured in a process for each.
"""

from __future__ import annotations

# Before torch: it sets how torch's threads wait, which matters wherever something else computes too.
import core  # noqa: F401

# isort: split
import argparse
import copy
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import BertConfig, BertForMaskedLM, DistilBertForMaskedLM
from transformers.utils import logging

from benchmarks.plain import CLIP, PlainStep, padded
from core.data.masking import Masker
from core.data.tokens import Tokens
from core.distill.masked_batch import MaskedBatch, masked_batches
from core.distill.word_terms import WordUpdate
from core.models.in_memory import on_device
from core.models.student import student_config
from core.sections import LossSettings, MaskingSettings, StudentSettings

BATCH = 32
VOCABULARY = 30_522
LOSS = LossSettings()
SPECIAL = [0, 100, 101, 102, 103]
MB = 1e6


@dataclass(frozen=True)
class Shape:
    """Sizes of a teacher, and the depth of its student."""

    title: str
    depth: int
    student_depth: int
    width: int

    def config(self) -> BertConfig:
        """The teacher's configuration."""
        return BertConfig(
            hidden_size=self.width,
            num_hidden_layers=self.depth,
            num_attention_heads=12,
            intermediate_size=4 * self.width,
            vocab_size=VOCABULARY,
        )

    def flops(self, words: int) -> float:
        """Multiplications and additions of one step in matrix products, attention's own left out, without padding."""
        layer, head = 12 * self.width**2, self.width**2 + VOCABULARY * self.width
        return 2.0 * words * (self.depth * layer + head + 3 * (self.student_depth * layer + head))


SHAPES = {
    "minilm": Shape("bundled teacher, 6 to 3 layers", 6, 3, 384),
    "base": Shape("BERT-base, 12 to 6 layers", 12, 6, 768),
}


@dataclass(frozen=True)
class Kind:
    """How ours computes a step: number format, and parts that a batch is cut into."""

    format: str
    parts: int = 1


KINDS = {
    "fp32": Kind("fp32"),
    "bf16": Kind("bf16"),
    "fp32 in 2 parts": Kind("fp32", 2),
    "bf16 in 2 parts": Kind("bf16", 2),
}
PLAIN = "plain"

Step = Callable[[Tokens, int], object]


def main() -> None:
    """Print a table of speed and one of memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, action="append")
    parser.add_argument("--pairs", type=int, default=5, help="batches that every step trains on")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--peak", type=float, help="peak matrix rate in TFLOP/s; measured if not given")
    parser.add_argument("--memory-of", choices=[PLAIN, *KINDS], help="internal: measure one step in this process")
    parser.add_argument("--longest", action="store_true", help="with --memory-of: 32 texts of 128 word pieces")
    chosen = parser.parse_args()
    logging.set_verbosity_error()
    device = torch.device(chosen.device)
    if chosen.memory_of:
        print(*measure_memory(SHAPES[chosen.shape[0]], chosen.memory_of, device, chosen.longest))
        return
    for name in chosen.shape or SHAPES:
        speed_table(SHAPES[name], device, chosen.pairs, chosen.peak)
        memory_table(name, device)


def speed_table(shape: Shape, device: torch.device, pairs: int, peak: float | None) -> None:
    """Check that all steps compute the same loss, then let them take turns and print medians."""
    teacher, student = make_models(shape, device)
    check_same_losses(teacher, student, device)
    steps = {kind: make_step(kind, copy.deepcopy(student), teacher, device) for kind in (PLAIN, *KINDS)}
    seconds: dict[str, list[float]] = {kind: [] for kind in steps}
    words = []
    for seed in range(pairs + 1):
        texts = make_texts(seed)
        words.append(len(texts.ids))
        for kind in steps:
            seconds[kind].append(timed(steps[kind], texts, seed, device))
    print(f"\n{shape.title}; {BATCH} texts of 8 to 128 word pieces; {device}; load {os.getloadavg()[0]:.1f}")
    print("| step | word pieces/s | ms | times plain (range) | TFLOP/s | of peak |")
    print("|---|---|---|---|---|---|")
    for kind in steps:
        # The first round warms up.
        times, pieces = seconds[kind][1:], words[1:]
        ratios = sorted(plain / own for plain, own in zip(seconds[PLAIN][1:], times, strict=True))
        rate = median(shape.flops(n) / t for n, t in zip(pieces, times, strict=True)) / 1e12
        top = peak or peak_rate(torch.bfloat16 if kind.startswith("bf16") else torch.float32, device)
        print(
            f"| {kind} | {median(n / t for n, t in zip(pieces, times, strict=True)):,.0f} | {1000 * median(times):.0f} "
            f"| {median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}) | {rate:.3f} | {rate / top:.0%} |",
            flush=True,
        )


def memory_table(name: str, device: torch.device) -> None:
    """Peak memory of two steps, each kind in a process of its own."""
    print("\n| peak memory, MB | whole process | above the loaded models | share of plain's |")
    print("|---|---|---|---|")
    plain = 0.0
    for kind in (PLAIN, *KINDS):
        whole, growth = _memory_in_a_process(name, kind, device)
        plain = plain or growth
        print(f"| {kind} | {whole / MB:,.0f} | {growth / MB:,.0f} | {growth / plain:.2f} |", flush=True)
    for kind in KINDS:
        whole, _ = _memory_in_a_process(name, kind, device, "--longest")
        print(f"| {kind}, {BATCH} texts of 128 | {whole / MB:,.0f} | | |", flush=True)


def measure_memory(shape: Shape, kind: str, device: torch.device, longest: bool) -> tuple[float, float]:
    """Bytes at the peak of two steps, the optimiser's state included: of the process, and above the loaded models."""
    teacher, student = make_models(shape, device)
    step = make_step(kind, student, teacher, device)
    texts = make_texts(0, shortest=128 if longest else 8)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = float(torch.cuda.memory_allocated())
    else:
        Path("/proc/self/clear_refs").write_text("5")
        before = _status_bytes("VmRSS")
    for seed in range(2):
        step(texts, seed)
    whole = float(torch.cuda.max_memory_allocated()) if device.type == "cuda" else _status_bytes("VmHWM")
    return whole, whole - before


def make_models(shape: Shape, device: torch.device) -> tuple[BertForMaskedLM, DistilBertForMaskedLM]:
    """Teacher and student with random weights, always the same."""
    torch.manual_seed(0)
    teacher = BertForMaskedLM(shape.config())
    config: Any = student_config(shape.config(), StudentSettings(layers=shape.student_depth))
    student = DistilBertForMaskedLM(config)
    return on_device(teacher.requires_grad_(False).eval(), device), on_device(student, device)


def make_texts(seed: int, shortest: int = 8, longest: int = 128) -> Tokens:
    """Random word pieces in texts of random length, each with its [CLS] and [SEP]."""
    random = np.random.default_rng(seed)
    starts = np.concatenate([[0], np.cumsum(random.integers(shortest, longest + 1, BATCH))])
    ids = random.integers(1000, VOCABULARY, starts[-1]).astype(np.int32)
    ids[starts[:-1]], ids[starts[1:] - 1] = 101, 102
    return Tokens(ids, starts, np.zeros(BATCH, dtype=np.int64), padding_id=0)


def make_masker() -> Masker:
    """A masker that takes all word pieces for equally frequent."""
    one_each = np.ones(VOCABULARY, dtype=np.int64)
    return Masker(one_each, SPECIAL, np.zeros(VOCABULARY, dtype=bool), mask_id=103, settings=MaskingSettings())


def make_step(kind: str, student: DistilBertForMaskedLM, teacher: BertForMaskedLM, device: torch.device) -> Step:
    """A function of texts and a seed that updates the student once."""
    masker = make_masker()
    if kind == PLAIN:
        plain = PlainStep(student, teacher, LOSS)
        return lambda texts, seed: plain(*plain_batch(texts, masker, seed, device))
    optimiser = torch.optim.AdamW(
        student.parameters(), lr=5e-4, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.0, fused=True
    )

    chosen, update = KINDS[kind], our_update(student, teacher)

    def step(texts: Tokens, seed: int) -> Tensor:
        student.train()
        for batch in our_batches(texts, masker, seed, chosen.parts, device):
            with precision(chosen.format, device):
                terms = update(batch)
            terms["loss"].backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), CLIP)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        return terms["loss"]

    return step


def our_update(student: DistilBertForMaskedLM, teacher: BertForMaskedLM) -> WordUpdate:
    """Both models and the terms; no layer but the last is compared."""
    return WordUpdate(student, {}, teacher, LOSS, tuple(range(student.config.num_hidden_layers)))


def our_batches(texts: Tokens, masker: Masker, seed: int, parts: int, device: torch.device) -> list[MaskedBatch]:
    """All texts, some words hidden."""
    random = np.random.default_rng(seed)
    return masked_batches(texts, np.arange(len(texts)), masker, LOSS, random, parts, device)


def plain_batch(texts: Tokens, masker: Masker, seed: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """The same texts with the same words hidden, padded."""
    drawn = masker.draw(texts.ids, np.random.default_rng(seed))
    targets = np.full(len(texts.ids), -1)
    targets[drawn.places] = drawn.originals
    return padded(drawn.pieces, targets, texts.lengths, device)


def precision(format: str, device: torch.device) -> AbstractContextManager[object]:
    """What our steps compute in."""
    return torch.autocast(device.type, dtype=torch.bfloat16) if format == "bf16" else nullcontext()


def check_same_losses(teacher: BertForMaskedLM, student: DistilBertForMaskedLM, device: torch.device) -> None:
    """Stop unless both steps find the same terms in fp32 without dropout, to 1e-4 of their size."""
    texts, masker = make_texts(0), make_masker()
    student.eval()
    with torch.no_grad():
        (batch,) = our_batches(texts, masker, 0, 1, device)
        ours = our_update(student, teacher)(batch)
        plain = PlainStep(student, teacher, LOSS).terms(*plain_batch(texts, masker, 0, device))
    for name, value in plain.items():
        if not torch.isclose(ours[name], value, rtol=1e-4, atol=0):
            raise SystemExit(f"{name}: ours is {ours[name].item()}, the plain step's {value.item()}")


def timed(step: Step, texts: Tokens, seed: int, device: torch.device) -> float:
    """Seconds of one step."""
    _wait_for(device)
    began = time.perf_counter()
    step(texts, seed)
    _wait_for(device)
    return time.perf_counter() - began


def peak_rate(dtype: torch.dtype, device: torch.device) -> float:
    """TFLOP/s of a large matrix product, best of a few."""
    size = 8192 if device.type == "cuda" else 2048
    a = torch.randn(size, size, device=device, dtype=dtype)
    rates = []
    for _ in range(6):
        _wait_for(device)
        began = time.perf_counter()
        a @ a
        _wait_for(device)
        rates.append(2 * size**3 / (time.perf_counter() - began) / 1e12)
    return max(rates)


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def _memory_in_a_process(name: str, kind: str, device: torch.device, *options: str) -> tuple[float, float]:
    command = [sys.executable, "-m", "benchmarks.masked_step", "--shape", name, "--device", str(device)]
    output = subprocess.run([*command, "--memory-of", kind, *options], capture_output=True, text=True, check=True)
    whole, growth = map(float, output.stdout.split()[-2:])
    return whole, growth


def _status_bytes(field: str) -> float:
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field + ":"))
    return 1024.0 * int(line.split()[1])


if __name__ == "__main__":
    main()
