"""Foreign text is shown as it is: it runs nothing, calls nobody and covers nothing, on any page."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.conftest import StartServer
from tests.faults import hostile
from tests.fixtures.browser import open_page

SOME = ["<img src=x onerror=hit=1>![](http://evil.example/a)$\\rule{99999px}{9px}$"]
"""A program, a picture and a giant in one; `python -m benchmarks.faults` tries them all."""


def test_there_are_enough_texts_and_each_fits_a_runs_name() -> None:
    assert len(set(hostile.PAYLOADS)) >= 25 and all(len(text) <= 80 for text in hostile.PAYLOADS)


def test_hostile_texts_do_nothing_on_any_page(start_server: StartServer, browser: Browser, tmp_path: Path) -> None:
    home = tmp_path / "home"
    os.environ["DISTILLERY_HOME"] = str(home)
    try:
        cases = hostile.prepare(home, SOME)
    finally:
        del os.environ["DISTILLERY_HOME"]
    server = start_server(home=home)
    report = hostile.look_everywhere(browser, server.url, cases)
    assert report.pages >= {"/", "/distill", "/compare", "/runs"} and report.looks >= 10
    assert report.bad == []
    assert "Traceback" not in server.log_text()


@pytest.mark.parametrize("html", ["<img src=x onerror=window.hit=1>", "<form action=http://evil.example/></form>"])
def test_the_look_finds_what_a_text_has_done(browser: Browser, html: str) -> None:
    with open_page(browser, []) as page:
        page.set_content(f"<div data-testid=stApp style='height:9px'>{html}</div>")
        page.wait_for_timeout(200)
        assert page.evaluate(hostile.LOOK)
