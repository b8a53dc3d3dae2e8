"""Where the form's fields stand in a browser: the Tab key goes as the eye does, nothing moves while the page comes."""

from __future__ import annotations

import pytest

from tests.fixtures.browser import open_page, settled, visit
from tests.fixtures.serving import COLD

WEIGHTS = ["Soft targets (L_ce)", "Hard targets (L_hard)", "Hidden cosine (L_cos)", "Temperature (T)"]
FRAME = "stMainBlockContainer"
PAINTED = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))"
LISTEN = """
window.moved = [];
new PerformanceObserver(list => window.moved.push(...list.getEntries().filter(each => !each.hadRecentInput).map(each =>
  [each.value, each.sources.map(source => source.node?.dataset?.testid ?? "")]
))).observe({ type: "layout-shift", buffered: true });
"""


@pytest.fixture(scope="module")
def server(start_server, tmp_path_factory):
    running = start_server(home=tmp_path_factory.mktemp("layout"), environment=COLD)
    yield running
    running.close()


def test_the_tab_key_goes_from_weight_to_weight_as_the_eye_does(server, page):
    visit(page, f"{server.url}/distill?new=1")
    boxes = [page.get_by_role("spinbutton", name=name).bounding_box() for name in WEIGHTS]
    soft, hard, cosine, temperature = boxes
    assert soft["y"] == hard["y"] < cosine["y"] == temperature["y"], "two rows"
    assert soft["x"] == cosine["x"] < hard["x"] == temperature["x"], "two columns"
    page.get_by_role("spinbutton", name=WEIGHTS[0]).focus()
    went = [WEIGHTS[0]]
    while len(went) < len(WEIGHTS):
        page.keyboard.press("Tab")
        name = page.evaluate("document.activeElement.getAttribute('aria-label')")
        if name and not name.startswith("Help"):
            went.append(name)
    assert went == WEIGHTS
    below = page.get_by_text("Further ways of learning").bounding_box()
    assert below["y"] - (temperature["y"] + temperature["height"]) < 50, "no hole below the last of them"


@pytest.mark.parametrize("width", [1280, 390])
def test_the_form_comes_without_moving(server, browser, problems, width):
    """Cumulative layout shift below 0.1, the good end of the scale (web.dev/articles/cls).

    Set aside is the frame itself: Streamlit paints its empty page narrow before it hears that it is wide.
    """
    with open_page(browser, problems, viewport={"width": width, "height": 720}) as page:
        page.add_init_script(LISTEN)
        visit(page, f"{server.url}/distill?new=1")
        page.get_by_role("spinbutton", name=WEIGHTS[0]).wait_for()
        page.get_by_text("Further ways of learning").wait_for()
        page.get_by_text("Time on this machine").wait_for()
        settled(page)
        page.evaluate(PAINTED)
        moved = [(value, sources) for value, sources in page.evaluate("window.moved") if sources != [FRAME]]
        assert sum(value for value, _ in moved) < 0.1, moved
    assert not problems
