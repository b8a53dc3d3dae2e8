"""What a person calls a run and writes about it: about.json, beside the frozen settings, which never change."""

from __future__ import annotations

import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from core.config import Settings
from core.errors import DistilleryError
from core.persisted import read_if_there, write_kept
from core.runs import folder as runs
from core.storage import BrokenRun, where

FILE = "about.json"
LONGEST_NAME = 80
LONGEST_NOTES = 2000

_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class About:
    """A name, empty where the one in the settings still holds, and notes."""

    name: str = ""
    notes: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError for what `write_about` never writes."""
        if not isinstance(self.name, str) or not isinstance(self.notes, str):
            raise ValueError("name and notes must be text")
        if len(self.name) > LONGEST_NAME or len(self.notes) > LONGEST_NOTES:
            raise ValueError(f"a name has at most {LONGEST_NAME} characters, notes at most {LONGEST_NOTES}")
        if _SURROGATE.search(self.name + self.notes):
            raise ValueError("it holds a broken character")


def read_about(folder: Path) -> About:
    """Name and notes of a run; empty ones if nobody has written any. Raises BrokenRun if the file cannot be read."""
    raw = read_if_there(folder / FILE)
    try:
        return About(**raw or {})
    except (TypeError, ValueError) as error:
        raise BrokenRun(f"{where(folder / FILE)} does not look like a name and notes: {str(error)[:300]}.") from error


def write_about(folder: Path, name: str, notes: str) -> About:
    """Keep a name (one line) and notes in one piece; an empty name is again the one of the settings.

    Raises DistilleryError, changing nothing, if the run is gone, or either is too long or holds a broken character.
    """
    try:
        about = About(" ".join(name.split()), notes.strip())
    except ValueError as error:
        raise DistilleryError(f"This cannot be kept: {error}. Change the text and save again.") from error
    write_kept(runs.run_folder(folder.name) / FILE, asdict(about))
    return about


def run_name(folder: Path, settings: Settings | None = None) -> str:
    """What a run is called wherever it is shown; never empty, and foreign text.

    The name it was given later, else the one in its settings, else when it was set up. `settings` saves reading them.
    """
    return given_name(folder, settings) or started(folder.name)


def given_name(folder: Path, settings: Settings | None = None) -> str:
    """The same, but empty for a run that nobody has named, or whose files cannot be read."""
    try:
        if name := read_about(folder).name:
            return name
    except DistilleryError:
        pass  # the page of the run says what is wrong with the file
    try:
        return (settings or runs.read_settings(folder)).name
    except DistilleryError:
        return ""


def started(run_id: str) -> str:
    """When a run was set up, read from its id: "Run of 22 Nov, 17:05"."""
    try:
        moment = time.strptime(run_id[:15], "%Y%m%d-%H%M%S")
    except ValueError:
        return f"Run {run_id}"
    return time.strftime("Run of %d %b, %H:%M", moment)
