"""The student is some of the teacher's layers: at full depth it is the teacher."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from transformers import (
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    BertTokenizer,
    DistilBertForMaskedLM,
    DistilBertForSequenceClassification,
)

from core.models.families.bert import IN_DISTILBERT, copied_encoder
from core.models.saved import load_model, save_model
from core.models.student import LAST_MAP, layer_map_name, state_maps, student_for_labels, student_for_words
from core.models.teacher import bundled_tokenizer, teacher_for_labels, teacher_for_words
from core.sections import StudentSettings, TeacherSettings
from tests.fixtures.tiny_models import tiny_teacher, tiny_tokenizer, tiny_word_teacher

SENTENCES = (
    "Good.",
    "A warm, funny and moving film.",
    "The actors do their best with a script that gives them nothing, and in the end nobody has learned anything.",
    "it is not without charm , but " + "it is far too long , and " * 60 + "it ends .",
)


@pytest.fixture(scope="module")
def bundled() -> tuple[BertForSequenceClassification, BertTokenizer]:
    """The bundled teacher with a fresh head, dropout off, and its tokenizer. Not to be changed."""
    return teacher_for_labels(TeacherSettings(), ("negative", "positive")).eval(), bundled_tokenizer()


@pytest.fixture(scope="module")
def bundled_words() -> BertForMaskedLM:
    """The bundled teacher with a fresh head for words, dropout off. Not to be changed."""
    return teacher_for_words(TeacherSettings()).eval()


@pytest.fixture
def teacher() -> BertForSequenceClassification:
    """A tiny teacher of 6 layers."""
    return tiny_teacher(layers=6)


def full_depth(teacher: BertForSequenceClassification) -> DistilBertForSequenceClassification:
    return student_for_labels(teacher, StudentSettings(layers=teacher.config.num_hidden_layers), seed=0).eval()


@torch.inference_mode()
def last_hidden(model: torch.nn.Module, inputs: dict[str, Tensor]) -> Tensor:
    """The last hidden states at the positions that are not padding, (words, H)."""
    return model.base_model(**inputs).last_hidden_state[inputs["attention_mask"].bool()]


def as_batch(tokenizer: BertTokenizer, texts: tuple[str, ...]) -> dict[str, Tensor]:
    return dict(tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt", return_token_type_ids=False))


def test_a_student_with_every_layer_of_the_bundled_teacher_is_the_teacher(bundled) -> None:
    """On each sentence alone, from 4 to several hundred word pieces, and on all of them padded together."""
    teacher, tokenizer = bundled
    student = full_depth(teacher)
    lengths = set()
    for texts in (*((text,) for text in SENTENCES), SENTENCES):
        batch = as_batch(tokenizer, texts)
        lengths.add(batch["input_ids"].shape[1])
        difference = (last_hidden(student, batch) - last_hidden(teacher, batch)).abs().max()
        assert difference < 1e-5
    assert min(lengths) <= 4 and max(lengths) > 300


def test_such_a_student_guesses_words_as_the_bundled_teacher_does(bundled, bundled_words) -> None:
    """Its hidden states and its logits for every word of the vocabulary, at several lengths and padded together."""
    tokenizer = bundled[1]
    student = student_for_words(bundled_words, StudentSettings(layers=6), seed=0).eval()
    assert student.vocab_projector.weight is student.distilbert.embeddings.word_embeddings.weight
    for texts in (*((text,) for text in SENTENCES), SENTENCES[:3]):
        batch = as_batch(tokenizer, texts)
        assert (last_hidden(student, batch) - last_hidden(bundled_words, batch)).abs().max() < 1e-5
        with torch.inference_mode():
            real = batch["attention_mask"].bool()
            expected, logits = (model(**batch).logits[real] for model in (bundled_words, student))
        assert (logits - expected).abs().max() < 1e-4
        assert expected.std() > 0.1


@pytest.mark.parametrize("layers", [(0,), (0, 2, 5), (4, 1), (5, 4, 3, 2, 1, 0)])
def test_any_choice_of_layers_guesses_as_the_bundled_teacher_with_only_those(bundled, bundled_words, layers) -> None:
    shorter = copy.deepcopy(bundled_words)
    shorter.bert.encoder.layer = nn.ModuleList([shorter.bert.encoder.layer[layer] for layer in layers])
    shorter.bert.config.num_hidden_layers = len(layers)
    settings = StudentSettings(layers=len(layers), teacher_layers=layers)
    student = student_for_words(bundled_words, settings, seed=0).eval()
    batch = as_batch(bundled[1], SENTENCES[:3])
    assert (last_hidden(student, batch) - last_hidden(shorter, batch)).abs().max() < 1e-5
    with torch.inference_mode():
        real = batch["attention_mask"].bool()
        assert (student(**batch).logits[real] - shorter(**batch).logits[real]).abs().max() < 1e-4


def test_without_folding_in_the_token_type_it_would_be_another_model(bundled) -> None:
    """What the original code does: the row is dropped. Proves that the test above can fail."""
    teacher, tokenizer = bundled
    student = full_depth(teacher)
    positions = teacher.bert.embeddings.position_embeddings.weight
    student.distilbert.embeddings.position_embeddings.weight.data.copy_(positions)
    batch = as_batch(tokenizer, SENTENCES[:3])
    assert (last_hidden(student, batch) - last_hidden(teacher, batch)).abs().max() > 0.01


@pytest.mark.parametrize("layers", [(0,), (5,), (0, 5), (0, 2, 5), (4, 1, 3), (5, 4, 3, 2, 1, 0)])
def test_each_layer_of_the_map_lands_in_its_place(teacher, layers: tuple[int, ...]) -> None:
    student = student_for_labels(teacher, StudentSettings(layers=len(layers), teacher_layers=layers), seed=0)
    built = student.distilbert.state_dict()
    for place, layer in enumerate(layers):
        for bert, distilbert in IN_DISTILBERT.items():
            for kind in ("weight", "bias"):
                source = teacher.bert.state_dict()[f"encoder.layer.{layer}.{bert}.{kind}"]
                assert torch.equal(built[f"transformer.layer.{place}.{distilbert}.{kind}"], source)
    assert len(student.distilbert.transformer.layer) == len(layers)


def test_the_layers_compute_what_the_teacher_computes_with_only_those(teacher) -> None:
    """Not just the numbers: a teacher with its other layers taken out gives the same hidden states."""
    shorter = copy.deepcopy(teacher)
    shorter.bert.encoder.layer = torch.nn.ModuleList([shorter.bert.encoder.layer[i] for i in (1, 3, 4)])
    shorter.bert.config.num_hidden_layers = 3
    student = student_for_labels(teacher, StudentSettings(layers=3, teacher_layers=(1, 3, 4)), seed=0).eval()
    batch = as_batch(tiny_tokenizer(), ("a warm and funny film", "a dull mess"))
    torch.testing.assert_close(last_hidden(student, batch), last_hidden(shorter, batch), rtol=0, atol=1e-5)


def test_a_copied_state_has_every_tensor_of_the_student_and_no_other(teacher) -> None:
    student = student_for_labels(teacher, StudentSettings(layers=2), seed=0)
    state = copied_encoder(teacher.bert.state_dict(), (0, 5))
    assert {name: tensor.shape for name, tensor in state.items()} == {
        name: tensor.shape for name, tensor in student.distilbert.state_dict().items()
    }


def test_random_weights_differ_from_the_copied_ones_and_follow_the_seed(teacher) -> None:
    settings = StudentSettings(layers=3, initial_weights="random")
    first, again, other = (student_for_labels(teacher, settings, seed).state_dict() for seed in (1, 1, 2))
    copied = student_for_labels(teacher, StudentSettings(layers=3), seed=1).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    for name in ("transformer.layer.0.ffn.lin1.weight", "embeddings.word_embeddings.weight"):
        name = f"distilbert.{name}"
        assert not torch.equal(first[name], other[name])
        assert not torch.allclose(first[name], copied[name], atol=1e-3)


def test_the_head_is_random_and_follows_the_seed_when_layers_are_copied(teacher) -> None:
    first, again, other = (
        student_for_labels(teacher, StudentSettings(layers=3), seed).classifier.weight for seed in (1, 1, 2)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)


@pytest.mark.parametrize("start", ["copied", "random"])
def test_building_leaves_the_global_randomness_alone(teacher, start: str) -> None:
    torch.manual_seed(99)
    expected = torch.rand(3)
    torch.manual_seed(99)
    student_for_labels(teacher, StudentSettings(layers=2, initial_weights=start), seed=5)
    assert torch.equal(torch.rand(3), expected)


def test_training_the_student_cannot_touch_the_teacher(teacher) -> None:
    before = copy.deepcopy(teacher.state_dict())
    student = student_for_labels(teacher, StudentSettings(layers=3), seed=0)
    shared = {tensor.data_ptr() for tensor in teacher.state_dict().values()}
    assert not shared & {tensor.data_ptr() for tensor in student.state_dict().values()}
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.fill_(0.5)
    assert all(torch.equal(tensor, before[name]) for name, tensor in teacher.state_dict().items())
    assert all(parameter.requires_grad for parameter in student.parameters())


def test_a_student_learns_even_from_a_teacher_whose_gradients_are_off(teacher) -> None:
    student = student_for_labels(teacher.requires_grad_(False), StudentSettings(layers=1), seed=0)
    assert all(parameter.requires_grad for parameter in student.parameters())


def test_a_student_of_a_teacher_of_scores_gives_scores(teacher) -> None:
    scores = BertForSequenceClassification(BertConfig(**teacher.config.to_diff_dict() | {"num_labels": 1}))
    scores.config.problem_type = "regression"
    student = student_for_labels(scores, StudentSettings(layers=1), seed=0)
    assert (student.config.problem_type, student.config.num_labels) == ("regression", 1)


def narrow(**changes: int) -> StudentSettings:
    return StudentSettings(layers=2, initial_weights="random", **changes)


@pytest.mark.parametrize("make", ["labels", "words"])
def test_a_narrower_student_has_the_width_and_heads_that_were_chosen(teacher, make: str) -> None:
    build, model = (student_for_words, tiny_word_teacher(6)) if make == "words" else (student_for_labels, teacher)
    student = build(model, narrow(width=24, heads=3), seed=0).eval()
    config = student.config
    assert (config.dim, config.n_heads, config.n_layers, config.hidden_dim) == (24, 3, 2, 48)
    batch = as_batch(tiny_tokenizer(), ("a warm and funny film", "a dull mess"))
    with torch.inference_mode():
        hidden = student.base_model(**batch).last_hidden_state
        logits = student(**batch).logits
    assert hidden.shape[-1] == 24 and logits.shape[-1] == (config.vocab_size if make == "words" else 2)
    assert build(model, narrow(), seed=0).config.dim == 32
    again, other = (build(model, narrow(width=24, heads=3), seed=seed).state_dict() for seed in (0, 1))
    assert all(torch.equal(tensor, again[name]) for name, tensor in student.state_dict().items())
    assert not all(torch.equal(tensor, again[name]) for name, tensor in other.items())


def test_a_narrower_student_is_compared_through_a_projection(teacher) -> None:
    student = student_for_labels(teacher, narrow(width=24, heads=3), seed=0)
    first, again, other = (state_maps(student, teacher, 0, seed)[LAST_MAP] for seed in (0, 0, 1))
    assert (first.in_features, first.out_features, first.bias) == (24, 32, None)
    assert torch.equal(first.weight, again.weight) and not torch.equal(first.weight, other.weight)
    assert first.weight.requires_grad and float(first.weight.detach().std()) == pytest.approx(24**-0.5, rel=0.1)
    more = state_maps(student, teacher, 2, seed=0)
    assert list(more) == [LAST_MAP, layer_map_name(0), layer_map_name(1)]
    assert torch.equal(more[LAST_MAP].weight, first.weight), "it does not depend on whether layers are compared too"
    assert not torch.equal(more[layer_map_name(0)].weight, more[layer_map_name(1)].weight)
    assert state_maps(student_for_labels(teacher, narrow(), seed=0), teacher, 2, seed=0) == {}


def test_a_student_of_words_with_random_weights_takes_nothing_over() -> None:
    teacher = tiny_word_teacher()
    copied = student_for_words(teacher, StudentSettings(layers=2), seed=0)
    fresh = student_for_words(teacher, narrow(), seed=0)
    assert torch.equal(copied.vocab_transform.weight, teacher.cls.predictions.transform.dense.weight)
    assert torch.equal(copied.vocab_layer_norm.weight, teacher.cls.predictions.transform.LayerNorm.weight)
    assert not torch.allclose(fresh.vocab_transform.weight, copied.vocab_transform.weight, atol=1e-3)
    assert fresh.vocab_projector.weight is fresh.distilbert.embeddings.word_embeddings.weight


def test_the_head_for_words_is_copied_with_its_bias() -> None:
    teacher = tiny_word_teacher()
    torch.nn.init.normal_(teacher.cls.predictions.bias, generator=torch.Generator().manual_seed(0))
    student = student_for_words(teacher, StudentSettings(layers=2), seed=0).eval()
    assert torch.equal(student.vocab_projector.bias, teacher.cls.predictions.bias)
    batch = as_batch(tiny_tokenizer(), ("a warm and funny film",))
    with torch.inference_mode():
        torch.testing.assert_close(student(**batch).logits, teacher(**batch).logits, rtol=0, atol=1e-4)
    shared = {tensor.data_ptr() for tensor in teacher.state_dict().values()}
    assert not shared & {tensor.data_ptr() for tensor in student.state_dict().values()}


PLAIN = {"labels": AutoModelForSequenceClassification, "words": AutoModelForMaskedLM}


def made(kind: str, settings: StudentSettings) -> DistilBertForSequenceClassification | DistilBertForMaskedLM:
    if kind == "words":
        return student_for_words(tiny_word_teacher(6), settings, seed=0).eval()
    return student_for_labels(tiny_teacher(layers=6), settings, seed=0).eval()


@pytest.mark.parametrize("settings", [StudentSettings(layers=3), narrow(width=24, heads=3)], ids=["copied", "narrow"])
@pytest.mark.parametrize("kind", PLAIN)
def test_a_saved_student_opens_with_the_plain_library(tmp_path: Path, kind: str, settings) -> None:
    """Nothing of this project is needed to use what it made: numbers, labels and word pieces are the same."""
    tokenizer, student, folder = tiny_tokenizer(), made(kind, settings), tmp_path / "student"
    save_model(student, tokenizer, folder)
    opened = PLAIN[kind].from_pretrained(folder, local_files_only=True).eval()
    encoder = AutoModel.from_pretrained(folder, local_files_only=True).eval()
    ours, our_tokenizer = load_model(folder)
    plain = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    texts = ("a warm and funny film", "A dull, lifeless MESS!")
    batch = as_batch(tokenizer, texts)
    for other in (plain, our_tokenizer):
        assert torch.equal(as_batch(other, texts)["input_ids"], batch["input_ids"])
    with torch.inference_mode():
        expected = student(**batch).logits
        assert torch.equal(opened(**batch).logits, expected)
        assert torch.equal(ours(**batch).logits, expected)
    assert torch.equal(last_hidden(encoder, batch), last_hidden(student, batch))
    assert kind == "words" or opened.config.id2label == {0: "negative", 1: "positive"}
    assert sorted(path.suffix for path in folder.iterdir()) == [".json"] * 4 + [".safetensors"]
    assert [path.name for path in tmp_path.iterdir()] == ["student"]
