"""A GLUE job from beginning to end: every model learns every task with every seed, and is scored.

Each score is kept as soon as it is there, and within one the training is checkpointed: a job that was stopped goes on
with the same task and seed, to the bit.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

import torch

from core import numbers
from core.distill.device import Compute, choose_compute
from core.distill.job import versions
from core.glue.cells import Cell, read_cells, write_cell
from core.glue.entrants import Entrant, entrants
from core.glue.measure import Measured, Setting, ask, learn, try_rate
from core.glue.plan import CHECKPOINTS, TEACHERS, Plan, PlannedCell, write_plan
from core.glue.planning import check_job, plan_of
from core.glue.recorder import JobRecorder
from core.glue.settings import GlueSettings
from core.glue.tasks import forget, read_task
from core.glue.timing import time_models
from core.sections import TrainingSettings


def run_job(settings: GlueSettings, folder: Path, recorder: JobRecorder) -> dict[str, Any]:
    """Measure all that is not measured yet; returns what results.json holds.

    Raises StopRequested, keeping what was measured and learned, and DistilleryError for what a person can mend.
    """
    began = time.monotonic()
    compute = _compute(settings)
    recorder.preparing("Looking at the models and at the files of every task.")
    check_job(settings)
    models = entrants(settings)
    try:
        plan = plan_of(settings, models)
        write_plan(folder, plan)
        recorder.stage("scores", plan.total_steps)
        _measure_all(settings, folder, recorder, plan, {model.key: model for model in models}, compute)
        if settings.timing:
            time_models(settings, models, folder, recorder)
    finally:
        # A server lives on, and the texts of a large task are hundreds of megabytes.
        forget()
    return {
        "cells": len(read_cells(folder)),
        "elapsed_s": round(time.monotonic() - began, 1),
        "compute": _facts(compute),
        "versions": versions(),
    }


def _compute(settings: GlueSettings) -> Compute:
    # A core is left to the page, which somebody may be looking at.
    threads = settings.threads or max(1, (os.cpu_count() or 1) - 1)
    compute = choose_compute(TrainingSettings(threads=threads))
    torch.set_num_threads(compute.threads)
    return compute


def _facts(compute: Compute) -> dict[str, Any]:
    return {"device": str(compute.device), "precision": compute.precision, "threads": compute.threads}


def _measure_all(
    settings: GlueSettings,
    folder: Path,
    recorder: JobRecorder,
    plan: Plan,
    models: dict[str, Entrant],
    compute: Compute,
) -> None:
    for cell in plan.cells:
        if plan.is_done(cell, folder):
            continue
        recorder.check_stop()
        recorder.progress(f"{_what(settings, cell)}: reading the texts.", cell.first_step)
        setting = Setting(settings, folder, plan, cell, models, compute, _what(settings, cell))
        if cell.rate is not None:
            try_rate(setting, recorder)
            _clear(plan, cell, folder)
            continue
        began = time.monotonic()
        measured = (ask if cell.way == "zero-shot" else learn)(setting, recorder)
        _keep(setting, measured, time.monotonic() - began)
        recorder.progress(f"{_what(settings, cell)}: measured.", cell.last_step)
        recorder.score(cell.last_step, score=measured.score.score)
        _clear(plan, cell, folder)
    for rest in (CHECKPOINTS, TEACHERS):
        shutil.rmtree(folder / rest, ignore_errors=True)


def _what(settings: GlueSettings, cell: PlannedCell) -> str:
    seeds = f", seed {cell.seed + 1} of {settings.seeds}" if settings.seeds > 1 and cell.way != "zero-shot" else ""
    rate = "" if cell.rate is None else f", learning rate {numbers.rate(cell.rate)}"
    return f"{cell.title} on {cell.task}{seeds}{rate}"


def _keep(setting: Setting, measured: Measured, elapsed_s: float) -> None:
    planned, texts = setting.cell, read_task(setting.settings, setting.cell.task)
    leaks = setting.entrant.leaks(planned.task)
    cell = Cell(
        model=planned.model,
        role=planned.role,
        title=planned.title,
        task=planned.task,
        seed=planned.seed,
        way=planned.way,
        score=measured.score.score,
        scores=measured.score.scores,
        majority=measured.majority,
        examples=len(texts.dev),
        split=texts.split,
        train_examples=measured.train_examples,
        train_total=texts.train_total,
        recipe=setting.recipe(texts),
        reasons=measured.score.reasons,
        mismatched=measured.mismatched,
        notes=(*texts.notes, *leaks, *measured.notes),
        is_leaked=bool(leaks),
        chosen_rate=measured.chosen_rate,
        elapsed_s=round(elapsed_s, 1),
        compute=_facts(setting.compute),
        versions=versions(),
    )
    write_cell(setting.job, cell)


def _clear(plan: Plan, cell: PlannedCell, job: Path) -> None:
    """Delete what only this cell needed: its checkpoints, and a teacher whose students have all learned."""
    shutil.rmtree(cell.checkpoints(job), ignore_errors=True)
    if cell.way != "distilled again":
        return
    teacher = plan.teacher_of(cell)
    if all(student.path(job).exists() for student in plan.students_of(teacher)):
        shutil.rmtree(teacher.kept_teacher(job), ignore_errors=True)
