"""The same engine from a terminal: `python -m core distill`, `glue`, `export RUN` and so on; `--help` names them all.

Exit codes: 0 finished, 1 failed, 2 bad settings, 3 stopped.

What the commands import is imported inside the functions: by then the terminal and Ctrl-C are in hand.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from core.cli import BAD_SETTINGS, FAILED
from core.cli.terminal import leave, run_in_terminal

if TYPE_CHECKING:
    import argparse


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    from core import network, redact
    from core.errors import DistilleryError

    try:
        # The terms of a loss may be a person's own files.
        from core.settings_file import SettingsError
    except DistilleryError as error:
        print(error, file=sys.stderr)
        return BAD_SETTINGS
    from core.storage import home

    options = _parser().parse_args(arguments)
    redact.install()
    os.umask(0o077)  # what a run leaves is for the user's eyes only
    # Hugging Face's libraries read it once, when they are first imported; nothing has imported them yet.
    network.switch_off_unless_asked()
    try:
        return options.run_command(options)
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
    import argparse

    from core.cli import export, glue, job, measure, train

    parser = argparse.ArgumentParser(
        prog="python -m core", description="Distil a small language model from a large one."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    train.add_commands(commands)
    glue.add_glue(commands)
    export.add_commands(commands)
    measure.add_measure(commands)
    job.add_job(commands)
    return parser


if __name__ == "__main__":
    leave(run_in_terminal(main))
