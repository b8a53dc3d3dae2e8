"""One score: a model, a task, a seed, and all that is needed to believe it. One file each, in a job's `cells/`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from core.persisted import Amount, Count, Score, Some, Text, read_as, write_kept
from core.storage import BrokenRun

Role = Literal["teacher", "student", "control"]
Way = Literal["fine-tuned", "distilled again", "zero-shot"]

FileName = Annotated[str, Field(pattern=r"^[^/\\\x00-\x1f]{1,255}$")]
"""A part of a file's name: what is made of it leads nowhere else."""


@dataclass(frozen=True)
class Cell:
    """What was measured for one model, task and seed.

    Scores are shares or correlations as scikit-learn and SciPy give them (from -1 to 1), never per cent. `score` is the
    one number GLUE reports for the task; None where it is undefined, with the reason in `reasons` under the metric.
    `scores` holds every metric by name, `mismatched` those of MNLI's second development set. `majority` is the score
    of always giving the most frequent answer, in the metric of `score`; None where that is undefined.
    """

    model: FileName
    """Names the model by its content and origin, the same in every job: "teacher-<fingerprint>", "run-<id>"."""
    role: Role
    title: Text
    task: FileName
    seed: Count
    way: Way
    score: Score | None
    scores: dict[Text, Score | None]
    majority: Score | None
    examples: Some
    split: Text
    train_examples: Count
    train_total: Count
    """How many training examples the task has; more than `train_examples` where fewer than all were used."""
    recipe: dict[Text, JsonValue]
    """Epochs, batch size, learning rate and so on; cells of equal recipes may be pooled over seeds."""
    reasons: dict[Text, Text] = field(default_factory=dict)
    mismatched: dict[Text, Score | None] | None = None
    notes: tuple[Text, ...] = ()
    is_leaked: bool = False
    """True if the model had learned from texts of this task before; a note says from which."""
    chosen_rate: Amount | None = None
    """The learning rate that did best on a held-out tenth of the training examples; None where none was chosen."""
    elapsed_s: Amount = 0.0
    compute: dict[Text, Text | Count] = field(default_factory=dict)
    versions: dict[Text, Text] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise ValueError for a recipe whose teacher has no name."""
        if not isinstance(self.recipe.get("teacher", ""), str):
            raise ValueError("the teacher in its recipe is not a name")


def write_cell(folder: Path, cell: Cell) -> None:
    """Keep a score in a job's folder, in one piece."""
    (folder / "cells").mkdir(mode=0o700, exist_ok=True)
    write_kept(cell_path(folder, cell.model, cell.task, cell.seed), asdict(cell))


def read_cells(folder: Path) -> list[Cell]:
    """All scores of a job so far. Raises BrokenRun, naming the file, for one that cannot be read."""
    return [_read(path) for path in _paths(folder)]


def readable_cells(folder: Path) -> tuple[list[Cell], list[str]]:
    """The scores of a job that can be read, and of each of the others a sentence that names its file."""
    cells, problems = [], []
    for path in _paths(folder):
        try:
            cells.append(_read(path))
        except BrokenRun as error:
            problems.append(str(error))
    return cells, problems


def cell_path(folder: Path, model: str, task: str, seed: int) -> Path:
    """Where the score of a model on a task with a seed is kept."""
    return folder / "cells" / f"{model}.{task.replace(' ', '_')}.seed-{seed}.json"


def _paths(folder: Path) -> list[Path]:
    return sorted((folder / "cells").glob("*.json"))


def _read(path: Path) -> Cell:
    return read_as(Cell, path, "a score")
