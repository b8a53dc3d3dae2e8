"""Teachers: the bundled one to the bit, and any BERT from a folder, in every layout that checkpoints come in."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    BertForPreTraining,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
    BertPreTrainedModel,
    BertTokenizer,
)

from core.config import Settings
from core.data.bundle import MINILM_CONFIG, MINILM_WEIGHTS
from core.models import outline
from core.models.outline import (
    BUNDLED,
    KNOWN_ON_HUB,
    check_student,
    check_teacher,
    teacher_fingerprint,
    teacher_outline,
)
from core.models.saved import ModelError, load_model, save_model
from core.models.teacher import teacher_for_labels, teacher_for_words, teacher_tokenizer
from core.sections import StudentSettings, TeacherSettings
from tests.core.models.test_saved import edit, tensors
from tests.fixtures.serving import ROOT
from tests.fixtures.tiny_models import tiny_teacher, tiny_tokenizer

NAMES = ("negative", "positive", "neutral")
TEXTS = ("A warm, funny film!", "a dull Mess", "Ça n'est pas [MASK] 電影", "")
OLD = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}


def teacher(folder: Path, **changes: Any) -> TeacherSettings:
    return TeacherSettings(source="folder", path=str(folder), **changes)


def tiny_config(**changes: Any) -> BertConfig:
    labels = {"id2label": dict(enumerate(NAMES)), "label2id": {name: place for place, name in enumerate(NAMES)}}
    return BertConfig(**tiny_teacher().config.to_diff_dict() | labels | changes)


def write(kind: type[BertPreTrainedModel], folder: Path, **changes: Any) -> BertPreTrainedModel:
    """A tiny model of any class, as the plain library saves it, and its tokenizer."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        model = kind(tiny_config(**changes)).eval()
    model.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return model


def renamed(change: Callable[[str], str]) -> Callable[[Path], None]:
    def apply(found: dict[str, Tensor]) -> None:
        for name in list(found):
            found[change(name)] = found.pop(name)

    return tensors(apply)


def as_old(name: str) -> str:
    for new, old in OLD.items():
        name = name.replace(new, old)
    return name


def as_on_the_hub(folder: Path) -> None:
    """The layout of google-bert/bert-base-uncased: pre-training heads, old names, a tied tensor stored twice."""
    renamed(as_old)(folder)
    words = "bert.embeddings.word_embeddings.weight"
    tensors(lambda t: t.update({"cls.predictions.decoder.weight": t[words].clone()}))(folder)
    tensors(lambda t: t.update({"bert.embeddings.position_ids": torch.arange(64)[None]}))(folder)
    (folder / "config.json").write_text(
        json.dumps(
            {
                "architectures": ["BertForMaskedLM"],
                "attention_probs_dropout_prob": 0.1,
                "gradient_checkpointing": False,
                "hidden_act": "gelu",
                "hidden_dropout_prob": 0.1,
                "hidden_size": 32,
                "initializer_range": 0.3,
                "intermediate_size": 64,
                "layer_norm_eps": 1e-12,
                "max_position_embeddings": 64,
                "model_type": "bert",
                "num_attention_heads": 2,
                "num_hidden_layers": 2,
                "pad_token_id": 0,
                "position_embedding_type": "absolute",
                "transformers_version": "4.6.0.dev0",
                "type_vocab_size": 2,
                "use_cache": True,
                "vocab_size": len(tiny_tokenizer()),
            }
        )
    )


LAYOUTS: dict[str, tuple[type[BertPreTrainedModel], Callable[[Path], Any]]] = {
    "bare encoder": (BertModel, lambda folder: None),
    "bare encoder with a prefix": (BertModel, renamed(lambda name: f"bert.{name}")),
    "bare encoder, old names": (BertModel, renamed(as_old)),
    "head for words": (BertForMaskedLM, lambda folder: None),
    "heads of pre-training": (BertForPreTraining, lambda folder: None),
    "as on the Hub": (BertForPreTraining, as_on_the_hub),
    "head for labels": (BertForSequenceClassification, lambda folder: None),
    "head for each word": (BertForTokenClassification, lambda folder: None),
}


