"""The page about size and speed: empty, unmeasured, measured, broken, and a measurement in a real browser."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from core import numbers
from core.cli import kinds
from core.config import Settings
from core.jobs import folder as jobs
from core.jobs.folder import State, Status
from core.jobs.owner import of_folder, this_process
from core.runs import folder as runs
from core.settings_file import parse_settings
from core.speed import job
from core.speed.forms import forms_of
from core.speed.measurement import Cell
from core.speed.standing import measured_runs, sizes_of, standing
from pages.ui.speed.map import diameter, figure
from pages.ui.speed.table import BEST, size_columns, time_columns
from tests.fixtures.browser import axe, open_next_page, settled, visit
from tests.fixtures.drawn_pages import button, draw, metric, open_page, plain, press, words
from tests.fixtures.made_measurements import made_form, made_measurement
from tests.fixtures.made_runs import RESULTS, SCORE_RESULTS, make_run
from tests.fixtures.serving import ROOT, Server, server_environment
from tests.fixtures.tiny_models import finished_run

SPEED, THIN = "../speed.py", numbers.THIN
RUN, OTHER = "20261122-120000-ab12", "20261122-130000-ab12"
HOSTILE = "![x](http://192.0.2.1/x) <a href='http://192.0.2.1'>y</a> **b** $\\rule{9999px}{9999px}$"


@pytest.fixture
def quiet(home: Path, nothing_trains: None) -> Path:
    """A home in which nothing trains."""
    return home


def chart(at) -> dict:
    """Plotly's figure as the browser gets it."""
    (element,) = at.get("plotly_chart")
    return json.loads(element.proto.spec) | {"alt": element.proto.alt}


def tables(at) -> list[list[list[str]]]:
    """The page's tables, each as rows of cells, headings first."""
    bodies = [body for body in (each.proto.body for each in at.get("html")) if "<table" in body]
    rows = [re.findall(r"<tr.*?</tr>", body, re.DOTALL) for body in bodies]
    cells = re.compile(r"<t[hd][^>]*>(.*?)</t[hd]>", re.DOTALL)
    return [[[re.sub(r"<[^>]+>", "", cell) for cell in cells.findall(row)] for row in table] for table in rows]


# --- nothing there yet ------------------------------------------------------------------------------------------


def test_without_a_run_it_says_what_to_do_and_shows_the_paper(quiet):
    at = open_page(SPEED)
    assert [title.value for title in at.title] == ["Size and speed"]
    assert "Nothing to weigh yet" in words(at)
    assert [(each.label, each.value) for each in at.metric] == [
        ("Quality kept", "–"),
        ("Smaller", "–"),
        ("Faster", "–"),
    ]
    (table,) = tables(at)
    assert [row[0] for row in table] == ["", "BERT-base (paper)", "DistilBERT (paper)"]
    assert "only the paper's DistilBERT" in chart(at)["alt"]
    assert button(press(at, "Go to Distil"), "Start")


def test_runs_without_a_student_are_named_with_the_reason(quiet):
    make_run(quiet, state="failed", settings=Settings(name="No luck"))
    at = open_page(SPEED)
    assert "Nothing to weigh yet" in words(at)
    assert "No luck: It failed before its student was saved." in words(at)


# --- a run that was not measured on the grid ----------------------------------------------------------------------


def test_an_unmeasured_run_stands_where_its_result_says_and_is_marked(quiet):
    finished_run(quiet, RUN, name="First")
    at = open_page(SPEED)
    assert (metric(at, "Quality kept"), metric(at, "Smaller")) == (f"98.7{THIN}%", f"37{THIN}%")
    assert metric(at, "Faster") == "1.9 times"
    assert "1.93 times as fast, that is 48" in words(at) and "One sentence at a time" in words(at)
    assert "Pale: not measured on the grid yet" in words(at)
    assert "has not been measured on this machine yet" in plain(at)
    assert not button(at, "Measure").disabled
    names = [trace["name"] for trace in chart(at)["data"]]
    assert names[:2] == ["students, not on the grid yet", "paper: DistilBERT"]
    assert names[2:] == ["the run chosen above", f"smallest that keeps 97{THIN}%"]


