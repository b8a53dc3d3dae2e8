"""The teacher's own stage: fine-tuned on the task once, kept on disk, and asked once about every training example.

With its dropout off a teacher's answers never change, so they are computed once and read from a memory-mapped file.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core.data.tokens import Batch, Tokens, scoring_batches
from core.distill.device import Compute
from core.distill.loop import Schedule, is_due, train
from core.distill.losses import hard_target_loss
from core.distill.recorder import Recorder
from core.distill.session import Session
from core.errors import DistilleryError
from core.models.saved import ModelError, load_classifier, save_model
from core.models.teacher import bundled_teacher
from core.scoring.predict import accuracy

SCORES = 3
HIDDEN = "train_hidden.npy"
LOGITS = "train_logits.npy"


@dataclass(frozen=True)
class TeacherOutputs:
    """The teacher's answers for every training example.

    logits (N, C) in fp32; hidden (word pieces, H) in fp16, one row a word piece, or None where nobody needs it.
    Rounding to fp16 moves a cosine by its square, about 1e-7.
    """

    logits: NDArray[np.float32]
    hidden: NDArray[np.float16] | None
    starts: NDArray[np.int64]

    def logits_of(self, batch: Batch) -> Tensor:
        """The teacher's logits for a batch, (B, C), on the batch's device."""
        return torch.from_numpy(self.logits[batch.examples]).to(batch.input_ids.device)

    def hidden_of(self, batch: Batch) -> Tensor:
        """The teacher's last hidden states at the batch's non-padding positions in row order, (words, H)."""
        assert self.hidden is not None
        rows = [self.hidden[self.starts[i] : self.starts[i + 1]] for i in batch.examples]
        return torch.from_numpy(np.concatenate(rows)).to(batch.input_ids.device)


def fine_tune(session: Session) -> PreTrainedModel:
    """The bundled teacher, trained on the task with plain cross-entropy."""
    chosen, task, compute = session.settings.teacher, session.task, session.compute
    model = bundled_teacher(task.label_names, chosen.seed).to(compute.device)
    schedule = Schedule(chosen.epochs, chosen.batch_size, chosen.learning_rate, warmup=0.05, seed=chosen.seed)
    total = schedule.total_steps(len(task.train))

    def loss_terms(batch: Batch) -> dict[str, Tensor]:
        logits = model(batch.input_ids, attention_mask=batch.attention_mask).logits
        return {"loss": hard_target_loss(logits, batch.labels)}

    def observe(step: int) -> None:
        if is_due(step, total, SCORES):
            logits = session.predict(model, task.validation)
            session.recorder.score(step, accuracy=accuracy(logits, task.validation.labels))

    session.recorder.stage("teacher", total)
    train(model, task.train, loss_terms, schedule, compute, session.recorder, observe, "teacher", session.keeper)
    return model


def load_or_make(
    folder: Path, tokenizer: PreTrainedTokenizerBase, make: Callable[[], PreTrainedModel]
) -> PreTrainedModel:
    """The teacher kept in `folder`, or a new one that is then kept there. Dropout off, no gradients.

    Raises ModelError, saying what to delete, if the one that is kept there is damaged.
    """
    if (folder / "config.json").exists():
        try:
            model, _ = load_classifier(folder)
        except ModelError as error:
            raise ModelError(f"{error} Delete {folder.parent}, and the next run trains the teacher anew.") from error
    else:
        model = make()
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        save_model(model, tokenizer, folder)
    return model.requires_grad_(False).eval()


def check_worth_teaching(teacher_accuracy: float, majority: float, examples: int) -> None:
    """Raise DistilleryError if the teacher is no better than always giving the most frequent answer."""
    standard_error = (majority * (1 - majority) / examples) ** 0.5
    if teacher_accuracy <= majority + standard_error:
        raise DistilleryError(
            f"The teacher is right in {teacher_accuracy:.1%} of the held-out sentences, no better than always giving "
            f"the most frequent answer ({majority:.1%}), so it has nothing to teach. "
            "Give the teacher more epochs, more data or another learning rate."
        )


def teacher_outputs(
    model: PreTrainedModel, data: Tokens, folder: Path, with_hidden: bool, compute: Compute, recorder: Recorder
) -> TeacherOutputs:
    """The teacher's answers for every example, from `folder` or computed once and kept there.

    Raises DistilleryError, before anything is written, if the disk has no room for them.
    """
    if not (folder / LOGITS).exists() or (with_hidden and not (folder / HIDDEN).exists()):
        _compute_outputs(model, data, folder, with_hidden, compute, recorder)
    hidden = np.load(folder / HIDDEN, mmap_mode="r") if with_hidden else None
    return TeacherOutputs(np.load(folder / LOGITS), hidden, data.starts)


@torch.inference_mode()
def _compute_outputs(
    model: PreTrainedModel, data: Tokens, folder: Path, with_hidden: bool, compute: Compute, recorder: Recorder
) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    width = model.config.hidden_size
    if with_hidden:
        _check_room(folder, len(data.ids) * width * 2)
        part = folder / f".{HIDDEN}"
        hidden = np.lib.format.open_memmap(part, mode="w+", dtype=np.float16, shape=(len(data.ids), width))
    logits = np.empty((len(data), model.config.num_labels), dtype=np.float32)
    model.eval()
    for examples in scoring_batches(data.lengths, 64):
        recorder.check_stop()
        batch = data.batch(examples, compute.device)
        with compute.autocast():
            output = model(batch.input_ids, attention_mask=batch.attention_mask, output_hidden_states=with_hidden)
        logits[examples] = output.logits.float().cpu().numpy()
        if with_hidden:
            words = output.hidden_states[-1][batch.attention_mask.bool()].half().cpu().numpy()
            ends = np.cumsum(data.lengths[examples])
            for example, rows in zip(examples, np.split(words, ends[:-1]), strict=True):
                hidden[data.starts[example] : data.starts[example + 1]] = rows
    if with_hidden:
        hidden.flush()
        part.rename(folder / HIDDEN)
    np.save(folder / f".{LOGITS}", logits)
    (folder / f".{LOGITS}").rename(folder / LOGITS)


def _check_room(folder: Path, needed_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed_bytes > 0.9 * free:
        raise DistilleryError(
            f"The teacher's hidden states need {needed_bytes / 1e9:.1f} GB in {folder.parent.parent.name}/, but only "
            f"{free / 1e9:.1f} GB are free. Make room, use fewer examples, or set the hidden cosine weight to 0."
        )
