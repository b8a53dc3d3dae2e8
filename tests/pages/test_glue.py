"""The GLUE page: no data, partial, full, running; what it starts, stops and deletes; foreign text stays text."""

from __future__ import annotations

import re
import subprocess
import sys
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Route

from core import network
from core.cli import kinds
from core.cli.kinds import carry_out
from core.config import Settings
from core.glue.settings import StudentModel
from core.glue.tables import retained
from core.jobs.queue import MACHINE
from core.runs import folder as runs
from pages.ui.glue import choices
from pages.ui.glue.bars import finding, picture
from pages.ui.glue.reading import read_jobs, seconds_left, work_until
from tests.fixtures.browser import axe, settled, visit
from tests.fixtures.drawn_pages import button, draw, open_page, plain, press, words
from tests.fixtures.glue_files import write_task
from tests.fixtures.made_glue_jobs import NINE, TIMING, cell, make_200_rows, make_job, plan_of, undefined
from tests.fixtures.made_runs import RESULTS, make_run
from tests.fixtures.serving import COLD
from tests.fixtures.small_glue_jobs import job, teacher, write_learnable
from tests.fixtures.tiny_models import finished_run

GLUE = "../glue.py"
HOSTILE = '![](http://evil.example/a.png) <img src=x onerror="alert(1)"> $\\rule{9999px}{9999px}$ **bold** \u202egnol'


@pytest.fixture(autouse=True)
def _alone(home, nothing_trains) -> None:
    """A home of its own, and nobody who takes what is queued."""


def both(*tasks: str, **more: Any) -> list:
    return [cell(task, role, **more) for task in tasks for role in ("teacher", "student")]


