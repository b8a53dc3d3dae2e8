"""The main job in a real browser, with the real teacher and real sentences: from Home to a compared sentence.

Few sentences and short inputs keep it quick; everything else is what a person does. The folder of the run tells what
must stand on the screen.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from playwright.sync_api import Browser, Page, expect

from core import numbers
from core.config import Settings
from core.runs import folder as runs
from core.settings_file import parse_settings
from tests.conftest import StartServer
from tests.fixtures.browser import axe, collect_problems, open_next_page, open_page, settled, visit
from tests.fixtures.made_runs import make_run
from tests.fixtures.serving import COLD, Server
from tests.fixtures.tiny_models import finished_run

TRAINED_MS = 150_000
RUN_ADDRESS = re.compile(r"/distill\?run=([\w-]+)$")
SMALL = {
    "data": {"max_examples": 800, "max_tokens": 32},
    "teacher": {"epochs": 1, "batch_size": 32, "learning_rate": 3e-4},
}

# Where a run stands: 1000 for the teacher's stage, 2000 for the student's, plus the step.
PLACE = """() => {
  const stage = document.querySelector('.live-stage[aria-current=step]')?.dataset.stage;
  const step = document.querySelector('.live-where')?.innerText.match(/Step (\\d+) of/)?.[1];
  return stage && step ? (stage === 'teacher' ? 1000 : 2000) + Number(step) : 0;
}"""


def run_of(page: Page) -> str:
    """Wait until the page shows a run, and return its id."""
    page.wait_for_url(RUN_ADDRESS)
    return RUN_ADDRESS.search(page.url).group(1)


def go_to(page: Page, name: str) -> None:
    """Follow a link of the navigation, as wide screens show it."""
    page.get_by_test_id("stTopNavLink").filter(has_text=name).click()


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def fill(page: Page, label: str, value: str) -> None:
    field = page.get_by_role("spinbutton", name=label, exact=True)
    field.fill(value)
    field.press("Enter")


def state(page: Page, word: str) -> None:
    """Wait until the live view says this word."""
    expect(page.locator(".live-word")).to_have_text(word)


def beyond(page: Page, place: int) -> int:
    """Wait until the run has come further than `place`, without a reload, and return where it is."""
    return page.wait_for_function(
        f"place => {{ const now = ({PLACE})(); return now > place && now }}", arg=place, timeout=TRAINED_MS
    ).json_value()


def made(server: Server) -> set[str]:
    """Ids of the server's runs."""
    return {path.name for path in (server.home / "runs").glob("[!.]*")}


# --- from Home to a run, and its end by hand ----------------------------------------------------------------------


def test_five_quick_clicks_on_the_demo_make_one_run_which_stops(page: Page, server: Server):
    visit(page, server.url)
    before = made(server)
    box = page.get_by_role("button", name="Start the demo").bounding_box()
    for _ in range(5):
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, delay=60)
    run_id = run_of(page)
    expect(page.get_by_role("heading", name="Demo")).to_be_visible()
    expect(page.locator(".live-word")).to_have_text(re.compile("preparing|running"))
    expect(page.get_by_text("You can close this tab")).to_be_visible()
    assert made(server) - before == {run_id}

    # One trains: another one waits, is seen to wait, and can be taken out.
    press(page, "Set up another run")
    press(page, "Add to the queue")
    expect(page.get_by_text("when the one before it has ended").first).to_be_visible()
    second = run_of(page)
    assert made(server) - before == {run_id, second}
    go_to(page, "Home")
    expect(page.get_by_role("heading", name="Watch a small model learn")).to_be_visible()
    expect(page.get_by_text("Training now:")).to_be_visible()
    press(page, "Watch it learn")
    assert run_of(page) == run_id
    expect(page.get_by_role("heading", name="Waiting")).to_be_visible()
    press(page, "Remove")
    expect(page.get_by_role("heading", name="Waiting")).to_have_count(0)
    assert runs.read_status(server.home / "runs" / second).state == "stopped"

    press(page, "Stop")
    expect(page.get_by_text("Stopped by you").first).to_be_visible()
    state(page, "stopped")
    expect(page.get_by_role("button", name="Stop", exact=True)).to_have_count(0)
    expect(page.get_by_role("button", name="Use these settings again")).to_be_visible()


# --- the whole path ---------------------------------------------------------------------------------------------


def test_from_a_recipe_to_a_compared_sentence(page: Page, server: Server, problems: list[str]):
    visit(page, server.url)
    go_to(page, "Distil")
    set_small_recipe(page)
    press(page, "Start")
    run_id = run_of(page)
    state(page, "running")
    expect(page.get_by_text("You can close this tab")).to_be_visible()

    place = beyond(page, 1000)
    page.reload()
    place = beyond(page, place)
    other = page.context.new_page()
    collect_problems(other, problems)
    other.goto(f"{server.url}/distill")
    assert run_of(other) == run_id, "a second tab finds the run that trains"
    beyond(other, place)
    other.close()
    beyond(page, 2000)
    for tile in ("agreement", "student", "teacher", "loss", "lr"):
        expect(page.locator(f".live-{tile} .live-value")).to_have_text(re.compile(r"\d"))
    page.evaluate("document.body.dataset.sameDocument = 'yes'")

    talk = page.get_by_role("button", name="Talk to both")
    expect(talk).to_be_visible(timeout=TRAINED_MS)
    assert page.evaluate("document.body.dataset.sameDocument") == "yes", "the result came by itself"
    state(page, "finished")
    check_result(page, server.home / "runs" / run_id)

    talk.click()
    page.wait_for_url(f"**/compare?run={run_id}")
    ask_both(page, "An unexpectedly tender story, told with wit.")


