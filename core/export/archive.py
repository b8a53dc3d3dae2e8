"""The student as one zip file, the same bytes whenever it is written, and never in memory as a whole."""

from __future__ import annotations

import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from core.errors import DistilleryError
from core.export.card import model_card
from core.export.facts import read_facts
from core.export.onnx_forms import FILES, Form, content_sha256, onnx_files
from core.models.folder import CONFIG, MANIFEST, TOKENIZER, TOKENIZER_CONFIG, VOCABULARY, WEIGHTS, ModelFolder

CARD = "README.md"
LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The first moment that a zip file knows: the files' own times differ from machine to machine."""

MODEL = (CONFIG, WEIGHTS, TOKENIZER, TOKENIZER_CONFIG, VOCABULARY, MANIFEST)
BESIDE_ONNX = (CONFIG, TOKENIZER, TOKENIZER_CONFIG, VOCABULARY)
CHUNK = 1 << 20

_ODD = re.compile(r"[^A-Za-z0-9._-]+")


def write_zip(folder: Path, to: BinaryIO, form: Form | None = None) -> None:
    """Write the run's plain `from_pretrained` folder with its card, or one of its ONNX files with what belongs to it.

    Raises DistilleryError if the run has not finished, its student is not what was saved, or the file was not made.
    """
    card = model_card(read_facts(folder), form).encode()
    top = archive_name(folder, form)
    with zipfile.ZipFile(to, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(_entry(f"{top}/{CARD}", len(card)), card)
        for path in _members(folder, form):
            with (
                path.open("rb") as source,
                archive.open(_entry(f"{top}/{path.name}", path.stat().st_size), "w") as sink,
            ):
                shutil.copyfileobj(source, sink, CHUNK)


def archive_name(folder: Path, form: Form | None = None) -> str:
    """What the zip file, and the folder in it, is called, without its ending. A plain name on every system."""
    return f"student-{_plain(folder.name)}" + (f"-{form}" if form else "")


def report_name(folder: Path) -> str:
    """What the report is called."""
    return f"report-{_plain(folder.name)}.html"


def _plain(name: str) -> str:
    # A person may have renamed the run's folder to anything.
    return _ODD.sub("-", name).strip(".-")[:80] or "run"


def _members(folder: Path, form: Form | None) -> Iterator[Path]:
    student = folder / "student"
    try:
        ModelFolder(student).check_weights(content_sha256(student / WEIGHTS))
    except OSError as error:
        raise DistilleryError("The run's student is no longer in its folder.") from error
    if form is not None:
        made = onnx_files(folder)
        if form not in made:
            raise DistilleryError(f"{FILES[form]} has not been made, or the student has changed since. Make it anew.")
        yield made[form]
    # By name: whatever else somebody has put there is not part of the model.
    names = MODEL if form is None else BESIDE_ONNX
    yield from (student / name for name in names if (student / name).is_file() and not (student / name).is_symlink())


def _entry(name: str, size: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, LONG_AGO)
    # Weights hardly get smaller, and compressed bytes differ between versions of the library that compresses.
    entry.compress_type, entry.file_size = zipfile.ZIP_STORED, size
    entry.create_system, entry.external_attr = 3, 0o644 << 16
    return entry
