"""RoBERTa as a teacher: pieces of bytes, positions that begin behind the padding's number, no token types."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import (
    AutoTokenizer,
    PreTrainedModel,
    RobertaConfig,
    RobertaForMaskedLM,
    RobertaForSequenceClassification,
    RobertaModel,
    RobertaTokenizer,
)

from core.config import Settings
from core.data.masking import Masker
from core.data.part import Part
from core.data.pieces import word_pieces_of
from core.data.tokens import pieces_with_masks, tokenise, tokenise_blocks
from core.distill.masked_batch import masked_batches
from core.distill.word_terms import _hidden_states, word_rows
from core.export.convert import write_onnx
from core.export.onnx_forms import OnnxModel
from core.models.outline import check_teacher, teacher_outline
from core.models.saved import ModelError, load_model, save_model
from core.models.size import student_shape, teacher_shape
from core.models.student import student_for_labels, student_for_words
from core.models.teacher import teacher_for_labels, teacher_for_words, teacher_tokenizer
from core.scoring.hidden_words import shown
from core.sections import MaskingSettings, StudentSettings, TeacherSettings
from tests.core.models.test_saved import edit, tensors
from tests.core.models.test_size import agrees
from tests.fixtures.family_path import LABELS, built, full_depth_is_the_teacher, walk, written
from tests.fixtures.small_runs import reviews, world_of

KINDS = {"labels": RobertaForSequenceClassification, "words": RobertaForMaskedLM}
MARKS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
TEXTS = ("the film is warm , and very dull", "  Ça n'est pas <mask> 電影 ", "", "</s>")
IDS = torch.tensor([[0, 270, 280, 4, 275, 2], [0, 290, 2, 1, 1, 1]])


@cache
def byte_pieces() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Pieces and merges that were learned from the sentences of the small runs."""
    learner = ByteLevelBPETokenizer()
    learner.train_from_iterator((text for text, _ in reviews()), 320, special_tokens=MARKS, show_progress=False)
    learned = json.loads(learner.to_str())["model"]
    return learned["vocab"], [tuple(pair) for pair in learned["merges"]]


def tokenizer() -> RobertaTokenizer:
    vocabulary, merges = byte_pieces()
    return RobertaTokenizer(vocab=dict(vocabulary), merges=list(merges), model_max_length=64)


def tiny(kind: type[PreTrainedModel], layers: int = 2, **changes: Any) -> PreTrainedModel:
    config = RobertaConfig(
        vocab_size=len(tokenizer()), hidden_size=32, num_hidden_layers=layers, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=66, type_vocab_size=1, initializer_range=0.2, id2label=LABELS,
        label2id={name: place for place, name in LABELS.items()}, **changes,
    )  # fmt: skip
    return built(kind, config)