def set_small_recipe(page: Page) -> None:
    """A few hundred short sentences, five epochs; then wait until the page has understood all of it."""
    for lid in ("Data and teacher", "Training"):
        page.get_by_text(lid, exact=True).click()
    fill(page, "Use at most (examples)", "800")
    fill(page, "Longest input (word pieces)", "32")
    fill(page, "Teacher epochs", "1")
    fill(page, "Teacher batch (texts)", "32")
    fill(page, "Teacher learning rate", "0.0003")
    fill(page, "Epochs", "5")
    fill(page, "Batch (texts)", "32")
    fill(page, "Learning rate", "0.0003")
    expect(page.get_by_text("of 32 texts each; teacher: 20")).to_be_visible()
    expect(page.get_by_test_id("stMetricValue").filter(has_text=re.compile("^100$"))).to_be_visible()


def check_result(page: Page, folder: Path) -> None:
    """The card shows what results.json holds, beside the paper's three promises."""
    results = json.loads((folder / "results.json").read_text())
    settings = runs.read_settings(folder)
    assert settings.data.max_examples == 800 and settings.training.epochs == 5
    shown = page.get_by_test_id("stMetricValue")
    shares = [results[model]["score"] for model in ("teacher", "student")] + [results["kept"], results["agreement"]]
    for share in shares:
        expect(shown.filter(has_text=numbers.percent(share)).first).to_be_visible()
    expect(page.get_by_text("The student kept")).to_be_visible()
    for promise in ("97 %", "40 %", "1.63 times"):
        expect(page.get_by_test_id("stCaptionContainer").get_by_text(promise, exact=True)).to_be_visible()
    expect(page.get_by_text("measured here").first).to_be_visible()
    expect(page.get_by_text("Why not 40 % smaller")).to_be_visible()


def ask_both(page: Page, sentence: str) -> None:
    """Type a sentence on the Compare page and wait until both models have answered it."""
    # While a page is drawn anew, what it showed before can still stand below.
    answers = {
        role: page.get_by_role("img", name=re.compile(f"^{role}: negative")).last for role in ("Teacher", "Student")
    }
    for answer in answers.values():
        expect(answer).to_be_visible()
    before = {role: answer.get_attribute("alt") for role, answer in answers.items()}
    page.get_by_role("textbox", name="Your sentence").fill(sentence)
    press(page, "Compare")
    for role, answer in answers.items():
        expect(answer).not_to_have_attribute("alt", before[role])
        expect(page.get_by_text(f"{role} says", exact=True).last).to_be_visible()
    expect(page.get_by_role("heading", name=re.compile("Both say|They disagree")).last).to_be_visible()


# --- a server that ends while it trains ----------------------------------------------------------------------------


def train(start_server: StartServer, browser: Browser, home: Path, lender: Server) -> tuple[Server, Path]:
    """A server whose student is some steps on its way; with the lender's teacher, where that has one already."""
    if (lender.home / "cache").exists():
        shutil.copytree(lender.home / "cache", home / "cache", dirs_exist_ok=True)
    settings = parse_settings(SMALL | {"training": {"epochs": 100}})
    folder = make_run(home, state="queued", settings=settings)
    server = start_server(home=home)
    with open_page(browser, []) as page:
        page.goto(f"{server.url}/distill?run={folder.name}")
        beyond(page, 2002)
    return server, folder


def test_a_killed_server_and_its_jobs_process_leave_a_run_that_reads_interrupted(
    start_server, browser, page, server, home
):
    """As a power cut would. Where the server alone is killed, the run goes on: faults/test_processes.py."""
    killed, folder = train(start_server, browser, home, server)
    killed.end(signal.SIGKILL)
    os.kill(runs.read_status(folder).owner["pid"], signal.SIGKILL)
    step = json.loads((folder / "status.json").read_text())["step"]
    assert step >= 2
    again = start_server(home=home)
    page.goto(f"{again.url}/distill?run={folder.name}")
    expect(page.get_by_test_id("stAlert").filter(has_text=f"ended at step {step} ")).to_be_visible()
    state(page, "interrupted")
    expect(page.get_by_role("button", name="Use these settings again")).to_be_visible()
    go_to(page, "Runs")
    # The page before it says the same word, in its title and in its curves, until it has gone.
    expect(page.get_by_role("heading", name="Runs", exact=True)).to_be_visible()
    expect(page.get_by_test_id("stBidiComponentRegular")).to_have_count(0)
    expect(page.get_by_text("interrupted", exact=True)).to_have_count(1)


