"""GLUE jobs in every state, written by hand: nothing is trained and no model is built."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.data.glue import TASKS
from core.glue.cells import Cell, Role, Way, cell_path
from core.glue.metrics import metric_of
from core.glue.plan import Plan, PlannedCell, in_order, write_plan
from core.glue.settings import GlueSettings
from core.runs import folder as runs
from core.runs.owner import this_process

TEACHER = {"CoLA": 0.381, "MNLI": 0.792, "MRPC": 0.846, "QNLI": 0.873, "QQP": 0.861, "RTE": 0.612,
           "SST-2": 0.905, "STS-B": 0.858, "WNLI": 0.507, "Rotten Tomatoes": 0.842, "IMDb": 0.887}  # fmt: skip
"""Made up: what a teacher of the bundled size might score."""

MAJORITY = {"CoLA": 0.0, "MNLI": 0.354, "MRPC": 0.748, "QNLI": 0.505, "QQP": 0.317, "RTE": 0.527,
            "SST-2": 0.509, "STS-B": None, "WNLI": 0.563, "Rotten Tomatoes": 0.5, "IMDb": 0.5}  # fmt: skip
KEPT = {"teacher": 1.0, "student": 0.96, "control": 0.9}
NINE = tuple(task for task in TEACHER if task in TASKS)
RECIPE = {"epochs": 3, "batch_size": 32, "learning_rate": 5e-5}


def cell(
    task: str,
    role: Role = "student",
    model: str = "",
    title: str = "",
    seed: int = 0,
    way: Way = "fine-tuned",
    **more: Any,
) -> Cell:
    """One score, by default of all official examples."""
    score = TEACHER[task] * KEPT[role] + 0.004 * seed
    official = TASKS.get(task)
    train = official.train_size if official else 7_677
    fields: dict[str, Any] = {
        "model": model or f"{role}-0123456789ab",
        "role": role,
        "title": title or {"teacher": "Bundled teacher (MiniLM, 6 layers)"}.get(role, f"My {role}"),
        "task": task,
        "seed": seed,
        "way": way,
        "score": score,
        "scores": {metric_of(task): score},
        "majority": MAJORITY[task],
        "examples": official.dev_size if official else 853,
        "split": "official dev" if official else "test",
        "train_examples": train,
        "train_total": train,
        "recipe": RECIPE,
        "elapsed_s": 40.0,
        "compute": {"device": "cpu", "precision": "fp32", "threads": 1},
        "versions": {"torch": "2.13.0"},
    }
    return Cell(**fields | more)


def undefined(task: str, role: Role = "student", **more: Any) -> Cell:
    """A score that does not exist, with its reason."""
    reason = "All answers are alike, so a correlation is not defined."
    return cell(task, role, score=None, scores={metric_of(task): None}, reasons={metric_of(task): reason}, **more)


def make_job(
    home: Path,
    cells: Iterable[Cell] = (),
    job_id: str = "20261122-150000-ab12",
    state: runs.State = "finished",
    sentence: str = "",
    alive: bool = True,
    planned: Iterable[Cell] = (),
    timing: dict[str, Any] | None = None,
    **settings: Any,
) -> Path:
    """A job's folder below `home`; `planned` are scores that are still to come. Returns the folder."""
    folder = home / "scores" / job_id
    folder.mkdir(parents=True)
    done = list(cells)
    plan = plan_of([*done, *planned])
    frozen = GlueSettings(**{"path": "/data/glue"} | settings)
    runs.write_json(folder / "config.json", frozen.model_dump(mode="json"))
    (folder / "cells").mkdir()
    for each in done:
        # As write_cell does, but without waiting for the disk each time: some tests make thousands.
        runs.write_json(cell_path(folder, each.model, each.task, each.seed), asdict(each), durable=False)
    if state != "queued":
        write_plan(folder, plan)
    if timing:
        runs.write_json(folder / "timing.json", timing)
    owner = None if state == "queued" else this_process() if alive else this_process() | {"started": "1"}
    step = plan.cells[len(done)].first_step + 40 if len(done) < len(plan.cells) else plan.total_steps
    progress = {} if state == "queued" else {"stage": "scores", "step": step, "total_steps": plan.total_steps}
    runs.write_status(folder, runs.Status(state, sentence or f"This job is {state}.", owner=owner, **progress))
    return folder


def make_200_rows(home: Path) -> None:
    """Five jobs of 40 models each, every model scored on the nine tasks."""
    for number in range(5):
        cells = [
            cell(task, "teacher" if not i else "student", model=f"m-{number}-{i}", title=f"Student {number}-{i}")
            for i in range(40)
            for task in NINE
        ]
        make_job(home, cells, job_id=f"20261122-1{number}0000-ab12", tasks=NINE)


def plan_of(cells: Iterable[Cell]) -> Plan:
    """A plan of these scores, 100 steps each."""
    return in_order([PlannedCell(one.model, one.role, one.title, one.task, one.seed, one.way, 0, 100, 5.0)
                     for one in cells])  # fmt: skip


TIMING = {
    "models": [
        {"model": "teacher-0123456789ab", "role": "teacher", "title": "Bundled teacher (MiniLM, 6 layers)",
         "parameters": 22_713_216, "encoder_parameters": 10_646_784, "embedding_parameters": 11_918_592,
         "size_mb": 90.9, "seconds": 12.31, "pairs": 1500, "device": "cpu", "precision": "fp32", "threads": 1},
        {"model": "student-0123456789ab", "role": "student", "title": "My student",
         "parameters": 17_389_056, "encoder_parameters": 5_323_392, "embedding_parameters": 11_917_824,
         "size_mb": 69.6, "seconds": 6.42, "pairs": 1500, "device": "cpu", "precision": "fp32", "threads": 1},
    ],
    "task": "STS-B", "split": "official dev", "versions": {},
}  # fmt: skip
