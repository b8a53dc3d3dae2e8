"""What an estimate reads of a file's beginning agrees with what the training reads of all of it."""

from __future__ import annotations

import errno
import io
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from core.data import outline
from core.data.csv_file import Table, read_csv, sample_csv
from core.data.documents import load_documents, text_files
from core.data.files import LEAST, DataError, decode, read_beginning, read_bytes
from core.data.fingerprint import data_fingerprint
from core.data.glue import TASKS, read_tsv, sample_tsv
from core.data.labelled import load_labelled
from core.data.outline import text_outline
from core.errors import DistilleryError
from core.sections import DataSettings
from tests.fixtures import glue_files

ENCODINGS = (*["utf-8"] * 6, "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "latin-1")
MARKS = {"utf-16-be": b"\xfe\xff"}
SIGNS = (
    "abc de", "这是一部很好的电影。", "é\u0301ñß ",
    "🎬👩‍👩‍👧 ", "\u200b\ufeff\u00a0x", 'say ""so"" ', "\x85\u2028\x0b ",
)  # fmt: skip
ENDS = ("\n", "\n", "\n", "\r\n", "\r")
GIANT = 3 * LEAST


def words(chance: random.Random, longest: int) -> str:
    signs = chance.choice(SIGNS)
    return (signs * (longest // len(signs) + 1))[: chance.randint(1, longest)].replace('"', '""')


def value(chance: random.Random, longest: int, delimiter: str, end: str) -> str:
    text = words(chance, longest)
    inside = chance.choice(("", "", delimiter, end, end + end))
    return f'"{text}{inside}{text}"' if inside or '"' in text or chance.random() < 0.2 else text.strip() or "x"


def made(chance: random.Random) -> bytes:
    """A CSV file, with a slip here and there: in a third of them none, in the others of many kinds."""
    delimiter, end, encoding = chance.choice(",,;\t"), chance.choice(ENDS), chance.choice(ENCODINGS)
    longest, room = chance.choice((20, 200, 200, GIANT)), chance.choice((500, 5 * LEAST))
    rows = [f"text{delimiter}label"]
    while room > 0:
        rows.append(delimiter.join((value(chance, longest, delimiter, end), chance.choice("ab"))))
        room -= len(rows[-1])
    slip, place = chance.randrange(24), max(chance.randrange(len(rows)), chance.randrange(len(rows)))
    if slip < 8:
        rows[place] = {
            0: rows[place] + delimiter + "x",
            1: "alone",
            2: '"never closed' + rows[place],
            3: '"closed" too early' + rows[place],
            4: rows[place].replace("label", "text"),
            5: rows[place] + "\0",
            6: end * GIANT + rows[place],
            7: f'"{"wide" * GIANT}"{delimiter}a',
        }[slip]
    content = MARKS.get(encoding, b"") + end.join(rows + [""] * chance.randint(0, 1)).encode(encoding, "replace")
    at = max(chance.randrange(len(content)), chance.randrange(len(content)))
    if slip == 8:
        return content[:at] + chance.choice((b"\xff", b"\xe8", b"\xed\xa0\x80")) + content[at:]
    if slip == 9:
        return content[:at]
    if slip == 10:
        return chance.choice((b"PK\x03\x04", b"%PDF", b"\x1f\x8b", b"<html>", b"\0" * 900, b"")) + content
    return b"" if slip == 11 and chance.random() < 0.2 else content


def answer(ask: Callable[[], Table]) -> Table | str:
    try:
        return ask()
    except DataError as error:
        return str(error)


def test_sample_and_full_reader_agree_on_a_thousand_files(tmp_path: Path) -> None:
    """The first rows are the same, and so is every refusal that lies within them; never one that the other has not."""
    chance, path, seen = random.Random(12), tmp_path / "mine.csv", {"both": 0, "neither": 0, "behind": 0, "part": 0}
    for number in range(1_000):
        path.write_bytes(content := made(chance))
        full = answer(lambda: read_csv(path))
        sampled = answer(lambda: sample_csv(path, chance.randint(LEAST, 2 * LEAST)))
        where = f"file {number} of {len(content)} bytes: {full if isinstance(full, str) else ''} {sampled!s:.200}"
        if isinstance(sampled, str):
            assert sampled == full, where
            seen["neither"] += 1
            continue
        table, rows, is_whole = sampled
        if isinstance(full, str):
            assert not is_whole, where
            # What is wrong comes behind the rows that were read: with these alone, both would agree.
            assert _line_of(full, content) > table.lines[-1], where
            seen["behind"] += 1
            continue
        count = len(table.rows)
        assert (table.columns, table.delimiter) == (full.columns, full.delimiter), where
        assert (table.rows, table.lines) == (full.rows[:count], full.lines[:count]), where
        assert not is_whole or rows == count == len(full.rows), where
        seen["both" if is_whole else "part"] += 1
    assert min(seen.values()) >= 40, seen


def _line_of(refusal: str, content: bytes) -> int:
    """The line in which what is wrong shows; of a whole file in no line, the one behind its last."""
    line = refusal.partition(", line ")[2].partition(":")[0]
    return int(line.replace(",", "")) if line.isdecimal() else content.count(b"\n") + content.count(b"\r") + 2


def test_a_beginning_ends_with_a_whole_character_wherever_it_is_cut(tmp_path: Path) -> None:
    text = "a这é\u0301👩‍👩‍👧\n" * 2_000
    path = tmp_path / "mine.txt"
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32"):
        path.write_bytes(text.encode(encoding))
        for count in range(LEAST, LEAST + 40):
            for whole_lines in (False, True):
                found = read_beginning(path, count, "mine.txt", whole_lines=whole_lines)
                assert text.startswith(found.text) and 0 < found.read <= count and not found.is_whole
                assert len(found.text.encode(encoding)) == pytest.approx(found.read, abs=8)
                assert not whole_lines or found.text.endswith("\n")
    assert read_beginning(path, 10**6, "mine.txt").text == decode(read_bytes(path), "mine.txt") == text


@pytest.mark.parametrize("sign", ["的", "é", "👩", "a"])
@pytest.mark.parametrize("objective", ["labels", "masked_words"])
def test_one_giant_line_is_text_in_every_script(tmp_path: Path, sign: str, objective: str) -> None:
    """239 KB without a line feed: what the sample ends in is part of a character."""
    text = "".join(f"{sign * 30}{number}。" for number in range(239_000 // len(f"{sign * 30}1234。".encode())))
    (tmp_path / "mine.txt").write_text(f"x{text}", encoding="utf-8")
    (tmp_path / "mine.csv").write_text(f'text,label\n"{text}",a\n' + "".join(f"{i},b\n" for i in range(90)), "utf-8")
    if objective == "masked_words":
        settings = DataSettings(source="text", path=str(tmp_path / "mine.txt"))
        assert len(load_documents(settings).train) > 10
    else:
        settings = DataSettings(source="csv", path=str(tmp_path / "mine.csv"))
        assert sample_csv(tmp_path / "mine.csv", outline.SAMPLE)[0].columns == ("text", "label")
    if objective == "masked_words":
        assert text_outline(settings, objective).examples > 10


def labelled_rows(chance: random.Random) -> str:
    """A small file that may or may not do: few rows, few of a class, copies, contradictions, empty labels, scores."""
    labels = chance.choice((("a", "b"), ("a", "b", "c"), ("a", "A"), ("1", "2.5"), ("1", "1.0"), ("a",), ("a", "")))
    count, copies = chance.choice((5, 29, 30, 31, 45, 60, 250)), chance.choice((0, 0, 0.1, 0.5, 0.9))
    rows, texts = [], []
    for number in range(count):
        texts.append(chance.choice(texts) if texts and chance.random() < copies else f"text {number}")
        rows.append(f"{texts[-1] if chance.random() < 0.98 else ' '},{chance.choice(labels)}")
    return "\n".join(("text,label", *rows))


def test_the_outline_of_a_small_file_counts_and_refuses_what_the_training_does(tmp_path: Path) -> None:
    chance, path, refused = random.Random(3), tmp_path / "mine.csv", 0
    for number in range(150):
        path.write_text(labelled_rows(chance), encoding="utf-8")
        settings = DataSettings(source="csv", path=str(path), max_examples=chance.choice((None, None, 200)))
        try:
            data = load_labelled(settings)
        except DistilleryError as error:
            with pytest.raises(DistilleryError) as caught:
                text_outline(settings, "labels")
            assert str(caught.value) == str(error), f"file {number}: {path.read_text()[:2000]}"
            refused += 1
            continue
        found = text_outline(settings, "labels")
        assert found.exact and (found.train, found.validation, found.test) == (
            len(data.train), len(data.validation), len(data.test)
        )  # fmt: skip
        assert found.remarks == data.notes
    assert 30 < refused < 120


def test_the_outline_of_a_small_text_refuses_what_the_training_does(tmp_path: Path) -> None:
    chance, path = random.Random(5), tmp_path / "mine.txt"
    for _ in range(100):
        words = [f"word{chance.randrange(30)}. " * chance.randrange(4) for _ in range(chance.choice((0, 5, 30, 90)))]
        path.write_text(chance.choice(("\n\n", "\n", " ")).join(words), encoding="utf-8")
        settings = DataSettings(source="text", path=str(path))
        full, sampled = (
            answer(lambda ask=ask, settings=settings: ask(settings))
            for ask in (load_documents, lambda settings: text_outline(settings, "masked_words"))
        )
        assert isinstance(full, str) == isinstance(sampled, str) and (not isinstance(full, str) or full == sampled)


def test_the_sample_of_a_glue_file_agrees_with_its_reader(tmp_path: Path) -> None:
    chance, path = random.Random(7), tmp_path / "train.tsv"
    for task in ("SST-2", "MRPC", "STS-B", "CoLA"):
        for _ in range(40):
            lines = glue_files.lines(task, chance.choice((3, 60, 400)))
            place = chance.randrange(1, len(lines))
            longer = chance.choice(("", "", "长" * GIANT, "\tx", "\n" * GIANT, "\n" + "-"))
            glue_files.write(path, [*lines[:place], lines[place] + longer, *lines[place + 1 :]])
            full = answer(lambda task=task: read_tsv(path, TASKS[task])[0])
            sampled = answer(lambda task=task: sample_tsv(path, TASKS[task], chance.randint(LEAST, 2 * LEAST)))
            if isinstance(sampled, str):
                assert sampled == full
            elif not isinstance(full, str):
                part, beginning = sampled
                assert part.texts == full.texts[: len(part)] and (not beginning.is_whole or len(part) == len(full))
            else:
                assert not sampled[1].is_whole


# A bad disk


class Failing(io.RawIOBase):
    """A file whose disk gives out after so many bytes."""

    def __init__(self, path: Path, good: int) -> None:
        super().__init__()
        self._file, self._good = path.open("rb", buffering=0), good

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._file.fileno()

    def seek(self, place: int, whence: int = 0) -> int:
        return self._file.seek(place, whence)

    def readinto(self, buffer: memoryview) -> int:
        if self._file.tell() >= self._good:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return self._file.readinto(memoryview(buffer)[: max(1, self._good - self._file.tell())])

    def close(self) -> None:
        self._file.close()
        super().close()


READERS: dict[str, Callable[[Path], object]] = {
    "a CSV": lambda path: read_csv(path / "mine.csv"),
    "the beginning of a CSV": lambda path: sample_csv(path / "mine.csv", LEAST),
    "a text": lambda path: load_documents(DataSettings(source="text", path=str(path / "mine.txt"))),
    "the beginning of a text": lambda path: text_outline(
        DataSettings(source="text", path=str(path / "mine.txt")), "masked_words"
    ),
    "a GLUE file": lambda path: load_labelled(DataSettings(source="glue_folder", path=str(path), task="RTE")),
    "the beginning of a GLUE file": lambda path: text_outline(
        DataSettings(source="glue_folder", path=str(path), task="RTE"), "labels"
    ),
    "what data it is": lambda path: data_fingerprint(DataSettings(source="csv", path=str(path / "mine.csv"))),
}


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    rows = "".join(f"word {number},{'ab'[number % 2]}\n" for number in range(3_000))
    (tmp_path / "mine.csv").write_text("text,label\n" + rows, encoding="utf-8")
    (tmp_path / "mine.txt").write_text("\n\n".join(f"A text {number}." for number in range(3_000)), encoding="utf-8")
    glue_files.write_task(tmp_path, "RTE", train=300, dev=40)
    return tmp_path


@pytest.mark.parametrize("good", [0, 5_000])
@pytest.mark.parametrize("reader", READERS)
def test_a_disk_that_gives_out_is_named_with_its_file(
    reader: str, good: int, inputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.data.files.open_plain_file", lambda path: io.BufferedReader(Failing(path, good), 512))
    with pytest.raises(DataError, match=r"(mine|train)\.\w+' cannot be read: Input/output error\."):
        READERS[reader](inputs)


@pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="no file here fails when it is read")
@pytest.mark.parametrize("reader", READERS)
def test_a_real_error_of_reading_is_named_too(reader: str, inputs: Path) -> None:
    for name in ("mine.csv", "mine.txt", "RTE/train.tsv"):
        (inputs / name).unlink()
        (inputs / name).symlink_to("/proc/self/mem")  # a plain file that can be opened, and whose first byte is none
    with pytest.raises(DataError, match="cannot be read: Input/output error"):
        READERS[reader](inputs)


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.ESTALE, errno.ENAMETOOLONG])
@pytest.mark.parametrize("reader", READERS)
def test_a_path_that_cannot_be_looked_at_is_named_too(
    reader: str, number: int, inputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stat = os.stat

    def fail(path: object, **options: object) -> os.stat_result:
        if isinstance(path, int) or not Path(os.fspath(path)).is_relative_to(inputs):
            return stat(path, **options)
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(os, "stat", fail)
    if reader in ("a CSV", "the beginning of a CSV"):
        READERS[reader](inputs)  # a path that was looked at before is opened at once
    else:
        with pytest.raises(DataError):
            READERS[reader](inputs)


def test_a_folder_of_texts_that_cannot_be_listed_is_named(inputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(inputs))

    monkeypatch.setattr(os, "scandir", fail)
    with pytest.raises(DataError, match="cannot be read: Input/output error"):
        text_files(DataSettings(source="text", path=str(inputs)))
