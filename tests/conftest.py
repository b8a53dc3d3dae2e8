"""What the tests share: a home folder, real servers and a real browser.

What a fixture needs is imported in it, so that a room whose tests need no browser and no model runs in seconds.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.fixtures.once import made_once
from tests.fixtures.serving import ROOT, Server, launch

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# Before anything imports the libraries that read them: no test reaches a network, and the processes that test side by
# side, with all that they start, compute on one thread each. For tiny models one thread is the faster choice anyway.
os.environ |= {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}

StartServer = Callable[..., Server]

SLOWEST = (
    "core/runs/test_resume.py",
    "app/test_main_path.py",
    "pages/test_live.py",
    "faults/test_processes.py",
    "core/distill/test_kinds_of_data.py",
    "faults/test_leaving.py",
    "faults/test_terminal.py",
    "pages/test_speed.py",
    "pages/test_runs.py",
    "core/export/test_export.py",
    "faults/test_network.py",
    "core/speed/test_speed.py",
    "pages/test_pages.py",
    "core/distill/test_masked_words_job.py",
    "pages/test_compare_parts.py",
)
"""The files that take a minute or more, the longest first."""

_started: list[Server] = []


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Three for two cores: a third of the time a test waits for a server, a browser or another process."""
    return ((os.cpu_count() or 1) * 3 + 1) // 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slowest files first: begun last, each would keep one core busy while the others have nothing left to do."""
    place = {ROOT / "tests" / name: number for number, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: place.get(item.path, len(SLOWEST)))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty DISTILLERY_HOME for this test."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("DISTILLERY_HOME", str(folder))
    return folder


def pytest_runtest_setup() -> None:
    """Runs choose a number of threads for the whole process; what one test has chosen must not reach the next."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def nobody_goes_on_training() -> Iterator[None]:
    """A thread that a test leaves behind would train what later tests queue, and draw from their chance."""
    yield
    left = [thread.name for thread in threading.enumerate() if thread.name.startswith("jobs-")]
    assert not left, "a worker was left running"


@pytest.fixture
def nothing_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages that queue runs which nobody takes. A thread that trained on would draw from every later test's chance."""
    from core import warm_up
    from core.cli import kinds

    monkeypatch.setattr(kinds, "start", lambda: None)
    monkeypatch.setattr(warm_up, "begin", lambda: None)


@pytest.fixture(scope="session")
def teachers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the trained teachers of the small runs, for `world_of`: made once, whichever process is first."""
    from tests.fixtures.small_runs import train_teachers

    return made_once(tmp_path_factory, "teachers", train_teachers)


@pytest.fixture(scope="session")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartServer]:
    """Start servers: `start_server(*flags, home=None, folder=ROOT, environment=None)`; all end in the end."""

    def start(*flags: str, home: Path | None = None, **options: Any) -> Server:
        server = launch(home or tmp_path_factory.mktemp("home"), *flags, **options)
        _started.append(server)
        return server

    yield start
    for server in _started:
        server.close()
    _started.clear()


@pytest.fixture(scope="module")
def server(start_server: StartServer) -> Iterator[Server]:
    """A server of the whole dashboard with an empty home, one for each test module."""
    running = start_server()
    yield running
    running.close()


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The Chromium to drive. Without one the test is skipped, or fails where CI is set."""
    from tests.fixtures.browser import find_chromium

    path = find_chromium()
    if path is None:
        message = "No Chromium found, so nothing was tested in a browser. Set CHROMIUM to the path of one."
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return path


@pytest.fixture(scope="module")
def browser(chromium_path: str) -> Iterator[Browser]:
    """A Chromium for one test module: playwright holds an event loop, which other modules must not find."""
    from tests.fixtures.browser import chromium

    with chromium(chromium_path) as running:
        yield running


@pytest.fixture
def problems() -> list[str]:
    """What went wrong in `page` so far; the test fails if anything is left in it at the end."""
    return []


@pytest.fixture
def page(browser: Browser, problems: list[str]) -> Iterator[Page]:
    """A page at 1280 by 720 that remembers nothing. Console errors, exceptions and outside requests fail the test."""
    from tests.fixtures.browser import open_next_page

    with open_next_page(browser, problems) as opened:
        yield opened
    assert not problems, "\n".join(problems)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Show the end of the latest servers' logs beside a failure."""
    report = yield
    if report.failed:
        for server in _started[-3:]:
            report.sections.append((f"log of the server on port {server.port}", server.log_text()[-4000:]))
    return report
