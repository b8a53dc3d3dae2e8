"""Carry out one run or GLUE job in this process: signals, progress line by line, and what came of it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import TextIO

from core.cli import STOPPED, exit_code
from core.cli.kinds import queue
from core.cli.report import report
from core.cli.terminal import SIGNALS
from core.jobs.carry_out import wait_and_carry_out
from core.runs import folder as runs


def carry_out(folder: Path, leaving: threading.Event, to: TextIO | None = None) -> int:
    """Wait for the job's turn, carry it out, and say how it goes, to stdout if nothing else; returns the exit code."""
    to = to or sys.stdout
    print(folder, file=to, flush=True)
    over = threading.Event()
    watcher = threading.Thread(target=_print_progress, args=(folder, over, to), daemon=True)
    watcher.start()
    wait_and_carry_out(queue, folder, leaving)
    over.set()
    watcher.join(timeout=2)
    status = runs.read_status(folder)
    print(f"{status.state}: {status.sentence}", file=to)
    return exit_code(status.state)


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

    for number in SIGNALS:
        signal.signal(number, leave)
    return leaving


def _print_progress(folder: Path, over: threading.Event, to: TextIO) -> None:
    shown = ""
    while not over.is_set() and (status := runs.read_status(folder)).state not in runs.ENDED:
        line = f"{status.state}: {status.sentence}"
        if status.total_steps:
            line += f" Step {status.step} of {status.total_steps}."
        if line != shown:
            print(line, file=to, flush=True)
            shown = line
        over.wait(2.0)
