"""What the live view costs: bytes and milliseconds of the browser's main thread a second, and the first draw.

    python -m benchmarks.live_view [--seconds 20]

A made-up run with 10 000 points grows by 10 steps a second, as a training writes them (twice a second). Goals:
at most 2 kB and 20 ms of the main thread a second, first draw within 2 s of the view's own first request. Wall-clock
milliseconds of a shared machine: repeat before you believe a difference of less than a half.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import CDPSession, Page

from tests.fixtures.browser import chromium, needed_chromium, open_page
from tests.fixtures.serving import ROOT, Server, launch
from tests.fixtures.synthetic_curves import SyntheticRun, student_events

POINTS = 10_000
STEPS_A_SECOND = 10
FLUSHES_A_SECOND = 2

APP = """
import streamlit as st
from starlette.middleware import Middleware
from pages.ui.guard import Guard
from pages.ui.live import routes

app = st.App("page.py", routes=routes(), middleware=[Middleware(Guard)])
"""
PAGE = """
import streamlit as st
from pages.ui.live import live_view

st.set_page_config(layout="wide")
live_view(st.query_params["run"], key="live")
"""
DRAWN = "() => document.querySelectorAll('.live-plot .scatterlayer .trace').length >= 12"
FIRST_DRAW_MS = """() => new Promise(resolve => {
  const begun = performance.getEntriesByType('resource').find(entry => entry.name.endsWith('/live.js')).startTime
  requestAnimationFrame(() => resolve(performance.now() - begun))
})"""


@dataclass
class Traffic:
    """Bytes on the wire of the view's questions and answers, headers included, and how many there were."""

    answers: list[int] = field(default_factory=list)
    _asked: set[str] = field(default_factory=set)

    def listen(self, session: CDPSession) -> None:
        """Count from now on."""
        session.send("Network.enable")
        session.on("Network.requestWillBeSent", self._on_request)
        session.on("Network.loadingFinished", self._on_finished)

    def _on_request(self, event: dict) -> None:
        if "/api/runs/" in event["request"]["url"]:
            self._asked.add(event["requestId"])

    def _on_finished(self, event: dict) -> None:
        if event["requestId"] in self._asked:
            self.answers.append(int(event["encodedDataLength"]))


@contextmanager
def site() -> Iterator[Server]:
    """A server with nothing but a live view, behind the real guard."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "app.py").write_text(APP)
        (folder / "page.py").write_text(PAGE)
        shutil.copytree(ROOT / ".streamlit", folder / ".streamlit")
        server = launch(folder / "home", folder=folder, environment={"PYTHONPATH": str(ROOT)})
        try:
            yield server
        finally:
            server.close()


@contextmanager
def growing(run: SyntheticRun, total: int, start: int) -> Iterator[None]:
    """Append the steps after `start` in real time, until the block ends."""
    over = threading.Event()
    events = [event for event in student_events(total, STEPS_A_SECOND) if event.get("step", 0) > start]

    def write() -> None:
        begun = time.monotonic()
        while not over.wait(1 / FLUSHES_A_SECOND):
            reached = start + int((time.monotonic() - begun) * STEPS_A_SECOND)
            due = [event for event in events if event["step"] <= reached]
            del events[: len(due)]
            run.append(*due)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        over.set()
        writer.join()


def busy_ms(session: CDPSession) -> float:
    """Milliseconds that the page's main thread has worked so far."""
    metrics = {metric["name"]: metric["value"] for metric in session.send("Performance.getMetrics")["metrics"]}
    return metrics["TaskDuration"] * 1000


def measure(page: Page, server: Server, name: str, total: int, points: int, seconds: float, zoom: bool) -> str:
    """One line of the table: a run of `total` steps that has `points` of them and grows while it is watched."""
    run = SyntheticRun(server.home, name)
    run.append(*student_events(total, STEPS_A_SECOND, last=points))
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    traffic = Traffic()
    traffic.listen(session)
    page.goto(f"{server.url}/?run={name}")
    page.wait_for_function(DRAWN)
    first_draw_s = page.evaluate(FIRST_DRAW_MS) / 1000
    if zoom:
        zoom_to_the_end(page)
    with growing(run, total, points):
        page.wait_for_timeout(3_000)
        asked, before, begun = len(traffic.answers), busy_ms(session), time.monotonic()
        page.wait_for_timeout(seconds * 1000)
        spent_s = time.monotonic() - begun
        bytes_s = sum(traffic.answers[asked:]) / spent_s
        work_ms = (busy_ms(session) - before) / spent_s
    session.detach()
    first = traffic.answers[0] / 1000
    return f"{name:28} {first:9.1f} {first_draw_s:9.2f} {bytes_s / 1000:9.2f} {work_ms:9.1f}"


def zoom_to_the_end(page: Page) -> None:
    """Drag over the last fifth of the loss, where every new point moves the line by much."""
    box = page.locator(".live-figure-loss .nsewdrag").bounding_box()
    if box is None:
        raise RuntimeError("the loss chart is not on the screen")
    height = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.78, height)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.9, height, steps=4)
    page.mouse.up()


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="What the live view costs the browser and the wire.")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each case is watched")
    seconds = parser.parse_args().seconds
    executable = needed_chromium()
    cases = [
        ("10000 of 12000 steps", 12_000, POINTS, False),
        ("10000 of 12000, zoomed in", 12_000, POINTS, True),
        ("100 of 800 steps", 800, 100, False),
    ]
    print(f"{'':28} {'first kB':>9} {'drawn s':>9} {'kB/s':>9} {'ms/s':>9}", flush=True)
    with site() as server, chromium(executable) as browser:
        for name, total, points, zoom in cases:
            with open_page(browser, []) as page:
                run_id = name.replace(" ", "-").replace(",", "")
                print(measure(page, server, run_id, total, points, seconds, zoom), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
