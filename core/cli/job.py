"""`python -m core job FOLDER`: carry out one job in this process, as the server does with each.

With `-` it loads the libraries first and then reads the folder from its standard input: so a server has the next job
begin at once.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from core import libraries
from core.cli import STOPPED, exit_code
from core.cli.kinds import queue
from core.cli.terminal import SIGNALS
from core.jobs.carry_out import wait_and_carry_out
from core.jobs.process import STANDBY


def add_job(commands: Any) -> None:
    """Describe the command to the parser."""
    command = commands.add_parser("job", help="carry out a queued job in this process, whatever kind of work it is")
    command.set_defaults(run_command=_carry_out)
    command.add_argument("folder", metavar="FOLDER", help=f"its folder; {STANDBY} waits for one on the standard input")


def _carry_out(options: argparse.Namespace) -> int:
    faulthandler.enable()
    leaving = _leave_on_signals()
    folder = _folder_to_come() if options.folder == STANDBY else Path(os.path.abspath(options.folder))
    if folder is None:
        return STOPPED
    if hasattr(os, "nice"):
        os.nice(queue.kind_of(folder).patience)
    return exit_code(wait_and_carry_out(queue, folder, leaving))


def _folder_to_come() -> Path | None:
    """The folder that a server names once it has a job; None if it has gone instead."""
    libraries.load()
    import core.distill.job
    import core.runs.recorder  # noqa: F401  what every training needs beside the libraries

    line = sys.stdin.readline().strip()
    return Path(line) if line else None


def _leave_on_signals() -> threading.Event:
    """An event that a signal sets: save and leave after the current step."""
    leaving = threading.Event()
    for number in SIGNALS:
        signal.signal(number, lambda *_: leaving.set())
    return leaving
