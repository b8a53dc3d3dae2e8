"""Every field of every file that is kept, with hostile values in its place.

`run_and_job` makes a finished run and a GLUE job that have every such file; `edits` names every field of a file and
gives the file with each of the values in its place; `whole_files` puts something else in the place of the whole file.
What readers make of it stands in `edited_readers`, what pages make of it in `edited_pages`.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.export.onnx_forms import FILES, FOLDER, MANIFEST, content_sha256
from core.jobs.owner import this_process
from core.models.folder import WEIGHTS
from core.persisted import write_kept
from core.runs import folder as runs
from core.runs.about import write_about
from core.runs.comparable import model_folders
from core.scoring import held_out, held_out_words
from core.storage import write_json
from tests.fixtures.made_glue_jobs import TIMING, cell, make_job
from tests.fixtures.made_measurements import made_measurement
from tests.fixtures.tiny_models import finished_run

DEEP = 985
VALUES: dict[str, str] = {
    "null": "null",
    "true": "true",
    "below zero": "-1",
    "zero": "0",
    "half": "0.5",
    "no finite number": "1e400",
    "no number": "NaN",
    "65 bits": str(2**63),
    "large": "1e300",
    "empty text": '""',
    "a number as text": '"0.5"',
    "long text": json.dumps("x" * 100_000),
    "a formula": json.dumps('=HYPERLINK("http://evil.example/","x")'),
    "a way out": json.dumps("../../../../etc/passwd"),
    "half a character": r'"\ud800"',
    "empty list": "[]",
    "empty object": "{}",
    "deep": "[" * DEEP + "]" * DEEP,
}
"""As they stand in a file: some of them no JSON writer would write."""

HERE = "the place of the value"

WHOLE: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: None,
    "empty": lambda path: path.write_bytes(b""),
    "zeroed": lambda path: path.write_bytes(b"\0" * 500),
    "not UTF-8": lambda path: path.write_bytes(b'{"name": "\xff\xfe"}'),
    "a list": lambda path: path.write_bytes(b"[]"),
    "a later format": lambda path: path.write_bytes(b'{"format": 1000}'),
    "a terabyte": lambda path: (path.touch(), os.truncate(path, 10**12)),
    "a folder": lambda path: path.mkdir(),
    "a pipe": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a link elsewhere": lambda path: path.symlink_to("/etc/hostname"),
}


@dataclass(frozen=True)
class Edit:
    """One change of one file: `file` below the folder, `place` of the field (empty for the whole file), and with what.

    `apply` changes a copy of the folder.
    """

    file: str
    place: str
    value: str
    apply: Callable[[Path], object]

    def __str__(self) -> str:
        return f"{self.file} {self.place or 'as a whole'} = {self.value}"


def run_and_job(home: Path, words: bool = False) -> tuple[Path, Path]:
    """A finished run and a GLUE job with every file that either can keep. Returns their folders."""
    objective = "masked_words" if words else "labels"
    run = finished_run(home, objective=objective, key="fedcba9876543210" if words else "0123456789abcdef")
    owned = runs.Status("finished", "The run is finished.", "student", 2, 2, owner=this_process())
    runs.write_status(run, owned)
    write_about(run, "My run", "Notes.")
    made_measurement(run)
    _export(run)
    (_keep_words if words else _keep_labels)(run)
    (run / "log.txt").write_text("2026-11-22 12:00:00 A line.\n")
    cells = [cell(task, role) for task in ("CoLA", "MNLI") for role in ("teacher", "student", "control")]
    cells.append(cell("STS-B", way="zero-shot", mismatched={"accuracy": 0.5}, reasons={"accuracy": "None."}))
    cells.append(cell("RTE", way="distilled again", recipe={"epochs": 3, "teacher": "teacher-0123456789ab"}))
    return run, make_job(home, cells, timing=TIMING, planned=[cell("QQP")], state="finished")


def files_of(folder: Path) -> list[str]:
    """The JSON files below a run or job that this program reads, but for models' own."""
    found = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.json*"))
    cells = [name for name in found if name.startswith("cells/")]
    # Cells are alike; the last one has the fields that others leave out.
    return [name for name in found if name not in cells[:-3] and "tokenizer" not in name]


