"""The training loop, the same for the teacher's stage and the student's, for labels and for masked words.

Randomness has no state: the order of the data follows from (seed, epoch), masks and dropout from (seed, step). So the
state of a training is its weights, its optimiser, its loss scale and the number of steps done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.data.tokens import batches_per_epoch, epoch_batches
from core.distill.checkpoint import Keeper, Progress
from core.distill.device import Compute
from core.distill.recorder import Recorder, Stage
from core.jobs.reporter import StopRequested


@dataclass(frozen=True)
class Schedule:
    """How long and how hard to train."""

    epochs: int
    batch_size: int
    learning_rate: float
    warmup: float
    seed: int
    weight_decay: float = 0.0
    gradient_clip: float = 5.0

    def total_steps(self, examples: int) -> int:
        """Optimiser updates in all."""
        return self.epochs * batches_per_epoch(examples, self.batch_size)

    def learning_rate_at(self, step: int, total: int) -> float:
        """Learning rate of one update, counted from 1: a linear rise in the warm-up, then a linear fall towards 0."""
        rising = max(1, round(self.warmup * total))
        done = step - 1
        if done < rising:
            return self.learning_rate * (done + 1) / rising
        return self.learning_rate * max(0.0, (total - done) / max(1, total - rising))


@dataclass(frozen=True)
class Lesson:
    """What is trained, and on what.

    `lengths` are the word pieces of each example. `batches(examples, random)` cuts the examples of one update into the
    parts that are computed one after the other. `terms(batch)` gives the scalar "loss" and any terms to record: sums
    over the part divided by what the whole update holds, so that they add up to the update's means.
    """

    learner: nn.Module
    lengths: NDArray[np.int64]
    batches: Callable[[NDArray[np.int64], np.random.Generator], list[Any]]
    terms: Callable[[Any], dict[str, Tensor]]


def train(
    lesson: Lesson,
    schedule: Schedule,
    compute: Compute,
    recorder: Recorder,
    observe: Callable[[int], None],
    stage: Stage = "student",
    keeper: Keeper | None = None,
) -> None:
    """Train in place until the schedule ends, or StopRequested comes between two steps.

    `observe(step)` is called before the first step, with 0, and after each. With a keeper the training begins where its
    newest checkpoint of this stage left off, and a stop leaves a checkpoint.
    """
    examples = len(lesson.lengths)
    total, per_epoch = schedule.total_steps(examples), batches_per_epoch(examples, schedule.batch_size)
    progress = Progress(stage, lesson.learner, _optimiser(lesson.learner, schedule), compute.scaler())
    done = keeper.restore(progress) if keeper else 0
    order: list[NDArray[np.int64]] = []
    try:
        # After a restart this repeats what was observed at the checkpoint; the recorder has forgotten it.
        observe(done)
        for step in range(done + 1, total + 1):
            recorder.check_stop()
            epoch, place = divmod(step - 1, per_epoch)
            if place == 0 or not order:
                order = epoch_batches(lesson.lengths, schedule.batch_size, schedule.seed, epoch)
            learning_rate = schedule.learning_rate_at(step, total)
            terms = _update(lesson, progress, order[place], schedule, compute, step, learning_rate)
            done = step
            sentences = epoch * examples + sum(map(len, order[: place + 1]))
            recorder.step(step, terms, learning_rate, sentences)
            if keeper:
                keeper.save_if_due(progress, step)
            observe(step)
    except StopRequested:
        if keeper and done:
            keeper.save(progress, done)
        raise


def is_due(step: int, total: int, times: int) -> bool:
    """True at step 0 and at `times` steps evenly spread up to and including the last."""
    return step * times // total > (step - 1) * times // total


def _update(
    lesson: Lesson,
    progress: Progress,
    examples: NDArray[np.int64],
    schedule: Schedule,
    compute: Compute,
    step: int,
    learning_rate: float,
) -> dict[str, Tensor]:
    """One update of the optimiser; returns its terms, still on the device."""
    seeds = np.random.SeedSequence((schedule.seed, step))
    torch.manual_seed(int(seeds.generate_state(1)[0]))
    lesson.learner.train()
    terms: dict[str, Tensor] = {}
    for batch in lesson.batches(examples, np.random.default_rng(seeds)):
        with compute.autocast():
            part = lesson.terms(batch)
        progress.scaler.scale(part["loss"]).backward()
        for name, term in part.items():
            terms[name] = terms[name] + term.detach() if name in terms else term.detach()
    _apply(progress, schedule.gradient_clip, learning_rate)
    return terms


def _apply(progress: Progress, gradient_clip: float, learning_rate: float) -> None:
    optimiser, scaler = progress.optimiser, progress.scaler
    for group in optimiser.param_groups:
        group["lr"] = learning_rate
    scaler.unscale_(optimiser)
    torch.nn.utils.clip_grad_norm_(progress.learner.parameters(), gradient_clip)
    scaler.step(optimiser)
    scaler.update()
    optimiser.zero_grad(set_to_none=True)


def _optimiser(learner: nn.Module, schedule: Schedule) -> torch.optim.AdamW:
    """AdamW as for the released DistilBERT: betas (0.9, 0.98), epsilon 1e-6."""
    parameters = list(learner.parameters())
    return torch.optim.AdamW(
        parameters,
        lr=schedule.learning_rate,
        betas=(0.9, 0.98),
        eps=1e-6,
        weight_decay=schedule.weight_decay,
        # One pass over the weights instead of many; other devices do not all have it.
        fused=parameters[0].device.type in ("cpu", "cuda"),
    )
