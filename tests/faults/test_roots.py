"""With DISTILLERY_DATA_ROOTS no field opens a file elsewhere: a secret outside is neither read nor shown."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from core.data.documents import load_documents
from core.data.files import as_path
from core.data.labelled import load_labelled
from core.data.outline import text_outline
from core.errors import DistilleryError
from core.models.outline import teacher_outline
from core.sections import DataSettings, TeacherSettings
from tests.fixtures.tiny_models import tiny_teacher, tiny_tokenizer

CANARY = "the-canary-of-the-roots"

_watched: list[tuple[str, list[str]]] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if (
        _watched
        and event in ("open", "os.scandir", "os.listdir")
        and isinstance(arguments[0], str | bytes | os.PathLike)
    ):
        outside, opened = _watched[-1]
        if os.path.realpath(os.fsdecode(arguments[0])).startswith(outside):
            opened.append(os.fsdecode(arguments[0]))


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What was opened of a folder outside the one allowed root; that root holds links and folders that lead there."""
    if not getattr(_hook, "is_in", False):
        sys.addaudithook(_hook)
        _hook.is_in = True
    root, outside = tmp_path / "root", tmp_path / "outside"
    outside.mkdir()
    (root / "inner").mkdir(parents=True)
    (root / "inner" / "mine.csv").write_text("text,label\n" + "".join(f"fine {n},{n % 2}\n" for n in range(40)))
    for name in ("secret.csv", "secret.txt", "config.json", "train.tsv"):
        (outside / name).write_text(f"text,label\n{CANARY},1\n" * 20)
    _model(outside / "model")
    (root / "link").symlink_to(outside)
    (root / "link.csv").symlink_to(outside / "secret.csv")
    (root / "link.txt").symlink_to(outside / "secret.txt")
    (root / "loop").symlink_to("loop")
    monkeypatch.setenv("DISTILLERY_DATA_ROOTS", str(root))
    monkeypatch.chdir(root)
    found: list[str] = []
    _watched.append((str(outside), found))
    yield found
    _watched.pop()


def _model(folder: Path) -> None:
    from core.models.saved import save_model

    save_model(tiny_teacher(), tiny_tokenizer(), folder)


def paths(outside: Path) -> list[str]:
    """Ways to name something outside the root, by itself or from within."""
    names = ["secret.csv", "secret.txt", "", "model", "config.json"]
    tails = [f"{outside}/{name}" for name in names] + [f"../outside/{name}" for name in names]
    tails += [f"inner/../../outside/{name}" for name in names] + [f"./inner/./../../outside//{name}" for name in names]
    tails += [f"link/{name}" for name in names] + ["link.csv", "link.txt", "link/../outside/secret.csv", "loop"]
    tails += [
        "/etc/passwd",
        "/etc",
        "/",
        "/proc/self/environ",
        "/dev/stdin",
        "/dev/zero",
        "~root/.bashrc",
        "~",
        "..",
        ".",
    ]
    tails += [f"/proc/self/root{outside}/secret.csv", "/proc/self/cwd/../outside/secret.csv", f" {outside}/secret.csv "]
    tails += [
        f"file://{outside}/secret.csv",
        "http://192.0.2.1/x.csv",
        "//192.0.2.1/share/x.csv",
        "\\\\host\\share\\x.csv",
    ]
    tails += [
        "inner/mine.csv\0.csv",
        "inner/mine.csv/../../../outside/secret.csv",
        "x" * 4_000,
        "~nobody-at-all/x",
        "\ud800",
    ]
    return tails


READERS: dict[str, Callable[[str], Any]] = {
    "a CSV": lambda path: load_labelled(DataSettings.model_construct(**_data("csv", path))),
    "the outline of a CSV": lambda path: text_outline(DataSettings.model_construct(**_data("csv", path)), "labels"),
    "plain text": lambda path: load_documents(DataSettings.model_construct(**_data("text", path))),
    "a GLUE folder": lambda path: load_labelled(DataSettings.model_construct(**_data("glue_folder", path))),
    "a teacher": lambda path: teacher_outline(TeacherSettings.model_construct(**_teacher(path))),
}


def _data(source: str, path: str) -> dict[str, Any]:
    return DataSettings().model_dump() | {"source": source, "path": path}


def _teacher(path: str) -> dict[str, Any]:
    return TeacherSettings().model_dump() | {"source": "folder", "path": path}


@pytest.mark.parametrize("reader", READERS)
def test_nothing_outside_the_roots_is_opened_or_shown(opened: list[str], tmp_path: Path, reader: str) -> None:
    tried = paths(tmp_path / "outside")
    assert len(tried) >= 50
    for path in tried:
        with pytest.raises(DistilleryError) as caught:
            READERS[reader](path)
        assert CANARY not in str(caught.value) and "root:x" not in str(caught.value), path
    assert opened == []


def test_what_lies_in_a_root_is_read_and_without_roots_everything(
    opened: list[str], tmp_path: Path, monkeypatch
) -> None:
    mine = tmp_path / "root" / "inner" / "mine.csv"
    assert len(load_labelled(DataSettings(source="csv", path=str(mine))).train) > 20
    monkeypatch.setenv("DISTILLERY_DATA_ROOTS", f"/nowhere{os.pathsep}{tmp_path / 'root'}")
    assert as_path("inner/mine.csv")
    monkeypatch.delenv("DISTILLERY_DATA_ROOTS")
    assert as_path(f"{tmp_path}/outside/secret.csv").exists()
    assert opened == []
