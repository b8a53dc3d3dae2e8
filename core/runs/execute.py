"""Run one queued run or GLUE job to its end, whatever happens on the way: for the server's worker and the terminal."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import os
import shutil
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import estimate, libraries
from core.config import Settings
from core.errors import DistilleryError
from core.failures import why_it_failed
from core.glue.settings import GlueSettings
from core.persisted import write_kept
from core.runs import folder as runs
from core.runs.events import read_events
from core.runs.owner import this_process
from core.runs.resume import rewind
from core.runs.tensorboard import refresh_tensorboard
from core.storage import cache_root

if TYPE_CHECKING:
    from core.distill.recorder import Recorder
    from core.runs.recorder import FolderRecorder

log = logging.getLogger("distillery")

RESERVE = ".reserve"
RESERVE_BYTES = 32_768
"""So much is held while a run goes on, to be able to write down how it ended on a disk that has become full."""

TRAINED = "Finished: the student is trained, scored and saved."
SCORED = "Finished: every model is measured on every task."


def never() -> bool:
    """For a process that does not plan to leave."""
    return False


def execute(folder: Path, leaving: Callable[[], bool] = never) -> runs.State:
    """Carry out the run or GLUE job in `folder`, on the calling thread, and return the state it ended in.

    Nothing escapes: an error ends up as one sentence in status.json and a traceback in log.txt.
    """
    try:
        if (folder / "results.json").exists():
            return _close_complete(folder)
        # It takes seconds and belongs on the thread that trains, so say so before it begins.
        begun = runs.Status("preparing", "Loading what the models need.", owner=this_process())
        runs.write_status(folder, begun, durable=False)
        _hold_room(folder)
        libraries.load()
        from core.distill.recorder import StopRequested
        from core.runs.recorder import FolderRecorder

        settings = runs.read_any_settings(folder)
        recorder = FolderRecorder(folder, leaving, rewind(folder, settings))
    except BaseException as error:  # noqa: BLE001  nothing escapes: see below
        return _cannot_begin(folder, error)
    state: runs.State = "failed"
    try:
        if isinstance(settings, GlueSettings):
            sentence = _score(folder, settings, recorder)
        else:
            sentence = _train(folder, settings, recorder)
        state = "finished"
    except StopRequested:
        state, sentence = "stopped", _stopped_sentence(folder, recorder.status, leaving())
    except BaseException as error:  # noqa: BLE001  the one place that catches all: the server must live on
        # A panic in a tokenizer, a SystemExit or no memory left: none of them may take the page down with it.
        sentence = why_it_failed(error, recorder.status.step)
        _let_room_go(folder)
        _write_log(folder, traceback.format_exc())
    _let_room_go(folder)
    try:
        recorder.end(state, sentence)
    except BaseException as error:  # noqa: BLE001  a broken device fails again when the last values are fetched
        log.error("run %s ended as %s, and that could not be written: %s", folder.name, state, error)
    _refresh_event_file(folder)
    _give_memory_back()
    return state


def _cannot_begin(folder: Path, error: BaseException) -> runs.State:
    """For a run whose folder has gone or cannot be written, or libraries that do not load."""
    _let_room_go(folder)
    _write_log(folder, "".join(traceback.format_exception(error)))
    try:
        runs.write_status(folder, runs.Status("failed", why_it_failed(error, 0)))
    except OSError as second:
        log.error("run %s cannot begin (%s), and that could not be written: %s", folder.name, error, second)
    return "failed"


def _close_complete(folder: Path) -> runs.State:
    """For what was cut off between its results and its last status: nothing is done again, and no curve is touched."""
    # What a run goes on from, and the room held for it; a kill can have come before they were removed.
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    _let_room_go(folder)
    sentence = SCORED if runs.is_job(folder) else TRAINED
    runs.write_status(folder, replace(runs.read_status(folder), state="finished", sentence=sentence))
    _refresh_event_file(folder)
    return "finished"


def _train(folder: Path, settings: Settings, recorder: Recorder) -> str:
    from core.distill.job import run_job

    checkpoints = folder / "checkpoints"
    resumed, predicted = checkpoints.exists(), estimate.plan(settings)
    results = run_job(settings, folder / "student", cache_root() / "teachers", recorder, checkpoints)
    # A run that was cut off behind its teacher's stage finds the teacher that it has taught itself.
    taught = any(event.get("stage") == "teacher" for event in read_events(folder / "metrics.jsonl", kind="stage")[0])
    results["teacher_from_cache"] = results["teacher_from_cache"] and not taught
    write_kept(folder / "results.json", results)
    # Only now: until the results are on the disk the checkpoints are what the run can go on from.
    shutil.rmtree(checkpoints, ignore_errors=True)
    if not resumed:
        _remember_pace(settings, predicted, results)
    return TRAINED


def _score(folder: Path, settings: GlueSettings, recorder: FolderRecorder) -> str:
    from core.glue.job import run_job

    write_kept(folder / "results.json", run_job(settings, folder, recorder))
    return SCORED


def _remember_pace(settings: Settings, predicted: estimate.Plan, results: dict[str, Any]) -> None:
    try:
        estimate.learn(settings, predicted, results)
    except OSError as error:
        # The run is complete; only the next estimate is the worse for it.
        log.warning("how long the run took could not be kept: %s", error)


def _refresh_event_file(folder: Path) -> None:
    """For a run whose curves TensorBoard shall show: all of them, now that it has ended."""
    try:
        refresh_tensorboard(folder)
    except (DistilleryError, OSError) as error:
        log.warning("the event file of run %s could not be written anew: %s", folder.name, error)


def _stopped_sentence(folder: Path, status: runs.Status, leaving: bool) -> str:
    why = "because the program was closed" if leaving else "by you"
    if runs.is_job(folder):
        return f"Stopped {why} at step {status.step} of {status.total_steps}. Every score is kept; you can resume it."
    if (folder / "student").exists():
        where = f"at step {status.step} of {status.total_steps}"
        return f"Stopped {why} {where}. What the student had learned is kept, and you can resume it."
    return f"Stopped {why} before the student had begun to learn."


def _hold_room(folder: Path) -> None:
    descriptor = os.open(folder / RESERVE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(os.urandom(RESERVE_BYTES))  # nothing that a file system could compress away


def _let_room_go(folder: Path) -> None:
    with contextlib.suppress(OSError):
        (folder / RESERVE).unlink(missing_ok=True)


def _write_log(folder: Path, text: str) -> None:
    try:
        runs.append_log(folder, text)
    except OSError as error:
        log.error("run %s failed and its log could not be written (%s):\n%s", folder.name, error, text)


def _give_memory_back() -> None:
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if sys.platform == "linux":
        # The C library keeps what training freed, most of a gigabyte in the demo, until it is asked to let go.
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
