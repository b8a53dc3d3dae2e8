"""How much a piece of code does, counted and not timed: a busy machine counts the same as a free one.

What the counted work takes in seconds, with two hundred of everything, `python -m benchmarks.two_hundred` measures.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any


def work(use: Callable[[], Any]) -> int:
    """Functions called while `use` runs in this thread, those written in C among them."""
    calls = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        use()
    finally:
        sys.setprofile(before)
    return calls
