"""Reading what lies in a folder that may come from anywhere: plain files of bounded size, JSON as others know it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from core.persisted import read_if_there, read_kept, write_kept
from core.storage import DEEPEST, BrokenRun, parse_json, read_json, read_plain, write_json

NOT_PLAIN: dict[str, Callable[[Path], object]] = {
    "a folder": lambda path: path.mkdir(),
    "a pipe that nobody writes into": os.mkfifo,
    "a device without end": lambda path: path.symlink_to("/dev/zero"),
    "a link to a file elsewhere": lambda path: path.symlink_to(path.parent.parent / "elsewhere.json"),
    "a link to itself": lambda path: path.symlink_to(path),
    "a link to nothing": lambda path: path.symlink_to("nothing"),
}


@pytest.mark.parametrize("kind", NOT_PLAIN)
def test_what_is_not_a_plain_file_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    write_json(tmp_path / "elsewhere.json", {"a": 1})
    path = tmp_path / "run" / "status.json"
    path.parent.mkdir()
    NOT_PLAIN[kind](path)
    with pytest.raises(BrokenRun, match=r"^run/status\.json cannot be read: it is (a link|not a plain file)\.$"):
        read_json(path)
    with pytest.raises(BrokenRun, match=r"run/status\.json"):
        read_if_there(path)


def test_a_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"x" * 1000)
    assert len(read_plain(path, 1000)) == 1000
    path.write_bytes(b"x" * 1001)
    with pytest.raises(OSError, match=r"it is larger than 0\.001 MB"):
        read_plain(path, 1000)


def test_a_sparse_file_of_a_terabyte_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.touch()
    os.truncate(path, 10**12)
    with pytest.raises(BrokenRun, match="it is larger than 1 MB"):
        read_json(path)


REFUSED = {
    "NaN": '{"a": NaN}',
    "infinity": '{"a": -Infinity}',
    "a number without end": '{"a": 1e400}',
    "a long number with a point": '{"a": 1' + "0" * 400 + ".5}",
    "more than 64 bits": '{"a": 9223372036854775808}',
    "half a character": r'{"a": "\ud800"}',
    "half a character in a name": r'{"\uDFFF": 1}',
    "the halves the wrong way round": r'{"a": "\udfff\ud800"}',
    "too many brackets": "[" * (DEEPEST + 1) + "]" * (DEEPEST + 1),
    "brackets that Python still reads": '{"a":' * 985 + "1" + "}" * 985,
    "brackets without end": "[" * 100_000,
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_no_other_program_would_take_is_no_json(kind: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_json(REFUSED[kind])


def test_what_others_write_is_read() -> None:
    deep = "[" * DEEPEST + "]" * DEEPEST
    for text in (r'{"a": "\ud83c\udfac and \\ud800"}', '{"a": [[], [], []]}', deep, "[[1], " * 1 + "2]", "1e-400"):
        assert parse_json(text) == json.loads(text)
    wide = json.dumps([[1]] * 1000)
    assert parse_json(wide) == [[1]] * 1000


def test_a_kept_file_says_its_format_and_one_without_is_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "about.json"
    write_kept(path, {"name": "one"})
    assert read_json(path) == {"format": 1, "name": "one"}
    assert read_kept(path) == {"name": "one"}
    write_json(path, {"name": "one"})
    assert read_kept(path) == read_if_there(path) == {"name": "one"}
    assert read_if_there(tmp_path / "nothing.json") is None


def test_a_later_format_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "about.json"
    write_kept(path, {"name": "one"}, format=3)
    assert read_kept(path, newest=3) == {"name": "one"}
    with pytest.raises(BrokenRun, match=r"about\.json was made by a newer version of Distillery"):
        read_kept(path, newest=2)


@pytest.mark.parametrize("format", [None, True, 0, -1, 1.0, "1", [], {}])
def test_a_format_that_is_none_is_refused(tmp_path: Path, format: object) -> None:
    path = tmp_path / "about.json"
    write_json(path, {"format": format})
    with pytest.raises(BrokenRun, match=r"about\.json has the format"):
        read_kept(path)
