"""What the chosen data is, as one hash: part of the name of everything that is kept because of it. Loads no torch."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path

from core.data import hub
from core.data.bundle import MOVIE_REVIEWS
from core.data.documents import text_files
from core.data.files import as_path, is_there, open_plain
from core.data.glue import TASKS, task_folder, train_file
from core.sections import DataSettings


def data_fingerprint(settings: DataSettings) -> str:
    """SHA-256 in hex over the content of the files behind the settings; a file is read again only when it changes.

    Renaming a single file changes nothing; in a folder the names count, since they give the order. Data of the Hub is
    named by its fixed revision. Raises DistilleryError if a file is missing.
    """
    if settings.source in ("rotten_tomatoes", "imdb"):
        return MOVIE_REVIEWS.sha256
    if settings.source == "glue_hub":
        return _sha256([f"{hub.REPOSITORY}@{hub.REVISION}", settings.task])
    return _sha256([part for name, path in _files(settings) for part in (name, _content(path))])


def _files(settings: DataSettings) -> list[tuple[str, Path]]:
    """The files by the names that count."""
    path = as_path(settings.path)
    if settings.source == "csv":
        return [("", path)]
    if settings.source == "glue_folder":
        return _glue_files(path, settings.task)
    return [(file.relative_to(path).as_posix() if file != path else "", file) for file in text_files(settings)]


def _glue_files(root: Path, name: str) -> list[tuple[str, Path]]:
    task = TASKS[name]
    folder = task_folder(root, task)
    # Not every split needs the development set, so it counts where it is.
    dev = [folder / file for file in task.dev_files if is_there(folder / file)][:1]
    return [(file.name, file) for file in (train_file(root, task), *dev)]


def _content(path: Path) -> str:
    with open_plain(path) as file:
        facts = os.fstat(file.fileno())
    return _hash(path.absolute(), facts.st_size, facts.st_mtime_ns, facts.st_ino)


@lru_cache(maxsize=10_000)
def _hash(path: Path, *stamp: int) -> str:
    with open_plain(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sha256(parts: list[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()
