"""Ends work in the middle of a step: for what is one long call into a library and can be thrown away."""

from __future__ import annotations

import _thread
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

LOOK_S = 0.3


class Interrupted(BaseException):
    """Raised on the main thread within `interrupting`; no Exception, so that no library takes it for its own."""


@contextmanager
def interrupting(should_stop: Callable[[], bool]) -> Iterator[None]:
    """Raise Interrupted within the block soon after `should_stop` says so, or at Ctrl-C.

    Outside the main thread, where no signal arrives, the work itself has to look.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(should_stop, over), name="interrupt", daemon=True)
    before = signal.signal(signal.SIGINT, _interrupt)
    watcher.start()
    try:
        yield
    finally:
        # A Stop that comes now is too late: the work has ended, one way or the other.
        with contextlib.suppress(Interrupted):
            over.set()
            watcher.join()
        signal.signal(signal.SIGINT, before)


def _watch(should_stop: Callable[[], bool], over: threading.Event) -> None:
    while not over.wait(LOOK_S):
        if should_stop():
            _thread.interrupt_main(signal.SIGINT)
            return


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise Interrupted
