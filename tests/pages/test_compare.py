"""Side by side: what is asked of both models, what they answer, and how the page says it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest
from torch import Tensor

from core import storage
from core.data.labelled import Part
from core.data.tokens import Batch, tokenise
from core.distill.device import Compute
from core.distill.loop import Lesson, Schedule, train
from core.errors import DistilleryError
from core.models import shelf
from core.models.folder import write_manifest
from core.models.saved import load_model
from core.runs import folder as runs
from core.runs.comparable import comparable_runs, kind_of, label_names, model_folders
from core.scoring import answers as scoring
from core.scoring.answers import Answer, Comparison, Lines, Score, ScoreComparison, read_lines, read_pair
from core.settings_file import parse_settings
from core.storage import read_json, write_json
from core.terms.hard import hard_target_loss
from pages.ui.answers import MAX_BARS, bars, condensed, gap, score_table, score_verdict, table, verdict
from tests.fixtures.compare_page import labelled_run, open_page, spoken, type_text, words
from tests.fixtures.tiny_models import finished_run, tiny_teacher, tiny_tokenizer

pytestmark = pytest.mark.usefixtures("nothing_trains")

SENTENCE = "A warm, funny and moving film."
HOSTILE = "![x](http://192.0.2.1/x) $\\rule{9999px}{9999px}$ <b>b</b> **strong** :red[x]"


@pytest.fixture(autouse=True, scope="module")
def _empty_shelf():
    yield
    shelf.unload_all()


def ask(run_dir: Path, sentences: list[str]) -> list[Comparison]:
    """What the run's teacher and student say, as the page asks them."""
    return scoring.answers(model_folders(run_dir), sentences, runs.read_settings(run_dir).data.max_tokens)


def only(run_dir: Path, sentence: str) -> Comparison:
    (comparison,) = ask(run_dir, [sentence])
    return comparison


def train_a_little(before_step: Callable[[], object]) -> dict[str, Tensor]:
    """The weights of a small model, dropout and all, after a few steps on two processor threads."""
    torch.set_num_threads(2)
    model, tokenizer = tiny_teacher(), tiny_tokenizer()
    data = tokenise(Part(["a warm film", "a dull mess", "not bad"] * 8, np.array([1, 0, 1] * 8)), tokenizer, 16)
    recorder = SimpleNamespace(step=lambda *_: None, check_stop=before_step)
    compute = Compute(torch.device("cpu"), "fp32", 2)

    def terms(batch: Batch) -> dict[str, Tensor]:
        logits = model(batch.input_ids, attention_mask=batch.attention_mask).logits
        return {"loss": hard_target_loss(logits, batch.labels)}

    lesson = Lesson(model, data.lengths, lambda examples, _: [data.batch(examples, compute.device)], terms)
    train(lesson, Schedule(6, 3, 1e-3, warmup=0.1, seed=0), compute, recorder, lambda step: None)
    return model.state_dict()


def comparison(teacher: tuple[float, float], student: tuple[float, float]) -> Comparison:
    def answer(shares: tuple[float, float]) -> Answer:
        return Answer(dict(zip(("negative", "positive"), shares, strict=True)), 1.5, False)

    return Comparison(SENTENCE, {"teacher": answer(teacher), "student": answer(student)})


# What is compared


def test_answers_are_those_of_both_saved_models(home):
    run = finished_run(home)
    found = only(run, SENTENCE)
    assert list(found.answers) == ["teacher", "student"]
    for role, folder in model_folders(run).items():
        model, tokenizer = load_model(folder)
        with torch.no_grad():
            logits = model(tokenizer(SENTENCE, return_tensors="pt")["input_ids"]).logits[0]
        expected = dict(zip(("negative", "positive"), logits.softmax(-1).tolist(), strict=True))
        assert found.answers[role].probabilities == pytest.approx(expected)
        assert found.answers[role].milliseconds > 0