def test_both_readings_of_the_papers_promises_are_there(quiet):
    make_run(quiet, RUN)
    said = words(open_page(SPEED))
    assert "1.63 times the speed" in said and "39 % less time" in said
    assert f"12.1{THIN}M of this teacher's 22.7{THIN}M parameters are not in its layers" in said
    assert f"layers that are 50{THIN}% smaller make the whole model 23{THIN}% smaller" in said


def test_a_run_whose_teacher_is_gone_is_on_the_map_but_cannot_be_measured(quiet):
    make_run(quiet, settings=Settings(name="Old"))
    at = open_page(SPEED)
    assert button(at, "Measure").disabled
    assert "no longer in its folder" in plain(at)
    assert "keeps 98.7" in chart(at)["alt"]


@pytest.mark.parametrize(("share", "says"), [(97, "Smallest run that keeps at least 97"), (100, "No run here keeps")])
def test_the_slider_names_the_smallest_run_or_says_that_there_is_none(quiet, share, says):
    finished_run(quiet, RUN, name="First")
    at = open_page(SPEED)
    at.slider(key="speed-least").set_value(share)
    assert says in words(draw(at)) and "**First**" in words(at)


def test_milliseconds_leave_the_papers_machine_out(quiet):
    finished_run(quiet, RUN)
    at = open_page(SPEED)
    at.button_group(key="speed-across").set_value("ms")
    at = draw(at)
    traces = chart(at)["data"]
    assert traces[0]["x"] == [4.2] and not any("paper" in trace["name"] for trace in traces)
    assert "another machine" in words(at)


def test_a_score_that_is_undefined_is_said_to_be(quiet):
    make_run(quiet, results=SCORE_RESULTS | {"kept": None, "student": SCORE_RESULTS["student"] | {"score": None}})
    at = open_page(SPEED)
    assert metric(at, "Quality kept") == "–" and "undefined or zero" in words(at)


# --- a run that was -----------------------------------------------------------------------------------------------


def test_a_measured_run_shows_what_was_measured(quiet):
    measurement = made_measurement(finished_run(quiet, RUN), 9.0, 3.0)
    at = open_page(SPEED, run=RUN)
    assert metric(at, "Faster") == "3.0 times" and "3 times as fast, that is 67" in words(at)
    assert "One text (64 word pieces, processor)" in words(at)
    assert measurement.machine.processor in plain(at) and "Load 0.2 before and 1.1 after." in plain(at)
    assert not at.get("info") and button(at, "Measure again")
    sizes, times = tables(at)
    assert [row[0] for row in sizes[1:]] == ["Teacher", "Student", "BERT-base (paper)", "DistilBERT (paper)"]
    assert times[0] == ["", "1 × 16", "1 × 64", "32 × 16", "32 × 64"]
    assert times[2][0] == "Student" and times[2][-1] == f"{BEST}96{THIN}ms"
    at.button_group(key="speed-batch").set_value(32)
    assert "32 texts together (64 word pieces each, processor)" in words(draw(at))


def test_a_cell_that_these_models_cannot_read_falls_back_and_says_so(quiet):
    made_measurement(finished_run(quiet, RUN))
    at = open_page(SPEED)
    at.button_group(key="speed-tokens").set_value(128)
    assert "One sentence at a time" in words(draw(at))


def test_the_best_of_a_column_is_marked_and_ratios_are_to_the_teacher(quiet):
    measurement = made_measurement(finished_run(quiet, RUN), 8.0, 4.0)
    (column, *_) = time_columns(measurement, "cpu", "median")
    assert [column.written(value) for value in column.values] == [f"2{THIN}ms", f"{BEST}1{THIN}ms"]
    (column, *_) = time_columns(measurement, "cpu", "times")
    assert [column.written(value) for value in column.values] == [f"1{THIN}×", f"{BEST}2{THIN}×"]
    by_title = {column.title: column for column in size_columns(measurement.forms)}
    assert by_title["Parameters"].best == measurement.form("student").parameters
    assert by_title["in layers"].written(None) == "–" and by_title["in word list and positions"].best is None
    alike = size_columns([made_form("teacher", 1.0), made_form("student", 1.0)])
    assert all(column.best is None for column in alike), "nothing is better where all are alike"


