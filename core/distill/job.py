"""One distillation from beginning to end: data, teacher, student, result."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import transformers

from core.config import Settings
from core.distill.cache import teacher_key
from core.distill.checkpoint import UNKNOWN, Keeper
from core.distill.device import Compute, choose_compute
from core.distill.labels import Labels
from core.distill.masked_words import MaskedWords
from core.distill.objective import Objective
from core.distill.recorder import Recorder
from core.distill.session import Session
from core.distill.student_stage import distil
from core.distill.teacher_stage import load_or_make, teach_teacher
from core.models.folder import saved_sha256
from core.models.in_memory import on_device
from core.models.outline import check_student, ready_teacher
from core.scoring.result import measure
from core.settings_file import SettingsError, as_frozen_then, parse_settings

OTHER_TEACHER = (
    "The teacher that the student began to learn from was no longer kept when the run went on. It was taught anew, and "
    "its weights are not known to be the same, so an unbroken run would have ended with other bits."
)

OBJECTIVES: dict[str, Callable[[Session], Objective]] = {"labels": Labels, "masked_words": MaskedWords}


def run_job(
    settings: Settings, student_folder: Path, teachers: Path, recorder: Recorder, checkpoints: Path
) -> dict[str, Any]:
    """Teach a student and measure it; returns what results.json holds.

    The job goes on from the newest checkpoint in `checkpoints`, if there is one. The student is saved as a plain
    `from_pretrained` folder, also when StopRequested ends its training early (which is then raised again). Trained
    teachers are kept below `teachers`. Raises DistilleryError for what a person can mend.
    """
    began = time.monotonic()
    compute = choose_compute(settings.training)
    torch.set_num_threads(compute.threads)
    recorder.preparing("Checking the teacher and reading the texts.")
    check_student(settings.student, ready_teacher(settings))
    key = teacher_key(settings)
    facts = _facts(settings, key, compute)
    keeper = Keeper(checkpoints, settings.training.checkpoint_every, facts, recorder, _as_today)
    session = Session(settings, compute, recorder, keeper)
    objective = OBJECTIVES[settings.objective](session)
    for note in objective.notes:
        recorder.note(note)
    kept = (teachers / key / "model").exists()
    teacher = load_or_make(teachers / key / "model", objective.tokenizer, lambda: teach_teacher(session, objective))
    on_device(teacher, compute.device)
    sha256 = saved_sha256(teachers / key / "model")
    recorder.teacher_ready(key, sha256)
    taught_by, notes = _teachers_so_far(keeper.taught_by(), sha256, kept, recorder)
    session = replace(session, keeper=replace(keeper, facts=facts | {"teachers": taught_by}))
    student = distil(session, objective, teacher, teachers / key, student_folder)
    recorder.preparing("Scoring both models on texts that neither has seen.")
    results = measure(objective, teacher, student)
    return results | {
        "notes": [*results["notes"], *notes],
        "objective": settings.objective,
        "teacher_from_cache": kept,
        "seed": settings.training.seed,
        "elapsed_s": round(time.monotonic() - began, 1),
        "compute": {"device": str(compute.device), "precision": compute.precision, "threads": compute.threads},
        "versions": versions(),
    }


def _facts(settings: Settings, key: str, compute: Compute) -> dict[str, Any]:
    """What a checkpoint has to remember to say whether a later run is the same run.

    The teacher's key stands for the content of the data and of the teacher, wherever they lie.
    """
    conditions = {"device": str(compute.device), "precision": compute.precision, "threads": compute.threads}
    frozen = {"settings": settings.model_dump(mode="json"), "teacher": key}
    return {"frozen": frozen, "compute": conditions | versions()}


def _as_today(frozen: dict[str, Any]) -> dict[str, Any]:
    try:
        settings = parse_settings(as_frozen_then(Settings, frozen.get("settings")))
    except SettingsError:
        # What no program of ours has written is compared as it is.
        return frozen
    return frozen | {"settings": settings.model_dump(mode="json")}


def _teachers_so_far(before: list[str], sha256: str, kept: bool, recorder: Recorder) -> tuple[list[str], list[str]]:
    """Hashes of the teachers that the student learns from, this one last, and what a reader of the result should know.

    A cache may be deleted between a stop and a resume; then the teacher is taught anew, perhaps under other conditions.
    """
    if not before or (before[-1] == UNKNOWN and kept):
        return [*before[:-1], sha256], []
    if before == [sha256]:
        if not kept:
            recorder.note("The teacher was no longer kept. It was taught anew, and has the same weights to the bit.")
        return before, []
    recorder.note(OTHER_TEACHER)
    return (before if before[-1] == sha256 else [*before, sha256]), [OTHER_TEACHER]


def versions() -> dict[str, str]:
    """Of what computes, by name."""
    return {"python": platform.python_version(), "torch": torch.__version__, "transformers": transformers.__version__}
