"""Hidden words: what both models put in place of [MASK], and how the Compare page says it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from core.config import MASK
from core.errors import DistilleryError
from core.models import shelf
from core.models.saved import load_model
from core.runs import folder as runs
from core.runs.comparable import model_folders
from core.scoring import answers as scoring
from core.scoring import hidden_words
from core.scoring.hidden_words import BEYOND, MAX_MASKS, NO_MASK, Guesses, HiddenWords, Word, guesses, shown
from pages.ui.hidden_words import how_it_changed, notes, shared_words, table, two_lists, verdict, word_bars
from tests.fixtures.compare_page import open_page, spoken, type_text, words
from tests.fixtures.serving import ROOT
from tests.fixtures.tiny_models import finished_run

pytestmark = pytest.mark.usefixtures("nothing_trains")

SENTENCE = f"The movie was absolutely {MASK}."
TYPED = "compare-words"


@pytest.fixture(autouse=True, scope="module")
def _empty_shelf():
    yield
    shelf.unload_all()


@pytest.fixture
def run(home: Path) -> Path:
    """A finished run whose models guess hidden words."""
    return finished_run(home, objective="masked_words")


def ask(run: Path, *sentences: str, longest: int = 64, k: int = 5) -> list[HiddenWords]:
    return guesses(model_folders(run), sentences, longest, k)


def found(*places: tuple[str, str], sentence: str = SENTENCE) -> HiddenWords:
    """Guesses made by hand: for each hidden word the teacher's words and the student's, letter by letter."""
    answers = {}
    for number, role in enumerate(("teacher", "student")):
        rows = [tuple(Word(text, 0.5 / 2**place) for place, text in enumerate(pair[number].split())) for pair in places]
        answers[role] = Guesses(tuple(rows), 2.0 - number, False)
    return HiddenWords(sentence, len(places), answers)


# What the models say


def test_guesses_are_the_most_probable_words_of_both_saved_models(run):
    sentence = f"the {MASK} was good, but the {MASK}."
    (said,) = ask(run, sentence, k=4)
    assert (said.hidden, said.guessed, said.reason) == (2, 2, "")
    for role, folder in model_folders(run).items():
        model, tokenizer = load_model(folder)
        ids = tokenizer(sentence, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            shares = model(ids).logits[0].softmax(-1)[ids[0] == tokenizer.mask_token_id]
        for place, row in enumerate(shares):
            likely = row.topk(4)
            expected = [shown(piece) for piece in tokenizer.convert_ids_to_tokens(likely.indices.tolist())]
            assert [word.text for word in said.answers[role].places[place]] == expected
            given = [word.probability for word in said.answers[role].places[place]]
            assert given == pytest.approx(likely.values.tolist(), abs=1e-5)
        assert said.answers[role].milliseconds > 0 and not said.answers[role].was_cut


def test_the_bundled_sentences_are_read_as_the_tokenizer_reads_them(run):
    tokenizer = shelf.get(run / "student").tokenizer
    for sentence in (SENTENCE, f"{MASK}", f"{MASK}{MASK} film", f"un{MASK}able, it's", f" {MASK} \u00e9t\u00e9 "):
        ids, _ = hidden_words._word_pieces(tokenizer, sentence, 64)
        assert ids.tolist() == tokenizer(sentence, return_tensors="pt")["input_ids"].tolist()


@pytest.mark.parametrize("typed", ["[SEP]", "[CLS]", "[PAD]", "[UNK]", "[sep]"])
def test_only_the_mask_is_read_as_a_control_token(run, typed):
    tokenizer = shelf.get(run / "student").tokenizer
    ids, _ = hidden_words._word_pieces(tokenizer, f"a {typed} {MASK} film", 64)
    control = set(tokenizer.all_special_ids) - {tokenizer.mask_token_id}
    assert not control & set(ids[0, 1:-1].tolist())
    assert ids[0].tolist().count(tokenizer.mask_token_id) == 1


def test_small_letters_hide_a_word_too(run):
    first, second = ask(run, "a [mask] film", "a [MASK] film")
    assert first.answers["teacher"].places == second.answers["teacher"].places


def test_a_sentence_without_a_mask_is_said_and_costs_nothing(run):
    plain, asked = ask(run, "a good film", SENTENCE)
    assert (plain.reason, plain.guessed, plain.answers) == (NO_MASK, 0, {})
    assert asked.guessed == 1


def test_a_mask_beyond_the_longest_input_is_said(run):
    (said,) = ask(run, "good " * 30 + MASK, longest=16)
    assert (said.reason, said.hidden, said.guessed) == (BEYOND, 1, 0)
    (half,) = ask(run, f"{MASK} " + "good " * 30 + MASK, longest=16)
    assert (half.hidden, half.guessed) == (2, 1) and half.answers["teacher"].was_cut


def test_of_many_masks_the_first_are_guessed(run):
    (said,) = ask(run, f"{MASK} " * (MAX_MASKS + 2))
    assert (said.hidden, said.guessed) == (MAX_MASKS + 2, MAX_MASKS)


@pytest.mark.parametrize("text", ["\ud800", "\x00", "\u202e", "e\u0301" * 2000, "😀", "漢" * 10_000, ""])
def test_strange_text_gets_an_answer(run, text):
    (said,) = ask(run, f"{MASK} {text}")
    said.sentence.encode()
    for guess in said.answers.values():
        assert len(guess.places[0]) == 5 and all(0 < word.probability < 1 for word in guess.places[0])


def test_a_mask_behind_ten_thousand_characters_is_not_read(run):
    assert ask(run, "x" * 10_000 + MASK)[0].reason == NO_MASK


def test_asking_disturbs_nothing_that_a_training_uses(run):
    torch.manual_seed(3)
    torch.set_num_threads(2)
    random = torch.get_rng_state()
    ask(run, *[SENTENCE] * 7)
    assert torch.get_rng_state().equal(random) and torch.get_num_threads() == 2
    assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()


def test_models_that_know_no_words_or_no_labels_are_refused_in_words(home, run):
    labels = finished_run(home, "2", key="2" * 16)
    with pytest.raises(DistilleryError, match="The teacher gives labels and guesses no words"):
        ask(labels, SENTENCE)
    with pytest.raises(DistilleryError, match="The teacher guesses words and knows no labels"):
        scoring.answers(model_folders(run), [SENTENCE], 64)
    with pytest.raises(DistilleryError, match="51 sentences"):
        ask(run, *[SENTENCE] * 51)


def test_importing_needs_no_torch():
    code = "import core.scoring.hidden_words, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=300).returncode == 0


# How it is said


def test_a_piece_that_goes_on_with_a_word_shows_that_it_does():
    assert [shown(piece) for piece in ("good", "##ing", "#", "##", "…ing")] == ["good", "…ing", "#", "##", "…ing"]


def test_the_verdict_is_one_plain_line():
    assert verdict(found(("good bad", "good dull"))) == "Both would say “good”."
    assert verdict(found(("good bad", "bad good"))) == "The teacher would say “good”, the student “bad”."
    assert verdict(found(("good", "good"), ("film", "film"))) == "Both would say “good” and “film”."
    two = found(("good", "good"), ("film", "story"))
    assert verdict(two) == "They would say the same for 1 of 2 hidden words."


def test_shared_words_are_those_on_every_list():
    said = found(("good bad warm", "bad dull good"))
    assert said.shared(0) == ("good", "bad")
    assert shared_words(said) == "On both lists: good, bad (2 of 3)."
    assert shared_words(found(("good", "bad"))) == "None of the 1 words is on both lists."


def test_notes_name_the_lines_that_could_not_be_asked():
    without = HiddenWords("a film", 0, {}, NO_MASK)
    said = notes([without, found(("good", "bad")), without, HiddenWords("long", 1, {}, BEYOND)])
    assert said == [f"Lines 1, 3: {NO_MASK}", f"Line 4: {BEYOND}"]
    (left_out,) = notes([HiddenWords(SENTENCE, 7, found(("good", "bad")).answers)])
    assert "more words than are guessed" in left_out


def test_the_table_has_a_row_for_each_hidden_word():
    rows = table([found(("good bad", "bad good"), ("film", "film")), found(("warm", "warm"))])
    assert rows["Agree"].tolist() == ["no", "yes", "yes"]
    assert rows["Word"].tolist() == ["1 of 2", "2 of 2", "1 of 1"]
    assert rows["On all lists"].tolist() == ["good, bad", "film", "warm"]
    assert "Word" not in table([found(("warm", "warm"))])


@pytest.fixture
def light(monkeypatch):
    for module in ("hidden_words", "marks"):
        monkeypatch.setattr(f"pages.ui.{module}.theme_type", lambda: "light")


def test_bars_are_as_long_as_their_probability_and_shared_words_are_marked(light):
    drawing = word_bars([Word("good", 0.4), Word("<b>", 0.1)], ["good"], 0.4, "#0072B2")
    assert 'width="100.00%" fill="#0072B2"' in drawing and 'width="25.00%" fill="#0072B2"' in drawing
    assert drawing.count("<circle") == 1
    assert "<b>" not in drawing and "&lt;b&gt;" in drawing


def test_two_lists_are_joined_where_they_name_the_same_word(light):
    said = found(("good bad warm", "bad dull good"))
    lists = [said.answers[role].places[0] for role in ("teacher", "student")]
    drawing = two_lists(*lists, top=0.5, lines=5, changes=["<b>"])
    assert drawing.count("<line") == 2
    assert 'x="0.00%" width="44.00%"' in drawing and 'x="56.00%" width="44.00%"' in drawing
    assert "<b>" not in drawing
    hostile = two_lists([Word("<b>", 0.5)], [Word("<i>", 0.5)], top=0.5, lines=5, changes=[])
    assert "&lt;b&gt;" in hostile and "<b>" not in hostile and "<i>" not in hostile
    empty = two_lists(lists[0], [], top=0.5, lines=5, changes=[])
    height = [picture.split('height="')[1].split('"')[0] for picture in (drawing, empty)]
    assert height[0] == height[1], "whatever is there, the page stands still"


def test_the_line_of_first_words_keeps_its_length():
    assert how_it_changed(["the", "a", "good"]) == "First word so far: the → a → good"
    many = how_it_changed([f"word{number}" for number in range(100)])
    assert many.endswith("→ word99") and "… →" in many and len(many) <= 44
    assert len(how_it_changed(["x" * 500])) <= 44


# The page


def test_a_run_of_masked_words_asks_for_one_and_shows_both_lists(run):
    at = open_page()
    assert not at.exception
    assert at.text_area(key=TYPED).value == SENTENCE
    assert at.selectbox(key="compare-run").options == ["Run of 22 Nov, 12:00 · masked words · 77.7\u202f% kept"]
    (said,) = ask(run, SENTENCE, longest=runs.read_settings(run).data.max_tokens)
    assert verdict(said) in words(at) and shared_words(said) in words(at)
    first = {metric.label: metric.value.replace("\\", "") for metric in at.metric if "would say" in metric.label}
    assert first == {f"{role.title()} would say": word for role, word in said.first_words(0).items()}
    assert [alt.split(":")[0] for alt in spoken(at)] == ["Teacher", "Student"]
    assert sum(metric.label == "It took" for metric in at.metric) == 2


def test_several_masks_each_have_their_lists(run):
    at = type_text(open_page(), f"{MASK} and {MASK}", TYPED)
    assert "Hidden word 2 of 2" in words(at) and len(spoken(at)) == 4


def test_several_sentences_are_a_table_and_one_without_a_mask_is_named(run):
    at = open_page()
    at.button_group(key="compare-example").select("All of them").run()
    assert not at.exception and len(at.dataframe[0].value) == 6
    type_text(at, f"a {MASK}\nno mask here\nthe {MASK}", TYPED)
    assert f"Line 2: {NO_MASK}" in words(at) and len(at.dataframe[0].value) == 2


def test_without_a_mask_the_page_says_what_to_do(run):
    at = open_page()
    assert "Put [MASK] in place of the word" in words(type_text(at, "a good film", TYPED))
    assert "Type a sentence with [MASK]" in words(type_text(at, " ", TYPED))
    assert "Lines 1, 2" in words(type_text(at, "a good film\na bad one", TYPED))


def test_hostile_sentences_are_never_read_as_markdown(run):
    hostile = f"![x](http://192.0.2.1/x) $\\rule{{9999px}}{{9999px}}$ <b>b</b> :red[x] {MASK}"
    at = open_page()
    for text in (hostile, f"{hostile}\n\x00\u202e{hostile}"):
        type_text(at, text, TYPED)
        kinds = ("header", "markdown", "caption", "info", "warning", "error")
        parts = [element.value for kind in kinds for element in at.get(kind)]
        assert not any(sign in part for part in parts for sign in ("](", "$\\rule", "<b>", ":red["))
    assert "\ufffd" in at.dataframe[0].value["Sentence"][1]


def test_a_run_whose_models_do_not_fit_its_settings_is_one_sentence(home, run):
    labels = finished_run(home, "2", key="2" * 16)
    (labels / "config.json").write_text((run / "config.json").read_text())
    at = open_page(run=labels.name)
    assert not at.exception and "guesses no words" in words(at)
