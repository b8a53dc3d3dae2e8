"""A real Chromium for the tests: find it, drive it, collect what went wrong in it.

`python -m tests.browser` prints the browser that the tests will use and fails when there is none.
"""

from __future__ import annotations

import os
import shutil
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

PROJECTOR = {"width": 1280, "height": 720}
LIMIT_MS = 90_000
"""A busy machine answers late; only what never comes is wrong. For expectations too: importing this sets it."""

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
LOCAL = {"127.0.0.1", "localhost"}
# Streamlit asks for these beside a deep link first; the answer is 404 and it goes on from the root.
DEEP_LINK_404 = ("/_stcore/health", "/_stcore/host-config")

CONFIG = Path(__file__).resolve().parents[1] / ".streamlit" / "config.toml"
PRIMARY_ON_DARK = tomllib.loads(CONFIG.read_text())["theme"]["dark"]["primaryColor"]

expect.set_options(timeout=LIMIT_MS)

SETTLED = """() => {
  const app = document.querySelector('[data-testid=stApp]');
  return app?.dataset.testConnectionState === 'CONNECTED' && app.dataset.testScriptState === 'notRunning';
}"""


def find_chromium() -> str | None:
    """Return the path of a Chromium: $CHROMIUM, one on the PATH or playwright's own; None without any."""
    named = os.environ.get("CHROMIUM")
    if named:
        return shutil.which(named)
    for name in NAMES:
        path = shutil.which(name)
        if path:
            return path
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def needed_chromium() -> str:
    """The same, for a program that cannot go on without one: it ends with what to do."""
    return find_chromium() or sys.exit("No Chromium found: set CHROMIUM to the path of one.")


@contextmanager
def chromium(executable: str, *arguments: str) -> Iterator[Browser]:
    """Run a headless Chromium with further command line arguments until the block ends."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox", *arguments], timeout=LIMIT_MS
        )
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def open_page(browser: Browser, problems: list[str], **options: Any) -> Iterator[Page]:
    """Open a page of projector size in a context of its own; `options` are those of `browser.new_context`.

    Every console error or warning about policy, every uncaught exception and every request that leaves this
    machine is appended to `problems` as one line.
    """
    context = browser.new_context(**{"viewport": PROJECTOR, **options})
    context.set_default_timeout(LIMIT_MS)
    page = context.new_page()
    collect_problems(page, problems)
    try:
        yield page
    finally:
        context.close()


def collect_problems(page: Page, problems: list[str]) -> None:
    """Append what goes wrong in the page from now on to `problems`."""

    def on_console(message: ConsoleMessage) -> None:
        refused = "Content Security Policy" in message.text or "Content-Security-Policy" in message.text
        if (message.type == "error" or refused) and not _is_deep_link_404(message):
            problems.append(f"console: {message.text} ({message.location.get('url')})")

    def on_address(url: str) -> None:
        address = urlparse(url)
        if address.scheme not in {"data", "blob"} and address.hostname not in LOCAL:
            problems.append(f"left this machine: {url}")

    def on_failure(request: Request) -> None:
        line = f"left this machine: {request.url}"
        if request.failure == "csp" and line in problems:
            problems.remove(line)  # announced, then stopped inside the browser by the page's policy

    page.on("console", on_console)
    page.on("pageerror", lambda error: problems.append(f"exception: {error}"))
    page.on("request", lambda request: on_address(request.url))
    page.on("requestfailed", on_failure)
    page.on("websocket", lambda socket: on_address(socket.url))


def _is_deep_link_404(message: ConsoleMessage) -> bool:
    path = urlparse(message.location.get("url", "")).path
    return "404" in message.text and path not in DEEP_LINK_404 and path.endswith(DEEP_LINK_404)


def settled(page: Page) -> None:
    """Wait until the page is connected and its script rests; on a live page wait for content instead."""
    page.wait_for_function(SETTLED)


def visit(page: Page, url: str) -> None:
    """Open an address and wait until the page is settled."""
    page.goto(url)
    settled(page)


def axe(page: Page, theme: str = "light") -> list[str]:
    """Serious and critical accessibility violations, one line each.

    Streamlit writes the chosen pill and a slider's value in the primary colour, and a primary button's label in white.
    On a dark page no colour gives all three the contrast of 4.5; the button has it, the two others are held to 3.5.
    """
    found = []
    for violation in Axe().run(page).response["violations"]:
        for node in violation["nodes"] if violation["impact"] in {"serious", "critical"} else []:
            colours = (node["any"] or [{}])[0].get("data") or {}
            primary = theme == "dark" and colours.get("fgColor") == PRIMARY_ON_DARK
            if not (violation["id"] == "color-contrast" and primary and colours["contrastRatio"] >= 3.5):
                found.append(f"{violation['id']}: {violation['help']} at {node['target']}: {colours}")
    return found


if __name__ == "__main__":
    print(needed_chromium())
