"""Measure a run's models: `python -m core.speed RUN`.

Exit codes: 0 measured, 1 failed, 3 stopped. What it does stands on the page too, whoever started it.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path

from filelock import Timeout

from core import network
from core.errors import DistilleryError
from core.runs import folder as runs
from core.runs import worker
from core.runs.owner import is_alive, process_start, this_process
from core.speed import meter
from core.speed.machine import Machine, this_machine
from core.speed.measurement import Measurement, write_measurement
from core.speed.meter import Progress

MEASURED, FAILED, STOPPED = 0, 1, 3


def main(arguments: list[str] | None = None) -> int:
    """Measure one run; returns the exit code."""
    options = _parser().parse_args(arguments)
    # Hugging Face's libraries read it once, when they are first imported; nothing has imported them yet.
    network.switch_off_unless_asked()
    stopped = _stop_on_signals(options.leave_with)
    run_id = Path(options.run).name
    try:
        folder = runs.run_folder(run_id)
        machine = this_machine(options.threads)
        measurement = _measure_alone(folder, machine, stopped)
    except BaseException as error:  # noqa: BLE001  whatever happens, the page is told in one sentence
        return _end(run_id, error, stopped)
    _say(run_id, "finished", f"Measured in {measurement.elapsed_s:.0f} seconds.")
    return MEASURED


def _measure_alone(folder: Path, machine: Machine, stopped: Callable[[], bool]) -> Measurement:
    lock = worker.machine_lock()
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise DistilleryError(meter.TAKEN) from error
    try:
        from core.speed.measure import measure

        def report(sentence: str, done: int, total: int) -> None:
            _say(folder.name, "measuring", sentence, done, total)

        measurement = measure(folder, machine, report, stopped)
        write_measurement(folder, measurement)
    finally:
        lock.release()
    return measurement


def _end(run_id: str, error: BaseException, stopped: Callable[[], bool]) -> int:
    if stopped():
        _say(run_id, "stopped", meter.STOPPED)
        return STOPPED
    sentence = _failure_sentence(run_id, error)
    _say(run_id, "failed", sentence)
    return FAILED


def _failure_sentence(run_id: str, error: BaseException) -> str:
    if isinstance(error, DistilleryError):
        return str(error)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "There was not enough memory to measure these models. Close other programs, then measure again."
    try:
        runs.append_log(runs.run_folder(run_id), "".join(traceback.format_exception(error)))
    except (DistilleryError, OSError):
        return f"The run could not be measured ({type(error).__name__}): its folder cannot be written."
    return f"Something unexpected went wrong ({type(error).__name__}). The run's log.txt has the details."


def _say(run_id: str, state: str, sentence: str, done: int = 0, total: int = 0) -> None:
    progress = Progress(run_id=run_id, state=state, sentence=sentence, done=done, total=total, owner=this_process())
    meter.write_progress(progress)
    print(f"{state}: {sentence}" + (f" {done} of {total}." if total else ""), flush=True)


def _stop_on_signals(leave_with: int | None) -> Callable[[], bool]:
    """True once a signal has come, or once the process `leave_with`, which started this one, has gone."""
    asked = threading.Event()
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: asked.set())
    if leave_with is None:
        return asked.is_set
    parent = this_process() | {"pid": leave_with, "started": process_start(leave_with)}
    return lambda: asked.is_set() or not is_alive(parent)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m core.speed", description="Measure the size and speed of a run's models on this machine."
    )
    parser.add_argument("run", metavar="RUN", help="the run's folder, or its name below runs/")
    parser.add_argument("--threads", type=int, metavar="N", help="compute threads (default: every core)")
    parser.add_argument("--leave-with", type=int, metavar="PID", help="end when this process has gone")
    return parser


if __name__ == "__main__":
    sys.exit(main())
