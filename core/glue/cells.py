"""One score: a model, a task, a seed, and all that is needed to believe it. One file each, in a job's `cells/`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from core.storage import BrokenRun, read_json, write_json

Role = Literal["teacher", "student", "control"]
Way = Literal["fine-tuned", "distilled again", "zero-shot"]


@dataclass(frozen=True)
class Cell:
    """What was measured for one model, task and seed.

    Scores are shares or correlations as scikit-learn and SciPy give them (from -1 to 1), never per cent. `score` is the
    one number GLUE reports for the task; None where it is undefined, with the reason in `reasons` under the metric.
    `scores` holds every metric by name, `mismatched` those of MNLI's second development set. `majority` is the score
    of always giving the most frequent answer, in the metric of `score`; None where that is undefined.
    """

    model: str
    """Names the model by its content and origin, the same in every job: "teacher-<fingerprint>", "run-<id>"."""
    role: Role
    title: str
    task: str
    seed: int
    way: Way
    score: float | None
    scores: dict[str, float | None]
    majority: float | None
    examples: int
    split: str
    train_examples: int
    train_total: int
    """How many training examples the task has; more than `train_examples` where fewer than all were used."""
    recipe: dict[str, Any]
    """Epochs, batch size, learning rate and so on; cells of equal recipes may be pooled over seeds."""
    reasons: dict[str, str] = field(default_factory=dict)
    mismatched: dict[str, float | None] | None = None
    notes: tuple[str, ...] = ()
    is_leaked: bool = False
    """True if the model had learned from texts that it is scored on here; a note says which."""
    elapsed_s: float = 0.0
    compute: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)


def write_cell(folder: Path, cell: Cell) -> None:
    """Keep a score in a job's folder, in one piece."""
    (folder / "cells").mkdir(mode=0o700, exist_ok=True)
    write_json(cell_path(folder, cell.model, cell.task, cell.seed), asdict(cell))


def read_cells(folder: Path) -> list[Cell]:
    """All scores of a job so far. Raises BrokenRun, naming the file, for one that cannot be read."""
    return [_parse(path) for path in sorted((folder / "cells").glob("*.json"))]


def cell_path(folder: Path, model: str, task: str, seed: int) -> Path:
    """Where the score of a model on a task with a seed is kept."""
    return folder / "cells" / f"{model}.{task.replace(' ', '_')}.seed-{seed}.json"


def _parse(path: Path) -> Cell:
    raw = read_json(path)
    known = {name.name for name in fields(Cell)}
    try:
        return Cell(**{name: value for name, value in raw.items() if name in known} | {"notes": tuple(raw["notes"])})
    except (KeyError, TypeError) as error:
        raise BrokenRun(f"{path.parent.name}/{path.name} does not look like a score: {error}") from error
