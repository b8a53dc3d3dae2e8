"""What the training of one cell tells, passed on in steps of the whole job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from core.distill.recorder import Recorder, Stage


class JobRecorder(Recorder, Protocol):
    """A recorder that also says what a job does between two trainings."""

    def progress(self, sentence: str, step: int) -> None:
        """Say what is done now, and how many steps of the job are done."""


@dataclass(frozen=True)
class CellRecorder:
    """The recorder of one cell: its steps come after the job's `first_step`, `per_epoch` of them make an epoch."""

    job: JobRecorder
    what: str
    first_step: int
    per_epoch: int
    epochs: int

    def preparing(self, sentence: str) -> None:
        """Pass it on, saying whom it is about."""
        self.job.preparing(f"{self.what}: {sentence[0].lower()}{sentence[1:]}")

    def stage(self, stage: Stage, total_steps: int, **facts: Any) -> None:
        """A job has one stage, which has begun."""

    def teacher_ready(self, key: str, sha256: str) -> None:
        """A job has no single teacher."""

    def settle(self) -> None:
        """Pass it on."""
        self.job.settle()

    def note(self, sentence: str) -> None:
        """Pass it on, saying whom it is about."""
        self.job.note(f"{self.what}: {sentence}")

    def step(self, step: int, terms: dict[str, Tensor], lr: float, sentences: int) -> None:
        """Count it in the job, and say which epoch has begun."""
        self.job.step(self.first_step + step, terms, lr, sentences)
        if step % self.per_epoch == 0:
            self.say_epoch(step)

    def say_epoch(self, done: int) -> None:
        """Say which epoch comes after so many updates of the cell."""
        epoch = done // self.per_epoch + 1
        doing = f"epoch {epoch} of {self.epochs}" if epoch <= self.epochs else "scoring"
        self.job.progress(f"{self.what}: {doing}.", self.first_step + done)

    def score(self, step: int, **shares: float | None) -> None:
        """Nothing is scored on the way."""

    def probe(self, step: int, student: list[list[float]], teacher: list[list[float]]) -> None:
        """Nothing is watched."""

    def check_stop(self) -> None:
        """Pass it on."""
        self.job.check_stop()
