"""The parts of the Compare page on real finished runs: without a browser where that is enough, then in one."""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from streamlit.testing.v1 import AppTest

from core.cli import kinds
from core.jobs import folder as jobs
from core.jobs.owner import of_folder, this_process
from core.models import shelf
from core.runs import folder as runs
from core.runs.comparable import comparable_runs, model_folders
from core.scoring import file_answers, held_out, held_out_words, job
from core.scoring.answers import answers
from core.scoring.doubts import paired
from core.scoring.hidden_words import guesses
from core.storage import jobs_root, read_json, write_json
from pages.ui.answers import gap, verdict
from pages.ui.compare.blind import ROUND, SIDES, new_round
from pages.ui.compare.blind import verdict as blind_verdict
from pages.ui.compare.doubts import difference
from pages.ui.compare.lost import PART, headline
from pages.ui.compare.models import choices_for, named
from pages.ui.compare.side_by_side import WISH, wish_lines
from pages.ui.compare.truth import right_or_wrong
from tests.fixtures.browser import axe, settled, visit
from tests.fixtures.compare_page import change_settings, open_page, spoken, type_text, words
from tests.fixtures.serving import Server
from tests.fixtures.small_runs import MASKED, run_once, world_of

LABELS, CONTROL, WORDS = "20261122-120000-aaaa", "20261122-121000-bbbb", "20261122-123000-dddd"
SENTENCE, HIDDEN = "the film is warm and funny .", "the film is [MASK] and [MASK] ."
NO_TEACHER = ("loss.soft=0.0", "loss.cosine=0.0", "loss.hard=1.0")
FILE = "text,label\n" + "".join(f"the film number {number} is warm,positive\n" for number in range(40))
SIDEWAYS = """() => [document.documentElement, document.querySelector('[data-testid=stMain]')]
  .map(part => part.scrollWidth - part.clientWidth)"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, teachers: Path) -> Iterator[Path]:
    """A home with three real finished runs: labels, the control of the same teacher, and masked words."""
    with world_of(tmp_path_factory.mktemp("home"), teachers) as home:
        run_once(LABELS, "student.layers=3", 'name="Three layers"')
        run_once(CONTROL, "student.layers=2", 'name="Alone"', *NO_TEACHER)
        run_once(WORDS, *MASKED, "student.layers=3", 'name="Words"')
        yield home
        shelf.unload_all()


@pytest.fixture
def own_world(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that home that a test may change."""
    home = shutil.copytree(world, tmp_path / "home")
    monkeypatch.setenv("DISTILLERY_HOME", str(home))
    return home


@pytest.fixture(autouse=True)
def nothing_remembered(world: Path) -> None:
    """What was asked in one test is not asked in the next; all share the home."""
    for folder in all_jobs():
        jobs.remove(folder)


def look(part: str, run: str = LABELS) -> AppTest:
    """The Compare page with a run and one of its parts."""
    at = open_page(run=run)
    assert not at.exception, at.exception
    return go(at, part)


def go(at: AppTest, part: str) -> AppTest:
    at.button_group(key=PART).set_value(part).run()
    assert not at.exception, at.exception
    return at


def press(at: AppTest, key: str) -> AppTest:
    at.button(key=key).click().run()
    assert not at.exception, at.exception
    return at


def all_jobs() -> list[Path]:
    return jobs.folders_in(jobs_root())


def finish_background() -> None:
    """Carry out whatever was begun, in this process."""
    for folder in kinds.queue.waiting(kinds.BESIDE):
        kinds.carry_out(folder)


def killed(folder: Path) -> None:
    """As if the process that worked on this job had been killed, and its server with it."""
    gone = of_folder(this_process(), folder) | {"started": "1"}
    jobs.write_status(folder, jobs.Status("running", "", None, 2, 40, owner=gone))


