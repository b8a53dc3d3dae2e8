"""`python -m core export RUN` and `tensorboard RUN`: what a run made, in forms that other tools read."""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from core.cli import FAILED, FINISHED
from core.cli.carry_out import carry_out, leave_on_signals
from core.cli.terminal import SIGNALS, clean_up_on_ctrl_c
from core.cli.which import run_meant
from core.errors import DistilleryError
from core.export.onnx_forms import Made
from core.failures import is_disk_full, why_it_failed
from core.jobs.folder import remove
from core.jobs.owner import this_process


def add_commands(commands: Any) -> None:
    """Describe the commands to the parser."""
    command = commands.add_parser("export", help="write a finished run's student, ONNX files and report to a folder")
    command.set_defaults(run_command=_export)
    _add_run(command)
    command.add_argument("--onnx", action="store_true", help="ONNX files too, each checked against the student first")
    command.add_argument("--report", action="store_true", help="the report too, one HTML file")
    command.add_argument("--to", type=Path, default=Path("."), metavar="FOLDER", help="where to (default: here)")
    command = commands.add_parser("tensorboard", help="write a run's curves as an event file that TensorBoard reads")
    command.set_defaults(run_command=_tensorboard)
    _add_run(command)


def _add_run(command: argparse.ArgumentParser) -> None:
    command.add_argument("run", metavar="RUN", help="the run's folder, its id, or the name it was given")


def _tensorboard(options: argparse.Namespace) -> int:
    from core.runs.tensorboard import write_tensorboard

    clean_up_on_ctrl_c()
    print(write_tensorboard(run_meant(options.run)))
    return FINISHED


def _export(options: argparse.Namespace) -> int:
    """Write what was asked for and print the path of each file. The run must have finished."""
    from core.export.archive import archive_name, write_zip
    from core.export.facts import read_facts
    from core.export.onnx_forms import read_forms
    from core.export.report import report

    folder = run_meant(options.run)
    if options.onnx and (code := _make(folder)) != FINISHED:
        return code
    clean_up_on_ctrl_c()
    made = read_forms(folder) if options.onnx else None
    if made:
        _tell(made)
    options.to.mkdir(parents=True, exist_ok=True)
    _write(options.to / f"{archive_name(folder)}.zip", lambda file: write_zip(folder, file))
    for form in made["forms"] if made else ():
        _write(options.to / f"{archive_name(folder, form)}.zip", partial(write_zip, folder, form=form))
    if options.report:
        page = report(read_facts(folder)).encode()
        _write(
            options.to / f"{archive_name(folder).replace('student', 'report', 1)}.html", lambda file: file.write(page)
        )
    return FAILED if made and made["refused"] else FINISHED


def _make(folder: Path) -> int:
    """Make the ONNX files in their turn, unless there are some; returns the exit code. Raises DistilleryError."""
    from core.export.job import start
    from core.export.make_forms import check_finished
    from core.export.onnx_forms import read_forms

    # Refused at once, not when its turn has come.
    check_finished(folder)
    if read_forms(folder):
        return FINISHED
    job, before = start(folder, owner=this_process()), {name: signal.getsignal(name) for name in SIGNALS}
    try:
        return carry_out(job, leave_on_signals(), to=sys.stderr)
    finally:
        # What follows has no steps after which it could end.
        for number, handler in before.items():
            signal.signal(number, handler)
        remove(job)


def _tell(made: Made) -> None:
    from core.export.card import TITLES, on_what, speed_in_words
    from core.numbers import score

    metric = made["measured_on"]["metric"]
    print(on_what(made))
    for form, found in made["forms"].items():
        print(
            f"{TITLES[form]}: largest difference of a logit {found['largest_difference']:.2g}, agreement "
            f"{score(found['agreement'], metric)}, {speed_in_words(found)}."
        )
    for form, sentence in made["refused"].items():
        print(f"{TITLES[form]} is not offered. {sentence}", file=sys.stderr)


def _write(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file in one piece: whoever looks sees the old one or the new one."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with part.open("xb") as file:
            write(file)
        os.replace(part, path)
    except OSError as error:
        if is_disk_full(error):
            raise DistilleryError(why_it_failed(error)) from error
        raise DistilleryError(f"{path} cannot be written: {error.strerror or error}.") from error
    finally:
        part.unlink(missing_ok=True)
    print(path)