def test_a_slow_model_is_told_in_whole_numbers_of_the_same_unit(quiet):
    measurement = made_measurement(finished_run(quiet, RUN), 80.0, 40.0)
    *_, column = time_columns(measurement, "cpu", "median")
    assert [column.written(value) for value in column.values] == [f"2{THIN}560{THIN}ms", f"{BEST}1{THIN}280{THIN}ms"]
    form = made_form("teacher", 1.0, memory_mb=1655.2)
    *_, memory = size_columns([form])
    assert memory.written(form.memory_mb) == f"1{THIN}655{THIN}MB"


def test_exported_forms_stand_beside_the_saved_ones(quiet):
    folder = finished_run(quiet, RUN)
    kept = made_measurement(folder)
    forms = (*kept.forms, made_form("student", 2.0, "onnx"), made_form("student", 1.0, "int8", disk_mb=17.0))
    measurement = kept.model_copy(update={"forms": forms})
    assert measurement.times_as_fast(measurement.form("student", "int8"), Cell()) == pytest.approx(8.0)
    (column, *_) = time_columns(measurement, "cpu", "median")
    assert len(column.values) == 4 and column.best == column.values[-1]


def test_a_larger_model_is_a_larger_bubble():
    assert diameter(66e6) > diameter(22e6) > diameter(17e6) > diameter(1e3)


def test_a_broken_measurement_is_a_sentence_and_the_rest_stands(quiet):
    folder = finished_run(quiet, RUN)
    made_measurement(folder)
    (path,) = (folder / "speed").iterdir()
    path.write_text('{"machine": ')
    at = open_page(SPEED)
    assert path.name in plain(at) and metric(at, "Quality kept") == f"98.7{THIN}%"
    assert button(at, "Measure")


def test_foreign_names_are_neither_markdown_nor_html(quiet):
    folder = finished_run(quiet, RUN, name=HOSTILE[:80])
    made_measurement(folder)
    at = open_page(SPEED)
    read = [each.value for kind in ("markdown", "caption", "subheader", "error") for each in at.get(kind)]
    assert not any("![x](" in each or "**b**" in each for each in read)
    assert "<a href" not in json.dumps(chart(at)["data"]) + json.dumps(chart(at)["layout"])


def test_controls_are_grey_and_named_as_such(quiet):
    control = parse_settings({"name": "Alone", "loss": {"soft": 0.0, "hard": 1.0, "cosine": 0.0}})
    make_run(quiet, settings=control)
    at = open_page(SPEED)
    assert chart(at)["data"][0]["name"] == "no teacher (control)"
    assert "which learned without a teacher" in words(at)


def test_without_an_address_a_finished_student_of_a_teacher_is_shown_before_stopped_runs_and_controls(quiet):
    control = parse_settings({"name": "Alone", "loss": {"soft": 0.0, "hard": 1.0, "cosine": 0.0}})
    make_run(quiet, "20261122-100000-ab12", settings=Settings(name="Taught"))
    make_run(quiet, "20261122-110000-ab12", settings=control)
    stopped = finished_run(quiet, "20261122-120000-ab12", "Cut off", state="stopped")
    at = open_page(SPEED)
    assert at.selectbox[0].value == "20261122-100000-ab12"
    assert open_page(SPEED, run=stopped.name).selectbox[0].value == stopped.name, "an address is followed"


def test_the_word_list_has_one_size_in_the_text_and_in_the_table(quiet):
    folder = finished_run(quiet, RUN)
    (run,), _ = measured_runs()
    sizes = sizes_of(run)
    torch_forms = {form.role: form.shape for form in forms_of(folder)}
    assert all(sizes[role].words == torch_forms[role].embedding_parameters for role in ("teacher", "student"))
    assert sizes["teacher"].words + sizes["teacher"].encoder < sizes["teacher"].parameters


def test_a_run_that_cannot_be_weighed_is_called_by_its_name(quiet):
    finished_run(quiet, RUN)
    make_run(quiet, OTHER, state="queued", settings=Settings(name="Still waiting"))
    assert "There is nothing to weigh in “Still waiting”." in plain(open_page(SPEED, run=OTHER))


