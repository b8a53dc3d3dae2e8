"""The live view in a real browser, over a run that the test writes itself."""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, Request, Route, expect
from streamlit.testing.v1 import AppTest

from tests.conftest import StartServer
from tests.fixtures.browser import axe, open_next_page, open_page, visit
from tests.fixtures.serving import ROOT, Server
from tests.fixtures.synthetic_curves import SyntheticRun, student_events, teacher_events

APP = """
import streamlit as st
from starlette.middleware import Middleware
from pages.ui.guard import Guard
from pages.ui.live import routes

app = st.App("page.py", routes=routes(), middleware=[Middleware(Guard)])
"""
PAGE = """
import streamlit as st
from pages.ui.live import Stages, live_view

st.set_page_config(page_title="Live", layout="wide")
st.session_state.runs = st.session_state.get("runs", 0) + 1
st.session_state.setdefault("ended", 0)

def count_end():
    st.session_state.ended += 1

st.title("A page that watches a run")
if st.toggle("Watch", value=True):
    stages = Stages(needs_none="kept" in st.query_params, student="Student learns without the teacher")
    live_view(st.query_params["run"], key="live", on_change=count_end, stages=stages if stages.needs_none else None)
st.button("Rerun")
st.text(f"script runs: {st.session_state.runs}")
st.text(f"ends seen: {st.session_state.ended}")
"""
LOSS, SCORES = ".live-figure-loss", ".live-figure-scores"

# The points of the chart's lines, as plotly holds them.
LAST_STEP = "chart => Math.max(0, ...document.querySelector(`${chart} .live-plot`).data.flatMap(trace => trace.x))"
X_RANGE = "chart => document.querySelector(`${chart} .live-plot`)._fullLayout.xaxis.range"


@pytest.fixture(scope="module")
def site(start_server: StartServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The smallest dashboard that holds a live view, behind the real guard and with the shipped settings."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "app.py").write_text(APP)
    (folder / "page.py").write_text(PAGE)
    shutil.copytree(ROOT / ".streamlit", folder / ".streamlit")
    server = start_server(folder=folder, environment={"PYTHONPATH": str(ROOT)})
    yield server
    server.close()


@pytest.fixture
def run(site: Server, request: pytest.FixtureRequest) -> SyntheticRun:
    """A run of 400 student steps that has reached step 100."""
    made = SyntheticRun(site.home, request.node.name.replace("[", "-").replace("]", ""))
    made.append(*teacher_events(60), *student_events(400, last=100))
    return made


def watch(page: Page, site: Server, run: SyntheticRun) -> None:
    page.goto(f"{site.url}/?run={run.folder.name}")
    page.wait_for_selector(f"{SCORES} .live-plot .main-svg")


def grow(page: Page, run: SyntheticRun, start: int, to: int) -> None:
    """Write the steps from `start` to `to` and wait until the chart shows the last."""
    events = [event for event in student_events(400, last=to) if event.get("step", 0) >= start]
    run.append(*(event for event in events if event["event"] != "stage"))
    page.wait_for_function(f"([chart, step]) => ({LAST_STEP})(chart) >= step", arg=[LOSS, to])


def drag_across(page: Page, chart: str, start: float, stop: float) -> None:
    box = page.locator(f"{chart} .nsewdrag").bounding_box()
    assert box is not None
    height = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * start, height)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * stop, height, steps=5)
    page.mouse.up()


def tile(page: Page, name: str):
    return page.locator(f".live-{name} .live-value")


# --- what it shows ----------------------------------------------------------------------------------------------


def test_points_and_numbers_appear_without_a_rerun(page, site, run):
    watch(page, site, run)
    expect(page.get_by_text("script runs: 1")).to_be_visible()
    expect(tile(page, "agreement")).to_have_text("88.7\u202f%")
    expect(tile(page, "teacher")).to_have_text("86.2\u202f%")
    expect(page.locator(".live-where")).to_have_text("Step 100 of 400, about 30\u202fs left")
    assert page.locator(".live-stage[aria-current=step]").inner_text().endswith("Student learns from the teacher")
    for start in (101, 121, 141):
        grow(page, run, start, start + 19)
    expect(page.locator(".live-where")).to_contain_text("Step 160 of 400")
    expect(page.get_by_text("script runs: 1")).to_be_visible()