def test_agreement_and_distance():
    same, apart = comparison((0.1, 0.9), (0.1, 0.9)), comparison((0.4, 0.6), (0.7, 0.3))
    assert same.agree and same.apart == 0
    assert not apart.agree and apart.apart == pytest.approx(0.3)


def test_asking_disturbs_nothing_that_a_training_uses(home):
    run = finished_run(home)
    torch.manual_seed(3)
    torch.set_num_threads(2)
    random = torch.get_rng_state()
    ask(run, [SENTENCE] * 7)
    assert torch.get_rng_state().equal(random)
    assert torch.get_num_threads() == 2
    assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()


def test_the_same_question_has_the_same_answer(home):
    run = finished_run(home)
    first, again = only(run, SENTENCE), ask(run, ["bad", SENTENCE])[1]
    for role in first.answers:
        assert first.answers[role].probabilities == again.answers[role].probabilities


@pytest.mark.parametrize("typed", ["[MASK]", "[SEP]", "[CLS]", "[PAD]"])
def test_control_tokens_are_plain_text(home, typed):
    run = finished_run(home)
    loaded = shelf.get(run / "student")
    inputs, _ = scoring.word_pieces(loaded, f"a {typed} film", None, 64)
    inside = inputs["input_ids"][0, 1:-1].tolist()
    assert not set(inside) & set(loaded.tokenizer.all_special_ids)
    assert only(run, f"a {typed} film").answers


@pytest.mark.parametrize("text", ["\ud800 film", "\x00", "\u202egood", "e\u0301" * 2000, "😀", "漢" * 10_000, " "])
def test_strange_text_gets_an_answer(home, text):
    found = only(finished_run(home), text)
    found.sentence.encode()
    for answer in found.answers.values():
        assert sum(answer.probabilities.values()) == pytest.approx(1)


def test_long_text_is_cut_and_said_to_be(home):
    run = finished_run(home)
    assert all(answer.was_cut for answer in only(run, "good " * 500).answers.values())
    assert not any(answer.was_cut for answer in only(run, "good").answers.values())
    lines = read_lines("x" * 10_001)
    assert len(lines.sentences[0]) == 10_000
    assert lines.notes == ("Line 1 has 10001 characters; the first 10000 are read.",)


def test_lines_are_sentences_and_empty_ones_are_skipped():
    assert read_lines("one\r\n\n   \n two \n").sentences == ("one", "two")
    assert read_lines(" \n\n") == Lines((), ())
    assert read_lines("a \udfff b").sentences == ("a \ufffd b",)


def test_more_than_fifty_lines_are_left_out_and_said_to_be(home):
    lines = read_lines("\n".join("film" for _ in range(62)))
    assert len(lines.sentences) == 50
    assert lines.notes == ("You wrote 62 lines; the first 50 are compared.",)
    with pytest.raises(DistilleryError, match="51 sentences"):
        ask(finished_run(home), ["film"] * 51)


def test_questions_beside_a_training_do_not_change_what_it_learns(home):
    run, asked = finished_run(home), threading.Semaphore(0)
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            only(run, SENTENCE)
            asked.release()

    alone = train_a_little(lambda: None)
    asker = threading.Thread(target=ask)
    asker.start()
    try:
        # Each step waits for an answer, so that the two really take turns.
        beside = train_a_little(lambda: asked.acquire(timeout=60))
    finally:
        over.set()
        asker.join(60)
    assert all(tensor.equal(beside[name]) for name, tensor in alone.items())


# Pairs and scores


PAIRED = {"source": "glue_folder", "path": "glue", "task": "MRPC"}
SCORED = {"source": "csv", "path": "stars.csv", "label_kind": "score"}
SIMILAR = {"source": "glue_folder", "path": "glue", "task": "STS-B"}
PAIR = ("a warm film", "it is not bad")


