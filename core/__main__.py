"""The same engine from a terminal: `python -m core config`, `distill`, `resume RUN`.

Exit codes: 0 finished, 1 failed, 2 bad settings, 3 stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any, get_args

from core import network
from core.config import Objective, Settings, starting_point
from core.errors import DistilleryError
from core.runs import folder as runs
from core.runs import worker
from core.runs.owner import this_process
from core.runs.resume import request_resume
from core.settings_file import SettingsError, override, read_settings_file
from core.storage import home

FINISHED, FAILED, BAD_SETTINGS, STOPPED = 0, 1, 2, 3


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    options = _parser().parse_args(arguments)
    # Hugging Face's libraries read it once, when they are first imported; nothing has imported them yet.
    network.switch_off_unless_asked()
    try:
        if options.command == "resume":
            return _resume(options.run)
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
    command = commands.add_parser("resume", help="go on with a run that was stopped or cut off")
    command.add_argument("run", metavar="RUN", help="the run's folder, or its name below runs/")
    return parser


# In both commands the run is reserved for this process: a dashboard on the same folder shows it, but does not take it.


def _distil(settings: Settings) -> int:
    leaving = _leave_on_signals()
    folder = runs.create_run(settings, runs.new_run_id(), owner=this_process())
    return _train(folder, leaving)


def _resume(run: str) -> int:
    leaving = _leave_on_signals()
    folder = runs.run_folder(Path(run).name)
    if runs.read_status(folder).state == "finished":
        print("The run is finished; there is nothing left to do.")
        return FINISHED
    request_resume(folder, owner=this_process())
    return _train(folder, leaving)


def _train(folder: Path, leaving: threading.Event) -> int:
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
    return _report(folder)


def _leave_on_signals() -> threading.Event:
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


def _report(folder: Path) -> int:
    status = runs.read_status(folder)
    print(f"{status.state}: {status.sentence}")
    results = runs.read_results(folder)
    if results:
        for sentence in (_in_one_line(results), *results["notes"]):
            print(sentence)
    return {"finished": FINISHED, "stopped": STOPPED}.get(status.state, FAILED)


def _in_one_line(results: dict[str, Any]) -> str:
    metric = results["metric"]
    scores = {model: _score(results[model]["score"], metric) for model in ("teacher", "student")}
    kept = "" if results["kept"] is None else f" ({results['kept']:.1%} kept)"
    majority = "" if results["majority"] is None else f", majority {_score(results['majority'], metric)}"
    return (
        f"Measured here on the {results['split']} split ({results['examples']} {results['counted']}, seed "
        f"{results['seed']}), {metric}: teacher {scores['teacher']}, student {scores['student']}{kept}, agreement "
        f"{_score(results['agreement'], metric)}{majority}."
    )


def _score(value: float | None, metric: str) -> str:
    """A share in percent; a correlation, which is no share of anything, with three decimals."""
    if value is None:
        return "undefined"
    return f"{value:.3f}" if metric == "correlation" else f"{value:.1%}"


if __name__ == "__main__":
    sys.exit(main())
