"""Eight tabs watch a training for ten minutes: what that costs the server's memory, its threads, and the training.

    python -m benchmarks.viewers [--tabs 8] [--minutes 10]

A real student learns, without tabs, with them, and without again. Server and training share one core and the browser
has the others, so that the drawing of the tabs is not counted as the server's work, but all that the server does for
them is taken from the training. Goals: memory and threads do not grow (5 %), a step takes at most 10 % longer.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from playwright.sync_api import Browser, expect

from core.jobs.events import read_events
from core.settings_file import parse_settings
from tests.fixtures.browser import chromium, needed_chromium, open_page
from tests.fixtures.made_runs import make_run
from tests.fixtures.serving import Server, launch

QUIET_S = 120.0
LOOK_EVERY_S = 10.0
BEGIN_S, WARM_UP_STEPS = 600, 50
SETTINGS = {
    "data": {"max_tokens": 32},
    "teacher": {"epochs": 1},
    "training": {"epochs": 100, "threads": 1},
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What viewers cost a server that trains.")
    parser.add_argument("--tabs", type=int, default=8)
    parser.add_argument("--minutes", type=float, default=10.0)
    chosen = parser.parse_args()
    path = needed_chromium()
    first, *others = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as name, waiting_run(Path(name), first) as (server, metrics):
        os.sched_setaffinity(0, others or [first])
        with chromium(path) as browser:
            begin(browser, server, metrics)
            before = steps_of(metrics, QUIET_S)
            with tabs(browser, server, chosen.tabs):
                begun = len(student_times(metrics))
                sizes = [(rss_mb(server), threads(server)) for _ in looks(60 * chosen.minutes)]
                watched = intervals(student_times(metrics)[begun:])
            after = steps_of(metrics, QUIET_S)
    alone, seen = statistics.mean([typical(before), typical(after)]), typical(watched)
    print(f"{chosen.tabs} tabs, {chosen.minutes:g} minutes, {len(watched):,} steps")
    print(f"a step: {1000 * alone:.1f} ms alone, {1000 * seen:.1f} ms watched: {seen / alone:.3f} times")
    (memory, count), (last, last_count) = sizes[len(sizes) // 10], sizes[-1]
    print(f"memory after a tenth of the time: {memory:.0f} MB, at the end: {last:.0f}, {last / memory:.3f} times")
    print(f"threads after a tenth of the time: {count}, at the end: {last_count}, at most {max(n for _, n in sizes)}")


@contextmanager
def waiting_run(home: Path, core: int) -> Iterator[tuple[Server, Path]]:
    """A server on one core with a run that waits for its first visitor, and the run's metrics.jsonl."""
    os.environ["DISTILLERY_HOME"] = str(home)
    run = make_run(home, state="queued", settings=parse_settings(SETTINGS))
    os.sched_setaffinity(0, [core])
    server = launch(home)
    try:
        yield server, run / "metrics.jsonl"
    finally:
        server.close()


def begin(browser: Browser, server: Server, metrics: Path) -> None:
    """Visit the dashboard once, which lets the run begin, and wait until its student learns."""
    with open_page(browser, []) as page:
        page.goto(server.url)
        expect(page.get_by_role("button", name="Start the demo")).to_be_visible()
        deadline = time.monotonic() + BEGIN_S
        while len(student_times(metrics)) < WARM_UP_STEPS:
            if time.monotonic() > deadline:
                raise SystemExit(f"The student did not begin to learn within {BEGIN_S} s.")
            time.sleep(1)


@contextmanager
def tabs(browser: Browser, server: Server, count: int) -> Iterator[None]:
    """So many tabs that follow the run, each in a session of its own."""
    with ExitStack() as stack:
        for _ in range(count):
            page = stack.enter_context(open_page(browser, []))
            page.goto(f"{server.url}/distill")
            expect(page.locator(".live-chart .main-svg").first).to_be_visible()
        yield


def looks(seconds: float) -> Iterator[None]:
    """One look every few seconds, for so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
        time.sleep(LOOK_EVERY_S)


def student_times(metrics: Path) -> list[float]:
    """When each step of the student was taken, in seconds of its stage."""
    events, _ = read_events(metrics)
    return [each["elapsed_s"] for each in events if (each.get("event"), each.get("stage")) == ("step", "student")]


def steps_of(metrics: Path, seconds: float) -> list[float]:
    """Seconds of each step that is taken in the next so many seconds."""
    begun = len(student_times(metrics))
    time.sleep(seconds)
    return intervals(student_times(metrics)[begun:])


def intervals(times: list[float]) -> list[float]:
    """Seconds between the steps that follow each other."""
    return [after - before for before, after in zip(times, times[1:], strict=False)]


def typical(seconds: list[float]) -> float:
    """Their mean, without the pauses in which the student was scored."""
    usual = statistics.median(seconds)
    return statistics.mean(each for each in seconds if each < 5 * usual)


def rss_mb(server: Server) -> float:
    """Memory of the server's process that is in use, training included."""
    return _status(server, "VmRSS") / 1000


def threads(server: Server) -> int:
    """Threads of the server's process."""
    return _status(server, "Threads")


def _status(server: Server, name: str) -> int:
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    main()