def test_a_zoom_survives_updates_and_a_rerun_and_double_click_ends_it(page, site, run):
    watch(page, site, run)
    whole = page.evaluate(X_RANGE, LOSS)
    drag_across(page, LOSS, 0.1, 0.3)
    page.wait_for_function(f"([chart, whole]) => ({X_RANGE})(chart)[1] < whole[1] / 2", arg=[LOSS, whole])
    zoomed = page.evaluate(X_RANGE, LOSS)
    assert 20 < zoomed[0] < 60 and 100 < zoomed[1] < 140
    for start in (101, 111, 121, 131):
        events = [event for event in student_events(400, last=start + 9) if event.get("step", 0) >= start]
        run.append(*(event for event in events if event["event"] == "step"))
        expect(page.locator(".live-where")).to_contain_text(f"Step {start + 9} of")
    assert page.evaluate(X_RANGE, LOSS) == page.evaluate(X_RANGE, SCORES) == zoomed
    page.evaluate("document.querySelector('.live-plot').marked = true")
    page.get_by_role("button", name="Rerun").click()
    expect(page.get_by_text("script runs: 2")).to_be_visible()
    run.append({"event": "score", "stage": "student", "step": 150, "score": 0.85, "agreement": 0.777})
    expect(tile(page, "agreement")).to_have_text("77.7\u202f%")
    assert page.evaluate("document.querySelector('.live-plot').marked"), "the view was built again"
    assert page.evaluate(X_RANGE, LOSS) == zoomed
    box = page.locator(f"{LOSS} .nsewdrag").bounding_box()
    page.mouse.dblclick(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_function(f"([chart, whole]) => ({X_RANGE})(chart)[1] === whole[1]", arg=[LOSS, whole])


def test_the_view_follows_from_the_teacher_to_the_student_and_can_look_back(page, site):
    run = SyntheticRun(site.home, "both-stages")
    run.append(*list(teacher_events(60))[:40])
    watch(page, site, run)
    expect(page.locator(f"{LOSS} figcaption")).to_contain_text("Teacher’s loss")
    expect(tile(page, "agreement")).to_have_text("–")
    expect(page.locator(".live-figure-terms .live-note")).to_have_text("The terms begin when the student learns.")
    run.append(*list(teacher_events(60))[40:], *student_events(400, last=30))
    expect(page.locator(f"{LOSS} figcaption")).to_contain_text("Total loss")
    expect(page.locator(f"{SCORES} .live-label")).to_have_text(
        ["majority", "teacher 86.2\u202f%", "agreement", "student"]
    )
    page.get_by_role("group", name="Stage shown").get_by_role("button", name="teacher").click()
    expect(page.locator(f"{LOSS} figcaption")).to_contain_text("Teacher’s loss")
    expect(page.get_by_role("button", name="teacher", exact=True)).to_have_attribute("aria-pressed", "true")


def test_a_teacher_that_is_known_does_not_learn_and_a_control_learns_from_nobody(page, site):
    run = SyntheticRun(site.home, "known-teacher")
    page.goto(f"{site.url}/?run={run.folder.name}&kept=1")
    stages = page.locator(".live-stage span")
    expect(stages).to_have_text(["Teacher knows the task already", "Student learns without the teacher"])
    expect(page.locator(".live-stage").first).to_have_attribute("data-over", "")
    run.append(*student_events(400, last=30))
    expect(page.locator(".live-stage[aria-current=step]")).to_contain_text("Student learns without the teacher")
    expect(stages.first).to_have_text("Teacher knows the task already")


def test_the_last_step_is_almost_done(page, site, run):
    run.append(*list(student_events(400))[-5:])
    watch(page, site, run)
    expect(page.locator(".live-where")).to_have_text("Step 400 of 400, almost done")


def test_switches_change_the_lines(page, site, run):
    watch(page, site, run)
    traces = "chart => document.querySelector(`${chart} .live-plot`).data.length"
    assert page.evaluate(traces, LOSS) == 2, "raw and smoothed"
    page.get_by_role("button", name="off").click()
    page.wait_for_function(f"chart => ({traces})(chart) === 1", arg=LOSS)
    page.get_by_role("button", name="weighted shares").click()
    top = "document.querySelector('.live-figure-terms .live-plot').data.at(-1).y.at(-1)"
    page.wait_for_function(f"() => Math.abs({top} - 100) < 0.001")


def test_a_chart_says_its_finding_in_words(page, site, run):
    watch(page, site, run)
    finding = page.locator(f"{SCORES} [role=img]")
    expect(finding).to_have_attribute(
        "aria-label",
        "At step 96 the student is right on 82.5\u202f% of the held-out sentences, the teacher on 86.2\u202f%; "
        "they agree on 88.7\u202f%.",
    )


@pytest.fixture
def run_of(site: Server, request: pytest.FixtureRequest):
    """A run of a metric, at step 100 of 400."""

    def make(metric: str) -> SyntheticRun:
        made = SyntheticRun(site.home, "".join(sign if sign.isalnum() else "-" for sign in request.node.name))
        made.append(*teacher_events(60, metric=metric), *student_events(400, last=100, metric=metric))
        return made

    return make


SPOKEN = {
    "masked-word accuracy": (
        ["41.8\u202f%", "22.6\u202f%", "31.2\u202f%"],
        ["Student guesses", "Teacher guesses", "the same word from both", "72.4\u202f% kept"],
        "Masked-word accuracy",
        {"agreement", "student", "teacher 31.2\u202f%", "majority"},
        "At step 96 the student guesses 22.6\u202f% of the hidden words, the teacher 31.2\u202f%; they give the same "
        "word for 41.8\u202f%.",
    ),
    "correlation": (
        ["0.811", "0.768", "0.874"],
        ["Student correlation", "Teacher correlation", "correlation of both models’ scores", "87.8\u202f% kept"],
        "Correlation",
        {"agreement", "student", "teacher 0.874"},
        "At step 96 the student’s scores correlate with the true ones at 0.768, the teacher’s at 0.874; with each "
        "other at 0.811.",
    ),
}


@pytest.mark.parametrize("metric", SPOKEN)
def test_every_metric_has_words_and_numbers_of_its_own(page, site, run_of, metric):
    numbers, phrases, title, labels, finding = SPOKEN[metric]
    watch(page, site, run_of(metric))
    assert [tile(page, name).inner_text() for name in ("agreement", "student", "teacher")] == numbers
    for phrase in phrases:
        expect(page.locator(".live-numbers")).to_contain_text(phrase)
    expect(page.locator(f"{SCORES} figcaption")).to_contain_text(title)
    assert set(page.locator(f"{SCORES} .live-label").all_inner_texts()) == labels
    expect(page.locator(f"{SCORES} [role=img]")).to_have_attribute("aria-label", finding)
    expect(page.locator(".live-speed")).to_contain_text("texts a second")


def test_a_correlation_is_drawn_as_what_it_is_and_may_be_negative(page, site, run_of):
    watch(page, site, run_of("correlation"))
    low, high = page.evaluate(f"() => document.querySelector('{SCORES} .live-plot')._fullLayout.yaxis.range")
    assert -0.15 <= low < -0.06 and 0.9 <= high <= 1, "shares would be drawn from 0 to 100"


@pytest.mark.parametrize("metric", ["F1", "constructor", 3, None])
def test_a_metric_from_elsewhere_is_read_as_a_share(page, site, run_of, metric):
    run = run_of("accuracy")
    lines = run.metrics.read_text().replace('"metric":"accuracy"', f'"metric":{json.dumps(metric)}')
    run.metrics.write_text(lines)
    watch(page, site, run)
    expect(tile(page, "student")).to_have_text("82.5\u202f%")


def test_a_lost_value_leaves_a_gap_and_zero_is_drawn(page, site, run):
    step = {"event": "step", "stage": "student", "lr": 1e-4, "sentences": 1, "elapsed_s": 11.0}
    terms = {"soft": 0.1, "hard": 0.2, "cosine": 0.3}
    run.append({**step, **terms, "step": 101, "loss": None}, {**step, **terms, "step": 102, "loss": 0.0})
    watch(page, site, run)
    page.get_by_role("button", name="off").click()
    tail = "document.querySelector('.live-figure-loss .live-plot').data[0].y.slice(-2)"
    page.wait_for_function(f"() => JSON.stringify({tail}) === '[null,0]'")


# --- the end ----------------------------------------------------------------------------------------------------


def test_the_end_reruns_the_page_once(page, site, run):
    watch(page, site, run)
    grow(page, run, 101, 400)
    run.set_status("finished")
    expect(page.get_by_text("ends seen: 1")).to_be_visible()
    expect(page.get_by_text("script runs: 2")).to_be_visible()
    expect(page.locator(".live-word")).to_have_text("finished")
    # The result above is of the test part: these are named where they stand, and do not shout.
    for name in ("agreement", "student", "teacher"):
        expect(page.locator(f".live-{name} .live-aside")).to_contain_text("on the validation part")
    expect(page.locator(".live-agreement .live-value")).to_have_css("font-size", "24.8px")
    expect(page.get_by_text("You can close this tab")).to_be_hidden()
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request) if "/live?" in request.url else None)
    page.get_by_role("button", name="Rerun").click()
    expect(page.get_by_text("script runs: 3")).to_be_visible()
    expect(page.get_by_text("ends seen: 1")).to_be_visible()
    assert not asked, "a run that is over is not asked about again"


