"""The tasks of a GLUE job: whether their files are there and can be read, and their texts as official as they come.

Unlike a run, a job learns from the whole official training file, copies and all, and is scored on the whole
development set: that is what published scores are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from core.data.bundled import LABEL_NAMES, read_bundled
from core.data.files import DataError, as_path, shown
from core.data.fingerprint import data_fingerprint
from core.data.glue import (
    MNLI_MISMATCHED,
    TASKS,
    Task,
    dev_file,
    read_glue,
    read_tsv,
    sample_tsv,
    task_folder,
    train_file,
)
from core.data.hub import read_hub, read_hub_mismatched, require_network
from core.data.part import Part
from core.data.splits import limited, random_split
from core.glue.settings import GlueSettings
from core.sections import BundledSource, DataSettings

BUNDLED: dict[str, BundledSource] = {"Rotten Tomatoes": "rotten_tomatoes", "IMDb": "imdb"}
"""The tasks that come with the installation, by their source in a run's settings."""

BUNDLED_PIECES = {"Rotten Tomatoes": 27.4, "IMDb": 314.0}
"""About how many word pieces an example has; `Task.pieces` says it for the others."""

TIMED = "STS-B"
"""The task over which the paper measures speed."""

ASKABLE = (*(name for name, task in TASKS.items() if len(task.labels) == 2), *BUNDLED)
"""The tasks of two classes, which a model with two answers can be asked without learning them."""

HEAD_BYTES = 100_000


@dataclass(frozen=True)
class TaskTexts:
    """One task as it is learned and scored. Without label names it asks for scores. Only MNLI has `mismatched`."""

    name: str
    label_names: tuple[str, ...]
    train: Part
    dev: Part
    mismatched: Part | None
    split: str
    notes: tuple[str, ...]
    fingerprint: str
    train_total: int

    def drawn(self, most: int | None, seed: int) -> TaskTexts:
        """With at most `most` training examples, drawn with the classes in the same shares."""
        return replace(self, train=limited(self.label_names, self.train, most, seed))


def check_tasks(settings: GlueSettings) -> None:
    """Raise DataError, before anything is loaded, if a task's files are missing or do not begin as they should.

    Every missing task is named at once. Names the field if the folder may not be read, and the tasks that cannot be
    asked zero-shot.
    """
    unasked = [name for name in settings.tasks if name not in ASKABLE] if settings.way == "zero-shot" else []
    if unasked:
        raise DataError(
            f"tasks: {', '.join(unasked)} cannot be asked zero-shot: that takes a task of two classes. "
            f"Choose among {', '.join(ASKABLE)}."
        )
    wanted = [*settings.tasks, *([TIMED] if settings.timing and TIMED not in settings.tasks else [])]
    official = [TASKS[name] for name in wanted if name not in BUNDLED]
    if settings.source == "glue_hub":
        if official:
            require_network()
        return
    if not official:
        return
    root = _root(settings)
    missing = [task for task in official if not _has_files(root, task)]
    if missing:
        raise DataError(_missing(root, settings, missing))
    for task in official:
        for path in _files(root, task):
            _check_head(path, task)


def read_task(settings: GlueSettings, name: str) -> TaskTexts:
    """All of one task. The one read last is kept, since every model reads it in turn.

    Raises DataError, with file, line and reason, where a file is missing or is not what it should be.
    """
    bundled = BUNDLED.get(name)
    where = DataSettings(source=bundled) if bundled else _where(settings, name)
    fingerprint = data_fingerprint(where)
    return _read(name, where, fingerprint)


def pieces_of(name: str, max_tokens: int) -> float:
    """About how many word pieces an example of a task has, cut at `max_tokens`."""
    return min(float(max_tokens), BUNDLED_PIECES[name] if name in BUNDLED else TASKS[name].pieces)


def forget() -> None:
    """Let go of the texts that were read last."""
    _read.cache_clear()


@lru_cache(maxsize=1)
def _read(name: str, where: DataSettings, fingerprint: str) -> TaskTexts:
    if bundled := BUNDLED.get(name):
        data = random_split(LABEL_NAMES, read_bundled(bundled), None, where.split_seed)
        train = data.train.joined(data.validation)
        return TaskTexts(name, LABEL_NAMES, train, data.test, None, "test", data.notes, fingerprint, len(train))
    texts = (read_glue if where.source == "glue_folder" else read_hub)(where)
    assert texts.dev is not None
    mismatched = _mismatched(where) if name == "MNLI" else None
    split = f"{texts.dev_name}, matched" if mismatched else texts.dev_name
    labels = texts.task.label_names
    return TaskTexts(
        name, labels, texts.train, texts.dev, mismatched, split, texts.notes, fingerprint, len(texts.train)
    )


def _mismatched(where: DataSettings) -> Part:
    if where.source == "glue_hub":
        return read_hub_mismatched()
    task = TASKS["MNLI"]
    return read_tsv(dev_file(as_path(where.path, "path"), task, mismatched=True), task)[0]


def _where(settings: GlueSettings, name: str) -> DataSettings:
    return DataSettings(source=settings.source, path=settings.path, task=TASKS[name].name)


def _root(settings: GlueSettings) -> Path:
    root = as_path(settings.path, "path")
    if not root.is_dir():
        raise DataError(
            f"path: there is no folder {shown(str(root), 300)}. Name the one that holds the GLUE tasks, each in a "
            "folder of its own, such as MRPC/."
        )
    return root


def _files(root: Path, task: Task) -> list[Path]:
    """Every file that the task needs. Raises DataError if one is not there."""
    dev = [dev_file(root, task), *([dev_file(root, task, mismatched=True)] if task.name == "MNLI" else [])]
    return [train_file(root, task), *dev]


def _has_files(root: Path, task: Task) -> bool:
    try:
        task_folder(root, task)
        return bool(_files(root, task))
    except DataError:
        return False


def _missing(root: Path, settings: GlueSettings, missing: list[Task]) -> str:
    names = "; ".join(f"{task.name}/ with {' and '.join(_names(task))}" for task in missing)
    there = [name for name in TASKS if _has_files(root, TASKS[name])]
    has = f"It has {', '.join(there)}. " if there else ""
    speed = f" Size and speed are measured on {TIMED}." if settings.timing and TIMED not in settings.tasks else ""
    return (
        f"The GLUE folder {shown(str(root), 300)} lacks {names}. {has}"
        f"Put the official files there, or choose other tasks.{speed}"
    )


def _names(task: Task) -> tuple[str, ...]:
    return (task.train_files[0], task.dev_files[0], *((MNLI_MISMATCHED,) if task.name == "MNLI" else ()))


def _check_head(path: Path, task: Task) -> None:
    sample_tsv(path, task, HEAD_BYTES)