def look_at_file() -> AppTest:
    """The Compare page with a file that was sent, and nothing asked about it yet."""
    at = look("A file")
    at.file_uploader[0].upload("mine.csv", FILE.encode()).run()
    assert not at.exception, at.exception
    return at


# Who answers


@pytest.mark.usefixtures("nothing_trains", "world")
class TestWithoutABrowser:
    def test_three_models_answer_one_sentence(self):
        at = open_page(run=LABELS)
        chooser = at.multiselect[0]
        assert chooser.options == ["Teacher", "Student", "Control of Alone"]
        chooser.set_value([*chooser.value, f"student-{CONTROL}"]).run()
        assert not at.exception
        type_text(at, SENTENCE)
        own, other = (model_folders(runs.run_folder(run)) for run in (LABELS, CONTROL))
        (said,) = answers(own | {"control": other["student"]}, [SENTENCE], 32)
        assert verdict(said) in words(at) and gap(said) in words(at)
        assert [metric.label for metric in at.metric if metric.label.endswith("says")] == [
            "Teacher says", "Student says", "Control says"
        ]  # fmt: skip
        type_text(at, f"{SENTENCE}\na dull mess .")
        assert {"Teacher says", "Student says", "Control says"} <= set(at.dataframe[0].value.columns)

    def test_one_model_alone_is_not_compared(self):
        at = open_page(run=LABELS)
        at.multiselect[0].set_value(at.multiselect[0].value[:1]).run()
        assert not at.exception and "Choose at least two models" in words(at)

    def test_only_models_that_are_asked_the_same_can_be_chosen(self, own_world):
        change_settings(runs.run_folder(CONTROL), data={"source": "csv", "path": "x.csv", "pair_column": "b"})
        everything = {run.run_id: run for run in comparable_runs()[0]}
        found = choices_for(everything[LABELS], list(everything.values()))
        assert [choice.key for choice in found if choice.run.run_id != LABELS] == []
        config = runs.run_folder(CONTROL) / "student" / "config.json"
        shutil.copy(own_world / "runs" / LABELS / "config.json", runs.run_folder(CONTROL) / "config.json")
        assert len(choices_for(everything[LABELS], comparable_runs()[0])) == 3
        write_json(config, read_json(config) | {"id2label": {"0": "no", "1": "yes"}})
        assert len(choices_for(everything[LABELS], comparable_runs()[0])) == 2, "other labels are another question"

    def test_models_of_one_role_have_names_of_their_own(self):
        everything, _ = comparable_runs()
        first = next(run for run in everything if run.run_id == LABELS)
        teacher, student, control = choices_for(first, everything)
        assert list(named([teacher, student, student])) == ["teacher", "student", "second student"]
        assert list(named([control, teacher])) == ["control", "teacher"]

    def test_three_models_are_loaded_once_each_and_the_oldest_goes(self, monkeypatch):
        loaded = []

        def load(folder: Path) -> shelf.Loaded:
            loaded.append(folder)
            return shelf._open(folder)

        fresh = shelf.Shelf(load)
        monkeypatch.setattr(shelf, "get", fresh.get)
        monkeypatch.setattr(shelf, "holds", fresh.holds)
        at = open_page(run=LABELS)
        at.multiselect[0].set_value([*at.multiselect[0].value, f"student-{CONTROL}"]).run()
        for part in ("Inside", "Side by side", "Blind test", "Side by side"):
            go(at, part)
        assert len(loaded) == len(set(loaded)) == 3, "three models, each loaded once"
        at.selectbox(key="compare-run").set_value(WORDS).run()
        assert not at.exception and len(loaded) == 5
        held = [folder for folder in loaded if fresh.holds(folder)]
        assert len(held) == shelf.CAPACITY and loaded[0] not in held, "the one not used for longest has gone"

    # Masked words

    def test_the_probability_of_a_word_is_told_for_every_hidden_word(self):
        at = open_page(run=WORDS)
        type_text(at, HIDDEN, "compare-words")
        at.text_input(key=WISH).set_value("warm").run()
        assert not at.exception
        (said,) = guesses(model_folders(runs.run_folder(WORDS)), [HIDDEN], 16, wish="warm")
        lines = wish_lines(said, "warm")
        assert len(lines) == 2 and all(line in words(at) for line in lines)
        for guess in said.answers.values():
            for place, share in enumerate(guess.wish.probabilities):
                named_too = {word.text: word.probability for word in guess.places[place]}
                assert named_too.get("warm", share) == pytest.approx(share)
        at.text_input(key=WISH).set_value("unforgettable").run()
        assert "has no single probability" in words(at) and "u + ##n + ##f" in words(at)
        at.text_input(key=WISH).set_value("漢").run()
        assert "is not in the models' word list" in words(at)

    def test_masked_words_can_be_looked_into(self):
        at = look("Inside", WORDS)
        type_text(at, HIDDEN, "compare-words")
        alts = spoken(at)
        assert sum(alt.startswith("[MASK]: ") for alt in alts) == 2
        charts = [chart.proto.alt for chart in at.get("plotly_chart")]
        assert [alt.split(":")[0] for alt in charts] == ["Teacher, layer 5", "Student, layer 2"]
        at.slider(key="compare-temperature").set_value(5.0).run()
        assert not at.exception and any(alt.startswith("Teacher at temperature 5") for alt in spoken(at))

    # Inside

    def test_the_layer_of_the_student_leads_to_the_teachers(self):
        at = look("Inside")
        layer_map = runs.read_settings(runs.run_folder(LABELS)).student.layer_map(6)
        for layer in (2, 0, 1):
            at.selectbox(key="compare-layer-3").set_value(layer).run()
            assert not at.exception
            charts = [chart.proto.alt.split(":")[0] for chart in at.get("plotly_chart")]
            assert charts == [f"Teacher, layer {layer_map[layer]}", f"Student, layer {layer}"]
        at.selectbox(key="compare-head-2").set_value(1).run()
        assert not at.exception

    def test_a_higher_temperature_brings_the_doubts_to_light(self):
        at = look("Inside")

        def sure() -> float:
            alt = next(alt for alt in spoken(at) if alt.startswith("Teacher at temperature"))
            return max(float(share) for share in re.findall(r"([\d.]+)\u202f%", alt))

        before = sure()
        at.slider(key="compare-temperature").set_value(10.0).run()
        assert 50 <= sure() < before

    # A file

    def test_a_file_is_answered_in_the_background_and_once(self):
        at = look("A file")
        assert f"or when {job.KEPT} other files have been asked about" in words(at), "how long it is kept"
        at.file_uploader[0].upload("mine.csv", f"{FILE}=1+1,negative\n".encode()).run()
        assert not at.exception
        press(at, "compare-file-start")
        assert "Waiting until what was asked before" in at.get("progress")[0].proto.text
        finish_background()
        asked = [(folder, jobs.written_status(folder).queued_at) for folder in all_jobs()]
        at.run()
        assert "They agree on" in words(at) and len(at.dataframe[-1].value) == 41
        assert any(metric.label == "Student is right" for metric in at.metric)
        go(go(at, "Side by side"), "A file")
        assert not [each for each in at.button if each.key == "compare-file-start"], "there is nothing left to ask"
        assert [(folder, jobs.written_status(folder).queued_at) for folder in all_jobs()] == asked and len(asked) == 1

    def test_a_file_that_was_stopped_before_a_row_was_answered_can_be_asked_again(self):
        at = press(press(look_at_file(), "compare-file-start"), "compare-file-stop")
        assert "Stopped before a row was answered." in words(at)
        press(at, "compare-file-start")
        finish_background()
        assert "They agree on" in words(at.run())

    def test_what_was_answered_before_a_stop_is_shown_and_all_can_be_asked_again(self, monkeypatch):
        monkeypatch.setattr(file_answers, "WINDOW", 8)
        at = press(look_at_file(), "compare-file-start")
        wants = iter([False] * 8)
        kinds.carry_out(all_jobs()[0], lambda: next(wants, True))
        at.run()
        assert "of 40 rows are answered, the shortest ones." in words(at) and "They agree on" in words(at)
        assert len(at.dataframe[-1].value) < 40
        press(at, "compare-file-start")
        finish_background()
        at.run()
        assert "the shortest ones" not in words(at) and len(at.dataframe[-1].value) == 40

    @pytest.mark.parametrize(
        ("spoil", "sentence"),
        [
            (killed, "ended at step 2 without saying why"),
            (lambda folder: (folder / job.ANSWERS).write_bytes(b"PK"), "cannot be read any more. Ask again."),
        ],
        ids=["killed", "broken"],
    )
    def test_answers_that_never_came_are_one_sentence_and_can_be_asked_for_again(self, spoil, sentence):
        at = press(look_at_file(), "compare-file-start")
        if spoil is not killed:
            jobs.request_stop(all_jobs()[0])
        spoil(all_jobs()[0])
        at.run()
        assert not at.exception and sentence in words(at)
        press(at, "compare-file-start")
        assert jobs.state_of(all_jobs()[0]) == "queued"

    def test_a_stop_in_a_tab_whose_file_has_been_deleted_since_is_no_error(self):
        at = press(look_at_file(), "compare-file-start")
        jobs.remove(all_jobs()[0])
        press(at, "compare-file-stop")
        assert at.button(key="compare-file-start")

    @pytest.mark.parametrize(
        ("part", "key"), [("A file", "compare-file-start"), ("What got lost", "compare-lost-start")]
    )
    def test_a_full_disk_is_said_when_nothing_can_be_begun(self, own_world, monkeypatch, part, key):
        at = look_at_file() if part == "A file" else look(part)

        def full(*_args, **_options):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(jobs, "create", full)
        press(at, key)
        assert "No space left on device. Make room" in at.toast[0].value.replace("\\", "") and not all_jobs()

    @pytest.mark.parametrize(
        ("content", "words_of_it"),
        [
            (b"", "is empty"),
            (b"text\n", "has a header but no rows"),
            (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "is a PNG image"),
            (b"text,label\na,b,c\n", "line 2"),
            (b'text\n"open', "line 2"),
            (b"text\n\xff\xfe\xfd\n", "not UTF-8"),
        ],
    )
    def test_a_file_that_cannot_be_used_is_explained(self, content, words_of_it):
        at = look("A file")
        at.file_uploader[0].upload("bad.csv", content).run()
        assert not at.exception and words_of_it in words(at)

    # What got lost

    def test_slices_and_the_texts_furthest_apart(self, own_world):
        at = press(look("What got lost"), "compare-lost-start")
        finish_background()
        at.run()
        run = runs.run_folder(LABELS)
        found = held_out.read_held_out(run, model_folders(run))
        assert headline(found.by_slice(), "texts") in words(at)
        assert at.metric[0].value == f"{100 * found.equal.mean():.1f}\u202f%"
        number = found.furthest(1)[0]
        assert found.texts[number] in words(at)
        assert f", {'right' if found.right('student')[number] else 'wrong'}. True: " in words(at)
        press(at, f"compare-open-{number}")
        assert at.button_group(key=PART).value == "Side by side"
        assert at.text_area(key="compare-text").value == found.texts[number]
        (said,) = answers(model_folders(run), [found.texts[number]], 32)
        assert gap(said) in words(at)
        truth = found.label_names[int(found.labels[number])]
        labels = {name: answer.label for name, answer in said.answers.items()}
        assert right_or_wrong(labels, truth) in words(at), "the truth came along"
        assert "True is" not in words(type_text(at, "a sentence of my own"))

    def test_doubts_of_both_then_of_a_control_that_is_asked_beside_them(self, own_world):
        at = press(look("Doubts"), "compare-doubts-start")
        finish_background()
        at = look("Doubts")
        assert [each.value for each in at.subheader][:2] == ["Teacher", "Student"]
        found = held_out.read_held_out(runs.run_folder(LABELS), model_folders(runs.run_folder(LABELS)))
        pair = paired(found.right("teacher"), found.right("student"))
        assert difference("teacher", "student", pair) in words(at)
        assert "“Alone” learned the same data" in words(at)
        press(at, "compare-doubts-control-start")
        finish_background()
        at = look("Doubts")
        assert [each.value for each in at.subheader][:3] == ["Teacher", "Student", "Control"]
        assert [each.label for each in at.metric] == ["Teacher to student", "Teacher to control"]
        assert "The control is the student of “Alone”" in words(at)

    def test_a_control_shown_alone_is_called_one_and_words_and_scores_say_why_not(self, own_world):
        press(look("Doubts", CONTROL), "compare-doubts-start")
        finish_background()
        at = look("Doubts", CONTROL)
        assert [each.value for each in at.subheader][:2] == ["Teacher", "Control"]
        assert "Masked words have no such page yet" in words(look("Doubts", WORDS))

    def test_hidden_words_that_the_student_lost(self, own_world):
        at = press(look("What got lost", WORDS), "compare-lost-start")
        finish_background()
        at.run()
        assert not at.exception and "Agreement by kind of hidden word" in words(at)
        run = runs.run_folder(WORDS)
        found = held_out_words.read_held_out_words(run, model_folders(run))
        for number in found.lost(1):
            press(at, f"compare-open-{number}")
            assert at.text_area(key="compare-words").value == found.contexts[number]

    def test_data_that_has_gone_is_one_sentence(self, own_world):
        change_settings(runs.run_folder(LABELS), data={"source": "csv", "path": str(own_world / "gone.csv")})
        at = press(look("What got lost"), "compare-lost-start")
        finish_background()
        at.run()
        assert not at.exception and "There is no file" in words(at)

    @pytest.mark.parametrize("end", ["stopped", "killed"])
    def test_a_held_out_set_that_was_not_answered_can_be_asked_again(self, own_world, end):
        at = press(look("What got lost"), "compare-lost-start")
        if end == "stopped":
            press(at, "compare-lost-stop")
        else:
            killed(all_jobs()[0])
            assert "ended at step 2 without saying why" in words(at.run())
        press(at, "compare-lost-start")
        finish_background()
        run = runs.run_folder(LABELS)
        found = held_out.read_held_out(run, model_folders(run))
        assert headline(found.by_slice(), "texts") in words(at.run())

    # The blind test

    def test_a_guess_is_counted_once_and_reveals_who_it_was(self, own_world):
        at = look("Blind test", WORDS)
        current = at.session_state[ROUND]
        assert not {"teacher", "student"} & set(" ".join(spoken(at)).lower().split())
        assert "took" not in words(at) and "The large model (teacher)" not in words(at)
        press(at, "compare-blind-A")
        assert ("Right" if current.teacher == "A" else "Wrong") in words(at)
        assert f"the large model was answer {current.teacher}" in words(at)
        assert f"{int(current.teacher == 'A')} of 1 right" in words(at) and "chance is 50" in words(at)
        press(at, "compare-blind-next")
        assert at.session_state[ROUND].text != current.text and not at.session_state[ROUND].guess

    def test_sides_are_drawn_by_lot_and_nothing_else_tells_them(self):
        run = next(run for run in comparable_runs()[0] if run.run_id == LABELS)
        rounds = [new_round(run, SENTENCE, None) for _ in range(40)]
        drawn = {each.teacher for each in rounds}
        assert drawn == set(SIDES), "one chance in 2^39 to be wrong"
        assert all(list(each.answers) == list(SIDES) for each in rounds)
        (said,) = answers(model_folders(runs.run_folder(LABELS)), [SENTENCE], 32)
        for each in rounds:
            assert dict(each.answers[each.teacher].probabilities) == dict(said.answers["teacher"].probabilities)

    def test_a_typed_sentence_can_be_asked(self):
        at = look("Blind test")
        at.text_input(key="compare-blind-text").set_value("a dull mess .")
        press(at, "compare-blind-ask")
        assert at.session_state[ROUND].text == "a dull mess ." and at.button(key="compare-blind-A")

    @pytest.mark.parametrize(
        ("hits", "count", "said"),
        [(1, 2, "Too few"), (10, 20, "Guessing would do"), (20, 20, "can tell"), (0, 20, "takes the small model")],
    )
    def test_the_score_is_told_in_words(self, hits, count, said):
        assert said in blind_verdict(hits, count)