def test_an_unknown_address_is_a_sentence(quiet):
    finished_run(quiet, RUN)
    at = open_page(SPEED, run="../../etc")
    assert "There is nothing to weigh in the run" in plain(at)


# --- measuring ----------------------------------------------------------------------------------------------------


def test_while_a_run_trains_the_button_says_why_it_cannot_be_pressed(quiet):
    finished_run(quiet, RUN)
    make_run(quiet, OTHER, state="running")
    at = open_page(SPEED, run=RUN)
    assert button(at, "Measure").disabled and "Something on this machine trains" in plain(at)


def measurement_of(run_id: str, state: State, sentence: str, step: int = 0, total_steps: int = 0) -> None:
    """A measurement that this process works on, or worked on, as its folder tells it."""
    folder = job.begin(run_id, "")
    owner = of_folder(this_process(), folder)
    jobs.write_status(folder, Status(state, sentence, None, step, total_steps, owner=owner))


ENDS = [
    ("failed", "The teacher could not be opened."),
    ("stopped", f"Stopped by you. {job.STOPPED}"),
    ("interrupted", "The process that worked on it ended at step 3 without saying why."),
    ("interrupted", f"The process crashed (SIGSEGV). {job.STOPPED}"),
]


@pytest.mark.parametrize(("state", "sentence"), ENDS)
def test_how_a_measurement_ended_is_one_sentence(quiet, state, sentence):
    finished_run(quiet, RUN)
    measurement_of(RUN, state, sentence)
    at = open_page(SPEED, run=RUN)
    assert sentence in plain(at) and not button(at, "Measure").disabled
    assert plain(at).count(job.STOPPED) == 1, "that nothing was kept is said once"


def test_the_button_queues_a_measurement_and_stop_ends_it(quiet):
    finished_run(quiet, RUN)
    at = press(open_page(SPEED, run=RUN), "Measure")
    assert job.measuring()[0] == RUN and "Waiting for its turn" in at.get("progress")[0].proto.text
    at = press(at, "Stop measuring")
    assert job.measuring() is None and "Stopped before it began." in plain(at)
    press(at, "Measure")
    assert job.measuring()[1].state == "queued", "it can begin again"


def test_a_measurement_that_runs_shows_how_far_it_is_in_every_tab(quiet):
    finished_run(quiet, RUN)
    measurement_of(RUN, "running", "1 text.", 5, 20)
    for _ in range(2):
        at = open_page(SPEED, run=RUN)
        assert at.get("progress")[0].proto.value == 25
        assert button(at, "Stop measuring") and not [each for each in at.button if each.label == "Measure"]