def test_both_texts_of_a_pair_are_read_and_told_apart(home):
    run = labelled_run(home, PAIRED, labels=2)
    (found,) = scoring.answers(model_folders(run), [PAIR[0]], 64, [PAIR[1]])
    assert (found.sentence, found.second) == PAIR
    for role, folder in model_folders(run).items():
        model, tokenizer = load_model(folder)
        encoded = tokenizer(*PAIR, return_tensors="pt")
        inputs = {name: encoded[name] for name in ("input_ids", "token_type_ids")[: 1 + (role == "teacher")]}
        with torch.no_grad():
            expected = model(**inputs).logits[0].softmax(-1).tolist()
        assert list(found.answers[role].probabilities.values()) == pytest.approx(expected, abs=1e-5)
    (turned,) = scoring.answers(model_folders(run), [PAIR[1]], 64, [PAIR[0]])
    assert turned.answers["teacher"].probabilities != found.answers["teacher"].probabilities


def test_of_a_pair_that_is_too_long_both_texts_are_seen(home):
    run = labelled_run(home, PAIRED, labels=2)
    (found,) = scoring.answers(model_folders(run), ["good " * 60], 16, ["bad"])
    (other,) = scoring.answers(model_folders(run), ["good " * 60], 16, ["warm"])
    assert all(answer.was_cut for answer in found.answers.values())
    assert found.answers["student"].probabilities != other.answers["student"].probabilities


def test_a_pair_is_one_line_each():
    assert read_pair(" one\n two ", "three") == Lines(("one two", "three"), ())
    assert read_pair("one", " \n") == Lines(("one",), ())
    assert read_pair("x" * 10_001, "y").notes == ("The first text has 10001 characters; the first 10000 are read.",)


def test_a_score_is_the_number_that_the_model_gives(home):
    run = labelled_run(home, SCORED, labels=1)
    (found,) = scoring.answers(model_folders(run), [SENTENCE], 64)
    for role, folder in model_folders(run).items():
        model, tokenizer = load_model(folder)
        with torch.no_grad():
            expected = model(tokenizer(SENTENCE, return_tensors="pt")["input_ids"]).logits.item()
        assert found.answers[role].value == pytest.approx(expected, abs=1e-4)
        assert found.answers[role].milliseconds > 0 and not found.answers[role].was_cut
    assert found.apart == abs(found.answers["teacher"].value - found.answers["student"].value)


def test_a_score_and_a_label_cannot_be_compared(home):
    scores, labels = labelled_run(home, SCORED, labels=1), finished_run(home, run_id="2")
    mixed = {"teacher": model_folders(scores)["teacher"], "student": labels / "student"}
    with pytest.raises(DistilleryError, match="score and another a label"):
        scoring.answers(mixed, [SENTENCE], 64)


# Which runs


def test_finished_runs_come_first_the_newest_of_them_first(home):
    for run_id, state in (("1", "finished"), ("2", "finished"), ("3", "stopped")):
        finished_run(home, run_id, name=f"run {run_id}", state=state)
    found, unusable = comparable_runs()
    assert [(run.run_id, run.name, run.state) for run in found] == [
        ("2", "run 2", "finished"), ("1", "run 1", "finished"), ("3", "run 3", "stopped")
    ]  # fmt: skip
    assert found[0].kept == pytest.approx(0.851 / 0.862) and found[2].kept is None
    assert not unusable


@pytest.mark.parametrize(
    ("break_it", "reason"),
    [
        (lambda run: shutil.rmtree(run / "student"), "Its student is no longer in its folder."),
        (lambda run: (run / "teacher.json").unlink(), "teacher.json cannot be read"),
        (lambda run: (run / "config.json").write_text("{"), "config.json cannot be read"),
        (lambda run: (run / "status.json").write_text("[]"), "does not hold a JSON object"),
        (lambda run: write_json(run / "teacher.json", {"key": "../../secret"}), "does not name a teacher"),
        (lambda run: write_json(run / "teacher.json", {"key": 7}), "does not name a teacher"),
        (lambda run: shutil.rmtree(storage.cache_root() / "teachers"), "no longer in the cache"),
        (lambda run: runs.write_status(run, runs.Status("queued", "Waiting.")), None),
    ],
)
def test_a_run_that_cannot_be_compared_says_why(home, break_it, reason):
    run = finished_run(home)
    break_it(run)
    usable, unusable = comparable_runs()
    (found,) = [*usable, *unusable]
    assert found.run_id == run.name
    if reason is not None:
        assert reason in found.reason


