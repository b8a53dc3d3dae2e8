"""`python -m core measure RUN`, also as `python -m core.speed RUN`: size, memory and time of a run's models, here."""

from __future__ import annotations

import argparse
from typing import Any

from core.cli.carry_out import carry_out, leave_on_signals
from core.cli.kinds import why_not_measure
from core.cli.which import run_meant
from core.errors import DistilleryError
from core.jobs.owner import this_process
from core.speed import job


def add_measure(commands: Any) -> None:
    """Describe the command to the parser."""
    command = commands.add_parser("measure", help="measure the size and speed of a run's models on this machine")
    command.set_defaults(run_command=_measure)
    command.add_argument("run", metavar="RUN", help="the run's folder, its id, or the name it was given")
    command.add_argument("--threads", type=int, metavar="N", help="compute threads (default: every core)")


def _measure(options: argparse.Namespace) -> int:
    """Measure one run; what it does stands on the page too. Raises DistilleryError while anything else is at work."""
    run = run_meant(options.run)
    if job.measuring():
        raise DistilleryError("A measurement is under way already. Wait until it has ended.")
    folder = job.begin(run.name, why_not_measure(), options.threads, this_process())
    return carry_out(folder, leave_on_signals())
