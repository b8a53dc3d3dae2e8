"""Writes what happens in a run into its folder. Lives on the training thread."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from core.distill.recorder import Stage
from core.errors import DistilleryError
from core.jobs.events import EventWriter
from core.jobs.folder import append_log
from core.jobs.reporter import Reporter, StopRequested
from core.persisted import write_kept
from core.runs.resume import ResumePoint
from core.terms import TERMS

log = logging.getLogger("distillery")

FLUSH_EVERY_S = 0.5
"""Loss values stay on the device until then, so that a GPU is not made to wait at every step."""

SENTENCES: dict[Stage, str] = {
    "teacher": "The teacher learns the task.",
    "student": "The student learns from the teacher.",
    "scores": "Every model is measured on every task.",
}
OF_A_CONTROL = "The student learns without the teacher."


class FolderRecorder:
    """The recorder whose listener is the run folder, from `with` to the end of the block."""

    def __init__(self, reporter: Reporter, resumed: ResumePoint | None = None) -> None:
        self.reporter = reporter
        self._resumed = resumed
        self._events = EventWriter(reporter.folder / "metrics.jsonl")
        self._waiting: list[tuple[dict[str, Any], Tensor, list[str]]] = []
        self._began = self._flushed = time.monotonic()
        self._doing: str | None = None

    def __enter__(self) -> FolderRecorder:
        """Record."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Write what waits and close the files. A failure that is under way is not hidden by another."""
        try:
            self._flush()
        except BaseException as error:  # a broken device fails again when the last values are fetched
            if kind is None or kind is StopRequested:
                raise
            log.error("the last values of run %s could not be recorded: %s", self.reporter.folder.name, error)
        finally:
            self._events.close()

    def preparing(self, sentence: str) -> None:
        """Show `sentence` while something takes a moment."""
        self._flush()
        self.reporter.publish(sentence=sentence)

    def stage(self, stage: Stage, total_steps: int, **facts: Any) -> None:
        """Begin a stage: its steps and its clock count from here."""
        resumed = self._resumed if self._resumed and self._resumed.stage == stage else None
        self._began = time.monotonic() - (resumed.elapsed_s if resumed else 0.0)
        if resumed is None:
            self._append("stage", stage=stage, total_steps=total_steps, elapsed_s=0.0, **facts)
        self._doing = _sentence(stage, facts.get("weights"))
        self.reporter.publish(
            state="running",
            stage=stage,
            step=resumed.step if resumed else 0,
            total_steps=total_steps,
            sentence=self._doing,
        )

    def progress(self, sentence: str, step: int) -> None:
        """Say what is done now and how far it is, where that is no update of a model."""
        self._flush()
        self._doing = sentence
        self.reporter.publish(sentence=sentence, step=step)

    def teacher_ready(self, key: str, sha256: str) -> None:
        """Remember which teacher this run learns from, to the bit."""
        write_kept(self.reporter.folder / "teacher.json", {"key": key, "sha256": sha256})

    def settle(self) -> None:
        """Write what waits and push the file to the disk."""
        self._flush()
        self._events.sync()

    def note(self, sentence: str) -> None:
        """Keep a sentence in the run's log."""
        append_log(self.reporter.folder, sentence)

    def step(self, step: int, terms: dict[str, Tensor], lr: float, sentences: int) -> None:
        """Record one update; values are read from the device and written about twice a second."""
        event = {"step": step, "lr": float(f"{lr:.6g}"), "sentences": sentences, "elapsed_s": self._elapsed()}
        self._waiting.append((event, torch.stack(list(terms.values())), list(terms)))
        # The first step is shown at once: a blank chart looks like a failure.
        if step == 1 or time.monotonic() - self._flushed > FLUSH_EVERY_S:
            self._flush()
            # What was waited for before this step is over.
            self.reporter.publish(durable=False, step=step, sentence=self._doing or self.reporter.status.sentence)

    def score(self, step: int, **shares: float | None) -> None:
        """Record a score on the validation part."""
        self._flush()
        self._append("score", stage=self.reporter.status.stage, step=step, **shares, elapsed_s=self._elapsed())

    def probe(self, step: int, student: list[list[float]], teacher: list[list[float]]) -> None:
        """Record both models' answers to the watched sentences."""
        self._flush()
        self._append("probe", stage=self.reporter.status.stage, step=step, student=student, teacher=teacher)

    def check_stop(self) -> None:
        """Raise StopRequested if somebody asked this run to stop or the process is about to leave."""
        self.reporter.check_stop()

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
            self._append("step", stage=self.reporter.status.stage, **event, **terms)
            if not math.isfinite(terms["loss"]):
                raise DistilleryError(
                    f"The loss became {terms['loss']} at step {event['step']} (learning rate {event['lr']:g}). "
                    "Choose a smaller learning rate and start again."
                )
        self.reporter.reached(waiting[-1][0]["step"])


def _sentence(stage: Stage, weights: Mapping[str, float] | None) -> str:
    """What happens in a stage; `weights` are those of the loss, by term, where a student learns."""
    alone = weights is not None and not any(term.asks_teacher and weights.get(term.name) for term in TERMS)
    return OF_A_CONTROL if alone else SENTENCES[stage]
