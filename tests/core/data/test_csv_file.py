"""The CSV reader: every row exact, and for every file that cannot be used the line and the reason."""

from __future__ import annotations

import gzip
import io
import os
import random
import zipfile
from pathlib import Path

import numpy as np
import pytest

from core.data import csv_labels
from core.data.csv_file import TRAINING, UPLOAD, Limits, parse_csv, read_csv
from core.data.csv_labels import labelled_csv
from core.data.files import DataError, decode, shown
from core.data.labelled import load_labelled
from core.errors import DistilleryError
from core.sections import DataSettings

ODD = [
    "NA",
    "null",
    "None",
    "nan",
    "123",
    "True",
    "1e5",
    "#N/A",
    "=1+1",
    "é ü 🎬",
    'he said "hi"',
    "a,b;c\td",
    "two\nlines",
]


def workbook() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return content.getvalue()


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def rows(count: int = 40, label: str = "") -> list[str]:
    return [f"text {number},{label or 'ab'[number % 2]}" for number in range(count)]


@pytest.fixture
def settings_of(tmp_path: Path):
    """Write a CSV and return settings for it: `settings_of("text,label", *rows, label_kind="score")`."""

    def write(*lines: str, **settings) -> DataSettings:
        (tmp_path / "mine.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return DataSettings(source="csv", path=str(tmp_path / "mine.csv"), **settings)

    return write


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_values_stay_the_texts_they_are(delimiter: str, encoding: str, end: str) -> None:
    lines = [
        f"text{delimiter}label",
        *(f"{quoted(text)}{delimiter}{i}" for i, text in enumerate(ODD) if "\n" not in text),
    ]
    table = parse_csv((end.join(lines) + end).encode(encoding), "mine.csv")
    assert table.columns == ("text", "label") and table.delimiter == delimiter
    assert [row[0] for row in table.rows] == [text for text in ODD if "\n" not in text]
    assert table.lines == list(range(2, len(lines) + 1))


def test_a_quoted_text_may_span_lines_and_rows_know_where_they_begin() -> None:
    table = parse_csv(b'text,label\n\n"one\ntwo",a\n,\nthree,b', "mine.csv")
    assert table.rows == [["one\ntwo", "a"], ["three", "b"]]
    assert table.lines == [3, 6]


def test_line_ends_inside_texts_are_only_those_of_files() -> None:
    """A next-line sign and a line separator are characters of a text, though Python's splitlines cuts there."""
    table = parse_csv("text,label\na\x85b\u2028c\x0cd,1\n".encode(), "mine.csv")
    assert table.rows == [["a\x85b\u2028c\x0cd", "1"]]


def test_a_giant_text_is_one_value() -> None:
    assert len(parse_csv(b"text,label\n" + b"x" * 3_000_000 + b",1\n", "mine.csv").rows[0][0]) == 3_000_000


BAD = {
    "empty": (b"", "mine.csv is empty"),
    "newline": (b"\n\n", "mine.csv is empty"),
    "mark only": (b"\xef\xbb\xbf", "mine.csv is empty"),
    "header only": (b"text,label\n\n,\n", "header but no rows"),
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "a PNG image"),
    "zip": (b"PK\x03\x04" + bytes(99), "a ZIP archive"),
    "xlsx": (workbook(), "an Excel workbook"),
    "xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99), "an old Excel"),
    "gzip": (gzip.compress(b"text,label\na,1\n"), "a gzip archive"),
    "pdf": (b"%PDF-1.7 ...", "a PDF"),
    "html": (b"\n <!DOCTYPE html><html><body>text,label</body>", "a web page"),
    "parquet": (b"PAR1" + bytes(99), "a Parquet file"),
    "numbers": (os.urandom(4) + bytes(4000), "a binary file"),
    "utf-16 without mark": ("text,label\na,1\n".encode("utf-16-le"), "UTF-16 without its mark"),
    "latin-1": ("text,label\nok,1\ncafé,2\n".encode("latin-1"), r"line 3: this is not UTF-8 \(byte 0xe9\)"),
    "surrogate": (b"text,label\n\xed\xa0\x80,1\n", "line 2: this is not UTF-8"),
    "half utf-16": ("text,label\n".encode("utf-16") + b"x", "begins like UTF-16"),
    "unclosed quote": (b'text,label\na,1\n"b,2\nc,3\n', "line 3: a quotation mark .* closed, up to the end in line 4"),
    "text after quote": (b'text,label\n"a" and b,1\n', "line 2: something follows a closing quotation mark"),
    "long from row 1": (b"text,label\na,1,x\nb,2,y\n", "line 2: this row has 3 values, but the header names 2"),
    "comma in text": (b"text,label\na,1\nwell, no,2\n", "line 3: .* A text that holds a comma must stand in quotation"),
    "short": (b"text,label\na,1\nb\n", "line 3: this row has 1 values"),
    "twice": (b"text,label,text\na,1,b\n", "two columns called 'text'"),
    "return in a row": (b"text,label\na\rb,1\n", "line 2: the row cannot be read"),
    "many columns": (b",".join([b"c"] * 101) + b"\n", "101 columns; at most 100"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_file_that_is_no_table_is_named_with_the_reason(case: str) -> None:
    content, reason = BAD[case]
    with pytest.raises(DataError, match=reason) as caught:
        parse_csv(content, "mine.csv")
    assert str(caught.value).startswith("mine.csv") and len(str(caught.value)) < 300


def test_one_bad_byte_far_down_is_found_by_its_line() -> None:
    content = b"text,label\n" + b"fine,1\n" * 50_000 + b"b\xffd,2\n" + b"fine,1\n"
    with pytest.raises(DataError, match="line 50002: this is not UTF-8"):
        parse_csv(content, "mine.csv", TRAINING)


def test_limits_are_stated() -> None:
    small = Limits(size=1_000, rows=3)
    with pytest.raises(DataError, match="more than 3 rows"):
        parse_csv(b"text\na\nb\nc\nd\n", "mine.csv", small)
    with pytest.raises(DataError, match="at most 20 MB are read"):
        parse_csv(bytes(UPLOAD.size + 1), "mine.csv")


def test_nul_characters_are_replaced_and_said() -> None:
    table = parse_csv(b"text,label\na\0b and much more of it,1\n", "mine.csv")
    assert table.rows[0][0].startswith("a\ufffdb")
    assert table.notes == ("mine.csv holds 1 NUL characters; each is read as \ufffd.",)


def test_mutated_files_are_read_or_refused_but_never_break_anything() -> None:
    chance = random.Random(0)
    seed = b'text,label\n"one, two",a\nthree,b\n"fo""ur\nfive",a\n' * 3
    splinters = [b'"', b",", b"\n", b"\r", b"\0", b"\xff", b"\xef\xbb\xbf", b";", b"\t", b""]
    refused = 0
    for _ in range(2_000):
        content = bytearray(seed)
        for _ in range(chance.randint(1, 6)):
            place = chance.randrange(len(content))
            content[place : place + chance.randint(0, 3)] = chance.choice([*splinters, bytes([chance.randrange(256)])])
        try:
            table = parse_csv(bytes(content), "mine.csv")
        except DataError as error:
            refused += 1
            assert str(error).isprintable() or "\ufffd" in str(error)
        else:
            assert all(len(row) == len(table.columns) for row in table.rows)
    assert 200 < refused < 2_000


def test_paths_that_are_no_plain_file_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "huge.csv").touch()
    os.truncate(tmp_path / "huge.csv", TRAINING.size + 1)
    for path, reason in {
        tmp_path / "none.csv": "There is no file",
        tmp_path: "is a folder",
        tmp_path / "pipe": "a pipe or a device",
        Path("/dev/zero"): "a pipe or a device",
        Path("a\0b"): "not a path that can exist",
        Path("a\ud800"): "not a path that can exist",
        Path("x" * 5_000): "cannot be read",
        Path("http://example.org/a.csv"): "There is no file",
        tmp_path / "huge.csv": "at most|more than the 200 MB",
    }.items():
        with pytest.raises(DataError, match=reason) as caught:
            read_csv(path)
        str(caught.value).encode()


def test_foreign_text_in_a_message_is_short_and_plain() -> None:
    assert shown("a\n\x1b[31m\u202e\ud800b") == "'a\ufffd\ufffd[31m\ufffd\ufffdb'"
    assert len(shown("x" * 1_000)) == 62
    with pytest.raises(DataError, match="UTF-8"):
        decode(b"\xff", "mine.txt")


def test_classes_are_sorted_by_name_and_numbers_by_size(settings_of) -> None:
    data = load_labelled(settings_of("text,label", *(f"text {i},{('zebra', 'ape', 'Élan')[i % 3]}" for i in range(60))))
    assert data.label_names == ("ape", "zebra", "Élan") and data.train.labels.dtype == np.int64
    assert [len(part) for part in (data.train, data.validation, data.test)] == [48, 6, 6]
    assert data.train.pairs is None and data.test_split == "test"
    for part in (data.train, data.validation, data.test):
        for text, label in zip(part.texts, part.labels, strict=True):
            assert data.label_names[label] == ("zebra", "ape", "Élan")[int(text.split()[1]) % 3]
    numbers = load_labelled(settings_of("text,label", *(f"text {i},{(10, 9, -1)[i % 3]}" for i in range(60))))
    assert numbers.label_names == ("-1", "9", "10")


def test_pairs_and_other_column_names(settings_of) -> None:
    lines = [f"{i};one {i};{'yes' if i % 2 else 'no'};two {i}" for i in range(40)]
    columns = {"text_column": "first", "pair_column": "second", "label_column": "same"}
    data = load_labelled(settings_of("id;first;same;second", *lines, **columns))
    assert data.train.pairs is not None
    assert [text.replace("one", "two") for text in data.train.texts] == data.train.pairs
    assert data.label_names == ("no", "yes")


@pytest.mark.parametrize(
    ("values", "asked", "expected"),
    [
        (["0.5", "1", "2"], "auto", "score"),
        (["1.0", "0.0"], "auto", "classes"),
        (["1", "2", "3"], "auto", "classes"),
        (["1", "2", "3"], "score", "score"),
        (["0.5", "good"], "auto", "classes"),
        (["0.5", "nan"], "auto", "classes"),
        (["0.5", "1.5"], "classes", "classes"),
        (["-.5", "+1e-3"], "auto", "score"),
    ],
)
def test_labels_are_a_score_where_numbers_have_decimals(
    settings_of, values: list[str], asked: str, expected: str
) -> None:
    texts = labelled_csv(
        settings_of("text,label", *(f"t {i},{values[i % len(values)]}" for i in range(60)), label_kind=asked)
    )
    assert bool(texts.label_names) == (expected == "classes")
    if expected == "score":
        assert texts.part.labels.dtype == np.float32
        assert texts.part.labels[:2] == pytest.approx([float(value) for value in values[:2]])


def test_scores_are_split_without_classes(settings_of) -> None:
    data = load_labelled(settings_of("text,label", *(f"text {i},{i / 10}" for i in range(100))))
    assert data.label_names == () and [len(part) for part in (data.train, data.validation, data.test)] == [80, 10, 10]


UNUSABLE = {
    "no text column": (
        ["words,label", *rows()],
        {},
        "no column 'text'; it has 'words', 'label'. Change data.text_column",
    ),
    "no label column": (["text,class", *rows()], {}, "no column 'label'; .* Change data.label_column"),
    "no pair column": (["text,label", *rows()], {"pair_column": "b"}, "no column 'b'; .* Change data.pair_column"),
    "missing label": (["text,label", *rows(), "more, "], {}, "line 42: the column 'label' is empty"),
    "few rows": (["text,label", *rows(29)], {}, "29 rows with a text; at least 30"),
    "one class": (["text,label", *rows(label="a")], {}, "the same label, so there is nothing to learn"),
    "one score": (["text,label", *rows(label="1.5")], {}, "the same label, so there is nothing to learn"),
    "rare class": (["text,label", *rows(), "odd,c"], {}, "the label 'c' has only 1 rows; each needs at least 10"),
    "free text": (["text,label", *(f"{i},about {i}" for i in range(200))], {}, "200 different labels; at most 100"),
    "no number": (["text,label", *rows(label="1"), "x,4/5"], {"label_kind": "score"}, "line 42: the score is '4/5'"),
    "infinite": (["text,label", *rows(label="1"), "x,inf"], {"label_kind": "score"}, "line 42: the score is 'inf'"),
    "same number": (["text,label", *rows(label="1"), *rows(label="1.0")], {}, "'1' and '1.0' are the same number"),
    "copies": (["text,label", *(f"same,{'ab'[i % 2]}" for i in range(40))], {}, "the same label|too few"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_a_table_that_cannot_be_learned_is_refused_with_the_reason(settings_of, case: str) -> None:
    lines, settings, reason = UNUSABLE[case]
    with pytest.raises(DistilleryError, match=reason):
        load_labelled(settings_of(*lines, **settings))


def test_rows_without_text_are_left_out_and_counted(settings_of) -> None:
    data = load_labelled(settings_of("text,label", *rows(), " ,a", '"",b', "TEXT  1,a"))
    assert sum(len(part) for part in (data.train, data.validation, data.test)) == 40
    assert data.notes == (
        "Rows without a text were left out: 2.",
        "Repeated texts were left out: 1. 1 of them carries another label than the first with this text, for example "
        "line 44 ('a') against line 3 ('b'). Only the first counts.",
    )


def test_a_class_that_a_small_sample_loses_is_said(settings_of) -> None:
    lines = [f"text {i},{'c' if i < csv_labels.FEWEST_IN_CLASS else 'ab'[i % 2]}" for i in range(9_000)]
    with pytest.raises(DistilleryError, match="label 'c' there are .* raise data.max_examples"):
        load_labelled(settings_of("text,label", *lines, max_examples=200))