def test_a_run_that_ended_before_is_drawn_and_does_not_rerun(page, site, run):
    run.set_status("stopped")
    watch(page, site, run)
    expect(page.locator(".live-word")).to_have_text("stopped")
    expect(page.get_by_text("Time taken")).to_be_visible()
    page.get_by_role("button", name="Rerun").click()
    expect(page.get_by_text("script runs: 2")).to_be_visible()
    expect(page.get_by_text("ends seen: 0")).to_be_visible()


def test_a_resumed_run_is_followed_again_and_ends_again(page, site, run):
    run.set_status("stopped")
    watch(page, site, run)
    run.set_status("running")
    page.get_by_role("button", name="Rerun").click()
    expect(page.locator(".live-word")).to_have_text("running")
    grow(page, run, 101, 120)
    run.set_status("finished")
    expect(page.get_by_text("ends seen: 1")).to_be_visible()
    expect(page.get_by_text("script runs: 3")).to_be_visible()


# --- asking -----------------------------------------------------------------------------------------------------


@pytest.fixture
def asked(page: Page) -> list[str]:
    """Addresses of the view's questions so far."""
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url) if "/api/runs/" in request.url else None)
    return addresses


@pytest.fixture
def clock(page: Page) -> Iterator[Any]:
    """The page's clock, held still from before its first address; its context keeps it for good."""
    page.clock.install()
    yield page.clock
    page.context.close()


