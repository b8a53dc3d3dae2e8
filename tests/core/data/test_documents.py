"""Texts for masked words, their fingerprint and their outline: from every source, held out whole, told in time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from itertools import combinations
from pathlib import Path

import pytest

from core.data.documents import LONGEST, LONGEST_OF_ONE_TEXT, MOST_HELD_OUT, Documents, cut, load_documents
from core.data.files import DataError
from core.data.fingerprint import data_fingerprint
from core.data.glue import TASKS
from core.data.labelled import load_labelled
from core.data.limits import MAX_CHARACTERS
from core.data.outline import text_outline
from core.data.part import same_words
from core.errors import DistilleryError
from core.sections import DataSettings
from tests.fixtures import glue_files
from tests.fixtures.counted_work import work

ROOT = Path(__file__).resolve().parents[3]


def parts(documents: Documents) -> list[list[str]]:
    return [documents.train, documents.validation, documents.test]


def assert_apart(documents: Documents) -> None:
    known = [{same_words(text) for text in part} for part in parts(documents)]
    assert [len(texts) for texts in known] == [len(part) for part in parts(documents)]
    assert all(not one & other for one, other in combinations(known, 2))


def text_settings(path: Path, **more) -> DataSettings:
    return DataSettings(source="text", path=str(path), **more)


def csv_of(path: Path, count: int, words: int = 4) -> DataSettings:
    rows = [f'"{"word " * words}{i}","second {i}",{i % 2}' for i in range(count)]
    path.write_text("\n".join(["text,other,label", *rows]) + "\n", encoding="utf-8")
    return DataSettings(source="csv", path=str(path))


def test_the_bundled_reviews_are_held_out_whole() -> None:
    documents = load_documents(DataSettings(source="imdb"))
    assert (len(documents.validation), len(documents.test)) == (MOST_HELD_OUT, MOST_HELD_OUT)
    assert_apart(documents)
    texts = [text for part in parts(documents) for text in part]
    assert max(map(len, texts)) <= LONGEST < MAX_CHARACTERS and not any("<br" in text for text in texts)
    assert documents.notes == ("Repeated texts were left out: 98.",)


def test_a_limit_counts_documents_and_the_seed_decides() -> None:
    one, same, other = (load_documents(DataSettings(max_examples=300, split_seed=seed)) for seed in (0, 0, 1))
    assert [len(part) for part in parts(one)] == [240, 30, 30]
    assert one == same and set(one.test) != set(other.test)


def test_of_pairs_each_text_is_a_document(tmp_path: Path) -> None:
    glue_files.write_task(tmp_path, "QQP", train=40, dev=20)
    settings = DataSettings(source="glue_folder", path=str(tmp_path), task="QQP")
    documents = load_documents(settings)
    assert_apart(documents)
    assert {text for part in parts(documents) for text in part} == {
        text for i in range(40) for text in (f'"train {i}', f'train "{i}" again')
    }
    merged = load_documents(settings.model_copy(update={"split": "merged"}))
    assert sum(map(len, parts(merged))) == 120
    (tmp_path / "QQP" / "dev.tsv").unlink()
    assert load_documents(settings) == documents


def test_a_csv_needs_no_labels(tmp_path: Path) -> None:
    settings = csv_of(tmp_path / "mine.csv", 30).model_copy(update={"label_column": "nowhere"})
    assert sum(map(len, parts(load_documents(settings)))) == 30
    pairs = settings.model_copy(update={"pair_column": "other"})
    assert sum(map(len, parts(load_documents(pairs)))) == 60
    with pytest.raises(DataError, match="no column 'missing'.*data.text_column"):
        load_documents(settings.model_copy(update={"text_column": "missing"}))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_blank_line_separates_documents_and_a_line_end_does_not(tmp_path: Path, end: str) -> None:
    paragraphs = [f"paragraph {i}\nof two lines" for i in range(30)]
    text = "\n \t\n\n".join(paragraphs).replace("\n", end)
    (tmp_path / "book.txt").write_bytes(text.encode("utf-8-sig"))
    documents = load_documents(text_settings(tmp_path / "book.txt"))
    assert [len(part) for part in parts(documents)] == [24, 3, 3]
    assert {text for part in parts(documents) for text in part} == {f"paragraph {i} of two lines" for i in range(30)}
    assert documents.notes == ()


def test_a_folder_is_read_in_order_and_all_the_way_down(tmp_path: Path) -> None:
    for i, name in enumerate(["b.txt", "a/deep/x.TXT", "a/y.txt"]):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("\n\n".join(f"{name} {i} {j}" for j in range(10)), encoding="utf-8")
    (tmp_path / "a" / "other.md").write_bytes(b"\xff")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    documents = load_documents(text_settings(tmp_path))
    assert sum(map(len, parts(documents))) == 30


def test_one_long_text_is_cut_at_sentences_so_that_it_can_be_split(tmp_path: Path) -> None:
    sentences = [f"This is sentence {i} of a long story." for i in range(20_000)]
    (tmp_path / "story.txt").write_text(" ".join(sentences), encoding="utf-8")
    documents = load_documents(text_settings(tmp_path / "story.txt"))
    assert_apart(documents)
    texts = [text for part in parts(documents) for text in part]
    assert max(map(len, texts)) <= LONGEST_OF_ONE_TEXT and all(text.endswith("story.") for text in texts)
    assert sorted(sentence + "." for text in texts for sentence in text.rstrip(".").split(". ")) == sorted(sentences)
    assert "only 1 documents" in documents.notes[0]


def test_no_word_is_lost_or_cut_where_there_is_white_space() -> None:
    text = " ".join(f"word{i}" for i in range(5_000))
    pieces = cut(text, 1_000)
    assert " ".join(pieces) == text and max(map(len, pieces)) <= 1_000 and min(map(len, pieces[:-1])) > 980
    solid = cut("x" * 2_500, 1_000)
    assert [len(piece) for piece in solid] == [1_000, 1_000, 500]
    assert cut(" \n ", 10) == [] and cut("a" * 10, 10) == ["a" * 10]


def test_a_giant_text_without_any_space_is_cut_in_good_time(tmp_path: Path) -> None:
    (tmp_path / "solid.txt").write_text("あ" * 8_000_000, encoding="utf-8")
    begin = time.process_time()
    with pytest.raises(DataError, match="different texts"):
        load_documents(text_settings(tmp_path / "solid.txt"))
    assert time.process_time() - begin < 5


UNUSABLE = {
    "empty": (b"", "holds no text"),
    "blank": (b" \n\n \xe3\x80\x80\n", "holds no text"),
    "short": (b"One sentence. And another.", "holds 1 different texts; at least 20"),
    "picture": (b"\x89PNG\r\n\x1a\n", "mine.txt is a PNG image, not text"),
    "latin-1": (b"one\ntwo\ncaf\xe9", r"mine.txt, line 3: this is not UTF-8"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_text_that_cannot_be_used_is_refused_with_the_reason(tmp_path: Path, case: str) -> None:
    content, reason = UNUSABLE[case]
    (tmp_path / "mine.txt").write_bytes(content)
    for path in (tmp_path / "mine.txt", tmp_path):
        with pytest.raises(DataError, match=reason):
            load_documents(text_settings(path))


def test_a_place_without_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no .txt file"):
        load_documents(text_settings(tmp_path))
    with pytest.raises(DataError, match="There is no file"):
        load_documents(text_settings(tmp_path / "none.txt"))
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(DataError, match="a pipe or a device"):
        load_documents(text_settings(tmp_path))
    with pytest.raises(DistilleryError, match="has no labels"):
        load_labelled(text_settings(tmp_path))


def test_the_fingerprint_follows_the_content(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    settings = csv_of(path, 30)
    first = data_fingerprint(settings)
    assert first == data_fingerprint(settings) and len(first) == 64
    content = path.read_bytes()
    path.write_bytes(content.replace(b"29", b"28"))
    os.utime(path, ns=(1, 1))
    assert data_fingerprint(settings) != first
    path.write_bytes(content)
    assert data_fingerprint(settings) == first
    moved = path.rename(tmp_path / "other.csv")
    assert data_fingerprint(DataSettings(source="csv", path=str(moved))) == first
    with pytest.raises(DataError, match="There is no file"):
        data_fingerprint(settings)


def test_a_file_is_read_again_only_when_it_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = csv_of(tmp_path / "mine.csv", 30)
    first = data_fingerprint(settings)
    monkeypatch.setattr("hashlib.file_digest", None)
    assert data_fingerprint(settings) == first


def test_fingerprints_tell_sources_tasks_and_files_apart(tmp_path: Path) -> None:
    glue_files.write_task(tmp_path, "RTE")
    glue_files.write_task(tmp_path, "QNLI")
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text(name)
    settings = [
        DataSettings(),
        *(DataSettings(source="glue_folder", path=str(tmp_path), task=task) for task in ("RTE", "QNLI")),
        *(DataSettings(source="glue_hub", task=task) for task in ("RTE", "QNLI")),
        *(text_settings(path) for path in (tmp_path, tmp_path / "a.txt", tmp_path / "b.txt")),
    ]
    found = [data_fingerprint(one) for one in settings]
    assert len(set(found)) == len(found)
    glue_files.write(tmp_path / "RTE" / "dev.tsv", glue_files.lines("RTE", 21, "dev"))
    assert data_fingerprint(settings[1]) != found[1]
    (tmp_path / "RTE" / "train.tsv").unlink()
    with pytest.raises(DataError, match="There is no RTE/train.tsv"):
        data_fingerprint(settings[1])


def test_outlines_and_fingerprints_load_no_torch() -> None:
    code = (
        "import sys, core.data.outline as o, core.data.fingerprint as f; from core.sections import DataSettings as D;"
        "o.text_outline(D(), 'labels'); f.data_fingerprint(D());"
        "print([name for name in ('torch', 'transformers', 'sklearn', 'datasets', 'streamlit') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("source", ["rotten_tomatoes", "imdb"])
@pytest.mark.parametrize("most", [None, 1_001])
def test_the_outline_of_the_bundled_texts_is_exact(source: str, most: int | None) -> None:
    settings = DataSettings(source=source, max_examples=most)
    outline, data = text_outline(settings, "labels"), load_labelled(settings)
    assert (outline.train, outline.validation, outline.test) == (len(data.train), len(data.validation), len(data.test))
    assert outline.exact and outline.examples == (most or {"rotten_tomatoes": 8_530, "imdb": 24_902}[source])
    assert outline.pieces == pytest.approx({"rotten_tomatoes": 27.4, "imdb": 125}[source], rel=0.03)
    assert text_outline(settings.model_copy(update={"max_tokens": 16}), "labels").pieces <= 16


def test_for_masked_words_an_example_is_a_block() -> None:
    """Measured with the bundled vocabulary: 2.845 blocks of at most 126 pieces in a review, 21.4 of at most 14."""
    outline = text_outline(DataSettings(source="imdb", max_examples=4_000), "masked_words")
    assert outline.train == pytest.approx(2.845 * 3_200, rel=0.05) and outline.pieces <= 128
    assert outline.validation == outline.test == pytest.approx(2.845 * 400, rel=0.05)
    short = text_outline(DataSettings(source="imdb", max_examples=4_000, max_tokens=16), "masked_words")
    assert short.examples == pytest.approx(21.4 * 4_000, rel=0.05)


@pytest.mark.parametrize("split", ["auto", "random", "merged"])
@pytest.mark.parametrize("task", ["SST-2", "CoLA", "MNLI"])
def test_the_outline_of_a_small_glue_folder_is_exact(tmp_path: Path, task: str, split: str) -> None:
    glue_files.write_task(tmp_path, task, train=300, dev=40)
    settings = DataSettings(source="glue_folder", path=str(tmp_path), task=task, split=split)
    outline, data = text_outline(settings, "labels"), load_labelled(settings)
    assert (outline.train, outline.validation, outline.test) == (len(data.train), len(data.validation), len(data.test))
    assert outline.exact
    documents = load_documents(settings)
    words = text_outline(settings.model_copy(update={"max_tokens": 8}), "masked_words")
    assert words.examples <= 3 * sum(map(len, parts(documents)))


def test_a_file_about_as_large_as_the_official_one_is_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.data.outline.COUNTED", 0)
    glue_files.write_task(tmp_path, "CoLA", train=8_551, dev=1_043)
    settings = DataSettings(source="glue_folder", path=str(tmp_path), task="CoLA")
    outline = text_outline(settings, "labels")
    assert (outline.train, outline.validation, outline.test) == (7_696, 855, 1_043) and outline.exact
    glue_files.write_task(tmp_path, "CoLA", train=30_000, dev=1_043)
    outline = text_outline(settings, "labels")
    assert outline.train + outline.validation == pytest.approx(30_000, rel=0.05) and not outline.exact


def test_the_hub_is_outlined_only_where_the_network_is_on(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = DataSettings(source="glue_hub", task="MRPC")
    monkeypatch.delenv("DISTILLERY_NETWORK", raising=False)
    with pytest.raises(DistilleryError, match="DISTILLERY_NETWORK=1"):
        text_outline(settings, "labels")
    monkeypatch.setenv("DISTILLERY_NETWORK", "1")
    outline = text_outline(settings, "labels")
    assert (outline.train, outline.validation, outline.test) == (3_301, 367, 408)
    assert outline.pieces == pytest.approx(TASKS["MRPC"].pieces, rel=0.02)


def test_a_large_file_is_outlined_from_its_beginning(tmp_path: Path) -> None:
    settings = csv_of(tmp_path / "large.csv", 200_000, words=20)
    outline = text_outline(settings, "labels")
    smaller = csv_of(tmp_path / "smaller.csv", 20_000, words=20)
    assert work(lambda: text_outline(settings, "labels")) < 1.5 * work(lambda: text_outline(smaller, "labels"))
    assert outline.examples == pytest.approx(200_000, rel=0.05) and not outline.exact
    assert outline.pieces == pytest.approx(2 + 21 * 1.08, rel=0.02)
    paragraphs = "\n\n".join(f"{'word ' * 40}{i}" for i in range(20_000))
    (tmp_path / "large.txt").write_text(paragraphs, encoding="utf-8")
    words = text_outline(text_settings(tmp_path / "large.txt"), "masked_words")
    assert words.examples == pytest.approx(20_000, rel=0.05)


def test_a_sample_that_ends_inside_a_quoted_text_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = csv_of(tmp_path / "mine.csv", 2_000, words=10)
    path = tmp_path / "mine.csv"
    path.write_text(path.read_text().replace("word word", "word\nword"), encoding="utf-8")
    for sample in range(5_000, 5_200):
        monkeypatch.setattr("core.data.outline.SAMPLE", sample)
        assert text_outline(settings, "labels").examples == pytest.approx(2_000, rel=0.1)


@pytest.mark.parametrize("objective", ["labels", "masked_words"])
def test_an_outline_says_early_what_cannot_be_used(tmp_path: Path, objective: str) -> None:
    for settings, reason in {
        DataSettings(source="csv", path=str(tmp_path / "none.csv")): "There is no file",
        csv_of(tmp_path / "mine.csv", 40).model_copy(update={"text_column": "x"}): "no column 'x'",
        DataSettings(source="glue_folder", path=str(tmp_path), task="RTE"): "has no GLUE task at all",
        text_settings(tmp_path): "no .txt file",
    }.items():
        with pytest.raises(DistilleryError, match=reason):
            text_outline(settings, objective)


def test_outlines_are_plain_numbers() -> None:
    outline = text_outline(DataSettings(), "labels")
    json.dumps([outline.examples, outline.train, outline.pieces, outline.exact])