def settings(folder: Path, **changes: Any) -> TeacherSettings:
    return TeacherSettings(source="folder", path=str(folder), **changes)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bare encoder, as the plain library saves it: with a pooler, without a prefix."""
    return written(tiny(RobertaModel), tokenizer(), tmp_path / "model")


@pytest.mark.parametrize("head", KINDS)
def test_from_a_folder_to_a_student_that_is_measured_asked_and_exported(tmp_path: Path, head: str) -> None:
    with world_of(tmp_path / "home"):
        walk(written(tiny(KINDS[head]), tokenizer(), tmp_path / "teacher"), tmp_path, head=head)


@pytest.mark.parametrize("head", KINDS)
def test_a_full_depth_copy_is_the_teacher(head: str) -> None:
    full_depth_is_the_teacher(tiny(KINDS[head], layers=3), IDS, head)


@pytest.mark.parametrize("head", KINDS)
def test_what_is_said_of_its_size_is_what_is_built(tmp_path: Path, head: str) -> None:
    teacher, objective = tiny(KINDS[head], layers=3), "masked_words" if head == "words" else "labels"
    outline = teacher_outline(settings(written(teacher, tokenizer(), tmp_path / "model")))
    agrees(teacher_shape(outline, objective), teacher)
    chosen = StudentSettings(layers=2, width=16, heads=2, initial_weights="random")
    make = student_for_words if head == "words" else student_for_labels
    agrees(student_shape(outline, chosen, objective), make(teacher, chosen, 0))


def test_a_bare_encoder_gets_a_head_and_keeps_its_weights(folder: Path) -> None:
    first = teacher_for_labels(settings(folder), ("a", "b")).base_model.state_dict()
    words = teacher_for_words(settings(folder)).base_model.state_dict()
    plain = RobertaModel.from_pretrained(folder, local_files_only=True).state_dict()
    assert all(torch.equal(first[name], plain[name]) and torch.equal(words[name], plain[name]) for name in first)


# Positions


def test_it_reads_as_many_word_pieces_as_there_are_positions_behind_the_paddings(folder: Path) -> None:
    outline, chosen = teacher_outline(settings(folder)), Settings(teacher=settings(folder))
    assert (outline.positions, outline.longest) == (66, 64)
    for length, fits in ((64, True), (65, False)):
        data = chosen.data.model_copy(update={"max_tokens": length})
        if fits:
            check_teacher(chosen.model_copy(update={"data": data}), outline)
        else:
            with pytest.raises(ModelError, match="data.max_tokens is 65, but the teacher reads at most 64 word pieces"):
                check_teacher(chosen.model_copy(update={"data": data}), outline)
    teacher_for_labels(settings(folder), ("a", "b"))(torch.full((1, 64), 9))


@torch.inference_mode()
def test_several_texts_in_a_row_are_read_as_each_alone() -> None:
    """The positions that are passed are those that the library would count itself."""
    model, blocks = tiny(KINDS["words"]), tokenise_blocks([text for text, _ in reviews()[:9]], tokenizer(), 12)
    masker = Masker.from_tokens(blocks, tokenizer(), MaskingSettings())
    examples = np.arange(len(blocks))
    (batch,) = masked_batches(blocks, examples, masker, None, np.random.default_rng(0), 1, torch.device("cpu"))
    hidden, begin = _hidden_states(model, batch), 0
    pieces = batch.input_ids.flatten()[batch.places]
    assert batch.attention_mask is not None
    for length in blocks.lengths[batch.examples].tolist():
        alone = model.roberta(pieces[None, begin : begin + length]).last_hidden_state[0]
        torch.testing.assert_close(hidden[begin : begin + length], alone, rtol=0, atol=1e-5)
        begin += length
    words = word_rows(model, hidden[:5])
    torch.testing.assert_close(words.rows @ words.matrix.T + words.bias, model.lm_head(hidden[:5]))


def test_the_exported_file_counts_positions_too(tmp_path: Path) -> None:
    student = student_for_labels(tiny(KINDS["labels"]), StudentSettings(layers=1), 0).eval()
    write_onnx(student, tmp_path / "model.onnx")
    mask = (IDS != 1).long()
    with torch.inference_mode():
        expected = student(IDS, attention_mask=mask).logits.numpy()
    assert np.abs(OnnxModel(tmp_path / "model.onnx").logits(IDS.numpy(), mask.numpy()) - expected).max() < 1e-4


# Pieces of bytes


def ids(made: Any) -> list[list[int]]:
    plain = {"split_special_tokens": True}
    return [made(text, **plain)["input_ids"] for text in TEXTS] + [made(*TEXTS[:2], **plain)["input_ids"]]


@pytest.mark.parametrize("space_first", [True, False])
@pytest.mark.parametrize("form", ["tokenizer.json", "vocab.json and merges.txt"])
def test_a_folders_tokenizer_is_the_one_that_the_plain_library_opens(
    folder: Path, form: str, space_first: bool
) -> None:
    edit("tokenizer_config.json", add_prefix_space=space_first)(folder)
    if form != "tokenizer.json":
        vocabulary, merges = byte_pieces()
        (folder / "vocab.json").write_text(json.dumps(vocabulary))
        (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
        (folder / "tokenizer.json").unlink()
    made = teacher_tokenizer(settings(folder))
    assert ids(made) == ids(AutoTokenizer.from_pretrained(folder, local_files_only=True))
    assert made("a", "b")["input_ids"].count(made.sep_token_id) == 3 and made.model_max_length == 64


def test_it_survives_saving(tmp_path: Path) -> None:
    save_model(tiny(KINDS["words"]), tokenizer(), tmp_path / "model")
    opened, made = load_model(tmp_path / "model")
    assert ids(made) == ids(tokenizer()) and opened.lm_head.decoder.bias is opened.lm_head.bias
    save_model(opened, made, tmp_path / "again")
    again = AutoTokenizer.from_pretrained(tmp_path / "again", local_files_only=True)
    assert again("the film is <mask>.")["input_ids"] == pieces_with_masks("the film is [MASK].", made, 32)[0]


def test_pieces_are_shown_and_put_together_to_words_as_those_of_a_bert() -> None:
    made = tokenizer()
    encoded = made("the film is warm, Ça", add_special_tokens=False)["input_ids"]
    written = word_pieces_of(made, encoded)
    assert written[1:3] == ["film", "is"] and "," in written and shown("##ing") == "…ing"
    assert word_pieces_of(made, [0, 4]) == ["<s>", "<mask>"]
    both = word_pieces_of(made, made("film", "film is")["input_ids"], is_text=True)
    firsts = [piece for before, piece in zip(both, both[1:], strict=False) if before in ("<s>", "</s>")]
    assert not [piece for piece in firsts if piece.startswith("##")], "the first of a text begins a word"
    assert "Ã" in written, "half a character stays as it is"
    tokens = tokenise(Part(["the film is warm, and lifeless"], np.zeros(1, dtype=np.int64)), made, 32)
    masker = Masker.from_tokens(tokens, made, MaskingSettings(whole_words=True, share=0.3))
    drawn = masker.draw(tokens.ids, np.random.default_rng(0))
    assert not {0, 2} & set(drawn.originals.tolist())


def merge(pair: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        content = json.loads((folder / "tokenizer.json").read_text())
        content["model"]["merges"].append(pair)
        (folder / "tokenizer.json").write_text(json.dumps(content))

    return change


def model_of(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        content = json.loads((folder / "tokenizer.json").read_text())
        content["model"] |= changes
        (folder / "tokenizer.json").write_text(json.dumps(content))

    return change


HOSTILE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a layer is missing": (edit("config.json", num_hidden_layers=3), "lacks roberta.encoder.layer.2"),
    "half a head for words": (
        tensors(lambda t: t.update({"lm_head.bias": torch.zeros(len(tokenizer()))})),
        "lacks lm_head.dense.weight",
    ),
    "something unknown": (tensors(lambda t: t.update(adapter=torch.zeros(2))), "holds adapter, which no such model"),
    "not numbers": (tensors(lambda t: t["embeddings.LayerNorm.bias"].fill_(torch.nan)), "not numbers"),
    "no room behind the padding": (edit("config.json", pad_token_id=60), "66, 5 are left for word pieces"),
    "padding of another number": (edit("config.json", pad_token_id=3), "numbers <pad> 1, but config.json says pad_tok"),
    "padding that is none": (edit("config.json", pad_token_id="one"), "pad_token_id is 'one'"),
    "no words": (lambda f: (f / "tokenizer.json").unlink(), "no tokenizer.json and no vocab.json and merges.txt"),
    "a rule that never ends": (
        edit("tokenizer.json", pre_tokenizer={"type": "Split", "pattern": {"Regex": "(a+)+$"}}),
        "its pre_tokenizer is not a ByteLevel",
    ),
    "a normalizer": (edit("tokenizer.json", normalizer={"type": "NFC"}), "it has a normalizer"),
    "another kind of words": (model_of(type="WordPiece"), "its model is not a BPE"),
    "chance": (model_of(dropout=0.5), "dropout is 0.5"),
    "no merges": (model_of(merges=None), "holds no list of merges"),
    "a merge of three": (merge("a b c"), "merge .* is 'a b c'; expected two pieces"),
    "a merge of numbers": (merge([1, 2]), "expected two pieces"),
    "a merge outside the vocabulary": (merge(["q", "zz"]), "is of pieces outside the vocabulary"),
    "no hidden word": (model_of(vocab={"a": 0}, merges=[]), "adds words outside its vocabulary"),
    "a switch that is no switch": (edit("tokenizer_config.json", add_prefix_space="yes"), "add_prefix_space is 'yes'"),
    "a program asked for": (edit("tokenizer_config.json", auto_map={"x": "y"}), "auto_map"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_folder_is_refused_with_its_cause(folder: Path, name: str) -> None:
    change, reason = HOSTILE[name]
    change(folder)
    with pytest.raises(ModelError, match=reason):
        teacher_for_labels(settings(folder), ("negative", "positive"))
        teacher_tokenizer(settings(folder))
