"""The moment in which a run finishes before somebody's eyes, in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from core.runs import folder as runs
from core.storage import write_json
from tests.conftest import StartServer
from tests.fixtures.browser import settled
from tests.fixtures.made_runs import RESULTS, make_run
from tests.fixtures.serving import Server

SCROLLED = "() => document.querySelector('[data-testid=stMain]').scrollTop"
TO_THE_END = "() => document.querySelector('[data-testid=stMain]').scrollTo(0, 1e6)"


@pytest.fixture(scope="module")
def server(start_server: StartServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose only run trains in this very process, so that a test decides when it ends."""
    running = start_server(home=tmp_path_factory.mktemp("home"))
    yield running
    running.close()


def finish(folder: Path) -> None:
    """What the last lines of a training do."""
    write_json(folder / "results.json", RESULTS)
    runs.write_status(folder, replace(runs.read_status(folder), state="finished", sentence="Done."))


@pytest.mark.parametrize("width", [1280, 390])
def test_the_verdict_comes_onto_the_screen_once(page: Page, server: Server, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 720})
    folder = make_run(server.home, f"20261122-120000-{width:04}", state="running")
    page.goto(f"{server.url}/distill?run={folder.name}")
    expect(page.locator(".live-word")).to_have_text("running")
    settled(page)
    page.evaluate(TO_THE_END)
    assert page.evaluate(SCROLLED) > 0
    finish(folder)
    verdict = page.locator(".st-key-verdict h2")
    expect(verdict).to_contain_text("The student kept")
    expect(verdict).to_be_in_viewport()
    settled(page)
    page.mouse.wheel(0, 1)
    page.evaluate(TO_THE_END)
    page.get_by_text("The recipe of this run").click()
    settled(page)
    expect(verdict).not_to_be_in_viewport()


def test_a_run_that_finished_before_is_read_from_the_top_and_pulls_nobody(page: Page, server: Server) -> None:
    folder = make_run(server.home)
    page.goto(f"{server.url}/distill?run={folder.name}")
    expect(page.locator(".live-word")).to_have_text("finished")
    settled(page)
    page.evaluate(TO_THE_END)
    page.get_by_role("button", name="off").click()
    settled(page)
    expect(page.locator(".st-key-verdict h2")).not_to_be_in_viewport()