def edits(folder: Path) -> Iterator[Edit]:
    """Every change of one field or one whole file of a run or job."""
    for name in files_of(folder):
        yield from (Edit(name, "", kind, _replacing(name, put)) for kind, put in WHOLE.items())
        lines = (folder / name).read_text(encoding="utf-8")
        parts = lines.splitlines(keepends=True) if name.endswith(".jsonl") else [lines]
        for number, part in enumerate(parts):
            line = f"line {number + 1} " if len(parts) > 1 else ""
            for kind, place, text in _edited(json.loads(part)):
                whole = [*parts[:number], text, *parts[number + 1 :]]
                content = "".join(each if each.endswith("\n") else each + "\n" for each in whole)
                yield Edit(name, f"{line}{place}", kind, _writing(name, content.encode()))
        if name == "status.json":
            # Whether its owner lives is asked only of a run that is not over.
            for kind, place, text in _edited(json.loads(lines) | {"state": "running"}):
                yield Edit(name, f"{place} while it runs", kind, _writing(name, text.encode()))


def _edited(value: Any) -> Iterator[tuple[str, str, str]]:
    """Each value in each place: which value, the place, and the whole as JSON."""
    for place, text in _with_marks(value):
        for kind, hostile in VALUES.items():
            yield kind, place, text.replace(json.dumps(HERE), hostile)


def _with_marks(value: Any) -> Iterator[tuple[str, str]]:
    """Each place in a value, and the value as JSON with a mark there; of a list the first place stands for all."""

    def places(part: Any, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
        yield path
        inside = part.items() if isinstance(part, dict) else enumerate(part[:1]) if isinstance(part, list) else ()
        for name, each in inside:
            yield from places(each, (*path, name))

    for path in list(places(value, ()))[1:]:
        marked = json.loads(json.dumps(value))
        target = marked
        for name in path[:-1]:
            target = target[name]
        target[path[-1]] = HERE
        yield ".".join(map(str, path)), json.dumps(marked)


def _writing(name: str, content: bytes) -> Callable[[Path], object]:
    return _replacing(name, lambda path: path.write_bytes(content))


def _replacing(name: str, put: Callable[[Path], object]) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        # Copies share their files until one of them is changed.
        (folder / name).unlink()
        put(folder / name)

    return change


def copy_of(folder: Path, name: str) -> Path:
    """The folder once more beside itself, without a second copy of what its files hold."""
    copy = folder.with_name(name)
    shutil.copytree(folder, copy, copy_function=os.link)
    return copy


def _export(run: Path) -> None:
    (run / FOLDER).mkdir()
    for file in FILES.values():
        (run / FOLDER / file).write_bytes(b"as good as an ONNX file")
    times = {"ms_per_text": 2.1, "times_as_fast": {"torch": 2.0, "onnx": 1.4, "int8": 0.9}}
    form = {"score": 0.85, "largest_difference": 1e-6, "agreement": 1.0, "answers": 100, "size_mb": 68.1} | times
    where = {"metric": "accuracy", "counted": "sentences", "split": "test", "texts": 100, "all_texts": 1066}
    made = {
        "student_sha256": content_sha256(run / "student" / WEIGHTS),
        "made_at": 1_790_000_000,
        "files": {file: content_sha256(run / FOLDER / file) for file in FILES.values()},
        "forms": {"onnx": form, "int8": form | {"faster": True}},
        "student": {"score": 0.85} | times,
        "refused": {},
        "measured_on": where
        | {"device": "cpu", "timed_threads": 1, "load": 0.4, "cores": 2, "versions": {"torch": "2.13.0"}},
    }
    write_json(run / FOLDER / MANIFEST, made)


def _keep_labels(run: Path) -> None:
    answers = {role: np.array([[0.1, 0.9], [0.8, -0.2]], np.float32) for role in ("teacher", "student")}
    kept = held_out.HeldOut(
        ("no", "yes"), "test", ["a warm film", "a dull one"], None, np.array([1, 0]), np.array([0, 1]), answers
    )
    held_out._write(kept, run, held_out.weights_of(model_folders(run)))


def _keep_words(run: Path) -> None:
    words = {"contexts": ["a [MASK] film"], "words": ["warm"], "teacher": ["warm"], "student": ["dull"], "counts": [3]}
    weights = held_out.weights_of(model_folders(run))
    write_kept(run / held_out_words.FILE, {"version": held_out_words.VERSION, "weights": weights, "found": words})
