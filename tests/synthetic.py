"""Made-up runs: noisy falling losses and climbing scores, written the way a training writes them.

A metric chooses between the three kinds of run: "accuracy", "masked-word accuracy" and "correlation".
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from core.runs import folder as runs
from core.runs.events import Event, EventWriter
from core.runs.owner import this_process

WEIGHTS = {"soft": 5.0, "hard": 2.0, "cosine": 1.0}
# Of each metric: the teacher's score at its end and how far below it begins, then the same of the student's score and
# of the agreement, and the score of always giving the most frequent answer.
SCORES = {
    "accuracy": ((0.862, 0.3), (0.849, 0.34), (0.935, 0.42), 0.5),
    "masked-word accuracy": ((0.312, 0.3), (0.243, 0.24), (0.471, 0.46), 0.052),
    "correlation": ((0.874, 0.7), (0.832, 0.9), (0.921, 0.95), None),
}
SENTENCES = 32


def write_events(path: Path, events: Iterable[Event]) -> Path:
    """Write a metrics.jsonl as a whole; returns its path."""
    path.write_text("".join(json.dumps(event, separators=(",", ":")) + "\n" for event in events), encoding="utf-8")
    return path


def teacher_events(total: int, steps_a_second: float = 10.0, metric: str = "accuracy") -> Iterator[Event]:
    """Everything a teacher's stage of `total` steps writes."""
    best, gap = SCORES[metric][0]
    yield {"event": "stage", "stage": "teacher", "total_steps": total, "elapsed_s": 0.0, "metric": metric}
    noise = random.Random(1)
    for step in range(1, total + 1):
        done, clock = step / total, {"stage": "teacher", "step": step, "elapsed_s": round(step / steps_a_second, 3)}
        loss = 0.36 + 0.34 * math.exp(-6 * done) + noise.gauss(0, 0.06)
        yield {"event": "step", **clock, "loss": loss, "lr": 5e-5 * (1 - done), "sentences": SENTENCES * step}
        if step % max(1, total // 6) == 0:
            yield {"event": "score", **clock, "score": best - gap * math.exp(-7 * done)}


def student_events(
    total: int, steps_a_second: float = 10.0, last: int | None = None, metric: str = "accuracy"
) -> Iterator[Event]:
    """What a student's stage of `total` steps writes up to step `last`."""
    (teacher, _), (best, gap), (alike, apart), majority = SCORES[metric]
    facts = {"metric": metric, "teacher_score": teacher, "majority": majority, "weights": WEIGHTS}
    yield {"event": "stage", "stage": "student", "total_steps": total, "elapsed_s": 0.0, **facts}
    noise = random.Random(2)
    for step in range(total + 1 if last is None else last + 1):
        done, clock = step / total, {"stage": "student", "step": step, "elapsed_s": round(step / steps_a_second, 3)}
        if step:
            yield {
                "event": "step",
                **clock,
                **_terms(done, noise),
                "lr": 1e-4 * (1 - done),
                "sentences": SENTENCES * step,
            }
        if step % max(1, total // 24) == 0:
            score, agreement = best - gap * math.exp(-11 * done), alike - apart * math.exp(-9 * done)
            yield {"event": "score", **clock, "score": score, "agreement": agreement}


def _terms(done: float, noise: random.Random) -> dict[str, float]:
    terms = {
        "soft": abs(0.06 + 0.62 * math.exp(-9 * done) + noise.gauss(0, 0.03)),
        "hard": abs(0.36 + 0.33 * math.exp(-7 * done) + noise.gauss(0, 0.06)),
        "cosine": abs(0.09 + 0.75 * math.exp(-5 * done) + noise.gauss(0, 0.008)),
    }
    return {"loss": sum(WEIGHTS[name] * value for name, value in terms.items()), **terms}


class SyntheticRun:
    """A run folder below `home` that a test fills; this process is its owner, so that it counts as alive."""

    def __init__(self, home: Path, run_id: str = "made-up") -> None:
        self.folder = home / "runs" / run_id
        self.folder.mkdir(parents=True)
        self.metrics = self.folder / "metrics.jsonl"
        self.writer = EventWriter(self.metrics)
        self.set_status("preparing")

    def append(self, *events: Event) -> None:
        """Write events, and in the status the step that they reach."""
        for event in events:
            self.writer.append(event)
        stages = [event for event in events if event["event"] == "stage"]
        steps = [event for event in events if event["event"] == "step"]
        if stages:
            self.set_status("running", stage=stages[-1]["stage"], step=0, total_steps=stages[-1]["total_steps"])
        if steps:
            self.set_status("running", step=steps[-1]["step"])

    def set_status(self, state: str, **changes: Any) -> None:
        """Publish a state; what is not named stays as it was."""
        self.status: dict[str, Any] = {"sentence": f"This run is {state}.", **getattr(self, "status", {}), **changes}
        self.status |= {"state": state, "owner": this_process()}
        runs.write_status(self.folder, runs.Status(**self.status), durable=False)
