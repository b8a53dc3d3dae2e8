"""Load the heavy libraries in the background once somebody is looking, so that the first click finds them ready."""

from __future__ import annotations

import threading

from core import libraries

DELAY_S = 2.0
"""Long enough for the first page to be painted: importing competes with it for the interpreter."""

_begun = threading.Event()


def begin() -> None:
    """Start loading in a moment; does nothing when called again."""
    if not _begun.is_set():
        _begun.set()
        timer = threading.Timer(DELAY_S, _load)
        timer.daemon = True
        timer.start()


def _load() -> None:
    from core import pace
    from core.cli import kinds

    # First the process in which the next job begins: a click on Start is what nobody should wait for.
    kinds.worker.stand_ready()
    libraries.load()
    pace.calibrate()
