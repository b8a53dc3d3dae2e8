"""The training loop, the same for the teacher's fine-tuning and the student's distillation.

Randomness has no state: the order of the data follows from (seed, epoch), dropout from (seed, step).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from core.data.tokens import Batch, Tokens, batches_per_epoch, epoch_batches
from core.distill.device import Compute
from core.distill.recorder import Recorder


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


def train(
    model: PreTrainedModel,
    data: Tokens,
    loss_terms: Callable[[Batch], dict[str, Tensor]],
    schedule: Schedule,
    compute: Compute,
    recorder: Recorder,
    observe: Callable[[int], None],
) -> None:
    """Train in place until the schedule ends, or StopRequested comes between two steps.

    `loss_terms` gives the scalar "loss" and any terms to record; `observe(step)` is called before the first step,
    with 0, and after each.
    """
    total = schedule.total_steps(len(data))
    optimiser = _optimiser(model, schedule)
    learning_rate = torch.optim.lr_scheduler.LambdaLR(optimiser, _warm_up_then_fall(schedule.warmup, total))
    per_epoch = batches_per_epoch(len(data), schedule.batch_size)
    sentences = 0
    observe(0)
    for step in range(1, total + 1):
        recorder.check_stop()
        epoch, place = divmod(step - 1, per_epoch)
        if place == 0:
            order = epoch_batches(data.lengths, schedule.batch_size, schedule.seed, epoch)
        batch = data.batch(order[place], compute.device)
        terms = _update(model, batch, loss_terms, schedule, compute, step, optimiser)
        sentences += len(batch.examples)
        recorder.step(step, terms, learning_rate.get_last_lr()[0], sentences)
        learning_rate.step()
        observe(step)


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
) -> dict[str, Tensor]:
    torch.manual_seed(_seed_of_step(schedule.seed, step))
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
        fused=True,
    )


def _warm_up_then_fall(warmup: float, total: int) -> Callable[[int], float]:
    rising = max(1, round(warmup * total))

    def factor(done: int) -> float:
        if done < rising:
            return (done + 1) / rising
        return max(0.0, (total - done) / max(1, total - rising))

    return factor


def _seed_of_step(seed: int, step: int) -> int:
    return int(np.random.SeedSequence((seed, step)).generate_state(1)[0])
