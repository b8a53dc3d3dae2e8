"""A pass over many texts that keeps somebody waiting: what it is, how far it is, and how long it still takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from core import numbers
from core.distill.recorder import Recorder

FIRST_S, EVERY_S = 2.0, 1.0
"""A shorter wait needs no words; a longer one is told anew so often."""


class Waiting:
    """Call it before every batch. Raises StopRequested if the run should end.

    `work` is how much each batch costs, for instance its word pieces; what is left takes as long, for each of them, as
    what is done has taken here.
    """

    def __init__(
        self, recorder: Recorder, doing: str, work: Sequence[float], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`doing` is the beginning of a sentence."""
        self._recorder, self._doing, self._clock = recorder, doing, clock
        self._work, self._all, self._done = iter(work), sum(work), 0.0
        self._before = 0.0
        self._began = self._said = clock()

    def __call__(self) -> None:
        """A batch is next; all batches before it are done."""
        self._recorder.check_stop()
        self._done += self._before
        self._before = next(self._work, 0.0)
        now = self._clock()
        if self._done and now - self._began >= FIRST_S and now - self._said >= EVERY_S:
            self._said = now
            left = numbers.duration((now - self._began) * (self._all / self._done - 1))
            self._recorder.preparing(f"{self._doing}: {numbers.percent(self._done / self._all, 0)} done, {left} left.")
