"""Long questions on a thread of their own: with progress and Stop, once however often they are asked, one at a time.

A page only looks: the work lives as long as the server, not as long as a script run. Nothing here knows what the work
is, and nothing here loads torch.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, Literal, TypeVar

from core import libraries
from core.errors import DistilleryError

log = logging.getLogger("distillery")

Result = TypeVar("Result")
State = Literal["waiting", "working", "finished", "stopped", "failed"]

KEPT = 6
"""Ended pieces of work whose result is remembered; those not looked at for longest go first."""


class Stopped(Exception):
    """Somebody pressed Stop. Not an error."""


class Task(Generic[Result]):
    """One piece of work. Its thread writes, everybody else reads; `result` is there once it is finished."""

    def __init__(self) -> None:
        self.state: State = "waiting"
        self.done, self.total = 0, 0
        self.result: Result | None = None
        self.reason = ""
        self._ended, self._stop = threading.Event(), threading.Event()

    @property
    def ended(self) -> bool:
        """True once nothing will change any more."""
        return self._ended.is_set()

    @property
    def share(self) -> float:
        """How much is done, 0 to 1."""
        return min(self.done / self.total, 1.0) if self.total else 0.0

    def stop(self) -> None:
        """Ask the work to end at its next `check_stop`."""
        self._stop.set()

    def check_stop(self) -> None:
        """Called by the work now and then. Raises Stopped once it should end."""
        if self._stop.is_set():
            raise Stopped

    def report(self, done: int, total: int) -> None:
        """Called by the work: how far it is. Raises Stopped once it should end."""
        self.done, self.total = done, total
        self.check_stop()

    def wait(self, timeout_s: float) -> bool:
        """Wait until it has ended; False if it has not in that time."""
        return self._ended.wait(timeout_s)

    def run(self, work: Callable[[Task[Result]], Result]) -> None:
        """Do the work on the calling thread; whatever happens ends up in `state`, `result` and `reason`."""
        try:
            self.check_stop()
            self.state = "working"
            # Imports from two threads at once can wait for each other for ever.
            libraries.load()
            self.result = work(self)
            self.state = "finished"
        except Stopped:
            self.state = "stopped"
        except DistilleryError as error:
            self.state, self.reason = "failed", str(error)
        except BaseException as error:  # logged, and the server must live on: somebody waits for an answer
            log.exception("work in the background failed")
            self.state, self.reason = "failed", _unexpected(error)
        finally:
            self._ended.set()


class Tasks:
    """The pieces of work of one server. All methods may be called from any thread."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._tasks: OrderedDict[Hashable, Task] = OrderedDict()
        self._guard, self._turn = threading.Lock(), threading.Lock()

    def start(self, key: Hashable, work: Callable[[Task[Result]], Result]) -> Task[Result]:
        """Begin the work called `key`, or return it if it is under way or done. Stopped and failed work begins anew.

        `key` must name all that the result follows from.
        """
        with self._guard:
            task = self._tasks.get(key)
            if task is None or task.state in ("stopped", "failed"):
                task = self._tasks[key] = Task()
                # A daemon, since a thread that is waited for would keep a closed server alive.
                threading.Thread(target=self._work, args=(task, work), name="asking", daemon=True).start()
            self._remember(key)
        return task

    def find(self, key: Hashable) -> Task | None:
        """The work called `key`, if it was begun and is still remembered."""
        with self._guard:
            if key in self._tasks:
                self._tasks.move_to_end(key)
            return self._tasks.get(key)

    def _work(self, task: Task, work: Callable) -> None:
        # Two at once on few cores would both take longer than one after the other.
        with self._turn:
            task.run(work)

    def _remember(self, key: Hashable) -> None:
        self._tasks.move_to_end(key)
        ended = [each for each, task in self._tasks.items() if task.ended]
        for old in ended[: max(0, len(ended) - self._kept)]:
            del self._tasks[old]


def _unexpected(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "There was not enough memory. Try fewer or shorter texts."
    return f"Something unexpected went wrong ({type(error).__name__}). The server's log has the details."


_tasks = Tasks()
start = _tasks.start
find = _tasks.find
