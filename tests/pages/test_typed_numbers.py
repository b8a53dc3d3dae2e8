"""Numbers out of their bounds, typed into both forms: they keep Start shut and say which numbers are taken."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from core.config import bounds
from core.glue.settings import GlueSettings
from core.runs import folder as runs
from core.settings_file import SECTIONS
from pages.ui.glue import fields
from tests.fixtures.browser import settled, visit
from tests.fixtures.drawn_pages import (
    DISTIL,
    button,
    choose,
    choose_objective,
    draw,
    lid,
    open_page,
    plain,
    press,
    widgets,
)
from tests.fixtures.serving import COLD

GLUE = "../glue.py"
BEYOND_WHAT_A_BROWSER_COUNTS = "99999999999999999999"

pytestmark = pytest.mark.usefixtures("home", "nothing_trains")


def _in_words(number: float, whole: bool) -> str:
    return str(int(number)) if whole else f"{number:g}"


def _range_of(model: type, name: str) -> str:
    low, high = bounds(model, name)
    whole = "int" in str(model.model_fields[name].annotation)
    return f"from {_in_words(low, whole)} to {_in_words(high, whole)}"


@pytest.mark.parametrize("objective", ["labels", "masked_words"])
def test_each_number_of_the_form_keeps_start_shut_beyond_its_bounds_and_says_them(objective):
    at = choose_objective(open_page(DISTIL), objective)
    tried = 0
    for section, model in SECTIONS.items():
        for name in model.model_fields:
            for shown in [each for each in widgets(at, section, name) if each.type == "number_input"]:
                if shown.disabled:
                    continue
                tried += 1
                kept, (low, high) = shown.value, bounds(model, name)
                for beyond in (low - 1, high + 1):
                    choose(at, section, name, beyond)
                    assert button(at, "Start").disabled, f"{section}.{name} = {beyond}"
                    assert f"“{model.model_fields[name].title}” is" in plain(at)
                    assert _range_of(model, name) in plain(at)
                choose(at, section, name, kept)
                assert not button(at, "Start").disabled and not at.error
    assert tried > 15


def test_each_number_of_a_glue_job_keeps_start_shut_beyond_its_bounds_and_says_them():
    at = open_page(GLUE)
    at.checkbox(key=fields.key_of("second_distillation")).check()
    at = draw(at)
    names = [each.key.removeprefix("glue.") for each in at.number_input if not each.disabled]
    assert len(names) >= 8
    for name in names:
        kept, (low, high) = at.number_input(key=fields.key_of(name)).value, bounds(GlueSettings, name)
        for beyond in (low - 1, high + 1):
            at.number_input(key=fields.key_of(name)).set_value(beyond)
            at = draw(at)
            assert button(at, "Start").disabled, f"{name} = {beyond}"
            assert f"“{GlueSettings.model_fields[name].title}” is" in plain(at)
            assert _range_of(GlueSettings, name) in plain(at)
        at.number_input(key=fields.key_of(name)).set_value(kept)
        at = draw(at)


def test_what_is_wrong_lies_open_and_is_said_beside_start_too():
    at = choose(open_page(DISTIL), "data", "max_examples", 50)
    said = "“Use at most” is 50; expected a whole number from 200 to 100000, or an empty field."
    assert plain(at).count(said) == 2, "beside Start, and below the field"
    assert lid(at, "Data and teacher")


def test_a_number_in_a_field_that_is_shut_asks_for_nothing():
    at = choose(open_page(DISTIL), "loss", "temperature", -3)
    assert button(at, "Start").disabled
    choose(at, "loss", "soft", 0.0)
    assert widgets(at, "loss", "temperature")[0].disabled and not button(at, "Start").disabled
    at = open_page(GLUE)
    at.number_input(key=fields.key_of("epochs")).set_value(500)
    assert button(draw(at), "Start").disabled
    at.button_group(key=fields.key_of("way")).set_value("zero-shot")
    at = draw(at)
    assert at.number_input(key=fields.key_of("epochs")).disabled and "“Epochs”" not in plain(at)
    at.number_input(key=fields.key_of("max_tokens")).set_value(5)
    assert "“Longest input” is 5" in plain(draw(at))


def test_whole_numbers_of_the_browser_are_whole_and_a_fraction_of_one_is_refused():
    press(choose(open_page(DISTIL), "training", "epochs", 3.0), "Start")
    epochs = runs.read_settings(runs.list_runs()[0]).training.epochs
    assert epochs == 3 and isinstance(epochs, int)
    at = choose(open_page(DISTIL), "training", "epochs", 1.5)
    assert button(at, "Start").disabled and "“Epochs” is 1.5; expected a whole number from 1 to 100." in plain(at)


@pytest.fixture(scope="module")
def server(start_server, tmp_path_factory):
    running = start_server(home=tmp_path_factory.mktemp("typed"), environment=COLD)
    yield running
    running.close()


@pytest.mark.parametrize("number", ["50", BEYOND_WHAT_A_BROWSER_COUNTS])
@pytest.mark.parametrize(
    ("address", "lid_label", "label"),
    [("distill?new=1", "Data and teacher", "Use at most"), ("glue", "What is measured, and how", "At most")],
)
def test_a_number_typed_in_a_browser_locks_start_even_for_the_click_that_ends_the_typing(
    server, page, address, lid_label, label, number
):
    visit(page, f"{server.url}/{address}")
    page.get_by_text(lid_label, exact=True).click()
    page.get_by_role("spinbutton", name=label).fill(number)
    page.get_by_role("button", name="Start").click()
    settled(page)
    page.locator("button:disabled", has_text="Start").wait_for()
    page.get_by_text(f"“{label}” is").first.wait_for()
    assert not [each for each in Path(server.home).glob("*/*") if each.parent.name in ("runs", "glue")]


def test_steps_of_the_browser_lead_into_the_bounds_again(server, page):
    visit(page, f"{server.url}/distill?new=1")
    page.get_by_text("Training", exact=True).click()
    batch = page.get_by_role("spinbutton", name="Batch (texts)", exact=True)
    expect(batch).to_have_value("32")
    batch.press("ArrowUp")
    expect(batch).to_have_value("33")
    batch.fill("1025")
    batch.press("Enter")
    expect(page.get_by_role("button", name="Start")).to_be_disabled()
    batch.press("ArrowDown")
    expect(batch).to_have_value("1024")
    expect(page.get_by_role("button", name="Start")).to_be_enabled()