def hide(page: Page, hidden: bool) -> None:
    page.evaluate(
        """hidden => {
          Object.defineProperty(document, "hidden", { value: hidden, configurable: true })
          document.dispatchEvent(new Event("visibilitychange"))
        }""",
        hidden,
    )


def all_counted(page: Page) -> None:
    """Return once every request that was begun before has been reported."""
    page.evaluate("() => fetch('/_stcore/health').then(answer => answer.text())")


def test_a_hidden_tab_rests_and_asks_at_once_when_shown(page, site, run, asked, clock):
    watch(page, site, run)
    hide(page, True)
    clock.run_for(2_000)
    all_counted(page)
    before = len(asked)
    clock.run_for(30_000)
    all_counted(page)
    assert len(asked) == before
    with page.expect_request("**/api/runs/**"):
        hide(page, False)


def test_an_unmounted_view_asks_no_more(page, site, run, asked, clock):
    watch(page, site, run)
    page.get_by_text("Watch", exact=True).click()
    expect(page.locator(".live")).to_have_count(0)
    all_counted(page)
    before = len(asked)
    clock.run_for(30_000)
    all_counted(page)
    assert len(asked) == before


def test_only_one_question_at_a_time(page, site, run, asked, clock):
    watch(page, site, run)
    held: list[Route] = []
    page.route("**/api/runs/**", lambda route: held.append(route))
    with page.expect_request("**/api/runs/**"):
        clock.run_for(2_000)
    hide(page, False)
    clock.run_for(5_000)
    all_counted(page)
    assert len(held) == 1
    held[0].continue_()


def test_a_lost_server_is_said_in_words_and_found_again(browser: Browser, site, run):
    with open_next_page(browser, []) as page:  # the browser itself reports every failed request as an error
        watch(page, site, run)
        page.route("**/api/runs/**", lambda route: route.abort())
        expect(page.get_by_text("Connection lost, trying again.")).to_be_visible()
        page.unroute("**/api/runs/**")
        expect(page.get_by_text("Connection lost, trying again.")).to_be_hidden()
        grow(page, run, 101, 110)


