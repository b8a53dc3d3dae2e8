"""Carry out one run or GLUE job in this process: signals, progress line by line, and what came of it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from core.cli import FAILED, FINISHED, STOPPED
from core.cli.report import report
from core.runs import folder as runs
from core.runs import worker


def carry_out(folder: Path, leaving: threading.Event) -> int:
    """Wait for the machine, train, and say how it goes; returns the exit code."""
    print(folder, flush=True)
    over = threading.Event()
    watcher = threading.Thread(target=_print_progress, args=(folder, over), daemon=True)
    watcher.start()
    while not worker.train_alone(folder, leaving):
        if leaving.wait(worker.RETRY_S):
            runs.request_stop(folder)
        if runs.read_status(folder).state in runs.ENDED:
            break
    over.set()
    watcher.join(timeout=2)
    status = runs.read_status(folder)
    print(f"{status.state}: {status.sentence}")
    return {"finished": FINISHED, "stopped": STOPPED}.get(status.state, FAILED)


def carry_out_and_report(folder: Path, leaving: threading.Event) -> int:
    """The same, and then what was measured."""
    code = carry_out(folder, leaving)
    report(folder)
    return code


def leave_on_signals() -> threading.Event:
    """An event that a signal sets: save and leave after the current step."""
    leaving = threading.Event()

    def leave(number: int, _frame: object) -> None:
        if leaving.is_set():
            os._exit(STOPPED)
        leaving.set()
        print("Stopping after the current step. Press Ctrl-C again to leave at once.", file=sys.stderr, flush=True)

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), leave)
    return leaving


def _print_progress(folder: Path, over: threading.Event) -> None:
    shown = ""
    while not over.is_set() and (status := runs.read_status(folder)).state not in runs.ENDED:
        line = f"{status.state}: {status.sentence}"
        if status.total_steps:
            line += f" Step {status.step} of {status.total_steps}."
        if line != shown:
            print(line, flush=True)
            shown = line
        over.wait(2.0)
