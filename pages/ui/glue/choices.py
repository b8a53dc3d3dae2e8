"""What a GLUE job can be made of: the tasks that are there, and the models that can be scored."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from core import network
from core.config import Settings, is_control
from core.data.files import DataError, as_path
from core.data.glue import MNLI_MISMATCHED, TASKS, dev_file, train_file
from core.errors import DistilleryError
from core.glue.settings import BundledTask
from core.runs import folder as runs
from core.runs.about import run_name
from pages.ui.text import clean

BUNDLED: tuple[BundledTask, ...] = ("Rotten Tomatoes", "IMDb")
TWO_CLASSES = 2
MINILM, FOLDER, HUB = "minilm", "folder", "hub"
TEACHERS = {
    MINILM: "Bundled teacher (MiniLM)",
    FOLDER: "A teacher folder of yours",
    HUB: "A teacher from the Hub (network)",
}
_RUN = "run:"


@dataclass(frozen=True)
class Tasks:
    """The tasks that can be chosen, bundled ones last, and those of GLUE that are not there, each with its files.

    `problem` says in a sentence why there is none of GLUE's at all; empty where there are some.
    """

    offered: tuple[str, ...]
    missing: dict[str, str]
    problem: str = ""


def available_tasks(source: str, path: str, way: str) -> Tasks:
    """What is in the GLUE folder, or on the Hub; for zero-shot only tasks of two classes."""
    if source == "glue_hub":
        found, problem = (list(TASKS), "") if network.is_on() else ([], _hub_is_off())
        return Tasks(_of_way(found, way), {}, problem)
    if not path.strip():
        return Tasks(_of_way([], way), {}, "")
    try:
        root = as_path(path, "path")
    except DataError as error:
        return Tasks(_of_way([], way), {}, str(error))
    if not root.is_dir():
        return Tasks(
            _of_way([], way), {}, f"There is no folder {str(root)!r}. Name the one that holds MRPC/ and so on."
        )
    missing = {name: files for name in TASKS if (files := _missing_files(root, name))}
    return Tasks(_of_way([name for name in TASKS if name not in missing], way), missing)


def students() -> dict[str, str]:
    """What each run that can be scored is called, by its id, newest first. Foreign text, cleaned."""
    return {folder.name: _title(folder) for folder in runs.list_runs() if _has_student(folder)}


def run_option(run_id: str) -> str:
    """The option that stands for a run's student."""
    return f"{_RUN}{run_id}"


def model_options(found: dict[str, str]) -> dict[str, str]:
    """Every model that can be chosen, by option: teachers, then the students of `students()`."""
    teachers = {option: name for option, name in TEACHERS.items() if option != HUB or network.is_on()}
    return teachers | {run_option(run_id): name for run_id, name in found.items()}


def _of_way(found: list[str], way: str) -> tuple[str, ...]:
    return (*(name for name in found if way != "zero-shot" or len(TASKS[name].labels) == TWO_CLASSES), *BUNDLED)


def _hub_is_off() -> str:
    return f"GLUE from the Hub needs the network, which is off. {network.HOW_TO_SWITCH_ON}"


def _missing_files(root: Path, name: str) -> str:
    """The official files of a task, in words, if one of them is not there; else empty."""
    task = TASKS[name]
    try:
        train_file(root, task)
        dev_file(root, task)
        if name == "MNLI":
            dev_file(root, task, mismatched=True)
    except DistilleryError:
        return f"{task.train_files[0]} and {task.dev_files[0]}" + (f", {MNLI_MISMATCHED}" if name == "MNLI" else "")
    return ""


def _has_student(folder: Path) -> bool:
    return (folder / "results.json").exists() and (folder / "student" / "config.json").exists()


def _title(folder: Path) -> str:
    # The name may change, the settings may not.
    try:
        settings = _settings(folder, (folder / "config.json").stat().st_mtime_ns)
    except (DistilleryError, OSError):
        return clean(run_name(folder))
    name = clean(run_name(folder, settings))
    words = " · masked words" if settings.objective == "masked_words" else ""
    return f"{name}{words}{' · control' if is_control(settings.loss) else ''}"


@lru_cache(maxsize=1024)
def _settings(folder: Path, stamp: int) -> Settings:
    return runs.read_settings(folder)
