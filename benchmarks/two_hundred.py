"""How soon the lists open when there are two hundred of everything.

    python -m benchmarks.two_hundred

A fresh server and a real browser; from the click on a page's name to its table being there, three visits one after the
other, the first of them while the server still loads its libraries. Beside it the reading alone, in a fresh process.
Goals: the runs are listed, and the scores are on the screen, within a second.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page

from tests.fixtures.browser import chromium, needed_chromium, open_page, visit
from tests.fixtures.made_glue_jobs import make_200_rows
from tests.fixtures.made_runs import make_200_runs
from tests.fixtures.serving import ROOT, launch, server_environment

VISITS = 3
PAGES = {"Runs": ("GLUE", "td.name a"), "GLUE": ("Runs", ".results tbody tr:nth-child(12)")}
"""Where to click, the page to come from, and what is there when the table is."""

READ_RUNS = """
import time; from core.runs.table import list_rows
for _ in range(2):
    begun = time.perf_counter(); rows = list_rows(); print(f"{time.perf_counter() - begun:.2f} s", end=" ")
broken = sum(bool(row.problem) for row in rows); print(f"for {len(rows)} runs, {broken} of them broken")
"""


def main() -> None:
    """Measure and print."""
    path = needed_chromium()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start")
    with tempfile.TemporaryDirectory() as name, chromium(path) as browser:
        home = Path(name)
        make_200_rows(home)
        make_200_runs(home)
        command = [sys.executable, "-c", READ_RUNS]
        print("reading the runs, and again: ", end="", flush=True)
        subprocess.run(command, cwd=ROOT, env=server_environment(home), check=True, timeout=300)
        for page_name in PAGES:
            seconds = visits(browser, home, page_name)
            print(f"{page_name}, click to table: " + ", ".join(f"{taken:.2f}" for taken in seconds) + " s")


def visits(browser: Browser, home: Path, name: str) -> list[float]:
    """Seconds of so many visits to a page of a fresh server."""
    server = launch(home)
    try:
        with open_page(browser, []) as page:
            taken = []
            for _ in range(VISITS):
                visit(page, f"{server.url}/{PAGES[name][0].lower()}")
                taken.append(seconds_to_the_table(page, name))
            return taken
    finally:
        server.close()


def seconds_to_the_table(page: Page, name: str) -> float:
    """From the click on the page's name to the table being there, by the browser's clock."""
    page.evaluate(
        "addEventListener('click', () => { window.begun = performance.now() }, { capture: true, once: true })"
    )
    page.get_by_role("link", name=name, exact=True).first.click()
    page.locator(PAGES[name][1]).first.wait_for()
    return page.evaluate("(performance.now() - window.begun) / 1000")


if __name__ == "__main__":
    main()