def test_a_server_asked_to_leave_stops_its_run_and_keeps_the_student(start_server, browser, server, home):
    leaving, folder = train(start_server, browser, home, server)
    assert leaving.end(signal.SIGTERM) <= 10
    status = runs.read_status(folder)
    assert status.state == "stopped" and "because the program was closed" in status.sentence
    assert (folder / "student" / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("address", "sign", "end"),
    [
        ("/", "Training now:", "Watch a small model learn"),
        ("/distill?run=20261122-230000-gone", "Watch it learn", "There is no run called"),
    ],
    ids=["banner", "run"],
)
def test_a_run_deleted_under_an_open_page_is_said_in_words(browser, server, address, sign, end):
    folder = make_run(server.home, "20261122-230000-gone", "running")
    with open_next_page(browser, []) as page:  # the browser itself reports the live view's 404 as an error
        page.goto(server.url + address)
        expect(page.get_by_text(sign).first).to_be_visible()
        shutil.rmtree(folder)
        expect(page.get_by_text(sign)).to_have_count(0)
        expect(page.get_by_text(end).last).to_be_visible()
        expect(page.get_by_test_id("stException")).to_have_count(0)


# --- how it looks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "sign"),
    [("/distill", "Distil a student"), ("/compare?run=20261122-120000-ab12", "Compare"), ("/runs", "Runs")],
)
def test_a_deep_link_may_be_the_first_request_of_a_server(start_server, page, home, address, sign):
    finished_run(home)
    server = start_server(home=home)
    page.goto(server.url + address)
    expect(page.get_by_role("heading", name=sign, exact=True)).to_be_visible()
    expect(page.get_by_test_id("stTopNavLink")).to_have_text(
        ["Home", "Distil", "GLUE", "Compare", "Size and speed", "Runs"]
    )
    if "run=" in address:
        expect(page.get_by_text("Student says")).to_be_visible()
    page.goto("about:blank")  # a page whose server has gone would complain about what it still wanted
    server.close()


@pytest.fixture(scope="module")
def gallery(start_server: StartServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with one run of each kind; the one that trains belongs to this process and never moves."""
    home = tmp_path_factory.mktemp("gallery")
    finished_run(home, "20261122-120000-ab12", name="A finished run")
    make_run(home, "20261122-130000-ab12", "running", settings=Settings(name="A running run"))
    make_run(home, "20261122-110000-ab12", "failed", "The loss became nan at step 3. Choose a smaller learning rate.")
    make_run(home, "20261122-100000-ab12", "queued", "Waiting for its turn.")
    # Whoever trains holds this lock; without it the server would begin with the run that waits.
    with FileLock(home / "runs" / ".training.lock"):
        server = start_server(home=home, environment=COLD)
        yield server
        server.close()


# The last things that such a page draws.
CURVES = (".live-figure-scores .live-plot .main-svg", "[data-testid=stSlider]", "text=The recipe of this run")
PAGES = {
    "home": ("/", "text=A finished run"),
    "form": ("/distill?new=1", "role=button[name='Add to the queue']", "text=Waiting"),
    "running": ("/distill?run=20261122-130000-ab12", *CURVES),
    "finished": ("/distill?run=20261122-120000-ab12", *CURVES),
    "failed": ("/distill?run=20261122-110000-ab12", *CURVES),
    "queued": ("/distill?run=20261122-100000-ab12", "text=Waiting for its turn: place 1. It begins in about"),
    "compare": ("/compare?run=20261122-120000-ab12", "text=Student says"),
    "glue": ("/glue", "text=BERT-base"),
    "speed": ("/speed", "text=Smallest run that keeps"),
    "runs": ("/runs", "text=The loss became nan"),
    "unknown": ("/distill?run=nothing", "text=There is no run called"),
}
BACKGROUND = {"light": "rgb(255, 255, 255)", "dark": "rgb(19, 22, 28)"}
WIDTHS = """() => [document.documentElement, document.querySelector('[data-testid=stMain]')]
  .map(part => part.scrollWidth - part.clientWidth)"""


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_accessible_and_fits_a_telephone(gallery, browser, problems, name, theme):
    address, *signs = PAGES[name]
    with open_next_page(browser, problems, color_scheme=theme) as page:
        page.goto(gallery.url + address)
        for sign in signs:
            expect(page.locator(sign).first).to_be_visible()
        settled(page)
        assert page.evaluate("getComputedStyle(document.querySelector('.stApp')).backgroundColor") == BACKGROUND[theme]
        assert not axe(page)
        page.set_viewport_size({"width": 390, "height": 844})
        page.wait_for_function("() => document.querySelector('[data-testid=stMain]').clientWidth <= 390")
        settled(page)
        assert max(page.evaluate(WIDTHS)) <= 1, "it must not scroll sideways"
    if name != "unknown":
        assert not problems, "\n".join(problems)
