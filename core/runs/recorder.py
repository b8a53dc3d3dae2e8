"""Writes what happens in a run into its folder. Lives on the training thread."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.distill.recorder import Stage, StopRequested
from core.errors import DistilleryError
from core.persisted import write_kept
from core.runs import folder as runs
from core.runs.events import EventWriter
from core.runs.owner import this_process
from core.runs.resume import ResumePoint

FLUSH_EVERY_S = 0.5
"""Loss values stay on the device until then, so that a GPU is not made to wait at every step."""

SENTENCES: dict[Stage, str] = {
    "teacher": "The teacher learns the task.",
    "student": "The student learns from the teacher.",
    "scores": "Every model is measured on every task.",
}


class FolderRecorder:
    """The recorder whose listener is the run folder. `leaving` says that the process itself is about to end."""

    def __init__(
        self, folder: Path, leaving: Callable[[], bool] = lambda: False, resumed: ResumePoint | None = None
    ) -> None:
        self._folder = folder
        self._leaving = leaving
        self._resumed = resumed
        self._events = EventWriter(folder / "metrics.jsonl")
        self._status = runs.Status("preparing", "Getting ready.", owner=this_process())
        self._waiting: list[tuple[dict[str, Any], Tensor, list[str]]] = []
        self._began = self._flushed = time.monotonic()
        self._publish()

    @property
    def status(self) -> runs.Status:
        """The status as last published."""
        return self._status

    def preparing(self, sentence: str) -> None:
        """Show `sentence` while something takes a moment."""
        self._flush()
        self._publish(sentence=sentence)

    def stage(self, stage: Stage, total_steps: int, **facts: Any) -> None:
        """Begin a stage: its steps and its clock count from here."""
        resumed = self._resumed if self._resumed and self._resumed.stage == stage else None
        self._began = time.monotonic() - (resumed.elapsed_s if resumed else 0.0)
        if resumed is None:
            self._append("stage", stage=stage, total_steps=total_steps, elapsed_s=0.0, **facts)
        self._publish(
            state="running",
            stage=stage,
            step=resumed.step if resumed else 0,
            total_steps=total_steps,
            sentence=SENTENCES[stage],
        )

    def progress(self, sentence: str, step: int) -> None:
        """Say what is done now and how far it is, where that is no update of a model."""
        self._flush()
        self._publish(sentence=sentence, step=step)

    def teacher_ready(self, key: str, sha256: str) -> None:
        """Remember which teacher this run learns from, to the bit."""
        write_kept(self._folder / "teacher.json", {"key": key, "sha256": sha256})

    def settle(self) -> None:
        """Write what waits and push the file to the disk."""
        self._flush()
        self._events.sync()

    def note(self, sentence: str) -> None:
        """Keep a sentence in the run's log."""
        runs.append_log(self._folder, sentence)

    def step(self, step: int, terms: dict[str, Tensor], lr: float, sentences: int) -> None:
        """Record one update; values are read from the device and written about twice a second."""
        event = {"step": step, "lr": float(f"{lr:.6g}"), "sentences": sentences, "elapsed_s": self._elapsed()}
        self._waiting.append((event, torch.stack(list(terms.values())), list(terms)))
        # The first step is shown at once: a blank chart looks like a failure.
        if step == 1 or time.monotonic() - self._flushed > FLUSH_EVERY_S:
            self._flush()
            self._publish(durable=False, step=step)

    def score(self, step: int, **shares: float | None) -> None:
        """Record a score on the validation part."""
        self._flush()
        self._append("score", stage=self._status.stage, step=step, **shares, elapsed_s=self._elapsed())

    def probe(self, step: int, student: list[list[float]], teacher: list[list[float]]) -> None:
        """Record both models' answers to the watched sentences."""
        self._flush()
        self._append("probe", stage=self._status.stage, step=step, student=student, teacher=teacher)

    def check_stop(self) -> None:
        """Raise StopRequested if somebody asked this run to stop or the process is about to leave."""
        if self._leaving() or runs.stop_requested(self._folder):
            raise StopRequested
        if not self._folder.exists():
            raise DistilleryError(f"The run's folder {self._folder.name} was removed while it trained.")

    def end(self, state: runs.State, sentence: str) -> None:
        """Publish the last status and close the files."""
        try:
            self._flush()
        finally:
            self._publish(state=state, sentence=sentence, step=self._status.step)
            self._events.close()

    def _elapsed(self) -> float:
        return round(time.monotonic() - self._began, 3)

    def _append(self, kind: str, **event: Any) -> None:
        self._events.append({"event": kind, **event})

    def _flush(self) -> None:
        waiting, self._waiting, self._flushed = self._waiting, [], time.monotonic()
        if not waiting:
            return
        rows = torch.stack([values for _, values, _ in waiting]).tolist()
        for (event, _, names), row in zip(waiting, rows, strict=True):
            terms = {name: float(f"{value:.6g}") for name, value in zip(names, row, strict=True)}
            self._append("step", stage=self._status.stage, **event, **terms)
            if not math.isfinite(terms["loss"]):
                raise DistilleryError(
                    f"The loss became {terms['loss']} at step {event['step']} (learning rate {event['lr']:g}). "
                    "Choose a smaller learning rate and start again."
                )
        self._status = replace(self._status, step=waiting[-1][0]["step"])

    def _publish(self, durable: bool = True, **changes: Any) -> None:
        self._status = replace(self._status, **changes)
        runs.write_status(self._folder, self._status, durable)
