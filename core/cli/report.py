"""What a finished run or GLUE job has measured, in plain lines for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from core.glue.cells import Cell, read_cells
from core.glue.pooling import ZERO_SHOT, Pooled, Scores, number_beside
from core.glue.seen import with_seen
from core.glue.table import UNKNOWN, Value, one_line
from core.persisted import is_there
from core.runs import folder as runs
from core.runs.results import FILE, MODELS, Results, read_result

HEADER = ("task", "model", "score", "metric", "majority", "kept", "split", "seeds")


def report(folder: Path) -> None:
    """Print what came of it; nothing where nothing was measured."""
    if runs.is_job(folder):
        cells = with_seen(read_cells(folder))
        if cells:
            print("\n".join(score_lines(cells)))
        return
    if is_there(folder / FILE):
        results = read_result(folder)
        for sentence in (_in_one_line(results), *results.get("notes", [])):
            print(sentence)


def score_lines(cells: Sequence[Cell]) -> list[str]:
    """A plain table of a job's scores in points, the median over the seeds, and the notes below it."""
    scores = Scores([cells])
    tasks = list(dict.fromkeys(cell.task for cell in cells))
    rows: list[tuple[str, ...]] = [HEADER]
    for task in tasks:
        for zero_shot in (False, True):
            rows += [
                _row(scores, key, pooled)
                for key in scores.models([task], zero_shot)
                if (key[1] == ZERO_SHOT) == zero_shot and (pooled := scores.get(key, task))
            ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [*lines, *_notes(cells)]


def _row(scores: Scores, key: tuple[str, str], pooled: Pooled) -> tuple[str, ...]:
    value, cell = pooled.value, pooled.first
    way = "" if cell.way == "fine-tuned" else f", {cell.way}"
    few = f" ({value.train_examples:,} of {value.train_total:,} examples)" if value.origin == "demo scale" else ""
    few = "" if cell.way == ZERO_SHOT else few
    return (
        cell.task,
        f"{one_line(cell.title)} ({cell.role}{way})",
        _points(value.number),
        _metric(value),
        _points(value.majority),
        _kept(pooled, scores, key),
        f"{cell.split}{few}",
        str(len(value.seeds)),
    )


def _kept(pooled: Pooled, scores: Scores, key: tuple[str, str]) -> str:
    teacher = scores.teacher_of(key)
    beside = scores.get(teacher, pooled.first.task) if teacher else None
    of = number_beside(pooled, beside)
    if pooled.number is None or of is None or of <= 0:
        return UNKNOWN
    return f"{100 * pooled.number / of:.1f} %"


def _metric(value: Value) -> str:
    if len(value.parts) < 2:
        return value.metric
    return f"{value.metric}: {', '.join(f'{name} {_points(part)}' for name, part in value.parts.items())}"


def _notes(cells: Sequence[Cell]) -> list[str]:
    undefined = [f"{cell.task}: {reason}" for cell in cells if cell.score is None for reason in cell.reasons.values()]
    return list(
        dict.fromkeys(one_line(note) for note in (*undefined, *(note for cell in cells for note in cell.notes)))
    )


def _points(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.1f}"


def _in_one_line(results: Results) -> str:
    metric = results["metric"]
    scores = {model: _score(results[model]["score"], metric) for model in MODELS}
    kept = "" if results["kept"] is None else f" ({results['kept']:.1%} kept)"
    majority = "" if results["majority"] is None else f", majority {_score(results['majority'], metric)}"
    return (
        f"Measured here on the {results['split']} split ({results['examples']} {results['counted']}, seed "
        f"{results['seed']}), {metric}: teacher {scores['teacher']}, student {scores['student']}{kept}, agreement "
        f"{_score(results['agreement'], metric)}{majority}."
    )


def _score(value: float | None, metric: str) -> str:
    """A share in percent; a correlation, which is no share of anything, with three decimals."""
    if value is None:
        return "undefined"
    return f"{value:.3f}" if metric == "correlation" else f"{value:.1%}"
