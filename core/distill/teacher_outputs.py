"""What the teacher says about every training example: asked once, and kept for every run that asks the same.

Kept answers are whole or not there, and hashed: a flipped byte would be learned without a word. They are named by all
that they follow from, so that nobody gets those of another teacher, another precision or another device. Hidden states
can be many gigabytes; they stay on the disk and are read batch by batch.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from core.data.tokens import Batch, Tokens, scoring_batches, to_device
from core.distill.device import Compute
from core.distill.recorder import Recorder
from core.distill.waiting import Waiting
from core.errors import DistilleryError
from core.kept_arrays import NewRows, OpenRows, read_array, write_array
from core.scoring.predict import BATCH, inputs_of, work_of
from core.storage import sync
from core.whole_folder import damage, hashes_of, remove, sweep, whole_folder

ANSWERS = "answers"
HIDDEN, LOGITS, FACTS = "hidden.npy", "logits.npy", "answers.json"
BEFORE = ("train_hidden.npy", "train_logits.npy")
"""What an older program kept here, without hashes; never read."""

TellRows = Callable[[int, NDArray[np.float16]], None]


@dataclass(frozen=True)
class TeacherOutputs:
    """The teacher's answers for every training example.

    logits (N, C) in fp32; hidden (word pieces, H) in fp16, one row a word piece, or None where nobody needs it.
    Rounding to fp16 moves a cosine by its square, about 1e-7.
    """

    logits: NDArray[np.float32]
    hidden: OpenRows | None
    starts: NDArray[np.int64]

    def logits_of(self, batch: Batch) -> Tensor:
        """The teacher's logits for a batch, (B, C), on the batch's device."""
        return to_device(self.logits[batch.examples], batch.input_ids.device)

    def hidden_of(self, batch: Batch) -> Tensor:
        """The teacher's last hidden states at the batch's non-padding positions in row order, (words, H).

        Raises DistilleryError if somebody changed the file.
        """
        assert self.hidden is not None
        firsts, ends = self.starts[batch.examples], self.starts[batch.examples + 1]
        rows = np.empty((int((ends - firsts).sum()), self.hidden.shape[1]), dtype=self.hidden.dtype)
        place = 0
        for first, end in zip(firsts.tolist(), ends.tolist(), strict=True):
            self.hidden.read(first, rows[place : place + end - first])
            place += end - first
        return to_device(rows, batch.input_ids.device)


@dataclass(frozen=True)
class Asked:
    """One teacher asked about one list of examples, in one way. `sha256` is that of the teacher's weights."""

    model: PreTrainedModel
    sha256: str
    data: Tokens
    with_hidden: bool
    compute: Compute

    def made_of(self) -> dict[str, Any]:
        """All that the answers follow from, to the last bit."""
        digest = hashlib.sha256()
        for array in (self.data.ids, self.data.starts, self.data.second):
            if array is not None:
                digest.update(np.ascontiguousarray(array).data)
        return {
            "teacher": self.sha256,
            "texts": digest.hexdigest(),
            "device": str(self.compute.device),
            "precision": self.compute.precision,
            "threads": self.compute.threads,
            "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        }


def teacher_outputs(asked: Asked, folder: Path, recorder: Recorder) -> TeacherOutputs:
    """The teacher's answers for every example, from below `folder`, or computed once and kept there.

    Those that are damaged are computed anew, which is said. Raises DistilleryError, before anything is written, if the
    disk has no room for them, and OSError if it turns out to have none.
    """
    made_of = asked.made_of()
    name = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:16]
    kept = folder / ANSWERS / name
    wrong = damage(kept) if kept.exists() else ""
    if wrong:
        recorder.note(f"What the teacher had said was kept, but damaged ({wrong}), so the teacher was asked anew.")
    if wrong or not kept.exists() or (asked.with_hidden and HIDDEN not in hashes_of(kept)):
        _clear(folder, kept, asked.sha256)
        _ask(asked, made_of, kept, recorder)
    hidden = OpenRows(kept / HIDDEN) if asked.with_hidden else None
    return TeacherOutputs(read_array(kept / LOGITS), hidden, asked.data.starts)


@torch.inference_mode()
def _ask(asked: Asked, made_of: dict[str, Any], kept: Path, recorder: Recorder) -> None:
    shape = (len(asked.data.ids), asked.model.config.hidden_size)
    if asked.with_hidden:
        _check_room(kept.parents[1], shape[0] * shape[1] * 2)
    kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with whole_folder(kept) as building:
        building.write_json(FACTS, made_of)
        if asked.with_hidden:
            hidden = NewRows(building.path / HIDDEN, np.float16, shape)
            try:
                logits = _ask_all(asked, hidden.write, recorder)
            finally:
                hidden.close()
            building.add(HIDDEN)
        else:
            logits = _ask_all(asked, lambda first, rows: None, recorder)
        with building.file(LOGITS) as file:
            write_array(file, logits)
    # The name of the folder of all answers too, which may be new.
    sync(kept.parents[1])


def _ask_all(asked: Asked, tell: TellRows, recorder: Recorder) -> NDArray[np.float32]:
    """The logits (N, C); hidden states go to `tell(first word piece, rows)`, example by example."""
    model, data = asked.model.eval(), asked.data
    logits = np.empty((len(data), model.config.num_labels), dtype=np.float32)
    asking = "Asking the teacher about every training text, once"
    recorder.preparing(f"{asking}.")
    waiting = Waiting(recorder, asking, work_of(data))
    for examples in scoring_batches(data.lengths, BATCH):
        waiting()
        batch = data.batch(examples, asked.compute.device)
        with asked.compute.autocast():
            output = model(**inputs_of(model, batch), output_hidden_states=asked.with_hidden)
        logits[examples] = output.logits.float().cpu().numpy()
        if asked.with_hidden:
            words = batch.hidden_at_places(output.hidden_states[-1]).half().cpu().numpy()
            ends = np.cumsum(data.lengths[examples])
            for example, rows in zip(examples, np.split(words, ends[:-1]), strict=True):
                tell(int(data.starts[example]), rows)
    return logits


def _clear(folder: Path, kept: Path, sha256: str) -> None:
    """Make room: for `kept` itself, and of answers that nobody can ask for any more."""
    for name in BEFORE:
        remove(folder / name)
    if kept.parent.is_dir():
        sweep(kept.parent)
        for entry in list(kept.parent.iterdir()):
            if entry == kept or _teacher_of(entry) != sha256:
                remove(entry)


def _teacher_of(entry: Path) -> str | None:
    try:
        return str(json.loads((entry / FACTS).read_bytes())["teacher"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _check_room(folder: Path, needed_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed_bytes > 0.9 * free:
        raise DistilleryError(
            f"The teacher's hidden states need {needed_bytes / 1e9:.1f} GB in {folder.parent.parent.name}/, but only "
            f"{free / 1e9:.1f} GB are free. Make room, use fewer examples, or set the hidden cosine weight to 0."
        )
