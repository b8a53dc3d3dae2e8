"""Watch it learn: the recorded answers of every kind of run, step by step."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from core.config import Settings, starting_point
from core.runs import folder as runs
from core.settings_file import parse_settings
from core.storage import teacher_model, write_json
from pages.ui.marks import line, round_ends, rows, value
from pages.ui.replay import Frame, first_words, read_guesses, read_shares, recorded_ends
from tests.fixtures.browser import settled
from tests.fixtures.compare_page import change_settings, drawings, open_page, record_answers, spoken, words
from tests.fixtures.made_runs import RESULTS, SCORE_RESULTS, WORDS_RESULTS, make_run
from tests.fixtures.serving import COLD
from tests.fixtures.tiny_models import KEY

pytestmark = pytest.mark.usefixtures("nothing_trains")

TWO = ("A warm film.", "A dull one.")
GUESSES = [["good", 0.4], ["bad", 0.2], ["##ing", 0.1], ["warm", 0.05], ["dull", 0.02]]
EARLY = [["the", 0.02], [",", 0.02], ["a", 0.01], [".", 0.01], ["good", 0.01]]


def labelled(home: Path, *frames: tuple[int, Any, Any], results: dict[str, Any] = RESULTS, **changes: Any) -> Path:
    """A finished run that watched two sentences and recorded these answers."""
    folder = make_run(home, results=results)
    change_settings(folder, probes=TWO, **changes)
    record_answers(folder, *frames)
    return folder


def guessing(home: Path, state: runs.State = "finished", **files: Any) -> Path:
    """A run of masked words whose student begins with nothing and ends like its teacher."""
    folder = make_run(home, state=state, results=WORDS_RESULTS, **files)
    count = len(runs.read_settings(folder).probes)
    teacher = [GUESSES] * count
    record_answers(folder, (0, [EARLY] * count, teacher), (20, [EARLY] * count, teacher), (40, teacher, teacher))
    return folder


def watch(folder: Path) -> Any:
    at = open_page("../distill.py", run=folder.name)
    assert not at.exception
    return at


# What was recorded


def test_frames_come_in_the_order_of_steps_and_the_last_of_a_step_counts(home):
    said = [[0.4, 0.6]] * 2
    folder = labelled(home, (20, said, said), (0, said, said), (20, [[0.1, 0.9]] * 2, said))
    frames = read_shares(folder, runs.read_settings(folder))
    assert [frame.step for frame in frames] == [0, 20]
    assert frames[1].student == [[0.1, 0.9]] * 2


FOREIGN = [
    {"step": 1},
    {"step": "1", "student": [[0.5, 0.5]] * 2, "teacher": [[0.5, 0.5]] * 2},
    {"step": True, "student": [[0.5, 0.5]] * 2, "teacher": [[0.5, 0.5]] * 2},
    {"step": 1, "student": [[0.5, 0.5]], "teacher": [[0.5, 0.5]] * 2},
    {"step": 1, "student": [[0.5, 0.5], [1.0]], "teacher": [[0.5, 0.5]] * 2},
    {"step": 1, "student": [[0.5, None]] * 2, "teacher": [[0.5, 0.5]] * 2},
    {"step": 1, "student": [[0.5, math.nan]] * 2, "teacher": [[0.5, 0.5]] * 2},
    {"step": 1, "student": [[]] * 2, "teacher": [[]] * 2},
    {"step": 1, "student": [[["good", 0.5]]] * 2, "teacher": [[["good", 0.5]]] * 2},
    {"step": 1, "student": "ab", "teacher": "ab"},
]


@pytest.mark.parametrize("event", FOREIGN, ids=range(len(FOREIGN)))
def test_a_foreign_line_is_passed_over(home, event):
    folder = labelled(home, (0, [[0.4, 0.6]] * 2, [[0.1, 0.9]] * 2))
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"event": "probe"} | event) + "\n")
    assert [frame.step for frame in read_shares(folder, runs.read_settings(folder))] == [0]
    watch(folder)


@pytest.mark.parametrize("row", [[0.5, 0.5], [["good"]], [[1, 0.5]], [["good", "much"]], "good", None])
def test_a_foreign_line_among_words_is_passed_over(home, row):
    folder = guessing(home)
    count = len(runs.read_settings(folder).probes)
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"event": "probe", "step": 60, "student": [row] * count, "teacher": [row] * count}))
        file.write("\n")
    assert [frame.step for frame in read_guesses(folder, runs.read_settings(folder))] == [0, 20, 40]
    watch(folder)


def test_first_words_are_told_each_time_they_change(home):
    frames = read_guesses(folder := guessing(home), runs.read_settings(folder))
    assert first_words(frames, 0) == ["the", "good"]
    assert first_words(frames[:2], 0) == ["the"]
    assert first_words([Frame(0, [[]], [[]])], 0) == []


def test_the_scale_holds_every_score_at_round_ends():
    assert recorded_ends([Frame(0, [[4.7]], [[-0.1]]), Frame(1, [[4.7]], [[4.1]])]) == (-1, 5)
    for values in ([3.0], [0.0, 0.0], [-2.0], [1000.0, 1003.5], [0.001, 0.0013]):
        low, high = round_ends(values)
        assert low <= min(values) and max(values) <= high and low < high
    assert [value(score) for score in (3.7214, -0.5, 1204.4, 0)] == ["3.72", "−0.5", "1204", "0"]


# How it is drawn


@pytest.fixture
def light(monkeypatch):
    monkeypatch.setattr("pages.ui.marks.theme_type", lambda: "light")


def test_marks_stand_where_their_values_are(light):
    drawing = line(0.25, 1.0, (0.0, 1.0), lambda share: f"<{share}>")
    assert '<svg x="26.50%"' in drawing, "the teacher's diamond, 3 % from the edge at 0 and at 1"
    assert '<circle cx="97.00%"' in drawing
    assert "<0.25>" not in drawing and "teacher &lt;0.25&gt;" in drawing
    outside = line(-7, 3, (0, 1), str)
    assert '<svg x="3.00%"' in outside and '<circle cx="97.00%"' in outside


def test_every_label_has_a_row_and_one_is_bold(light):
    drawing = rows(["<b>", "two"], [0.9, 0.1], [0.2, 0.8], bold=1, say=str)
    assert "<b>" not in drawing and drawing.count("<circle") == 2 and drawing.count('font-weight="700"') == 2
    assert rows(["one"], [1.0], [1.0], bold=None, say=str).count('font-weight="700"') == 0


# On the page


def test_two_labels_are_one_line_between_their_names(home):
    folder = labelled(home, (0, [[0.4, 0.6]] * 2, [[0.1, 0.9]] * 2), (9, [[0.8, 0.2]] * 2, [[0.1, 0.9]] * 2))
    config = folder / "student" / "config.json"
    config.parent.mkdir()
    config.write_text(json.dumps({"id2label": {"0": "sober", "1": "*merry*"}}))
    at = watch(folder)
    assert "How likely each model finds “*merry*”" in words(at)
    assert not any("*merry*" in caption.value for caption in at.caption), "it is escaped"
    assert spoken(at)[-3:] == ["From sober to *merry*", *["Student 20\u202f% *merry*, teacher 90\u202f%"] * 2]
    at.select_slider[0].set_value(0).run()
    assert spoken(at)[-1] == "Student 60\u202f% *merry*, teacher 90\u202f%"


def test_while_it_trains_the_labels_are_called_as_the_teacher_calls_them(home):
    folder = make_run(home, state="running")
    change_settings(folder, probes=TWO)
    record_answers(folder, (0, [[0.4, 0.6]] * 2, [[0.1, 0.9]] * 2))
    assert "class 1" in words(watch(folder))
    write_json(folder / "teacher.json", {"key": KEY})
    teacher_model(KEY).mkdir(parents=True)
    write_json(teacher_model(KEY) / "config.json", {"id2label": {"0": "no", "1": "yes"}})
    assert "How likely each model finds “yes”" in words(watch(folder))


def test_more_labels_are_a_row_each_in_an_order_that_stays(home):
    teacher = [[0.1, 0.2, 0.7], [0.7, 0.2, 0.1]]
    folder = labelled(home, (0, [[0.4, 0.3, 0.3]] * 2, teacher), (9, [[0.1, 0.3, 0.6]] * 2, teacher))
    at = watch(folder)
    late = [drawing for drawing in drawings(at) if "class 2" in drawing]
    assert spoken(at)[-2:] == ["Student: class 2, teacher: class 2", "Student: class 2, teacher: class 0"]
    at.select_slider[0].set_value(0).run()
    early = [drawing for drawing in drawings(at) if "class 2" in drawing]
    order = [[re.findall(r"class \d", drawing) for drawing in moment] for moment in (late, early)]
    assert order[0] == order[1] == [["class 2", "class 1", "class 0"], ["class 0", "class 1", "class 2"]]


def test_of_many_labels_the_least_likely_share_a_row(home):
    teacher = [[0.05 + 0.01 * place for place in range(10)]] * 2
    folder = labelled(home, (0, [[0.1] * 10] * 2, teacher))
    drawing = drawings(watch(folder))[-1]
    assert re.findall(r"class \d|\d others", drawing) == ["class 9", "class 8", "class 7", "class 6", "6 others"]
    assert "60\u202f%" in drawing


def test_scores_are_numbers_on_the_recorded_scale(home):
    data = {"source": "csv", "path": "stars.csv", "label_kind": "score"}
    teacher = [[4.7], [1.2]]
    folder = labelled(
        home, (0, [[-0.1], [0.2]], teacher), (9, [[4.1], [1.6]], teacher), results=SCORE_RESULTS, data=data
    )
    at = watch(folder)
    assert "The score that each model gives" in words(at)
    assert spoken(at)[-3:] == ["From −1 to 5", "Student 4.1, teacher 4.7", "Student 1.6, teacher 1.2"]


def test_hidden_words_are_two_lists_that_come_to_agree(home):
    at = watch(guessing(home))
    probes = Settings.model_validate(starting_point("masked_words").model_dump()).probes
    assert all(probe in [each.value for each in at.text] for probe in probes)
    joined = [drawing.count("<line") for drawing in drawings(at) if "First word so far" in drawing]
    assert joined == [5] * len(probes)
    assert "First word so far: the → good" in drawings(at)[-1] and "…ing" in drawings(at)[-1]
    assert spoken(at)[-1].startswith("Teacher: good 40\u202f%, bad 20\u202f%, …ing")
    at.select_slider[0].set_value(0).run()
    assert [drawing.count("<line") for drawing in drawings(at) if "First word so far" in drawing] == [1] * len(probes)
    assert "Student: the 2\u202f%, , 2\u202f%" in spoken(at)[-1]


def test_a_mask_that_was_cut_off_is_said(home):
    folder = make_run(home, results=WORDS_RESULTS)
    change_settings(folder, probes=["a [MASK]", "b [MASK]"])
    record_answers(folder, (0, [GUESSES, []], [GUESSES, []]))
    at = watch(folder)
    assert "lies beyond the part of the sentence" in words(at) and "Move the slider" not in words(at)


def test_models_of_pairs_watch_no_sentences(home):
    folder = make_run(home)
    raw = runs.read_settings(folder).model_dump(mode="json")
    raw["data"] |= {"source": "csv", "path": "pairs.csv", "pair_column": "other"}
    write_json(folder / "config.json", parse_settings(raw).model_dump(mode="json"))
    assert "Watch it learn" not in words(watch(folder))


@pytest.fixture(scope="module")
def learning(start_server, tmp_path_factory):
    """A server with a finished run of masked words; its address."""
    home = tmp_path_factory.mktemp("home")
    folder = guessing(home)
    server = start_server(home=home, environment=COLD)
    yield f"{server.url}/distill?run={folder.name}"
    server.close()


# Below the heading: what stands above it, the curves, takes its time to be drawn.
PLACES = """() => {
  const top = [...document.querySelectorAll('h3')].find(part => part.textContent === 'Watch it learn');
  const parts = document.querySelectorAll('[data-testid=stImage] img, [data-testid=stExpander]');
  return [...parts].map(part => part.getBoundingClientRect())
    .map(box => [box.x, box.y - top.getBoundingClientRect().y, box.width, box.height].map(Math.round));
}"""


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_stands_still_while_the_student_learns(learning, page: Page, width: int):
    page.set_viewport_size({"width": width, "height": 5000})
    page.goto(learning)
    last = page.get_by_role("img", name=re.compile("^Teacher: good .* Student: good")).last
    expect(last).to_be_visible()
    settled(page)
    page.wait_for_function("() => [...document.images].every(image => image.complete && image.naturalHeight)")
    places = page.evaluate(PLACES)
    page.get_by_role("slider").last.focus()
    for earlier in ("the", "the"):
        page.keyboard.press("ArrowLeft")
        changed = page.get_by_role("img", name=re.compile(f"^Teacher: good .* Student: {earlier}")).last
        expect(changed).to_be_visible()
        settled(page)
        assert page.evaluate(PLACES) == places