def test_the_numbers_are_there_without_the_charts(browser: Browser, site, run):
    with open_page(browser, []) as page:  # the browser reports the failed request as an error
        page.route("**/plotly.min.js*", lambda route: route.abort())
        page.goto(f"{site.url}/?run={run.folder.name}")
        expect(page.get_by_text("The chart could not be loaded. Reload the page.")).to_have_count(3)
        expect(tile(page, "agreement")).to_have_text("88.7\u202f%")


def test_a_resumed_run_starts_over(page, site, run):
    watch(page, site, run)
    lines = run.metrics.read_bytes().splitlines(keepends=True)
    run.metrics.write_bytes(b"".join(lines[:-40]))
    page.wait_for_function(f"chart => ({LAST_STEP})(chart) < 80", arg=LOSS)


def test_a_deleted_run_is_said_in_words(browser: Browser, site, run):
    with open_next_page(browser, []) as page:  # the browser reports the 404 as an error
        watch(page, site, run)
        shutil.rmtree(run.folder)
        expect(page.locator(".live-refused")).to_contain_text("There is no run called")
        expect(page.locator(".live-charts")).to_be_hidden()


def test_a_run_seen_half_deleted_is_looked_at_again(browser: Browser, site, run):
    with open_next_page(browser, []) as page:  # the browser reports the 404 as an error
        watch(page, site, run)
        status = run.folder / "status.json"
        kept = status.read_bytes()
        status.unlink()
        refused = page.locator(".live-refused")
        expect(refused).to_contain_text("status.json cannot be read")
        status.write_bytes(kept)
        expect(refused).to_be_hidden()
        expect(page.locator(".live-charts")).to_be_visible()
        status.unlink()
        expect(refused).to_contain_text("status.json cannot be read")
        shutil.rmtree(run.folder)
        expect(refused).to_contain_text("There is no run called")


# --- routes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("run_id", ["none", ".hidden", "a b"])
def test_an_unknown_run_is_refused_with_a_sentence(site, run_id):
    answer = httpx.get(f"{site.url}/api/runs/{run_id}/live?since=0")
    assert answer.status_code == 404
    assert answer.json()["sentence"].startswith("There is no run called")


@pytest.mark.parametrize("run_id", ["%2e%2e", "..%2f..%2fetc", "%2fetc", "%00"])
def test_a_path_is_no_run(site, run_id):
    answer = httpx.get(f"{site.url}/api/runs/{run_id}/live?since=0")
    assert answer.status_code in (400, 404) or "offset" not in answer.text


@pytest.mark.parametrize("since", ["-1", "x", "1e3", "9" * 40, "²"])
def test_a_since_that_is_no_number_is_refused(site, run, since):
    answer = httpx.get(f"{site.url}/api/runs/{run.folder.name}/live", params={"since": since})
    assert answer.status_code == 400 and answer.json()["sentence"]


def test_a_broken_run_is_refused_with_its_file(site, run):
    (run.folder / "status.json").write_text("{")
    answer = httpx.get(f"{site.url}/api/runs/{run.folder.name}/live?since=0")
    assert answer.status_code == 404 and "status.json" in answer.json()["sentence"]


def test_plotly_is_sent_compressed_once_and_kept_by_the_browser(site):
    answer = httpx.get(f"{site.url}/live/plotly.min.js")
    assert answer.headers["content-encoding"] == "gzip" and "immutable" in answer.headers["cache-control"]
    assert int(answer.headers["content-length"]) < 2_000_000
    plain = httpx.get(f"{site.url}/live/plotly.min.js", headers={"accept-encoding": "identity"})
    assert plain.content == answer.content


@pytest.mark.parametrize("name", ["__init__.py", "routes.py", "nothing.js"])
def test_only_the_views_own_files_are_served(site, name):
    assert httpx.get(f"{site.url}/live/1/{name}").status_code == 404


# --- looks ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_themes_are_accessible(browser: Browser, problems, site, run, scheme):
    with open_next_page(browser, problems, color_scheme=scheme) as page:
        watch(page, site, run)
        expect(tile(page, "agreement")).to_have_text("88.7\u202f%")
        assert axe(page) == []
    assert not problems


def test_the_charts_take_the_colours_of_a_new_theme(page, site, run):
    colour = "() => document.querySelector('.live-figure-loss .live-plot')._fullLayout.font.color"
    watch(page, site, run)
    light = page.evaluate(colour)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"light => ({colour})() !== light", arg=light)
    theme = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())["theme"]
    assert (light, page.evaluate(colour)) == (theme["light"]["textColor"], theme["dark"]["textColor"])