def test_a_run_without_a_student_says_what_became_of_it(home):
    run = finished_run(home, state="stopped")
    shutil.rmtree(run / "student")
    assert comparable_runs()[1][0].reason == "It was stopped before its student had begun to learn."


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        ({}, "texts"),
        ({"objective": "masked_words", "probes": []}, "words"),
        ({"objective": "masked_words", "probes": [], "data": PAIRED}, "words"),
        ({"data": PAIRED}, "pairs"),
        ({"data": PAIRED | {"task": "CoLA"}}, "texts"),
        ({"data": {"source": "csv", "path": "a.csv", "pair_column": "b"}}, "pairs"),
        ({"data": {"source": "csv", "path": "a.csv", "pair_column": " "}}, "texts"),
        ({"data": {"source": "imdb", "pair_column": "b"}}, "texts"),
    ],
)
def test_a_run_says_what_its_models_read(raw, kind):
    assert kind_of(parse_settings(raw)) == kind


def test_label_names_come_from_the_student_or_the_teacher_or_are_numbers(home):
    run = finished_run(home)
    assert label_names(run, 2) == ("negative", "positive")
    (run / "student" / "config.json").unlink()
    assert label_names(run, 2) == ("negative", "positive")
    assert label_names(run, 3) == ("class 0", "class 1", "class 2"), "the models have two"
    (run / "teacher.json").write_text("{")
    assert label_names(run, 2) == ("class 0", "class 1")


# How it is said


def test_the_verdict_is_one_plain_line():
    assert verdict(comparison((0.1, 0.9), (0.3, 0.7))) == "Both say positive."
    apart = comparison((0.6, 0.4), (0.3, 0.7))
    assert verdict(apart) == "They disagree: the teacher says negative, the student says positive."
    assert gap(apart) == "The teacher is 60.0\u202f% sure, the student is 70.0\u202f% sure: 30.0 points apart."


def test_a_bar_is_as_long_as_its_probability(monkeypatch):
    monkeypatch.setattr("pages.ui.answers.theme_type", lambda: "light")
    drawing = bars({"negative": 0.25, "<script>": 0.75}, "<script>", "#0072B2")
    assert 'width="25.00%" fill="#0072B2"' in drawing and 'width="75.00%" fill="#0072B2"' in drawing
    assert "<script>" not in drawing and "&lt;script&gt;" in drawing


def test_the_table_has_a_row_for_each_sentence():
    rows = table([comparison((0.1, 0.9), (0.3, 0.7)), comparison((0.6, 0.4), (0.3, 0.7))])
    assert rows["Agree"].tolist() == ["yes", "no"]
    assert rows["Student sure"].tolist() == pytest.approx([70, 70])
    assert rows["Apart"].tolist() == pytest.approx([20, 30])


def test_of_many_labels_those_that_matter_are_drawn_and_the_rest_is_added_up():
    names = [f"label {place}" for place in range(20)]
    flat = np.full(20, 0.05)
    flat[19] += 0.01
    sure = np.array([0.19] * 5 + [0.05 / 15] * 15)
    answers = {"teacher": Answer(dict(zip(names, flat / flat.sum(), strict=True)), 1.0, False)}
    answers["student"] = Answer(dict(zip(names, sure, strict=True)), 1.0, False)
    drawn = condensed(Comparison(SENTENCE, answers))
    assert list(drawn["teacher"]) == list(drawn["student"]) and len(drawn["teacher"]) == MAX_BARS
    assert {"label 19", "label 0", "15 other labels"} <= set(drawn["teacher"]), "whatever a model says is drawn"
    assert all(sum(row.values()) == pytest.approx(1) for row in drawn.values())
    few = comparison((0.1, 0.9), (0.3, 0.7))
    assert condensed(few)["student"] == few.answers["student"].probabilities