@pytest.fixture(params=LAYOUTS)
def layout(request, tmp_path) -> tuple[BertPreTrainedModel, Path]:
    """A model in one of the layouts, and the folder that holds it."""
    kind, change = LAYOUTS[request.param]
    folder = tmp_path / "model"
    model = write(kind, folder)
    change(folder)
    return model, folder


def encoder(model: BertPreTrainedModel) -> dict[str, Tensor]:
    return {name: t for name, t in model.base_model.state_dict().items() if not name.startswith("pooler.")}


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


# The bundled teacher


def test_the_bundled_teacher_is_its_file_with_a_head_from_the_seed() -> None:
    """Written here once more with the plain library: the numbers of earlier runs stay true."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        names = dict(enumerate(NAMES))
        plain = BertForSequenceClassification(BertConfig(**json.loads(MINILM_CONFIG.read()), id2label=names))
    weights = safetensors.torch.load(MINILM_WEIGHTS.read())
    plain.bert.load_state_dict({name: t for name, t in weights.items() if name != "embeddings.position_ids"})
    ours = teacher_for_labels(TeacherSettings(seed=7), NAMES)
    assert same(plain.state_dict(), ours.state_dict())
    assert ours.config.id2label == names and ours.config.label2id == {name: place for place, name in names.items()}


def test_the_bundled_teacher_guesses_words_with_a_fresh_head_over_its_own_words() -> None:
    first, again, other = (teacher_for_words(TeacherSettings(seed=seed)) for seed in (1, 1, 2))
    labels = teacher_for_labels(TeacherSettings(), NAMES)
    assert same(encoder(first), encoder(labels)) and same(first.state_dict(), again.state_dict())
    assert first.cls.predictions.decoder.weight is first.bert.embeddings.word_embeddings.weight
    dense = "cls.predictions.transform.dense.weight"
    assert not torch.equal(first.get_parameter(dense), other.get_parameter(dense))


def test_the_constants_are_the_bundled_teachers_configuration() -> None:
    config = BertConfig(**json.loads(MINILM_CONFIG.read()))
    assert teacher_outline(TeacherSettings()) == BUNDLED
    assert (BUNDLED.depth, BUNDLED.width, BUNDLED.heads) == (
        config.num_hidden_layers,
        config.hidden_size,
        config.num_attention_heads,
    )
    assert (BUNDLED.feed_forward, BUNDLED.vocabulary) == (config.intermediate_size, config.vocab_size)
    assert (BUNDLED.positions, BUNDLED.segments) == (config.max_position_embeddings, config.type_vocab_size)
    plain = BertConfig()
    known = KNOWN_ON_HUB["google-bert/bert-base-uncased"]
    assert (known.depth, known.width, known.vocabulary) == (plain.num_hidden_layers, plain.hidden_size, 30_522)


# Layouts


def test_every_layout_gives_its_encoder(layout) -> None:
    model, folder = layout
    for made in (teacher_for_labels(teacher(folder), NAMES), teacher_for_words(teacher(folder))):
        assert same(encoder(made), encoder(model))
        assert {tensor.dtype for tensor in made.state_dict().values()} == {torch.float32}


def test_a_head_for_words_is_used_where_there_is_one(layout) -> None:
    model, folder = layout
    has_head = hasattr(model, "cls")
    assert teacher_outline(teacher(folder)).has_word_head == has_head
    made = teacher_for_words(teacher(folder)).eval()
    assert made.cls.predictions.decoder.weight is made.bert.embeddings.word_embeddings.weight
    if has_head:
        ids = torch.tensor([[2, 7, 9, 4, 3]])
        with torch.inference_mode():
            expected = model.cls.predictions(model.bert(ids).last_hidden_state)
            assert torch.equal(made(ids).logits, expected)
        teacher_for_words(teacher(folder, epochs=0))
    else:
        other = teacher_for_words(teacher(folder, seed=1))
        dense = "cls.predictions.transform.dense.weight"
        assert not torch.equal(made.get_parameter(dense), other.get_parameter(dense))
        with pytest.raises(ModelError, match="teacher.epochs is 0, but this teacher has never learned to guess words"):
            teacher_for_words(teacher(folder, epochs=0))


def test_a_head_for_labels_is_used_where_there_is_one(layout) -> None:
    model, folder = layout
    has_head = isinstance(model, BertForSequenceClassification)
    assert teacher_outline(teacher(folder)).label_names == (NAMES if has_head else ())
    made, other = (teacher_for_labels(teacher(folder, seed=seed), NAMES) for seed in (0, 1))
    assert torch.equal(made.classifier.weight, other.classifier.weight) == has_head
    pooler = model.base_model.pooler
    assert torch.equal(made.bert.pooler.dense.weight, other.bert.pooler.dense.weight) == (pooler is not None)
    if has_head:
        assert same(made.state_dict(), model.state_dict())
        teacher_for_labels(teacher(folder, epochs=0), NAMES)
    else:
        with pytest.raises(ModelError, match="teacher.epochs is 0, but this teacher has never learned to sort texts"):
            teacher_for_labels(teacher(folder, epochs=0), NAMES)


@pytest.fixture
def folder(tmp_path) -> Path:
    """A teacher of three labels."""
    write(BertForSequenceClassification, tmp_path / "model")
    return tmp_path / "model"


def test_a_head_of_another_task_is_replaced_and_not_taken_as_it_is(folder) -> None:
    made = teacher_for_labels(teacher(folder), ("no", "yes"))
    assert made.classifier.weight.shape == (2, 32) and made.config.id2label == {0: "no", 1: "yes"}
    with pytest.raises(ModelError, match="teacher.epochs is 0, but this teacher has 3 outputs and the data need 2"):
        teacher_for_labels(teacher(folder, epochs=0), ("no", "yes"))


def test_the_rows_of_a_head_are_put_in_the_order_of_the_labels(folder) -> None:
    """Two data sets number the same labels in two ways; without this the answers would be exchanged in silence."""
    plain, _ = teacher_for_labels(teacher(folder), NAMES), None
    made = teacher_for_labels(teacher(folder, epochs=0), ("Neutral", "negative", "positive"))
    assert torch.equal(made.classifier.weight, plain.classifier.weight[[2, 0, 1]])
    assert torch.equal(made.classifier.bias, plain.classifier.bias[[2, 0, 1]])
    assert made.config.id2label[0] == "Neutral"
    unnamed = teacher_for_labels(teacher(folder, epochs=0), ("a", "b", "c"))
    assert torch.equal(unnamed.classifier.weight, plain.classifier.weight)


def test_without_labels_a_teacher_gives_one_score(folder, tmp_path) -> None:
    made = teacher_for_labels(teacher(folder), ())
    assert made.classifier.weight.shape == (1, 32) and made.config.problem_type == "regression"
    save_model(made, tiny_tokenizer(), tmp_path / "score")
    opened, _ = load_model(tmp_path / "score")
    assert opened.config.problem_type == "regression" and opened.config.num_labels == 1
    again = teacher_for_labels(teacher(tmp_path / "score", epochs=0), ())
    assert same(again.state_dict(), made.state_dict())
    assert teacher_for_labels(teacher(tmp_path / "score"), NAMES).config.problem_type is None


def test_making_a_teacher_leaves_the_global_randomness_alone(folder) -> None:
    before = torch.get_rng_state()
    teacher_for_labels(teacher(folder), ("no", "yes"))
    teacher_for_words(teacher(folder))
    assert torch.equal(torch.get_rng_state(), before)


REFUSED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a layer is missing": (edit("config.json", num_hidden_layers=3), "lacks bert.encoder.layer.2"),
    "a layer is left over": (edit("config.json", num_hidden_layers=1), "holds bert.encoder.layer.1.* no such model"),
    "something unknown": (tensors(lambda t: t.update(adapter=torch.zeros(2))), "holds adapter, which no such model"),
    "another width": (edit("config.json", hidden_size=64), "has the shape"),
    "names of both times": (
        tensors(lambda t: t.update({"bert.embeddings.LayerNorm.gamma": torch.ones(32)})),
        "holds bert.embeddings.LayerNorm.weight twice",
    ),
    "half a head for words": (
        tensors(lambda t: t.update({"cls.predictions.bias": torch.zeros(len(tiny_tokenizer()))})),
        "lacks cls.predictions.transform.dense.weight",
    ),
    "another number of labels": (edit("config.json", id2label={"0": "a"}), "classifier.weight has the shape 3 × 32"),
    "a pooler of another width": (
        tensors(lambda t: (t.update({"bert.pooler.dense.bias": torch.zeros(3)}), t.pop("classifier.bias"))),
        "bert.pooler.dense.bias has the shape 3; expected 32",
    ),
    "half a pooler": (tensors(lambda t: t.pop("bert.pooler.dense.bias")), "lacks bert.pooler.dense.bias"),
    "whole numbers for weights": (
        tensors(lambda t: t.update({"bert.embeddings.LayerNorm.bias": torch.zeros(32, dtype=torch.int64)})),
        "bert.embeddings.LayerNorm.bias is of type I64",
    ),
    "a GPT-2": (edit("config.json", model_type="gpt2"), "model type 'gpt2'; expected bert"),
    "a DistilBERT that is none": (edit("config.json", model_type="distilbert"), "n_layers is None; expected a whole"),
    "a decoder": (edit("config.json", is_decoder=True), "is_decoder is set"),
    "other positions": (edit("config.json", position_embedding_type="relative_key"), "expected absolute"),
    "not numbers": (tensors(lambda t: t["bert.embeddings.LayerNorm.weight"].fill_(torch.nan)), "not numbers"),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "has no tokenizer.json and no vocab.txt"),
    "only pickled weights": (
        lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"),
        "only pytorch_model.bin",
    ),
}
SEEN_IN_THE_HEADER = set(REFUSED) - {"not numbers"}


@pytest.mark.parametrize("name", REFUSED)
def test_a_folder_that_is_no_sound_bert_is_refused_in_words(folder, name) -> None:
    change, reason = REFUSED[name]
    change(folder)
    if name in SEEN_IN_THE_HEADER:
        with pytest.raises(ModelError, match=reason):
            teacher_outline(teacher(folder))
    with pytest.raises(ModelError, match=reason):
        teacher_for_labels(teacher(folder), NAMES)
        teacher_tokenizer(teacher(folder))


def test_a_vocabulary_matrix_of_its_own_is_refused_for_words(tmp_path) -> None:
    write(BertForMaskedLM, tmp_path / "model")
    second = "cls.predictions.decoder.weight"
    tensors(lambda t: t.update({second: t["bert.embeddings.word_embeddings.weight"] + 1}))(tmp_path / "model")
    with pytest.raises(ModelError, match="not its word embeddings"):
        teacher_for_words(teacher(tmp_path / "model"))


# Tokenizers


def ids(tokenizer: BertTokenizer) -> list[list[int]]:
    return [tokenizer(text)["input_ids"] for text in TEXTS] + [tokenizer(TEXTS[0], TEXTS[1])["input_ids"]]


@pytest.mark.parametrize("lower", [True, False, None])
@pytest.mark.parametrize("form", ["tokenizer.json", "vocab.txt", "vocab.txt alone"])
def test_a_folders_tokenizer_is_the_one_that_the_plain_library_opens(folder, lower, form) -> None:
    edit("tokenizer_config.json", do_lower_case=lower)(folder)
    if form != "tokenizer.json":
        words = sorted((number, word) for word, number in tiny_tokenizer().get_vocab().items())
        (folder / "vocab.txt").write_text("".join(f"{word}\n" for _, word in words))
        (folder / "tokenizer.json").unlink()
    if form == "vocab.txt alone":
        (folder / "tokenizer_config.json").unlink()
    made = teacher_tokenizer(teacher(folder))
    assert ids(made) == ids(AutoTokenizer.from_pretrained(folder, local_files_only=True))
    is_cased = lower is False and form != "vocab.txt alone"
    assert (ids(made) == ids(tiny_tokenizer())) != is_cased
    assert made.model_max_length == 64


def test_the_bundled_tokenizer_survives_saving(tmp_path) -> None:
    bundled = teacher_tokenizer(TeacherSettings())
    made = write(BertForSequenceClassification, tmp_path / "m", vocab_size=30_522)
    save_model(made, bundled, tmp_path / "model")
    opened = teacher_tokenizer(teacher(tmp_path / "model"))
    assert ids(opened) == ids(bundled) and len(opened) == 30_522


def test_a_tokenizer_of_another_model_is_refused(folder) -> None:
    teacher_tokenizer(TeacherSettings()).save_pretrained(folder)
    with pytest.raises(ModelError, match=r"numbers its words up to 30521, but the model knows \d+ words"):
        teacher_tokenizer(teacher(folder))


# Fingerprints


def test_the_fingerprint_is_that_of_the_content_and_not_of_the_place(folder, tmp_path) -> None:
    first = teacher_fingerprint(teacher(folder))
    shutil.copytree(folder, tmp_path / "copy")
    assert teacher_fingerprint(teacher(tmp_path / "copy")) == first != teacher_fingerprint(TeacherSettings())
    seen = {first}
    for change in (
        tensors(lambda t: t["classifier.bias"].add_(1)),
        edit("config.json", hidden_dropout_prob=0.2),
        edit("tokenizer_config.json", do_lower_case=False),
    ):
        change(folder)
        seen.add(teacher_fingerprint(teacher(folder)))
    assert len(seen) == 4


def test_the_weights_are_read_for_it_only_once(folder, monkeypatch) -> None:
    first = teacher_fingerprint(teacher(folder))
    weights = folder / "model.safetensors"
    stat = weights.stat()
    weights.write_bytes(bytes([*weights.read_bytes()[:-1], 77]))
    assert teacher_fingerprint(teacher(folder)) != first
    os.utime(weights, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert teacher_fingerprint(teacher(folder)) == first


def test_outlines_and_fingerprints_do_without_torch(folder) -> None:
    code = (
        "import sys; from core.models import outline, size; from core.sections import TeacherSettings as T\n"
        "t = T(source='folder', path=sys.argv[1]); o = outline.teacher_outline(t); outline.teacher_fingerprint(t)\n"
        "size.teacher_shape(o).parameters\n"
        "sys.exit(bool({'torch', 'transformers', 'huggingface_hub'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code, folder], cwd=ROOT, timeout=300).returncode == 0


# What the settings ask for


def test_a_teacher_is_checked_against_the_settings_before_anything_is_loaded(folder) -> None:
    def settings(**changes: Any) -> Settings:
        chosen = teacher(folder, epochs=changes.pop("epochs", 1))
        return Settings(teacher=chosen, student=StudentSettings(layers=1), **changes)

    found = teacher_outline(teacher(folder))
    with pytest.raises(ModelError, match="data.max_tokens is 128, but the teacher reads at most 64"):
        check_teacher(settings(), found)
    short = {"data": Settings().data.model_copy(update={"max_tokens": 64})}
    check_teacher(settings(**short), found)
    check_teacher(settings(**short, epochs=0), found)
    with pytest.raises(ModelError, match="teacher.epochs is 0"):
        check_teacher(settings(**short, epochs=0, objective="masked_words", probes=()), found)
    with pytest.raises(ModelError, match="teacher.epochs is 0"):
        check_teacher(Settings(teacher=TeacherSettings(epochs=0)), outline.BUNDLED)


@pytest.mark.parametrize(
    ("student", "reason"),
    [
        (StudentSettings(layers=7), "student.layers is 7, but the teacher has 6 layers"),
        (StudentSettings(layers=2, teacher_layers=(0, 6)), "student.teacher_layers holds 6"),
        (StudentSettings(layers=2, teacher_layers=(1, 1)), "holds a layer twice"),
        (StudentSettings(layers=2, teacher_layers=(1,)), "names 1 layers for a student of 2"),
        (StudentSettings(width=100, initial_weights="random"), "100 .* 12 .* set student.heads to one of 1, 2, 4, 5"),
        (StudentSettings(heads=7, initial_weights="random"), "width 384 .* 7 attention heads"),
    ],
)
def test_a_student_that_cannot_be_made_is_refused_by_its_field(student, reason) -> None:
    with pytest.raises(ModelError, match=reason):
        check_student(student, BUNDLED)


def test_every_other_student_may_be_made() -> None:
    for layers in range(1, 7):
        check_student(StudentSettings(layers=layers), BUNDLED)
    check_student(StudentSettings(width=192, heads=3, initial_weights="random"), BUNDLED)
    check_student(StudentSettings(width=192, initial_weights="random"), BUNDLED)
