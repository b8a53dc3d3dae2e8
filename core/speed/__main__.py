"""`python -m core.speed RUN` is `python -m core measure RUN`."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    from core.__main__ import main
    from core.cli.terminal import leave, run_in_terminal

    leave(run_in_terminal(lambda: main(["measure", *sys.argv[1:]])))