# In a browser


@pytest.fixture(scope="module")
def server(start_server, world) -> Iterator[Server]:
    running = start_server(home=world)
    yield running
    running.close()


def part(page: Page, name: str) -> None:
    page.get_by_test_id("stButtonGroup").get_by_text(name, exact=True).click()
    settled(page)


def test_every_part_in_a_browser(page: Page, server: Server):
    visit(page, f"{server.url}/compare?run={LABELS}")
    expect(page.get_by_text("Student says")).to_be_visible()
    part(page, "Inside")
    expect(page.get_by_test_id("stPlotlyChart")).to_have_count(2)
    expect(page.get_by_role("img", name=re.compile("^film: 0"))).to_be_visible()
    part(page, "A file")
    rows = "".join(f"the film number {number} is warm,positive\n" for number in range(200))
    file = {"name": "mine.csv", "mimeType": "text/csv", "buffer": f"text,label\n=2+2,negative\n{rows}".encode()}
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_role("button", name="Answer 201 rows").click()
    expect(page.get_by_role("heading", name=re.compile("They agree on"))).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download all answers").click()
    content = Path(download.value.path()).read_text(encoding="utf-8-sig")
    assert "'=2+2,negative" in content and content.count("\n") == 202
    part(page, "What got lost")
    page.get_by_role("button", name="Ask both about the held-out texts").click()
    expect(page.get_by_role("heading", name="Where they are furthest apart")).to_be_visible()
    assert not axe(page)
    page.get_by_role("button", name="Side by side", exact=True).last.click()
    expect(page.get_by_text("Student says")).to_be_visible()
    part(page, "Doubts")
    expect(page.get_by_text(re.compile("McNemar"))).to_be_visible()
    assert not axe(page)
    part(page, "Blind test")
    page.get_by_role("button", name="B is the large model").click()
    expect(page.get_by_text(re.compile("of 1 right"))).to_be_visible()
    assert not axe(page)


def test_masked_words_and_attention_in_a_browser_and_on_a_telephone(page: Page, server: Server):
    visit(page, f"{server.url}/compare?run={WORDS}")
    field = page.get_by_role("textbox", name="Your sentence with a [MASK]")
    field.fill(HIDDEN)
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.get_by_text("Hidden word 2 of 2").first).to_be_visible()
    page.get_by_role("textbox", name="How probable is a word").fill("warm")
    page.keyboard.press("Enter")
    expect(page.get_by_text(re.compile("“warm” as hidden word 2: the teacher"))).to_be_visible()
    part(page, "Inside")
    expect(page.get_by_test_id("stPlotlyChart")).to_have_count(2)
    expect(page.get_by_role("img", name=re.compile(r"^\[MASK\]: "))).to_have_count(2)
    assert not axe(page)
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function("() => document.querySelector('[data-testid=stMain]').clientWidth <= 390")
    settled(page)
    assert max(page.evaluate(SIDEWAYS)) <= 1, "it must not scroll sideways"
