"""Tells the workers of this process that the queue has changed, so that a click is acted upon at once."""

from __future__ import annotations

import threading
import weakref

_bells: weakref.WeakSet[threading.Event] = weakref.WeakSet()


def new_bell() -> threading.Event:
    """An event that is set whenever this process has queued a job; a worker that has nothing to do waits for it."""
    bell = threading.Event()
    _bells.add(bell)
    return bell


def ring() -> None:
    """Let every worker of this process look at the queue."""
    for bell in list(_bells):
        bell.set()
