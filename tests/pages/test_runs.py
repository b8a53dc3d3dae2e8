"""The Runs page: finding, opening, naming, comparing and deleting runs, in a real browser with real small runs too."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from core import numbers
from core.config import Settings, starting_point
from core.runs import folder as runs
from core.runs.about import read_about, run_name, write_about
from core.runs.tensorboard import is_written
from core.sections import LossSettings, StudentSettings
from core.settings_file import parse_settings
from core.storage import write_json
from pages.ui.runs import listing
from pages.ui.runs.bars import not_comparable
from pages.ui.runs.beside import read_entries
from pages.ui.runs.differences import differences
from pages.ui.runs.listing import from_address, in_address
from pages.ui.runs.overlay import apart, draw, finding, warnings
from tests.fixtures.browser import axe, settled, visit
from tests.fixtures.drawn_pages import COMPARE, DISTIL, HOME, RUNS, button, open_page, plain, press, widget, words
from tests.fixtures.drawn_pages import draw as redraw
from tests.fixtures.made_runs import RESULTS, SCORE_RESULTS, WORDS_RESULTS, make_run
from tests.fixtures.runs_page import cells, listed
from tests.fixtures.serving import COLD, Server

THIN = numbers.THIN
CONTROL = LossSettings(soft=0.0, hard=1.0, cosine=0.0)


@pytest.fixture
def still(home: Path, nothing_trains: None) -> Path:
    """A home in which nothing begins by itself."""
    return home


# --- the list ---------------------------------------------------------------------------------------------------


def test_what_stands_above_the_table_is_drawn_before_it_and_never_moves_it(still, monkeypatch):
    make_run(still)
    drawn = []
    for name in ("_show_filters", "_show_actions", "show_table"):
        monkeypatch.setattr(listing, name, lambda *given, name=name: drawn.append(name))
    assert not open_page(RUNS).exception
    assert drawn == ["_show_filters", "_show_actions", "show_table"]


def test_every_state_is_listed_with_what_is_known(still):
    make_run(still, "20261122-100000-aaaa", settings=Settings(name="Oldest"))
    make_run(still, "20261122-110000-aaaa", "failed", "It failed for a reason.")
    make_run(still, "20261122-120000-aaaa", "running", alive=False)
    rows = listed(open_page(RUNS))
    assert [(row["name"], row["state"]) for row in rows] == [
        ("Run of 22 Nov, 12:00", "interrupted"),
        ("Run of 22 Nov, 11:00", "failed"),
        ("Oldest", "finished"),
    ]
    assert [row["sentence"] for row in rows][1:] == ["It failed for a reason.", ""]
    assert rows[2]["recipe"] == "Labels, teacher MiniLM; 3 layers from layers 0, 2, 5; 5/2/1, T 2; 2 epochs"
    assert cells(rows[2], "data", "student", "teacher", "kept", "agreement", "time") == [
        "movie sentences", f"85.1{THIN}%", f"86.2{THIN}%", f"98.7{THIN}%", f"95.0{THIN}%", f"2{THIN}min"
    ]  # fmt: skip
    assert cells(rows[1], "student", "kept", "time") == [numbers.UNKNOWN] * 3
    assert [row["cells"]["kept"]["sort"] for row in rows][:2] == [None, None]


def test_words_states_and_objectives_find_runs(still):
    make_run(still, "20261122-100000-aaaa", settings=Settings(name="Alpha", loss=CONTROL))
    make_run(still, "20261122-110000-aaaa", "stopped", settings=Settings(name="Beta"))
    make_run(still, "20261122-120000-aaaa", settings=starting_point("masked_words"), results=WORDS_RESULTS)
    write_about(still / "runs" / "20261122-110000-aaaa", "", "The one for the talk in May")

    def names(**chosen: object) -> list[str]:
        at = open_page(RUNS)
        for key, value in chosen.items():
            at.session_state[f"runs-{key}"] = value
        return [row["name"] for row in listed(redraw(at))]

    assert names(search="CONTROL movie") == ["Alpha"]
    assert names(search="talk may") == ["Beta"]
    assert names(search="reviews") == ["Run of 22 Nov, 12:00"]
    assert names(states=["finished"]) == ["Run of 22 Nov, 12:00", "Alpha"]
    assert names(objective="labels") == ["Beta", "Alpha"]
    assert names(states=["finished"], objective="labels", search="alpha") == ["Alpha"]
    assert names(search="nothing like it") == []


def test_a_broken_run_stands_in_the_list_with_its_cause(still):
    folder = make_run(still)
    (folder / "status.json").write_text("{")
    (row,) = listed(open_page(RUNS))
    assert row["state"] == "broken" and "status.json cannot be read" in row["sentence"]


def test_a_folder_whose_name_is_no_text_breaks_nothing(still):
    make_run(still).rename(os.fsdecode(os.fsencode(still / "runs") + b"/broken-\xff\x1b"))
    (row,) = listed(open_page(RUNS))
    assert row["id"] == "broken-\\udcff\\x1b" and row["state"] == "broken" and row["sentence"] == runs.MISNAMED
    json.dumps(row, ensure_ascii=False).encode()
    assert runs.MISNAMED in plain(open_page(RUNS, run=row["id"]))
    for page in (HOME, COMPARE, "../speed.py"):
        open_page(page)


def test_a_folder_whose_name_is_no_text_can_be_deleted(still):
    folder = make_run(still).rename(os.fsdecode(os.fsencode(still / "runs") + b"/broken-\xff"))
    at = open_page(RUNS, run="broken-\\udcff")
    press(at, "Delete")
    at.button(key="delete-for-good").click()
    assert not listed(redraw(at)) and not folder.exists()


def test_runs_whose_names_hold_commas_are_compared(still):
    names = ("one,two", "one", "50%2C")
    for number, name in enumerate(names):
        make_run(still, f"20261122-12{number:02}00-aaaa").rename(still / "runs" / name)
    at = open_page(RUNS, runs="one%2Ctwo,50%252C")
    assert at.multiselect[0].value == ["one,two", "50%2C"] and not at.warning
    assert at.query_params["runs"] in ("one%2Ctwo,50%252C", ["one%2Ctwo,50%252C"])


@pytest.mark.parametrize(
    "run_ids", [["a"], ["a", "b"], ["a,b", "a"], ["50 % of it", "a%2Cb"], [",", "%"], ["20261122-120000-ab12,", "ü,ö"]]
)
def test_an_address_names_what_it_was_made_of(run_ids: list[str]) -> None:
    assert from_address(in_address(run_ids), {"a", "b", *run_ids}) == run_ids


def test_an_address_that_was_written_by_hand_is_understood() -> None:
    assert from_address("a,b,a,,50%", {"a", "b", "50%"}) == ["a", "b", "50%"]


def test_only_two_to_six_ticked_runs_can_be_compared(still):
    for minute in range(8):
        make_run(still, f"20261122-12{minute:02}00-aaaa")
    at = open_page(RUNS)
    ids = [row["id"] for row in listed(at)]
    for count, disabled in ((0, True), (1, True), (2, False), (6, False), (7, True)):
        at.session_state["runs-table"] = {"chosen": ids[:count]}
        assert button(redraw(at), "Compare").disabled is disabled, count
        assert button(at, "Delete").disabled is (count == 0)
    assert "at most 6 can be compared" in plain(at)


# --- one run ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["nothing-of-this-name", "../../etc", "![x](http://evil.example)", "x" * 5000])
def test_an_address_without_a_run_says_so_and_leads_back(still, name):
    at = open_page(RUNS, run=name)
    assert len(at.error) == 1 and "There is no run called" in plain(at) and name not in at.error[0].value
    press(at, "All runs")
    assert at.title[0].value == "Runs"


OFFERED = {
    "finished": {"Use these settings", "Compare with other runs", "Talk to both"},
    "stopped": {"Use these settings", "Compare with other runs", "Resume"},
    "failed": {"Use these settings", "Compare with other runs", "Resume"},
    "running": {"Use these settings", "Compare with other runs", "Watch it learn"},
    "queued": {"Use these settings", "Compare with other runs"},
}


@pytest.mark.parametrize("state", OFFERED)
def test_a_run_offers_what_can_be_done_in_its_state(still, state):
    folder = make_run(still, state=state, settings=Settings(name="Mine"))
    at = open_page(RUNS, run=folder.name)
    labels = {each.label for each in at.button}
    ways = set().union(*OFFERED.values())
    assert labels & ways == OFFERED[state] and at.title[0].value == "Mine"
    assert button(at, "Delete").disabled is (state == "running")
    assert len([each for each in at.get("bidi_component") if "live" in each.proto.component_name]) == (
        state != "queued"
    )
    assert {"The recipe of this run", "Curves for other tools"} <= {each.label for each in at.expander}
    assert any(each.label.startswith("On disk: ") for each in at.expander)


def test_a_broken_run_shows_its_cause_and_can_be_deleted(still):
    folder = make_run(still)
    (folder / "config.json").write_text('{"colour": "red"}')
    at = open_page(RUNS, run=folder.name)
    assert "colour is not a setting" in plain(at) and ":red-badge[broken]" in words(at)
    press(at, "Delete")
    at.button(key="delete-for-good").click()
    assert "No run yet." in words(redraw(at)) and not folder.exists()


def test_several_are_deleted_at_once_but_none_that_trains(still):
    rests = [make_run(still, f"2026112{day}-120000-aaaa", state) for day, state in ((1, "failed"), (2, "queued"))]
    trains = make_run(still, "20261123-120000-aaaa", "running", settings=Settings(name="Busy"))
    at = open_page(RUNS)
    at.session_state["runs-table"] = {"chosen": [folder.name for folder in (*rests, trains)]}
    press(redraw(at), "Delete")
    assert "Busy stays. It is training." in words(at) and "• Run of 21 Nov, 12:00" in words(at)
    at.button(key="delete-for-good").click()
    redraw(at)
    assert runs.list_runs() == [trains] and [row["name"] for row in listed(at)] == ["Busy"]


def test_the_log_the_checkpoints_and_the_size_are_shown(still):
    folder = make_run(still, state="failed")
    (folder / "log.txt").write_text("line\n" * 5000 + "RuntimeError: **boom**\n")
    (folder / "checkpoints" / "student-00000020").mkdir(parents=True)
    (folder / "checkpoints" / "student-00000020" / "weights.safetensors").write_bytes(b"0" * 3_000_000)
    at = open_page(RUNS, run=folder.name)
    assert any(code.value.rstrip().endswith("RuntimeError: **boom**") for code in at.code)
    assert any(each.label == f"On disk: 3.0{THIN}MB" for each in at.expander)
    assert [list(table.value["after step"]) for table in at.dataframe if "after step" in table.value] == [[20]]


def test_a_new_name_and_notes_are_shown_everywhere_and_are_never_markdown(still):
    folder = make_run(still, settings=Settings(name="First"))
    at = open_page(RUNS, run=folder.name)
    at.text_input(key=f"name-{folder.name}").set_value("**Better** $x$")
    at.text_area(key=f"notes-{folder.name}").set_value("![x](http://evil.example/x.png)")
    press(at, "Save")
    assert (read_about(folder).name, read_about(folder).notes) == ("**Better** $x$", "![x](http://evil.example/x.png)")
    assert at.title[0].value == r"\*\*Better\*\* \$x\$"
    assert "![x](http://evil.example/x.png)" in [each.value for each in at.text]
    assert not any("evil" in each.value for kind in ("markdown", "caption") for each in at.get(kind))
    assert open_page(DISTIL, run=folder.name).title[0].value == r"\*\*Better\*\* \$x\$"
    assert listed(open_page(RUNS))[0]["name"] == "**Better** $x$"


def test_use_these_settings_opens_the_form_with_them(still):
    settings = Settings(name="Odd", student=StudentSettings(layers=2, teacher_layers=(1, 4)))
    folder = make_run(still, settings=settings)
    at = press(open_page(RUNS, run=folder.name), "Use these settings")
    assert at.title[0].value == "Distil a student"
    assert widget(at, "student", "teacher_layers").value == [1, 4] and at.text_input(key="form.name").value == "Odd"


def test_a_run_that_has_just_gone_is_answered_in_words(still):
    folder = make_run(still)
    at = open_page(RUNS, run=folder.name)
    folder.rename(still / "elsewhere")
    assert "There is no run called" in plain(press(at, "Save"))


def test_the_switch_writes_and_removes_the_event_file(still):
    folder = make_run(still)
    at = open_page(RUNS, run=folder.name)
    at.toggle(key=f"tensorboard-{folder.name}").set_value(True)
    redraw(at)
    assert is_written(folder) and any("tensorboard --logdir" in code.value for code in at.code)
    at.toggle(key=f"tensorboard-{folder.name}").set_value(False)
    redraw(at)
    assert not is_written(folder) and not at.toggle[0].value


def test_a_run_with_nothing_recorded_says_so_at_the_switch(still):
    folder = make_run(still, state="queued")
    at = open_page(RUNS, run=folder.name)
    at.toggle(key=f"tensorboard-{folder.name}").set_value(True)
    redraw(at)
    assert "no curves yet" in str(at.get("toast")[0].proto) and not at.toggle[0].value


# --- several runs -----------------------------------------------------------------------------------------------


def beside(still: Path, *settings: Settings, results: dict = RESULTS) -> str:
    """Finished runs with these settings; their ids as an address holds them."""
    made = [
        make_run(still, f"20261122-1{hour}0000-aaaa", settings=each, results=results)
        for hour, each in enumerate(settings)
    ]
    return ",".join(folder.name for folder in made)


def test_settings_that_differ_and_only_those():
    spread = Settings(student=StudentSettings(teacher_layers=(0, 2, 5)))
    assert differences([Settings(name="a"), Settings(name="b"), spread]) == []
    random = Settings(student=StudentSettings(initial_weights="random"), loss=CONTROL)
    found = {title: values for _, title, values in differences([Settings(), random])}
    assert found["Soft targets (L_ce)"] == ["5", "0"] and found["Hard targets (L_hard)"] == ["2", "1"]
    assert found["Hidden cosine (L_cos)"] == ["1", "0"]
    assert ["0, 2, 5", numbers.UNKNOWN] in found.values(), "layers that are copied and layers that are not"
    assert len(found) == 5


def test_runs_beside_each_other_have_letters_bars_and_their_differences(still):
    ids = beside(still, Settings(name="One"), Settings(name="Two", loss=CONTROL))
    at = open_page(RUNS, runs=ids)
    assert [each.value for each in at.text] == ["One", "Two"]
    assert len(at.get("plotly_chart")) == 1
    said = [element.proto.imgs[0].alt for element in at.get("image")]
    assert f"Kept: A 98.7{THIN}%, B 98.7{THIN}%" in said and f"Time to answer: A 4.2{THIN}ms, B 4.2{THIN}ms" in said
    (table,) = (view.proto for view in at.get("bidi_component") if "differences" in view.proto.component_name)
    shown = json.loads(table.json)
    assert [letter for letter, _ in shown["letters"]] == ["A", "B"]
    assert [title for _, title, _ in shown["rows"]] == [
        "Soft targets (L_ce)", "Hard targets (L_hard)", "Hidden cosine (L_cos)"
    ]  # fmt: skip
    assert at.query_params["runs"] in (ids, [ids])


def test_one_run_asks_for_another_and_an_unknown_one_is_named(still):
    ids = beside(still, Settings(name="One"))
    at = open_page(RUNS, runs=f"{ids},gone,../../etc")
    assert "Choose at least one more run" in at.info[0].value and "There is no run called gone" in plain(at)


def test_what_cannot_be_compared_is_said(still):
    first, second = (folder.name for folder in (make_run(still, "1"), make_run(still, "2", results=SCORE_RESULTS)))
    raw = {"loss": {"soft": 1.0, "temperature": 4.0}, "data": {"split_seed": 3}}
    write_json(still / "runs" / second / "config.json", parse_settings(raw).model_dump(mode="json"))
    entries = read_entries([first, second])
    assert "total losses cannot be compared" in " ".join(warnings(entries, "loss"))
    assert "differ in “Temperature (T)”" in " ".join(warnings(entries, "soft"))
    assert "scored in different ways" in " ".join(warnings(entries, "score"))
    (still / "runs" / second / "metrics.jsonl").write_text("")
    unscored = read_entries([first, second])
    said = " ".join(warnings(unscored, "score"))
    assert "scored in different ways" not in said and "Nothing recorded: B." in said
    said = " ".join(not_comparable([(entry, entry.row.results) for entry in entries]))
    assert "scored in different ways" in said and "not tested on the same texts" in said


def test_the_chart_has_a_line_and_a_letter_for_each_run_and_the_teacher_dashed(still):
    ids = beside(still, Settings(name="<b>One</b>"), Settings(name="Two", loss=CONTROL)).split(",")
    entries = read_entries(ids)
    figure = draw(entries, "score", "step")
    assert [(trace.name, trace.line.dash) for trace in figure.data] == [("A", "solid"), ("B", "dot")]
    assert [note.text for note in figure.layout.annotations] == ["teacher", "<b>A</b>", "<b>B</b>"]
    tops = [note.yshift for note in figure.layout.annotations[1:]]
    assert abs(tops[0] - tops[1]) >= 17, "letters of lines that end together stand apart"
    (teacher,) = figure.layout.shapes
    assert teacher.line.dash == "dash" and teacher.y0 == pytest.approx(86.2)
    assert "One" not in figure.to_json(), "a name of somebody's own never reaches the chart"
    assert apart([1.0, 2.0, 300.0], 300) == [1.0, 18.0, 300.0] and apart([290.0, 299.0], 300) == [283.0, 300.0]
    assert finding(entries, "score") == f"Score at the end: A 70.0{THIN}%, B 70.0{THIN}%."
    for curve in ("loss", "agreement", "cosine"):
        for along in ("elapsed_s", "sentences"):
            assert draw(entries, curve, along).data


def test_teachers_that_score_nearly_alike_are_named_together(still):
    ids = beside(still, Settings(name="One"), Settings(name="Two"), Settings(name="Three")).split(",")
    entries = read_entries(ids)
    for entry, score in zip(entries, (0.862, 0.75, 0.861), strict=True):
        entry.curves.facts["teacher_score"] = score
    figure = draw(entries, "score", "step")
    assert [note.text for note in figure.layout.annotations[:2]] == ["teachers of A, C", "teacher of B"]
    assert len(figure.layout.shapes) == 3


# --- in a browser, with real runs -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, teachers: Path) -> Iterator[Path]:
    """A home with three real runs: a copied student, the control without a teacher, and one with random weights."""
    from tests.fixtures.small_runs import run_once, world_of  # loads torch, which nothing else here needs

    with world_of(tmp_path_factory.mktemp("world"), teachers) as home:
        run_once("20261122-100000-aaaa", "name=Copied")
        run_once("20261122-110000-aaaa", "name=Control", "loss.soft=0", "loss.cosine=0")
        run_once("20261122-120000-aaaa", "name=Random", "student.initial_weights=random")
        yield home


@pytest.fixture(scope="module")
def server(start_server, world: Path) -> Iterator[Server]:
    """A server of the dashboard on these runs."""
    running = start_server(home=world, environment=COLD)
    yield running
    running.close()


def names(page: Page) -> list[str]:
    return page.locator("td.name a").all_inner_texts()


def test_runs_are_sorted_ticked_and_compared(page: Page, server: Server, world: Path):
    visit(page, f"{server.url}/runs")
    expect(page.locator("td.name a")).to_have_count(3)
    assert names(page) == ["Random", "Control", "Copied"]
    page.get_by_role("button", name="Run", exact=True).click()
    assert names(page) == ["Control", "Copied", "Random"]
    page.get_by_role("button", name="Kept").click()
    kept = [float(text.split(THIN)[0]) for text in page.locator("td.kept").all_inner_texts()]
    assert kept == sorted(kept, reverse=True)
    expect(page.get_by_role("columnheader", name="Kept")).to_have_attribute("aria-sort", "descending")
    results = {folder.name: runs.read_results(folder) for folder in runs.list_runs()}
    for row in page.locator("tr[data-run]").all():
        measured = results[row.get_attribute("data-run")]
        assert row.locator("td.student").inner_text() == numbers.percent(measured["student"]["score"])
        assert row.locator("td.agreement").inner_text() == numbers.percent(measured["agreement"])
    assert page.locator("td.loss svg polyline").count() == 3
    assert not axe(page)

    for name in ("Copied", "Control"):
        page.get_by_role("checkbox", name=f"Choose {name}").check()
    expect(page.get_by_role("button", name="Compare", exact=True)).to_be_enabled()
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.get_by_role("heading", name="Runs beside each other")).to_be_visible()
    expect(page.locator(".js-plotly-plot .scatterlayer .trace")).to_have_count(2)
    assert set(re.search(r"runs=(.*)", page.url).group(1).replace("%2C", ",").split(",")) == {
        "20261122-100000-aaaa", "20261122-110000-aaaa"
    }  # fmt: skip
    page.get_by_text("Total loss", exact=True).click()
    expect(page.get_by_text("their total losses cannot be compared")).to_be_visible()
    page.get_by_text("Sentences seen", exact=True).click()
    expect(page.locator(".xtitle", has_text="sentences seen")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Settings that differ")).to_be_visible()
    settled(page)
    assert not axe(page)


SINCE_TWO_TICKS = """async (all, between) => {
    const boxes = all.slice(0, 2)
    boxes[0].click()
    await new Promise(done => setTimeout(done, between))
    boxes[1].click()
    const seen = []
    for (const end = performance.now() + 1500; performance.now() < end; ) {
        await new Promise(requestAnimationFrame)
        seen.push(boxes.every(box => box.checked))
    }
    boxes.forEach(box => box.click())
    return seen
}"""


@pytest.mark.parametrize("between_ms", [0, 20, 60])
def test_the_answer_to_one_tick_does_not_take_back_the_next(page: Page, server: Server, between_ms: int):
    visit(page, f"{server.url}/runs")
    expect(page.locator("td.name a")).to_have_count(3)
    assert all(page.locator("tr[data-run] input").evaluate_all(SINCE_TWO_TICKS, between_ms))


def test_a_run_is_opened_named_and_found_again_by_its_address(page: Page, server: Server, world: Path):
    folder = world / "runs" / "20261122-100000-aaaa"
    visit(page, f"{server.url}/runs")
    page.get_by_role("link", name="Copied").click()
    expect(page.get_by_role("heading", name="Copied")).to_be_visible()
    assert page.url.endswith(f"/runs?run={folder.name}")
    page.get_by_role("button", name="Name and notes").click()
    page.get_by_role("textbox", name="Name", exact=True).fill("The best one")
    page.get_by_role("textbox", name="Notes").fill("For the talk.")
    page.get_by_role("textbox", name="Notes").press("Control+Enter")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="The best one")).to_be_visible()
    assert run_name(folder) == "The best one"
    page.reload()
    expect(page.get_by_role("heading", name="The best one")).to_be_visible()
    expect(page.get_by_text("For the talk.").first).to_be_visible()
    page.get_by_text("Curves for other tools").click()
    page.get_by_text("TensorBoard event file").click()
    expect(page.get_by_text("tensorboard --logdir")).to_be_visible()
    assert is_written(folder)
    page.get_by_role("button", name="All runs").click()
    expect(page.get_by_role("link", name="The best one")).to_be_visible()
    page.get_by_role("textbox", name="Search").fill("talk")
    page.get_by_role("textbox", name="Search").press("Enter")
    expect(page.locator("td.name a")).to_have_count(1)


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_screen(page: Page, server: Server, world: Path, width: int):
    page.set_viewport_size({"width": width, "height": 900})
    for address, sign in (
        ("runs", "td.name a"),
        ("runs?run=20261122-120000-aaaa", ".live-chart .main-svg"),
        ("runs?runs=20261122-120000-aaaa,20261122-110000-aaaa", ".js-plotly-plot .trace"),
    ):
        page.goto(f"{server.url}/{address}")
        expect(page.locator(sign).first).to_be_attached()
        settled(page)
        assert page.evaluate("() => document.querySelector('[data-testid=stMain]').scrollWidth <= innerWidth"), address


def test_a_run_is_deleted_only_after_a_question(page: Page, server: Server, world: Path):
    folder, other = world / "runs" / "20261122-110000-aaaa", world / "runs" / "20261122-120000-aaaa"
    visit(page, f"{server.url}/runs?run={folder.name}")
    page.get_by_role("button", name="Delete", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("This cannot be undone")).to_be_visible()
    assert dialog.locator("[data-testid=stBaseButton-primary]").count() == 0, "it is no first choice"
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_have_count(0)
    assert folder.exists()
    page.get_by_role("button", name="Delete", exact=True).click()
    dialog.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_role("heading", name="Runs", exact=True)).to_be_visible()
    expect(page.locator("td.name a")).to_have_count(2)
    assert not folder.exists()

    page.get_by_role("checkbox", name="Choose Random").check()
    page.get_by_role("button", name="Delete", exact=True).click()
    dialog.get_by_role("button", name="Delete", exact=True).click()
    expect(page.locator("td.name a")).to_have_count(1)
    expect(dialog).to_have_count(0)
    assert not other.exists()
    visit(page, f"{server.url}/runs?run={other.name}")
    expect(page.get_by_text("There is no run called")).to_be_visible()


# --- what is kept of teachers -----------------------------------------------------------------------------------


def test_what_is_kept_of_teachers_is_shown_and_goes_with_one_press(still):
    run = make_run(still)
    teacher = still / "cache" / "teachers" / "0123456789abcdef"
    (teacher / "model").mkdir(parents=True)
    (teacher / "model" / "model.safetensors").write_bytes(bytes(20_000_000))
    (teacher / "answers" / "one").mkdir(parents=True)
    (teacher / "answers" / "one" / "hidden.npy").write_bytes(bytes(30_000_000))
    write_json(run / "teacher.json", {"key": teacher.name})
    at = open_page(RUNS)
    assert f"Kept for later runs: 50{THIN}MB" in [one.label for one in at.expander]
    assert button(at, f"Delete teachers that no run learned from (0.0{THIN}MB)").disabled
    at = press(at, f"Delete the answers (30{THIN}MB)")
    assert not at.exception and not (teacher / "answers").exists() and (teacher / "model").exists()
    assert button(at, f"Delete the answers (0.0{THIN}MB)").disabled


def test_nothing_kept_shows_nothing(still):
    make_run(still)
    assert not [one for one in open_page(RUNS).expander if "Kept" in one.label]
