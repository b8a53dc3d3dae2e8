"""Inside two models: closeness of hidden states, attention, the temperature lens, and that nothing is changed by it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from core.models import shelf
from core.models.saved import load_model, save_model
from core.models.student import student_for_labels
from core.runs import folder as runs
from core.runs.comparable import comparable_runs, model_folders
from core.scoring.answers import softened
from core.scoring.hidden_words import guesses
from core.scoring.inside import look_inside, overlap, same_depth, with_attention
from core.sections import StudentSettings
from pages.ui.compare.attention import layer_beside, strongest
from pages.ui.compare.inside import tile
from pages.ui.compare.models import choices_for, named
from tests.fixtures.small_runs import MASKED, run_once, world_of
from tests.fixtures.tiny_models import tiny_teacher, tiny_tokenizer

SENTENCE = "the film is warm and funny ."
HIDDEN = "the film is [MASK] and funny ."


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, teachers: Path) -> Iterator[dict[str, Path]]:
    """Real finished runs: of labels, and of masked words."""
    with world_of(tmp_path_factory.mktemp("home"), teachers):
        yield {
            "labels": run_once("20261122-120000-aaaa", "student.layers=3"),
            "words": run_once("20261122-123000-dddd", *MASKED, "student.layers=3"),
        }
        shelf.unload_all()


@pytest.mark.parametrize("kind", ["labels", "words"])
def test_closeness_and_attention_are_those_of_the_plain_models(world, kind):
    text = HIDDEN if kind == "words" else SENTENCE
    folders = model_folders(world[kind])
    found = look_inside(folders, text, 32, with_masks=kind == "words")
    assert found.tokens[0] == "[CLS]" and found.tokens[-1] == "[SEP]"
    assert ("[MASK]" in found.tokens) is (kind == "words")
    hidden = {}
    for role, folder in folders.items():
        model, tokenizer = load_model(folder)
        model.set_attn_implementation("eager")
        with torch.no_grad():
            output = model(
                tokenizer(text, return_tensors="pt")["input_ids"], output_attentions=True, output_hidden_states=True
            )
        hidden[role] = output.hidden_states[-1][0]
        expected = torch.stack(output.attentions)[:, 0].numpy()
        assert found.attention[role] == pytest.approx(expected, abs=1e-5)
        assert found.attention[role].sum(-1) == pytest.approx(np.ones(expected.shape[:3]), abs=1e-5)
    cosine = torch.cosine_similarity(hidden["teacher"], hidden["student"], dim=-1)
    assert found.closeness == pytest.approx(cosine.numpy(), abs=1e-5)
    assert (found.layers, found.heads["teacher"]) == ({"teacher": 6, "student": 3}, 2)
    mean = found.looks("teacher", 5, None)
    assert mean == pytest.approx(found.attention["teacher"][5].mean(0))


def test_a_model_compared_with_itself_is_entirely_close(world):
    folder = model_folders(world["labels"])["teacher"]
    found = look_inside({"teacher": folder, "second teacher": folder}, SENTENCE, 32)
    assert found.closeness == pytest.approx(np.ones(len(found.tokens)))
    assert overlap(found.looks("teacher", 2, 0), found.looks("second teacher", 2, 0)) == pytest.approx(1)


def test_models_on_the_shelf_stay_as_they_are(world):
    folders = model_folders(world["labels"])
    loaded = {role: shelf.get(folder) for role, folder in folders.items()}
    ids = torch.tensor([[2, 5, 6, 7, 3]])
    with torch.no_grad():
        before = {role: each.model(ids).logits for role, each in loaded.items()}
    look_inside(folders, SENTENCE, 32)
    for role, each in loaded.items():
        assert shelf.get(folders[role]) is each
        assert each.model.config._attn_implementation == "sdpa"
        with torch.no_grad():
            assert each.model(ids).logits.equal(before[role])


def test_the_copy_that_tells_its_attention_shares_every_weight(world):
    model = shelf.get(model_folders(world["labels"])["student"]).model
    twin = with_attention(model)
    assert twin.config is not model.config and twin is not model
    pairs = zip(model.state_dict().values(), twin.state_dict().values(), strict=True)
    assert all(first.data_ptr() == second.data_ptr() for first, second in pairs)


def test_a_narrower_student_is_not_compared_and_the_reason_is_said(world, tmp_path):
    teacher = tiny_teacher()
    narrow = student_for_labels(teacher, StudentSettings(layers=1, width=16, initial_weights="random"), seed=0)
    for name, model in (("teacher", teacher), ("student", narrow)):
        save_model(model, tiny_tokenizer(), tmp_path / name)
    found = look_inside({name: tmp_path / name for name in ("teacher", "student")}, SENTENCE, 32)
    assert found.closeness is None and "32 and 16" in found.reason and "projection" in found.reason
    assert found.attention["student"].shape[0] == 1, "where it looks can be shown all the same"


def test_the_students_layer_stands_beside_the_one_it_came_from(world):
    everything, _ = comparable_runs()
    run = next(each for each in everything if each.run_id == world["labels"].name)
    two = named(choices_for(run, everything)[:2])
    found = look_inside(model_folders(world["labels"]), SENTENCE, 32)
    layer_map = runs.read_settings(world["labels"]).student.layer_map(6)
    for layer, came_from in enumerate(layer_map):
        beside, why = layer_beside(layer, found, two)
        assert beside == came_from and f"copy of the teacher's layer {came_from}" in why


def test_without_a_layer_map_the_depth_decides():
    assert [same_depth(layer, 3, 6) for layer in range(3)] == [1, 3, 5]
    assert [same_depth(layer, 6, 6) for layer in range(6)] == list(range(6))
    assert same_depth(0, 1, 12) == 11


def test_attention_is_told_in_words():
    weights = np.array([[0.1, 0.9], [0.8, 0.2]])
    assert strongest(["good", "<b>"], weights) == "good looks most at <b>; <b> looks most at good"
    assert overlap(weights, weights[::-1].copy()) == pytest.approx(0.3)


def test_a_tile_says_its_number_and_is_fuller_the_closer(monkeypatch):
    monkeypatch.setattr("pages.ui.compare.inside.theme_type", lambda: "light")
    near, far = tile("<b>", 1.0)[0], tile("film", -0.25)[0]
    assert "<b>" not in near and "&lt;b&gt;" in near and ">1.000<" in near and 'fill-opacity="0.500"' in near
    assert ">−0.250<" in far and 'fill-opacity="0.000"' in far


# The temperature lens


def test_softened_answers_are_the_softmax_of_divided_logits():
    logits = torch.tensor([3.0, -2.0, 0.5])
    shares = dict(zip("abc", logits.softmax(-1).tolist(), strict=True))
    for temperature in (1.0, 2.0, 10.0):
        expected = (logits / temperature).softmax(-1).tolist()
        assert list(softened(shares, temperature).values()) == pytest.approx(expected, abs=1e-6)
    assert softened({"a": 1.0, "b": 0.0}, 2.0) == {"a": 1.0, "b": 0.0}
    assert math.isclose(sum(softened({"a": 1.0, "b": 1e-300}, 10).values()), 1)
    with pytest.raises(ValueError, match="not positive"):
        softened(shares, 0)


def test_a_hidden_word_is_softened_over_the_whole_vocabulary(world):
    folders = model_folders(world["words"])
    for temperature in (1.0, 4.0):
        (found,) = guesses(folders, [HIDDEN], 16, temperature=temperature)
        model, tokenizer = load_model(folders["student"])
        ids = tokenizer(HIDDEN, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            logits = model(ids).logits[0][ids[0] == tokenizer.mask_token_id][0]
        expected = (logits / temperature).softmax(-1).topk(5).values.tolist()
        assert [word.probability for word in found.answers["student"].places[0]] == pytest.approx(expected, abs=1e-5)
