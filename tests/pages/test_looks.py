"""What a person sees and no setting of Streamlit reaches, in a browser: focus, contrast, movement, alignment."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import StartServer
from tests.fixtures.browser import axe, open_next_page, settled, visit
from tests.fixtures.made_runs import RESULTS, make_run
from tests.fixtures.serving import Server

TOP_OF_THE_TITLE = "() => document.querySelector('h1').getBoundingClientRect().top"
TEXT_COLOUR = "() => getComputedStyle(document.querySelector('h1')).color"
RIGHT_ENDS = """name => [...document.querySelectorAll('[data-testid=stBidiComponentRegular], *')].flatMap(host =>
  host.shadowRoot ? [...host.shadowRoot.querySelectorAll('th.number, td.number')] : [])
  .filter(cell => cell.innerText.trim())
  .map(cell => {
    const range = document.createRange()
    const words = cell.querySelector('button')?.firstChild ?? cell.firstChild
    range.selectNodeContents(words)
    return [cell.cellIndex, Math.round(range.getBoundingClientRect().right)]
  })"""


@pytest.fixture(scope="module")
def server(start_server: StartServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with two finished runs."""
    home = tmp_path_factory.mktemp("home")
    make_run(home, results=RESULTS)
    make_run(home, "20261122-130000-ab12", results=RESULTS)
    running = start_server(home=home)
    yield running
    running.close()


def test_focus_on_the_navigation_is_seen(page: Page, server: Server) -> None:
    visit(page, f"{server.url}/runs")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    focused = page.locator("[data-testid=stTopNavLink]:focus")
    expect(focused).to_have_css("outline-style", "solid")
    expect(focused).to_have_css("outline-width", "2px")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_chosen_pills_and_segments_can_be_read(
    browser: Browser, problems: list[str], server: Server, scheme: str
) -> None:
    """On dark ground Streamlit's own colour for them has a contrast of 3.5."""
    with open_next_page(browser, problems, color_scheme=scheme) as page:
        for address in ("speed", "distill?new=1"):
            visit(page, f"{server.url}/{address}")
            chosen = page.locator("[data-testid=stButtonGroup] button[data-selected=true]").first
            expect(chosen).to_be_visible()
            assert axe(page) == []
            assert chosen.evaluate("button => getComputedStyle(button).color") == page.evaluate(TEXT_COLOUR)


def test_numbers_of_the_list_end_where_their_heads_end(page: Page, server: Server) -> None:
    visit(page, f"{server.url}/runs")
    expect(page.locator("td.name a")).to_have_count(2)
    ends: dict[int, set[int]] = {}
    for column, right in page.evaluate(RIGHT_ENDS):
        ends.setdefault(column, set()).add(right)
    assert len(ends) == 6 and all(max(found) - min(found) <= 1 for found in ends.values()), ends


def test_the_banner_pushes_nothing_down(page: Page, server: Server) -> None:
    visit(page, f"{server.url}/runs")
    before = page.evaluate(TOP_OF_THE_TITLE)
    make_run(server.home, "20261122-140000-ab12", state="running")
    visit(page, f"{server.url}/runs")
    expect(page.get_by_text("Training now:")).to_be_in_viewport()
    settled(page)
    assert page.evaluate(TOP_OF_THE_TITLE) == before