def test_a_phone_shows_all_of_it_without_sideways_scrolling(browser: Browser, problems, site, run):
    with open_next_page(browser, problems, viewport={"width": 390, "height": 844}, has_touch=True) as page:
        watch(page, site, run)
        rooms = page.locator(".live-chart")
        boxes = [rooms.nth(number).bounding_box() for number in range(3)]
        assert all(box["x"] >= 0 and box["x"] + box["width"] <= 390 for box in boxes)
        assert boxes[0]["y"] < boxes[1]["y"] < boxes[2]["y"]
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
        outside = """() => [...document.querySelectorAll('.live *')]
          .filter(node => node.getBoundingClientRect().right > innerWidth + 1 && !node.closest('.live-plot'))
          .map(node => node.className)"""
        assert page.evaluate(outside) == []
    assert not problems


def test_labels_do_not_lie_on_one_another(page, site, run):
    watch(page, site, run)
    grow(page, run, 101, 400)
    expect(page.locator(f"{SCORES} .live-label")).to_have_count(4)
    boxes = [label.bounding_box() for label in page.locator(f"{SCORES} .live-label span").all()]
    tops = sorted(box["y"] for box in boxes)
    assert all(lower - upper >= 14 for upper, lower in zip(tops, tops[1:], strict=False))


# --- without a browser ------------------------------------------------------------------------------------------


def test_a_page_with_a_live_view_runs_in_apptest(home: Path):
    run = SyntheticRun(home, "in-apptest")
    script = f"from pages.ui.live import live_view\nlive_view({run.folder.name!r}, key='live')\n"
    for _ in range(2):
        page = AppTest.from_string(script).run(timeout=60)
        assert not page.exception
        page.run()
        assert not page.exception


def test_numbers_are_spoken_as_the_dashboard_speaks(page, site, run):
    visit(page, f"{site.url}/?run={run.folder.name}")
    page.wait_for_selector(".live-value")
    said = page.evaluate(
        """async () => {
          const style = document.querySelector('link[href$="live.css"]').href
          const numbers = await import(style.replace("live.css", "numbers.js"))
          const { decimals, percent, plain, count, timeLeft, timeTaken } = numbers
          return [percent(0.862), percent(1), percent(null), plain(0), plain(1.5), plain(0.0123), plain(0.00002),
                  plain(1234), count(10000), timeLeft(8), timeLeft(44), timeLeft(134), timeLeft(0), timeTaken(134),
                  decimals(0.8617), decimals(-0.05), decimals(null)]
        }"""
    )
    assert [text.replace("\u202f", " ") for text in said] == [
        "86.2 %", "100 %", "–", "0", "1.50", "0.0123", "2.00 × 10⁻⁵",
        "1 230", "10 000", "under 10 s", "about 40 s", "about 2 min", "almost done", "2 min 14 s",
        "0.862", "−0.050", "–",
    ]  # fmt: skip


def test_smoothing_passes_over_gaps_and_starts_without_a_bias(page, site, run):
    visit(page, f"{site.url}/?run={run.folder.name}")
    page.wait_for_selector(".live-value")
    smooth = page.evaluate(
        """async () => {
          const style = document.querySelector('link[href$="live.css"]').href
          const { Run } = await import(style.replace("live.css", "store.js"))
          const steps = { step: [1, 2, 3, 4], loss: [4, 4, null, 4] }
          const run = new Run()
          run.add({ offset: 1, stages: { student: { steps } }, stage: "student" })
          return run.stages.student.smoothed("loss", 10).value
        }"""
    )
    assert smooth == pytest.approx([4, 4, 4, 4])


def test_the_plots_use_the_width_that_they_have(page, site, run):
    """Room for the words behind the lines took a third of it."""
    watch(page, site, run)
    expect(page.locator(f"{SCORES} .live-label")).to_have_count(4)
    shares = page.evaluate(
        "() => [...document.querySelectorAll('.live-chart')].map(room => "
        "room.querySelector('.live-plot')._fullLayout.xaxis._length / room.clientWidth)"
    )
    assert len(shares) == 3 and min(shares) > 0.78, shares
    ends = page.evaluate(
        "() => [...document.querySelectorAll('.live-label')].map(label => "
        "label.closest('.live-chart').getBoundingClientRect().right - label.getBoundingClientRect().right)"
    )
    assert min(ends) >= 0, "no word is cut"
