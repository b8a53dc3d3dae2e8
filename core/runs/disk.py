"""What a run keeps on the disk: its size, part by part, and its checkpoints. Opens no file."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

PARTS = ("student", "checkpoints", "metrics.jsonl", "tensorboard", "export")
"""What is told apart in a run folder; everything else counts as one."""

REST = "everything else"

# As core/distill/checkpoint.py names them; that module needs torch, and a list of runs must not wait for it.
_CHECKPOINT = re.compile(r"(teacher|student)-(\d{8})")


@dataclass(frozen=True)
class SavedCheckpoint:
    """A checkpoint folder: which model had come how far, and its size."""

    stage: str
    step: int
    size_mb: float


def size_mb(folder: Path) -> float:
    """Megabytes (10⁶ bytes) of all files below a folder; links are not followed. 0 if it has gone."""
    return sum(map(_bytes_of, _entries(folder))) / 1e6


def sizes(folder: Path) -> dict[str, float]:
    """Megabytes of each part that the run has, the largest first; together they are the whole folder."""
    found = dict.fromkeys((*PARTS, REST), 0)
    for entry in _entries(folder):
        found[entry.name if entry.name in PARTS else REST] += _bytes_of(entry)
    return {part: size / 1e6 for part, size in sorted(found.items(), key=lambda item: -item[1]) if size}


def checkpoints(folder: Path) -> list[SavedCheckpoint]:
    """The checkpoints of a run that is not complete, the newest first; a finished run has none."""
    found = [
        SavedCheckpoint(match[1], int(match[2]), _bytes_of(entry) / 1e6)
        for entry in _entries(folder / "checkpoints")
        if (match := _CHECKPOINT.fullmatch(entry.name))
    ]
    # A run trains its teacher first, so a student's checkpoint is always the later one.
    return sorted(found, key=lambda checkpoint: (checkpoint.stage == "student", checkpoint.step), reverse=True)


def _bytes_of(entry: os.DirEntry[str]) -> int:
    try:
        if entry.is_dir(follow_symlinks=False):
            return sum(map(_bytes_of, _entries(Path(entry.path))))
        return entry.stat(follow_symlinks=False).st_size
    except OSError:
        return 0  # deleted while we looked


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [*entries]
    except OSError:
        return []
