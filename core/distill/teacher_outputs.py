"""What the teacher says about every training example, asked once and read from memory-mapped files ever after."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from core.data.tokens import Batch, Tokens, scoring_batches, to_device
from core.distill.device import Compute
from core.distill.recorder import Recorder
from core.errors import DistilleryError
from core.scoring.predict import BATCH, inputs_of

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
        return to_device(self.logits[batch.examples], batch.input_ids.device)

    def hidden_of(self, batch: Batch) -> Tensor:
        """The teacher's last hidden states at the batch's non-padding positions in row order, (words, H)."""
        assert self.hidden is not None
        rows = [self.hidden[self.starts[i] : self.starts[i + 1]] for i in batch.examples]
        return to_device(np.concatenate(rows), batch.input_ids.device)


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
    for examples in scoring_batches(data.lengths, BATCH):
        recorder.check_stop()
        batch = data.batch(examples, compute.device)
        with compute.autocast():
            output = model(**inputs_of(model, batch), output_hidden_states=with_hidden)
        logits[examples] = output.logits.float().cpu().numpy()
        if with_hidden:
            words = batch.hidden_at_places(output.hidden_states[-1]).half().cpu().numpy()
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
