"""Run folders in every state, written by hand: nothing is trained and no model is built."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from core.config import Settings, starting_point
from core.runs import folder as runs
from core.runs.owner import this_process
from tests.synthetic import student_events, teacher_events, write_events

TEACHER = {"score": 0.862, "parameters": 22_713_986, "encoder_parameters": 10_646_784}
STUDENT = {"score": 0.851, "parameters": 17_389_826, "encoder_parameters": 5_323_392}
RESULTS: dict[str, Any] = {
    "teacher": TEACHER | {"size_mb": 90.9, "ms_per_sentence": 8.1},
    "student": STUDENT | {"size_mb": 69.6, "ms_per_sentence": 4.2},
    "objective": "labels",
    "metric": "accuracy",
    "counted": "sentences",
    "examples": 1066,
    "split": "test",
    "majority": 0.5,
    "kept": 0.851 / 0.862,
    "agreement": 0.95,
    "notes": [],
    "teacher_from_cache": False,
    "seed": 0,
    "elapsed_s": 150.0,
    "compute": {"device": "cpu", "precision": "fp32", "threads": 2},
    "versions": {"python": "3.11", "torch": "2.13.0", "transformers": "5.23.0"},
}
"""A results.json as the default demo writes it."""

WORDS_RESULTS: dict[str, Any] = RESULTS | {
    "objective": "masked_words",
    "metric": "masked-word accuracy",
    "counted": "masked words",
    "examples": 28_412,
    "majority": 0.052,
    "kept": 0.241 / 0.310,
    "agreement": 0.468,
    "teacher": RESULTS["teacher"] | {"score": 0.310},
    "student": RESULTS["student"] | {"score": 0.241},
    "notes": ["Words are guessed at 15 % of the word pieces, the same ones for both models."],
}
"""The same of a run that learned masked words."""

SCORE_RESULTS: dict[str, Any] = RESULTS | {
    "metric": "correlation",
    "counted": "pairs",
    "examples": 1500,
    "split": "official dev",
    "majority": None,
    "kept": 0.832 / 0.874,
    "agreement": 0.921,
    "teacher": RESULTS["teacher"] | {"score": 0.874},
    "student": RESULTS["student"] | {"score": 0.832},
    "notes": ["This is GLUE's development set: its test labels are not public."],
}
"""The same of a run whose labels are scores."""

FACTS = {"weights": {"soft": 5.0, "hard": 2.0, "cosine": 1.0}}
TERMS = {"loss": 3.9, "soft": 0.31, "hard": 0.7, "cosine": 0.95, "lr": 1e-4}


BROKEN = {
    "status.json": '{"state": "fini',
    "config.json": '{"colour": "red"}',
    "results.json": '{"score": 3}',
    "about.json": "[]",
}


def make_200_runs(home: Path) -> None:
    """200 finished runs, four of which have a broken file; one has lost its results."""
    folders = make_runs(home, 200, 480)
    for folder, (name, content) in zip(folders[10:], BROKEN.items(), strict=False):
        (folder / name).write_text(content)
    (folders[20] / "results.json").unlink()


def make_runs(home: Path, count: int, steps: int) -> list[Path]:
    """So many finished runs of so many steps; returns their folders."""
    metrics = write_events(home / "metrics.jsonl", [*teacher_events(240), *student_events(steps)])
    folders = [make_run(home, f"20261122-12{number // 60:02}{number % 60:02}-{number:04x}") for number in range(count)]
    for folder in folders:
        shutil.copy(metrics, folder)
    return folders


def make_run(
    home: Path,
    run_id: str = "20261122-120000-ab12",
    state: runs.State = "finished",
    sentence: str = "",
    alive: bool = True,
    settings: Settings | None = None,
    step: int = 40,
    results: dict[str, Any] = RESULTS,
) -> Path:
    """A run folder below `home` in the given state; returns the folder.

    Its owner is this process, or with `alive=False` one that has gone; a queued run belongs to nobody. Runs that have
    begun have two score and probe events, finished ones results.json too. There are no models in it.
    """
    folder = home / "runs" / run_id
    folder.mkdir(parents=True)
    settings = settings or starting_point(results["objective"])
    runs.write_json(folder / "config.json", settings.model_dump(mode="json"))
    if state != "queued":
        lines = (json.dumps(event) + "\n" for event in events(step, settings, results))
        (folder / "metrics.jsonl").write_text("".join(lines), encoding="utf-8")
    if state == "finished":
        runs.write_json(folder / "results.json", results)
    begun = {} if state == "queued" else {"stage": "student", "step": step, "total_steps": 100}
    status = runs.Status(state, sentence or f"This run is {state}.", owner=_owner(state, alive), **begun)
    runs.write_status(folder, status)
    return folder


def events(step: int, settings: Settings, results: dict[str, Any] = RESULTS) -> list[dict[str, Any]]:
    """What a student that has come to `step` has written, with scores and answers at step 0 and at the end."""
    facts = {name: results[name] for name in ("metric", "majority")}
    facts["teacher_score"] = results["teacher"]["score"]
    written: list[dict[str, Any]] = [
        {"event": "stage", "stage": "student", "total_steps": 100, "elapsed_s": 0, **facts}
    ]
    for at, share in ((0, 0.55), (step, 0.9)):
        clock = {"stage": "student", "step": at, "elapsed_s": at / 10}
        if at:
            written.append({"event": "step", **clock, **TERMS, "sentences": 32 * at})
        written.append({"event": "score", **clock, "score": 0.5 + at / 200, "agreement": share})
        answers = {"student": answer(share, results), "teacher": answer(0.9, results)}
        rows = {model: [row] * len(settings.probes) for model, row in answers.items()}
        written.append({"event": "probe", "stage": "student", "step": at, **rows})
    return written


def answer(sure: float, results: dict[str, Any]) -> list[Any]:
    """What a model that is `sure` says to one watched sentence: shares of two labels, five words, or a score."""
    if results["metric"] == "masked-word accuracy":
        words = ("good", "great", "bad", "funny", "awful")
        return [[word, round(sure / 2 ** (place + 1), 4)] for place, word in enumerate(words)]
    return [round(5 * sure, 4)] if results["metric"] == "correlation" else [1 - sure, sure]


def _owner(state: runs.State, alive: bool) -> dict[str, Any] | None:
    if state == "queued":
        return None
    # The same number, begun at another moment: what a rebooted machine or a reused number looks like.
    return this_process() if alive else this_process() | {"started": "1"}