def test_drawing_the_page_does_not_load_torch(home):
    folder = finished_run(home, RUN)
    made_measurement(folder)
    script = (
        "import sys\n"
        "from core import warm_up\n"
        "from core.cli import kinds\n"
        "warm_up.begin = kinds.start = lambda: None\n"
        "from tests.fixtures.drawn_pages import metric, open_page\n"
        "assert metric(open_page('../speed.py'), 'Faster') == '2.0 times'\n"
        "heavy = {'torch', 'transformers', 'onnxruntime'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=server_environment(home), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]


# --- in a real browser --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two_runs(server: Server) -> Iterator[Server]:
    """A server with two finished runs: one to measure, one measured already."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DISTILLERY_HOME", str(server.home))
        made_measurement(finished_run(server.home, OTHER, name="Measured before"))
        finished_run(server.home, RUN, name="To measure", key="fedcba9876543210")
    yield server


def measure_button(page: Page):
    """The page's one primary button. Streamlit draws it a second time, for its tooltip, outside of stButton."""
    return page.get_by_test_id("stButton").get_by_role("button", name="Measure")


def test_measure_stop_and_measure_in_two_tabs(page: Page, two_runs: Server, browser: Browser, problems: list[str]):
    visit(page, f"{two_runs.url}/speed?run={RUN}")
    expect(page.get_by_text("has not been measured on this machine yet")).to_be_visible()
    measure_button(page).click()
    expect(page.get_by_role("button", name="Stop measuring")).to_be_visible()
    page.get_by_role("button", name="Stop measuring").click()
    expect(page.get_by_text(re.compile("Stopped (by you|before it began)"))).to_be_visible()

    measure_button(page).click()
    expect(page.get_by_role("progressbar")).to_be_visible()
    with open_next_page(browser, problems) as other:
        visit(other, f"{two_runs.url}/speed?run={OTHER}")
        expect(other.get_by_text("Measuring another run")).to_be_visible()
        expect(measure_button(other)).to_have_count(0)
    expect(measure_button(page)).to_contain_text("Measure again")
    assert len(list((two_runs.home / "runs" / RUN / "speed").glob("*.json"))) == 1
    expect(page.get_by_text("One text (64 word pieces, processor)")).to_be_visible()
    expect(page.get_by_role("table").first).to_contain_text("Student")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_cut_and_everybody_can_read_it(
    browser: Browser, two_runs: Server, problems: list[str], scheme: str, width: int
):
    with open_next_page(browser, problems, viewport={"width": width, "height": 844}, color_scheme=scheme) as page:
        visit(page, f"{two_runs.url}/speed?run={OTHER}")
        expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible()
        expect(page.get_by_text("Smallest run that keeps at least")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        cut = page.evaluate(
            "() => [...document.querySelectorAll('.js-plotly-plot text')].map(each => each.getBoundingClientRect())"
            ".filter(box => box.width && (box.left < 0 || box.right > innerWidth + 1)).length"
        )
        assert cut == 0
        for table in page.get_by_role("table").all():
            # What does not fit beside the rest can be scrolled to.
            ways = "each => [each, each.parentElement].map(one => getComputedStyle(one).overflowX)"
            assert table.evaluate("each => each.scrollWidth <= innerWidth") or "auto" in table.evaluate(ways)
        assert axe(page) == []
    assert not problems, problems


def test_the_navigation_leads_here(page: Page, two_runs: Server):
    visit(page, two_runs.url)
    page.get_by_test_id("stTopNavLink").filter(has_text="Size and speed").click()
    expect(page.get_by_role("heading", name="Size and speed", exact=True)).to_be_visible()
    settled(page)


def test_a_name_of_somebody_elses_stays_text_on_the_map(quiet):
    """Plotly reads a few HTML tags; a name must not become one of them."""
    finished_run(quiet, RUN, name="<b>bold</b> & <a href='x'>link</a>")
    found, _ = measured_runs()
    points = [standing(found[0], Cell())]
    drawn = figure(points, found[0], points[0], Cell(), 0.97, "times")
    texts = [each.text for each in drawn.layout.annotations] + list(drawn.data[0].hovertext)
    assert not any("<b>" in text or "<a" in text for text in texts)
    assert any("&lt;b&gt;bold" in text for text in texts)


def test_the_map_marks_the_chosen_run_and_the_smallest_that_keeps_enough_without_a_name_over_others(quiet):
    finished_run(quiet, RUN)
    found, _ = measured_runs()
    points = [standing(found[0], Cell())]
    drawn = figure(points, found[0], points[0], Cell(), 0.97, "times")
    place = (points[0].pace.times_as_fast, 100 * points[0].kept)
    marked = {each.name: (each.x[0], each.y[0]) for each in drawn.data[-2:]}
    assert marked == {"the run chosen above": place, f"smallest that keeps 97{THIN}%": place}
    assert not drawn.layout.annotations, "words in the picture would lie over bubbles on a narrow screen"
    assert [line.name for line in drawn.layout.shapes if line.showlegend][0] == "its teacher"
    drawn = figure(points, None, None, Cell(), 0.97, "times")
    assert [each.name for each in drawn.data] == ["students, not on the grid yet", "paper: DistilBERT"]


def test_results_of_the_run_are_what_the_gauges_say(quiet):
    student = RESULTS["student"] | {"parameters": 11_356_993}
    make_run(quiet, results=RESULTS | {"student": student})
    at = open_page(SPEED)
    assert metric(at, "Smaller") == f"50{THIN}%"
    assert runs.list_runs() and kinds.active_run() is None