def test_scores_are_said_with_three_digits():
    found = ScoreComparison(SENTENCE, {"teacher": Score(3.7214, 2.0, False), "student": Score(-0.5, 1.0, False)})
    assert score_verdict(found) == "The teacher says 3.72, the student says −0.5."
    assert score_table([found])["Apart"].tolist() == pytest.approx([4.2214])


# The page


def run_in_address(at: AppTest) -> str:
    value = at.query_params["run"]
    return value if isinstance(value, str) else value[0]


def test_without_a_run_the_page_says_what_to_do(home):
    at = open_page()
    assert not at.exception
    assert "There is no student to talk to yet" in words(at)
    assert at.button(key="compare-distil").label == "Go to Distil"
    assert not at.text_area


def test_the_way_to_the_distil_page(home):
    at = open_page()
    at.button(key="compare-distil").click().run()
    assert not at.exception
    assert "compare" not in at.title[0].value.lower()


def test_one_run_answers_at_once(home):
    run = finished_run(home, name="my *first*")
    at = open_page()
    assert not at.exception
    assert run_in_address(at) == run.name
    assert at.selectbox(key="compare-run").options == ["my *first* · 98.7\u202f% kept"]
    first = only(run, at.text_area(key="compare-text").value)
    assert verdict(first) in words(at)
    answers = {metric.label: metric.value for metric in at.metric if metric.label.endswith("says")}
    assert answers == {f"{role.title()} says": answer.label for role, answer in first.answers.items()}
    times = [metric.value for metric in at.metric if metric.label == "It took"]
    assert len(times) == 2 and all(value.endswith("ms") for value in times)


def test_a_typed_sentence_and_an_example(home):
    run = finished_run(home)
    at = open_page()
    type_text(at, "dull mess")
    assert gap(only(run, "dull mess")) in words(at)
    at.button_group(key="compare-example").select("Mixed").run()
    assert not at.exception
    text = at.text_area(key="compare-text").value
    assert text == "The acting is superb, but the story goes nowhere."
    assert gap(only(run, text)) in words(at)


def test_several_lines_are_a_table(home):
    run = finished_run(home)
    at = open_page()
    type_text(at, "good\n\nbad\nwarm funny film")
    agreeing = sum(found.agree for found in ask(run, ["good", "bad", "warm funny film"]))
    assert f"They agree on {agreeing} of 3." in words(at)
    assert at.dataframe[0].value["Sentence"].tolist() == ["good", "bad", "warm funny film"]


def test_nothing_typed_is_no_error(home):
    finished_run(home)
    at = open_page()
    type_text(at, "  \n ")
    assert "Type a sentence, or click an example." in words(at)


def read_as_markdown(at: AppTest) -> list[str]:
    """Everything on the page in which Streamlit looks for links, pictures and formulas."""
    kinds = ("title", "header", "subheader", "markdown", "caption", "info", "warning", "error")
    parts = [element.value for kind in kinds for element in at.get(kind)]
    return parts + [metric.value for metric in at.metric] + [expander.label for expander in at.expander]


