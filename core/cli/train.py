"""`python -m core config`, `distill`, `ablation` and `resume RUN`: settings, training, and going on with it.

What a command trains is reserved for its process: a dashboard on the same folder shows it, but does not take it.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

from core.cli import FINISHED
from core.cli.carry_out import carry_out_and_report, leave_on_signals
from core.cli.report import report
from core.cli.terminal import takes_every_character
from core.cli.which import run_or_job_meant
from core.config import Objective, Settings, starting_point
from core.errors import DistilleryError
from core.jobs.owner import this_process
from core.runs import folder as runs
from core.runs.resume import request_resume
from core.settings_file import override, read_settings_file
from core.terms import TERMS


def add_commands(commands: Any) -> None:
    """Describe the commands to the parser."""
    for name, text, run in (
        ("config", "print the settings as JSON", _print_settings),
        ("distill", "train a student", _distil),
        ("ablation", "train it six times, each time without another part: the paper's Table 4", _ablation),
    ):
        command = commands.add_parser(name, help=text)
        command.set_defaults(run_command=run)
        _add_settings(command)
    command = commands.add_parser("resume", help="go on with a run or GLUE job that was stopped or cut off")
    command.set_defaults(run_command=_resume)
    command.add_argument("run", metavar="RUN", help="its folder, its id, or the name a run was given")


def _add_settings(command: argparse.ArgumentParser) -> None:
    start = command.add_mutually_exclusive_group()
    start.add_argument("--config", type=Path, metavar="FILE", help="settings to start from, a JSON file")
    start.add_argument(
        "--objective",
        choices=get_args(Objective),
        help="what is learned, with settings that work for it (default: labels)",
    )
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SECTION.FIELD=VALUE",
        help=f"change one, e.g. loss.{TERMS[0].name}=3",
    )


def _settings(options: argparse.Namespace) -> Settings:
    start = read_settings_file(options.config) if options.config else starting_point(options.objective or "labels")
    return override(start, options.set)


def _print_settings(options: argparse.Namespace) -> int:
    settings = _settings(options).model_dump(mode="json")
    print(json.dumps(settings, indent=2, ensure_ascii=not takes_every_character(sys.stdout)))
    return FINISHED


def _distil(options: argparse.Namespace) -> int:
    settings = _settings(options)
    _say_what_is_odd(settings)
    leaving = leave_on_signals()
    folder = runs.create_run(settings, runs.new_run_id(), owner=this_process())
    return carry_out_and_report(folder, leaving)


def _say_what_is_odd(settings: Settings) -> None:
    """Labels that look alike, texts that contradict each other: said before anything learns from them."""
    from core.data.labelled import remarks_on

    if settings.objective == "labels":
        with suppress(DistilleryError):  # the run says what is wrong
            for sentence in remarks_on(settings.data):
                print(sentence, file=sys.stderr, flush=True)


def _ablation(options: argparse.Namespace) -> int:
    from core.cli.ablation import carry_out_all

    settings = _settings(options)
    _say_what_is_odd(settings)
    return carry_out_all(settings, leave_on_signals())


def _resume(options: argparse.Namespace) -> int:
    leaving = leave_on_signals()
    folder = run_or_job_meant(options.run)
    if runs.read_status(folder).state == "finished":
        print("The run is finished; there is nothing left to do.")
        report(folder)
        return FINISHED
    request_resume(folder, owner=this_process())
    return carry_out_and_report(folder, leaving)
