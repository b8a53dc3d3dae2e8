"""The training loop, the same for the teacher's fine-tuning and the student's distillation.

Randomness has no state: the order of the data follows from (seed, epoch), dropout from (seed, step). So the state of a
training is its weights, its optimiser and the number of steps done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from core.data.tokens import Batch, Tokens, batches_per_epoch, epoch_batches
from core.distill.checkpoint import Keeper
from core.distill.device import Compute
from core.distill.recorder import Recorder, Stage, StopRequested


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


def train(
    model: PreTrainedModel,
    data: Tokens,
    loss_terms: Callable[[Batch], dict[str, Tensor]],
    schedule: Schedule,
    compute: Compute,
    recorder: Recorder,
    observe: Callable[[int], None],
    stage: Stage = "student",
    keeper: Keeper | None = None,
) -> None:
    """Train in place until the schedule ends, or StopRequested comes between two steps.

    `loss_terms` gives the scalar "loss" and any terms to record; `observe(step)` is called before the first step,
    with 0, and after each. With a keeper the training begins where its newest checkpoint of this stage left off, and
    a stop leaves a checkpoint.
    """
    total, per_epoch = schedule.total_steps(len(data)), batches_per_epoch(len(data), schedule.batch_size)
    optimiser = _optimiser(model, schedule)
    done = keeper.restore(stage, model, optimiser) if keeper else 0
    order: list[NDArray[np.int64]] = []
    try:
        # After a restart this repeats what was observed at the checkpoint; the recorder has forgotten it.
        observe(done)
        for step in range(done + 1, total + 1):
            recorder.check_stop()
            epoch, place = divmod(step - 1, per_epoch)
            if place == 0 or not order:
                order = epoch_batches(data.lengths, schedule.batch_size, schedule.seed, epoch)
            learning_rate = schedule.learning_rate_at(step, total)
            batch = data.batch(order[place], compute.device)
            terms = _update(model, batch, loss_terms, schedule, compute, step, optimiser, learning_rate)
            done = step
            sentences = epoch * len(data) + sum(map(len, order[: place + 1]))
            recorder.step(step, terms, learning_rate, sentences)
            if keeper:
                keeper.save_if_due(stage, step, model, optimiser)
            observe(step)
    except StopRequested:
        if keeper and done:
            keeper.save(stage, done, model, optimiser)
        raise


def is_due(step: int, total: int, times: int) -> bool:
    """True at step 0 and at `times` steps evenly spread up to and including the last."""
    return step * times // total > (step - 1) * times // total


def _update(
    model: PreTrainedModel,
    batch: Batch,
    loss_terms: Callable[[Batch], dict[str, Tensor]],
    schedule: Schedule,
    compute: Compute,
    step: int,
    optimiser: torch.optim.Optimizer,
    learning_rate: float,
) -> dict[str, Tensor]:
    torch.manual_seed(_seed_of_step(schedule.seed, step))
    for group in optimiser.param_groups:
        group["lr"] = learning_rate
    model.train()
    with compute.autocast():
        terms = loss_terms(batch)
    terms["loss"].backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), schedule.gradient_clip)
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    return {name: term.detach() for name, term in terms.items()}


def _optimiser(model: PreTrainedModel, schedule: Schedule) -> torch.optim.AdamW:
    """AdamW as for the released DistilBERT: betas (0.9, 0.98), epsilon 1e-6."""
    return torch.optim.AdamW(
        model.parameters(),
        lr=schedule.learning_rate,
        betas=(0.9, 0.98),
        eps=1e-6,
        weight_decay=schedule.weight_decay,
        # One pass over the weights instead of many; other devices do not all have it.
        fused=model.device.type in ("cpu", "cuda"),
    )


def _seed_of_step(seed: int, step: int) -> int:
    return int(np.random.SeedSequence((seed, step)).generate_state(1)[0])