def test_hostile_text_is_never_read_as_markdown(home):
    run = finished_run(home, name=HOSTILE)
    for folder in model_folders(run).values():
        config = read_json(folder / "config.json")
        write_json(folder / "config.json", config | {"id2label": {"0": HOSTILE, "1": f"{HOSTILE} too"}})
        write_manifest(folder)
    finished_run(home, run_id="2", name=HOSTILE, key="f" * 16)
    shutil.rmtree(home / "cache" / "teachers" / ("f" * 16))
    at = open_page(run=HOSTILE)
    for text in (HOSTILE, f"{HOSTILE}\n\x00\u202e{HOSTILE}"):
        parts = read_as_markdown(at)
        assert any("192" in part for part in parts)
        assert not any(sign in part for part in parts for sign in ("](", "$\\rule", "<b>", "**str", ":red["))
        type_text(at, text)
    assert "\ufffd" in at.dataframe[0].value["Sentence"][1]


def test_an_unknown_run_in_the_address_is_said_and_the_newest_is_shown(home):
    run = finished_run(home)
    at = open_page(run="no-such-run")
    assert not at.exception
    assert "There is no run called" in at.warning[0].value
    assert run_in_address(at) == run.name


def test_the_run_in_the_address_is_chosen_and_an_early_end_is_said(home):
    finished_run(home)
    run = finished_run(home, run_id="20261122-110000-cd34", state="stopped")
    at = open_page(run=run.name)
    assert at.selectbox(key="compare-run").value == run.name
    assert "ended early" in words(at)
    assert run_in_address(at) == run.name


def test_a_missing_teacher_is_explained(home):
    finished_run(home)
    shutil.rmtree(home / "cache" / "teachers")
    at = open_page()
    assert not at.exception
    assert "no longer in the cache" in words(at)
    assert at.button(key="compare-distil")


def test_a_broken_student_is_one_sentence_and_no_traceback(home):
    run = finished_run(home)
    (run / "student" / "model.safetensors").write_bytes(b"broken")
    at = open_page()
    assert not at.exception
    assert "is not a safetensors file" in at.error[0].value


def test_a_pair_has_two_fields_and_an_answer(home):
    run = labelled_run(home, PAIRED, labels=2)
    at = open_page()
    assert not at.exception
    assert [field.label for field in at.text_area] == ["First text", "Second text"]
    assert at.selectbox(key="compare-run").options == ["Run of 22 Nov, 12:00 · pairs · 98.7\u202f% kept"]
    type_text(type_text(at, "warm\nfilm", "compare-first"), "not bad", "compare-second")
    (found,) = scoring.answers(model_folders(run), ["warm film"], 64, ["not bad"])
    assert gap(found) in words(at)
    at.button_group(key="compare-example").select("Unrelated").run()
    assert at.text_area(key="compare-second").value == "She planted roses behind the house."
    assert "Type both texts" in words(type_text(at, "", "compare-first"))


def test_a_score_is_shown_on_the_scale_of_its_task(home):
    run = labelled_run(home, SIMILAR, labels=1)
    at = open_page()
    first, second = (field.value for field in at.text_area)
    (found,) = scoring.answers(model_folders(run), [first], 64, [second])
    assert score_verdict(found) in words(at) and score_verdict(found) in spoken(at)
    assert [metric.label for metric in at.metric if metric.label.endswith("says")] == ["Teacher says", "Student says"]


def test_scores_of_several_sentences_are_a_table(home):
    labelled_run(home, SCORED, labels=1)
    at = type_text(open_page(), "good\nbad")
    assert "apart." in at.header[0].value.replace("\\", "")
    assert list(at.dataframe[0].value.columns[:4]) == ["Sentence", "Teacher says", "Student says", "Apart"]


def test_changing_the_run_keeps_what_was_typed_for_each_kind(home):
    finished_run(home, "1", name="one text")
    labelled_run(home, SIMILAR, labels=1, run_id="2")
    finished_run(home, "3", name="words", key="3" * 16, objective="masked_words")
    at = open_page(run="1")
    type_text(at, "a dull film")
    for run, key in (("3", "compare-words"), ("2", "compare-first"), ("1", "compare-text")):
        at.selectbox(key="compare-run").set_value(run).run()
        assert not at.exception
        assert at.text_area(key=key).value
    assert at.text_area(key="compare-text").value == "a dull film"
