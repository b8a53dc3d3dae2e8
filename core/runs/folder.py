"""One run is one folder, and the folder is the truth.

`runs/<id>/` holds config.json (frozen settings), status.json, metrics.jsonl, log.txt, teacher.json (which cached
teacher it learns from), checkpoints/ while it is not complete, student/ (a plain `from_pretrained` folder) and, written
last, results.json. Whoever trains writes here; whoever watches only reads.

A GLUE job is such a folder too, `scores/<id>/`: with cells/ (one file a score) in place of a student, plan.json (what
is measured, in order) and, if asked for, timing.json. What both share with every other job, their states among it, is
`core.jobs.folder`'s and can be had from here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from core.config import Settings
from core.glue.settings import GlueSettings, parse_glue
from core.jobs.folder import ACTIVE as ACTIVE
from core.jobs.folder import ENDED as ENDED
from core.jobs.folder import MISNAMED as MISNAMED
from core.jobs.folder import NAME as NAME
from core.jobs.folder import RESUMABLE as RESUMABLE
from core.jobs.folder import State as State
from core.jobs.folder import Status as Status
from core.jobs.folder import append_log as append_log
from core.jobs.folder import create, existing, folders_in, new_id
from core.jobs.folder import id_of as id_of
from core.jobs.folder import read_status as read_status
from core.jobs.folder import request_stop as request_stop
from core.jobs.folder import stop_requested as stop_requested
from core.jobs.folder import write_status as write_status
from core.jobs.owner import Owner
from core.persisted import read_if_there, read_kept
from core.settings_file import SettingsError, as_frozen_then, parse_settings
from core.storage import BrokenRun as BrokenRun
from core.storage import runs_root, scores_root, where

Frozen = TypeVar("Frozen")

new_run_id = new_id


def run_folder(run_id: str) -> Path:
    """The folder of a run that exists.

    Raises BrokenRun for anything that is not the name of a folder directly below runs/.
    """
    return existing(runs_root(), run_id, "run")


def job_folder(job_id: str) -> Path:
    """The folder of a GLUE job that exists; errors as `run_folder`, for what is not directly below scores/."""
    return existing(scores_root(), job_id, "GLUE job")


def create_run(settings: Settings, run_id: str, owner: Owner | None = None) -> Path:
    """Make the folder of a queued run; asking again with the same id gives the same folder, unchanged.

    The folder appears at once and complete (it is built beside and renamed), so five quick clicks make one run
    and no reader ever sees half of one. `owner` reserves it for a process that will train it itself.

    Raises BrokenRun if the id is not a plain name, OSError if the folder cannot be written.
    """
    return create(runs_root(), settings.model_dump(mode="json"), run_id, owner)


def create_job(settings: GlueSettings, job_id: str, owner: Owner | None = None) -> Path:
    """Make the folder of a queued GLUE job, in the same way and with the same errors."""
    return create(scores_root(), settings.model_dump(mode="json"), job_id, owner)


def list_runs() -> list[Path]:
    """Folders of all runs, newest first, without those of `misnamed_runs`."""
    return folders_in(runs_root())


def list_jobs() -> list[Path]:
    """Folders of all GLUE jobs, newest first, without those of `misnamed_jobs`."""
    return folders_in(scores_root())


def misnamed_runs() -> list[Path]:
    """Folders among the runs whose names cannot be written on a page: all that can be done is to rename or delete."""
    return folders_in(runs_root(), misnamed=True)


def misnamed_jobs() -> list[Path]:
    """The same among the GLUE jobs."""
    return folders_in(scores_root(), misnamed=True)


def is_job(folder: Path) -> bool:
    """True for the folder of a GLUE job, by where it lies."""
    return folder.parent == scores_root()


def read_settings(folder: Path) -> Settings:
    """The frozen settings of a run. Raises BrokenRun if they cannot be read."""
    return _read_settings(folder, lambda raw: parse_settings(as_frozen_then(Settings, raw)))


def read_job_settings(folder: Path) -> GlueSettings:
    """The frozen settings of a GLUE job. Raises BrokenRun if they cannot be read."""
    return _read_settings(folder, lambda raw: parse_glue(as_frozen_then(GlueSettings, raw)))


def read_any_settings(folder: Path) -> Settings | GlueSettings:
    """The frozen settings of a run or of a GLUE job, as config.json says. Raises BrokenRun if they cannot be read."""
    is_glue = read_kept(folder / "config.json").get("job") == "glue"
    return read_job_settings(folder) if is_glue else read_settings(folder)


def read_results(folder: Path) -> dict[str, Any] | None:
    """What a finished run measured, or None if it has not finished."""
    return read_if_there(folder / "results.json")


def _read_settings(folder: Path, parse: Callable[[Any], Frozen]) -> Frozen:
    try:
        return parse(read_kept(folder / "config.json"))
    except SettingsError as error:
        raise BrokenRun(f"{where(folder / 'config.json')}: {error}") from error
