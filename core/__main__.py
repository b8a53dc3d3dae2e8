"""The same engine from a terminal: `python -m core config`, `distill`, `glue`, `resume RUN`.

Exit codes: 0 finished, 1 failed, 2 bad settings, 3 stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
from pathlib import Path
from typing import get_args

from core import network, redact
from core.cli import glue
from core.cli.carry_out import BAD_SETTINGS, FAILED, FINISHED, carry_out, leave_on_signals
from core.cli.report import report
from core.config import Objective, Settings, starting_point
from core.errors import DistilleryError
from core.runs import folder as runs
from core.runs.owner import this_process
from core.runs.resume import request_resume
from core.settings_file import SettingsError, override, read_settings_file
from core.storage import home, runs_root, scores_root


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    options = _parser().parse_args(arguments)
    redact.install()
    os.umask(0o077)  # what a run leaves is for the user's eyes only
    # Hugging Face's libraries read it once, when they are first imported; nothing has imported them yet.
    network.switch_off_unless_asked()
    try:
        if options.command == "resume":
            return _resume(options.run)
        if options.command == "glue":
            return glue.score(options)
        settings = (
            read_settings_file(options.config) if options.config else starting_point(options.objective or "labels")
        )
        settings = override(settings, options.set)
        if options.command == "distill":
            return _distil(settings)
        print(json.dumps(settings.model_dump(mode="json"), indent=2, ensure_ascii=False))
        return FINISHED
    except SettingsError as error:
        for sentence in error.problems.values():
            print(sentence, file=sys.stderr)
        return BAD_SETTINGS
    except DistilleryError as error:
        print(error, file=sys.stderr)
        return FAILED
    except OSError as error:
        print(f"{error.filename or home()} cannot be used: {error.strerror}.", file=sys.stderr)
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m core", description="Distil a small language model from a large one."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (("config", "print the settings as JSON"), ("distill", "train a student")):
        command = commands.add_parser(name, help=text)
        start = command.add_mutually_exclusive_group()
        start.add_argument("--config", type=Path, metavar="FILE", help="settings to start from, a JSON file")
        start.add_argument(
            "--objective",
            choices=get_args(Objective),
            help="what is learned, with settings that work for it (default: labels)",
        )
        command.add_argument(
            "--set", action="append", default=[], metavar="SECTION.FIELD=VALUE", help="change one, e.g. loss.soft=3"
        )
    glue.add_glue(commands)
    command = commands.add_parser("resume", help="go on with a run or GLUE job that was stopped or cut off")
    command.add_argument("run", metavar="RUN", help="its folder, or its name below runs/ or scores/")
    return parser


# In every command the run is reserved for this process: a dashboard on the same folder shows it, but does not take it.


def _distil(settings: Settings) -> int:
    leaving = leave_on_signals()
    folder = runs.create_run(settings, runs.new_run_id(), owner=this_process())
    return _carry_out(folder, leaving)


def _resume(run: str) -> int:
    leaving = leave_on_signals()
    folder = _run_or_job(Path(run))
    if runs.read_status(folder).state == "finished":
        print("The run is finished; there is nothing left to do.")
        report(folder)
        return FINISHED
    request_resume(folder, owner=this_process())
    return _carry_out(folder, leaving)


def _run_or_job(path: Path) -> Path:
    """A run; a GLUE job if the path says so or there is only a job of that name. Raises BrokenRun."""
    if (scores_root() / path.name).is_dir() and (
        path.parent.name == scores_root().name or not (runs_root() / path.name).is_dir()
    ):
        return runs.job_folder(path.name)
    return runs.run_folder(path.name)


def _carry_out(folder: Path, leaving: threading.Event) -> int:
    code = carry_out(folder, leaving)
    report(folder)
    return code


if __name__ == "__main__":
    sys.exit(main())
