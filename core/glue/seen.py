"""Whether a model had learned from a task's texts before a GLUE job began, as far as its run's settings tell.

Such a score is no measure of how well the model learns the task, so it is marked and compared with nothing. Texts that
somebody copied into a file of their own are not recognised.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from core.config import GLUE_SOURCES
from core.data.glue import LEAK
from core.errors import DistilleryError
from core.glue.cells import Cell
from core.glue.tasks import BUNDLED
from core.runs import folder as runs
from core.sections import DataSettings

OF_RUN = "run-"
"""How the name of a run's model begins in a score."""


def seen_before(data: DataSettings, task: str) -> tuple[str, ...]:
    """One sentence if a run on this data has learned from texts of the task; none if it has not."""
    own_task = data.source in GLUE_SOURCES and data.task == task
    if task == "SST-2" and data.source == "rotten_tomatoes":
        return (LEAK,)
    if own_task and data.split == "merged":
        return (f"Its run learned from the merged examples of {task}, the development set among them.",)
    if not own_task and BUNDLED.get(task) != data.source:
        return ()
    if not own_task and data.split_seed != 0:
        return ("Its run split these texts in another way and has learned from some that are scored here.",)
    return (f"Its run had learned from texts of {task} before this job began, so its score is compared with nothing.",)


def seen_by_run(run_id: str, task: str) -> tuple[str, ...]:
    """The same for the run of this id; none either if its settings cannot be read."""
    data = _data_of(run_id)
    return seen_before(data, task) if data else ()


def with_seen(cells: Iterable[Cell]) -> list[Cell]:
    """The scores, those of older jobs marked too where the run that the model comes from can still be read."""
    return [cell if cell.is_leaked else _marked(cell) for cell in cells]


def _marked(cell: Cell) -> Cell:
    said = seen_by_run(cell.model.removeprefix(OF_RUN), cell.task) if cell.model.startswith(OF_RUN) else ()
    return replace(cell, is_leaked=True, notes=(*cell.notes, *said)) if said else cell


def _data_of(run_id: str) -> DataSettings | None:
    try:
        folder = runs.run_folder(run_id)
        return _read(folder, (folder / "config.json").stat().st_mtime_ns)
    except (DistilleryError, OSError):
        return None


@lru_cache(maxsize=1024)
def _read(folder: Path, stamp: int) -> DataSettings:
    return runs.read_settings(folder).data