class _Cells(HTMLParser):
    """The rows of the tables in a text of HTML, each cell as one text; other elements by name."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag in ("small", "span", "sup"):
            self.handle_data(" ")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


def parsed(html: str) -> _Cells:
    found = _Cells()
    found.feed(html)
    return found


def html_of(at) -> str:
    return "".join(each.proto.body for each in at.get("html"))


def numbers_on(at) -> dict[str, str]:
    return {each.label: each.value for each in at.metric}


def tab(at, name: str):
    at.session_state["glue-tab"] = name
    return draw(at)


# --- What it shows ----------------------------------------------------------------------------------------------


def test_without_data_the_papers_rows_stand_there_and_one_sentence_says_what_to_do():
    at = open_page(GLUE)
    assert "Nothing has been measured here yet: name your GLUE folder" in words(at)
    assert numbers_on(at)["The paper's DistilBERT kept"].startswith("96.9")
    assert numbers_on(at)["Your student kept"] == "–"
    rows = parsed(html_of(at)).rows
    assert [row[0].split()[0] for row in rows[1:]] == ["ELMo", "BERT-base", "DistilBERT", "Course"]
    assert not button(at, "Start").disabled, "the bundled task can be scored at once"


def test_a_row_beside_its_teacher_and_a_mean_that_is_no_glue_score(home):
    make_job(home, both("MRPC", "STS-B"))
    at = open_page(GLUE)
    assert numbers_on(at)["My student kept"].startswith("96.0")
    assert "mean of 2 of 9 tasks" in plain(at)
    html = html_of(at)
    student = next(row for row in parsed(html).rows if row[0].startswith("My student"))
    mrpc = student[1 + 1 + sorted(NINE).index("MRPC")]
    assert "81.2" in mrpc and "−3.4" in mrpc and "96.0" in mrpc
    assert "mean of 2 of 9 tasks" in student[1] and "measured here" in student[0]
    assert "paper" in next(row for row in parsed(html).rows if row[0].startswith("DistilBERT"))[0]
    assert "A mean over MRPC, STS-B alone is no GLUE score" in html


def test_an_undefined_score_is_a_dash_with_its_reason_and_never_zero(home):
    make_job(home, [*both("MRPC"), undefined("CoLA"), cell("CoLA", "teacher")])
    html = html_of(open_page(GLUE))
    student = next(row for row in parsed(html).rows if row[0].startswith("My student"))
    assert student[2].startswith("–") and "0.0" not in student[2]
    assert "CoLA: All answers are alike, so a correlation is not defined." in html


def test_fewer_examples_are_marked_as_demo_scale_where_it_can_be_seen(home):
    make_job(home, both("MRPC", train_examples=1000))
    at = open_page(GLUE)
    student = next(row for row in parsed(html_of(at)).rows if row[0].startswith("My student"))
    assert "demo scale" in student[0] and "measured here" not in student[0]


def test_full_the_nine_tasks_make_a_macro_score_and_every_tab_opens(home):
    cells = [cell(task, role, seed=seed) for task in NINE for role in ("teacher", "student", "control")
             for seed in range(3)]  # fmt: skip
    make_job(home, [*cells, *both("Rotten Tomatoes", "IMDb")], tasks=NINE, timing=TIMING)
    zero = [cell(task, way="zero-shot", score=0.7, model="zs") for task in ("MRPC", "RTE")]
    make_job(home, zero, job_id="20261122-130000-ab12", way="zero-shot")
    at = open_page(GLUE)
    student = next(row for row in parsed(html_of(at)).rows if row[0].startswith("My student"))
    assert all(student[1:]) and "of 9" not in student[1]
    expected = {
        "Bundled tasks": ("Rotten Tomatoes", "guessing 50.0"),
        "Zero-shot": ("Always the most frequent answer", "below guessing"),
        "IMDb and SQuAD": ("92.82", "86.9", "SQuAD is reported only"),
        "Size and speed": ("17.4", "6.4", "1.92", "668"),
        "Ablation": ("Without soft targets", "−2.96", "−3.69"),
    }
    for name, said in expected.items():
        html = html_of(tab(at, name))
        assert all(each in html for each in said), (name, [each for each in said if each not in html])
    assert "answers a task that it has never learned" in words(tab(at, "Zero-shot"))


def test_after_a_job_on_bundled_tasks_its_tab_is_open_and_its_result_leads(home):
    make_job(home, both("Rotten Tomatoes"), tasks=("Rotten Tomatoes",))
    at = open_page(GLUE)
    assert numbers_on(at)["My student kept"].startswith("96.0") and "80.8 of 84.2 on Rotten Tomatoes" in plain(at)
    assert numbers_on(at)["Guessing on Rotten Tomatoes"] == "50.0"
    assert at.session_state["glue-tab"] == "Bundled tasks" and "guessing 50.0" in html_of(at)
    tab(at, "GLUE")
    assert draw(at).session_state["glue-tab"] == "GLUE", "who turns to another tab stays there"
    zero = [cell("MRPC", way="zero-shot", score=0.7, model="zs", title="Asked")]
    make_job(home, zero, job_id="20261122-160000-ab12", way="zero-shot")
    at = draw(at)
    assert at.session_state["glue-tab"] == "Zero-shot" and numbers_on(at)["Asked scored"] == "70.0"
    make_job(home, both("MRPC"), job_id="20261122-170000-ab12")
    assert draw(at).session_state["glue-tab"] == "GLUE"


@pytest.mark.parametrize("told", [True, False], ids=["of this program", "of a job that an older program measured"])
def test_what_was_trained_on_a_tasks_texts_is_marked_and_compared_with_nothing(home, told):
    """The demo: a student distilled on these very sentences beside a teacher that meets them for the first time."""
    run = make_run(home, settings=Settings(name="Demo"))
    of_run = {"model": f"run-{run.name}", "title": "Demo", "score": 0.85, "is_leaked": told}
    cells = [cell("Rotten Tomatoes", "teacher", score=0.634), cell("Rotten Tomatoes", **of_run)]
    make_job(home, cells, tasks=("Rotten Tomatoes",))
    at = open_page(GLUE)
    assert numbers_on(at)["Demo scored"] == "85.0"
    assert "Rotten Tomatoes: seen before, so compared with nothing" in plain(at)
    row = next(row for row in parsed(html_of(at)).rows if row[0].startswith("Demo"))
    assert "seen before" in row[1] and "134" not in html_of(at) and 'class="best"' not in html_of(at)
    assert "had learned from texts of Rotten Tomatoes before" in html_of(at) or told


def test_a_first_job_is_on_what_the_newest_student_has_not_learned_and_the_form_says_when_it_has(home):
    finished_run(home, name="Demo")
    at = open_page(GLUE)
    assert at.button_group(key="glue.tasks").value == ["IMDb"]
    assert at.number_input(key="glue.max_examples").value == 1000
    at.number_input(key="glue.max_tokens").set_value(64)
    at = draw(at)
    assert "already, so its score there" not in plain(at)
    at.button_group(key="glue.tasks").set_value(["Rotten Tomatoes"])
    at = draw(at)
    assert "Demo has learned from Rotten Tomatoes already, so its score there will be marked “seen before”" in plain(at)


def test_tabs_without_data_say_how_to_get_some():
    at = open_page(GLUE)
    for name in ("Bundled tasks", "Zero-shot"):
        assert "Nothing yet. Choose" in words(tab(at, name))
    assert "Tick “Measure size and speed”" in words(tab(at, "Size and speed"))


def test_the_bars_say_their_finding(home):
    make_job(home, both("MRPC", "STS-B"))
    (job,) = read_jobs()
    bars = retained([job.cells])
    said = finding(bars)
    assert "The paper's DistilBERT kept from 86.4 % on RTE to 105.2 % on WNLI" in said
    assert "My student kept from 96.0 % on MRPC" in said
    at = open_page(GLUE)
    assert f'alt="{escape(said)}"' in html_of(at)
    assert picture(bars).count("<rect") == 2 + 1, "a bar for each task, and one in the legend"


def test_names_from_elsewhere_are_text_in_every_place(home):
    evil = {"title": HOSTILE, "model": "evil"}
    make_job(home, [cell("MRPC", "teacher"), cell("MRPC", **evil, notes=(HOSTILE,)), undefined("CoLA", **evil)],
             name=HOSTILE[:80])  # fmt: skip
    make_job(home, state="failed", sentence=HOSTILE, job_id="20261122-170000-ab12")
    make_run(home, settings=Settings(name=HOSTILE[:80]))
    at = open_page(GLUE)
    html = html_of(at)
    assert "&lt;img src=x onerror=" in html and not parsed(html).tags & {"script", "a", "iframe"}
    assert html.count("<img ") == html.count('<img style="width:100%" src="data:image/svg+xml;base64,') == 1
    assert "\u202e" not in html
    assert "<img" not in picture(retained([read_jobs()[0].cells])).replace("<svg", "")
    for kind in ("markdown", "caption", "warning", "error", "info"):
        assert not any("![](" in each.value or "$\\rule" in each.value for each in at.get(kind)), kind
    assert not any("![](" in each.label for each in at.metric)


def test_only_fifteen_rows_at_once_and_all_of_them_can_be_turned_to(home):
    make_job(home, [cell("MRPC", model=f"run-{i:03}", title=f"Student {i:03}") for i in range(40)])
    at = open_page(GLUE)
    assert html_of(at).count("Student 0") >= 15 and "15 of 40 measured rows" in plain(at)


# --- Jobs -------------------------------------------------------------------------------------------------------


def test_running_says_what_it_does_how_far_it_is_and_can_be_stopped(home):
    folder = make_job(home, [cell("MRPC", "teacher")], state="running", sentence="MiniLM on RTE: epoch 2 of 3.",
                      planned=[cell("RTE", "teacher"), cell("STS-B", "teacher")])  # fmt: skip
    make_job(home, state="queued", job_id="20261122-160000-ab12", name="The next one")
    at = open_page(GLUE)
    assert "MiniLM on RTE: epoch 2 of 3." in words(at) and "The next one waits for its turn" in words(at)
    progress = at.get("progress")[0].proto
    assert progress.text.startswith("1 of 3 scores") and progress.value == 46
    assert "84.6" in html_of(at), "finished scores are there while the others are measured"
    assert button(at, "Add to the queue")
    at.button(key=f"stop-{folder.name}").click()
    draw(at)
    assert runs.stop_requested(folder)
    assert "Stopping after the current step. Until all is saved this may take ten seconds." in words(at)


@pytest.mark.parametrize("state", ["stopped", "interrupted", "failed"])
def test_what_was_cut_off_can_be_resumed(home, state):
    folder = make_job(home, both("MRPC"), state=state, sentence="MRPC/train.tsv, line 3: was cut.")
    at = open_page(GLUE)
    assert "MRPC/train.tsv, line 3: was cut." in plain(at)
    at.button(key=f"glue-resume-current-{folder.name}").click()
    draw(at)
    assert runs.read_status(folder).state == "queued"


def test_a_job_whose_process_has_gone_reads_as_interrupted(home):
    make_job(home, both("MRPC"), state="running", alive=False)
    assert "Resume" in [each.label for each in open_page(GLUE).button]


def test_deleting_asks_first_and_a_running_job_cannot_be(home):
    folder = make_job(home, both("MRPC"))
    busy = make_job(home, state="running", job_id="20261122-160000-ab12")
    at = open_page(GLUE)
    assert at.button(key=f"glue-delete-{busy.name}").disabled
    at.button(key=f"glue-delete-{folder.name}").click()
    draw(at)
    assert folder.exists() and "Delete this job and its 2 scores?" in words(at)
    press(at, "Keep it")
    assert folder.exists()
    at.button(key=f"glue-delete-{folder.name}").click()
    press(draw(at), "Yes, delete it")
    assert not folder.exists() and busy.exists()


def test_the_list_of_jobs_calls_runs_by_their_names(home):
    run = make_run(home, settings=Settings(name="My first"))
    make_job(home, both("MRPC"), models=(StudentModel(run=run.name), StudentModel(run="gone-from-here")))
    said = plain(open_page(GLUE))
    assert "My first and Run gone-from-here on" in said and run.name not in said


def test_a_broken_job_is_listed_with_its_cause_and_hides_no_other(home):
    make_job(home, both("MRPC"))
    broken = make_job(home, both("RTE"), job_id="20261122-160000-ab12")
    (broken / "cells" / next((broken / "cells").iterdir()).name).write_text("{")
    at = open_page(GLUE)
    assert "cells/" in plain(at).replace("\\", "") and "84.6" in html_of(at)


def test_time_left_follows_the_work_and_not_the_steps(home):
    plan = plan_of([cell("MRPC"), cell("RTE")])
    assert [work_until(plan, step) for step in (0, 50, 100, 150, 200)] == [0, 2.5, 5, 7.5, 10]
    folder = make_job(home, state="running", planned=[cell("MRPC"), cell("RTE")])
    lines = [f'{{"event": "step", "stage": "scores", "step": {step}, "elapsed_s": {step / 10}}}\n' for step in (10, 40)]
    (folder / "metrics.jsonl").write_text("".join(lines))
    assert seconds_left(read_jobs()[0]) == pytest.approx(16.0), "160 steps at ten a second"


def test_a_real_job_stands_in_the_table_as_its_scores_say(home):
    write_learnable(home / "learnable")
    folder = job("20261122-150000-ab12", models=(teacher(),), tasks=("SST-2",), epochs=1)
    assert carry_out(folder) == "finished"
    (measured,) = read_jobs()[0].cells
    at = open_page(GLUE)
    row = next(row for row in parsed(html_of(at)).rows if row[0].startswith("Teacher in teacher/"))
    assert f"{100 * measured.score:.1f}" in row[1 + 1 + sorted(NINE).index("SST-2")]
    assert "demo scale" in row[0], "48 examples are fewer than the official ones"


# --- Setting up -------------------------------------------------------------------------------------------------


def set_path(at, folder: Path):
    at.text_input(key="glue.path").set_value(str(folder))
    return draw(at)


def test_the_tasks_of_the_folder_are_offered_and_missing_ones_named_with_what_to_do(home):
    for task in ("MRPC", "CoLA", "MNLI"):
        write_task(home / "glue", task)
    (home / "glue" / "MNLI" / "dev_mismatched.tsv").unlink()
    at = set_path(open_page(GLUE), home / "glue")
    assert at.button_group(key="glue.tasks").options == ["CoLA", "MRPC", "Rotten Tomatoes", "IMDb"]
    assert "Not there: SST-2/ with train.tsv and dev.tsv" in plain(at)
    assert "MNLI/ with train.tsv and dev_matched.tsv, dev_mismatched.tsv" in plain(at)
    at = set_path(at, home / "nowhere")
    assert "There is no folder" in plain(at)


def test_start_queues_what_was_announced_once_and_remembers_the_folder(home):
    write_task(home / "glue", "MRPC")
    finished_run(home, name="My first student")
    at = set_path(open_page(GLUE), home / "glue")
    at.button_group(key="glue.tasks").set_value(["MRPC"])
    at.number_input(key="glue.seeds").set_value(3)
    at = draw(at)
    assert button(at, "Start").disabled, "the tiny student reads fewer word pieces than the longest input"
    assert "“Longest input” is 128, but My first student reads at most 64 word pieces" in plain(at)
    at.number_input(key="glue.max_tokens").set_value(64)
    at = draw(at)
    assert "Fine-tunes and scores Bundled teacher (MiniLM) and My first student on MRPC, 3 seeds: about" in plain(at)
    press(at, "Start")
    (folder,) = runs.list_jobs()
    settings = runs.read_job_settings(folder)
    assert settings.tasks == ("MRPC",) and settings.seeds == 3 and settings.path == str(home / "glue")
    assert [model.kind for model in settings.models] == ["teacher", "student"]
    again = open_page(GLUE)
    assert again.text_input(key="glue.path").value == str(home / "glue")
    assert kinds.queue.waiting(MACHINE, kinds.GLUE) == [folder]


def test_a_second_click_on_start_queues_no_second_job_and_the_first_is_seen_at_once(home):
    at = open_page(GLUE)
    late = button(at, "Start")
    press(at, "Start")
    (folder,) = runs.list_jobs()
    assert button(at, "Add to the queue").disabled
    assert "Just this waits already." in plain(at)
    assert "waits for its turn. It begins in a moment." in words(at)
    assert "Nothing has been measured here yet" not in words(at)
    late.click()
    draw(at)
    assert runs.list_jobs() == [folder]
    at.number_input(key="glue.epochs").set_value(2)
    press(draw(at), "Add to the queue")
    assert len(runs.list_jobs()) == 2, "another job can wait behind it"


def test_a_mistake_keeps_start_shut_and_says_so(home):
    at = open_page(GLUE)
    at.button_group(key="glue.tasks").set_value([])
    at = draw(at)
    assert button(at, "Start").disabled and "“Tasks” is empty; choose at least one." in plain(at)
    at.button_group(key="glue.tasks").set_value(["IMDb"])
    at.multiselect(key="glue.models").set_value([choices.FOLDER])
    at = draw(at)
    assert button(at, "Start").disabled and "name the folder" in plain(at)


def test_a_control_is_marked_and_the_hub_is_only_offered_with_the_network(home, monkeypatch):
    control = Settings(name="Alone", loss={"soft": 0.0, "hard": 1.0, "cosine": 0.0})
    folder = make_run(home, settings=control)
    (folder / "student").mkdir()
    (folder / "student" / "config.json").write_text("{}")
    assert list(choices.students().values()) == ["Alone · control"]
    assert choices.HUB not in choices.model_options({})
    assert "which is off" in choices.available_tasks("glue_hub", "", "fine-tuned").problem
    monkeypatch.setenv(network.SWITCH, "1")
    assert choices.HUB in choices.model_options({})
    assert len(choices.available_tasks("glue_hub", "", "fine-tuned").offered) == 11
    assert "STS-B" not in choices.available_tasks("glue_hub", "", "zero-shot").offered


# --- The ablation -----------------------------------------------------------------------------------------------


def test_table_4_is_one_button_and_its_rows_fill_in(home):
    at = tab(open_page(GLUE), "Ablation")
    press(at, "Queue these runs")
    queued = sorted(kinds.waiting_runs())
    assert len(queued) == 6 and "0 of 6 runs are finished" in plain(at)
    for place, score in ((0, 0.86), (4, 0.80)):
        name = queued[place].name
        runs.request_stop(queued[place])
        for path in sorted(queued[place].rglob("*"), reverse=True):
            path.unlink()
        queued[place].rmdir()
        make_run(home, name, results=RESULTS | {"student": RESULTS["student"] | {"score": score}})
    at = draw(at)
    row = next(row for row in parsed(html_of(at)).rows if row[0].startswith("Random initial weights"))
    assert "−3.69" in row[1] and "−6.00" in row[2] and "±" in row[2] and "80.0" in row[3]
    assert "2 of 6 runs are finished" in plain(at)
    press(at, "Stop all")
    assert not kinds.waiting_runs()
    press(at, "Resume")
    assert len(kinds.waiting_runs()) == 4


# --- Speed, and a real browser ----------------------------------------------------------------------------------


def test_reading_loads_no_heavy_library():
    code = (
        "import sys; import core.glue.planning, core.glue.tables, pages.ui.glue.results, pages.ui.glue.setup; "
        "print([name for name in ('torch', 'transformers', 'pandas', 'sklearn', 'scipy') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


SHIFTS = """() => {
  window.shifts = [];
  const isFrame = ({node}) => node?.dataset?.testid === 'stMainBlockContainer';
  const frame = ({sources}) => sources.length > 0 && sources.every(isFrame);
  new PerformanceObserver((list) => window.shifts.push(...list.getEntries().filter((entry) => !frame(entry))
    .map((entry) => entry.value))).observe({type: 'layout-shift', buffered: true});
}"""
"""Of all but the whole frame, which Streamlit draws narrow until it is told that the page is wide."""


def test_what_comes_late_has_its_room_from_the_beginning(start_server, page, tmp_path):
    make_job(tmp_path / "served", both("MRPC", "RTE", "STS-B", "SST-2"), timing=TIMING)
    page.add_init_script(f"({SHIFTS})()")
    held: list[Route] = []
    page.route(re.compile(r"/static/js/(Html|Metric|ImageList)\."), lambda route: held.append(route))
    page.goto(f"{start_server(home=tmp_path / 'served', environment=COLD).url}/glue")
    page.get_by_role("tab", name="Ablation").wait_for()
    page.get_by_text("All GLUE jobs").wait_for()
    for each in held:
        each.continue_()
    page.unroute_all()
    page.get_by_role("table", name="GLUE beside the paper").wait_for()
    page.get_by_role("img", name="The paper's DistilBERT kept").wait_for()
    settled(page)
    assert len(held) >= 2 and sum(page.evaluate("shifts")) < 0.1


def test_200_rows_open_in_a_browser_and_send_little(start_server, page, tmp_path):
    """How soon they open, `python -m benchmarks.two_hundred` measures."""
    make_200_rows(tmp_path / "served")
    server, received = start_server(home=tmp_path / "served", environment=COLD), []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: received.append(len(frame))))
    visit(page, f"{server.url}/runs")
    received.clear()
    page.get_by_role("link", name="GLUE").click()
    page.locator(".results tbody tr:nth-child(12)").wait_for()
    settled(page)
    assert sum(received) < 150_000
    assert page.get_by_text("15 of 200 measured rows").is_visible()
    table = page.get_by_role("table", name="GLUE beside the paper")
    assert table.get_by_role("rowheader", name="DistilBERT").count() == 1
    assert axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
