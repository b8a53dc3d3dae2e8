"""How quickly the dashboard answers: the first page of a fresh server, and a click while a student trains.

    python -m benchmarks.responsiveness

Goals: first page painted within 2.5 s of the server's first answer; a click during training within 2 times its idle
time. Idle and training are measured in one run on one server, with the same clicks on the same page.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.fixtures.browser import chromium, needed_chromium, open_page, settled, visit
from tests.fixtures.serving import launch

STARTS = 5
CLICKS = 30


def main() -> None:
    """Print both measurements."""
    path = needed_chromium()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start")
    with chromium(path) as browser:
        paints = [_first_paint(browser) for _ in range(STARTS)]
        print(f"first page painted: {_summary(paints)} s after the server answers ({STARTS} fresh servers)")
        with tempfile.TemporaryDirectory() as home:
            _clicks(browser, Path(home))


def _first_paint(browser: Browser) -> float:
    with tempfile.TemporaryDirectory() as home:
        server = launch(Path(home))
        try:
            with open_page(browser, []) as page:
                began = time.monotonic()
                page.goto(server.url)
                expect(page.get_by_role("button", name="Start the demo")).to_be_visible()
                return time.monotonic() - began
        finally:
            server.close()


def _clicks(browser: Browser, home: Path) -> None:
    server = launch(home)
    try:
        with open_page(browser, []) as form, open_page(browser, []) as watcher:
            visit(form, f"{server.url}/distill?new=1")
            # Until the libraries are loaded in the background nothing is idle.
            time.sleep(15)
            idle = _latencies(form)
            visit(watcher, server.url)
            watcher.get_by_role("button", name="Start the demo").click()
            for stage in ("Teacher learns the task", "Student learns from the teacher"):
                expect(watcher.locator(".live")).to_contain_text(f"{stage}")
                _wait_for_steps(home, "teacher" if stage.startswith("Teacher") else "student")
                training = _latencies(form)
                ratio = statistics.median(training) / statistics.median(idle)
                print(f"click while the {stage[0].lower() + stage[1:]}: {_summary(training)} s, {ratio:.2f} times idle")
            print(f"click when idle: {_summary(idle)} s ({CLICKS} clicks each, a watching tab open while training)")
    finally:
        server.close()


def _wait_for_steps(home: Path, stage: str) -> None:
    deadline = time.monotonic() + 900
    while time.monotonic() < deadline:
        for metrics in (home / "runs").glob("2*/metrics.jsonl"):
            if metrics.read_text().count(f'"event":"step","stage":"{stage}"') >= 3:
                return
        time.sleep(0.2)
    raise SystemExit(f"The {stage}'s stage did not begin within 15 minutes.")


def _latencies(page: Page) -> list[float]:
    """Seconds from a click on a recipe until its weight stands in the field and the page rests."""
    times = []
    for click in range(CLICKS):
        name, weight = (("Equal", "1.00"), ("Paper 5/2/1", "5.00"))[click % 2]
        began = time.monotonic()
        page.get_by_role("radio", name=name).click()
        expect(page.get_by_role("spinbutton", name="Soft targets (L_ce)")).to_have_value(weight, timeout=20_000)
        settled(page)
        times.append(time.monotonic() - began)
        time.sleep(0.3)
    return times


def _summary(values: list[float]) -> str:
    return f"median {statistics.median(values):.2f} (from {min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    main()
