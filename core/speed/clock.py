"""The stopwatch: what is compared takes turns, so that a machine that slows down slows all of it alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

LEAST, MOST = 3, 15
"""Rounds in one visit to a cell of the grid: never fewer, so that slow models have a median; never more than help."""

SECONDS = 1.5
"""What one visit may take, if the least number of rounds allows it."""

Pass = Callable[[], object]


def take_turns(
    passes: Mapping[str, Pass],
    rounds: int,
    between: Callable[[], object] = lambda: None,
    now: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Milliseconds of each pass, `rounds` of each; `between` is called before each and its time counts for none.

    In every round each pass runs once, and another one begins: nobody always follows the same neighbour, whose data
    are still in the processor's cache.
    """
    names = list(passes)
    times: dict[str, list[float]] = {name: [] for name in names}
    for round_number in range(rounds):
        first = round_number % len(names)
        for name in names[first:] + names[:first]:
            between()
            begin = now()
            passes[name]()
            times[name].append(1000 * (now() - begin))
    return times


def rounds_after_warming_up(
    passes: Mapping[str, Pass],
    between: Callable[[], object] = lambda: None,
    now: Callable[[], float] = time.perf_counter,
) -> int:
    """Run each pass, since the first one allocates, and once more: how many rounds fit into a visit."""
    take_turns(passes, 1, between, now)
    one_round_ms = sum(times[0] for times in take_turns(passes, 1, between, now).values())
    return min(MOST, max(LEAST, int(1000 * SECONDS / max(one_round_ms, 1e-6))))
