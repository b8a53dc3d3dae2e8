"""The tables of the GLUE page: the paper's rows, the course project's, and what was measured on this machine.

Tables 2 to 4 are in `core.glue.further_tables`; all can be had from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core import paper
from core.data.glue import TASKS
from core.glue.further_tables import AblationRow, ablation_table, downstream_table, size_speed_table
from core.glue.macro import DEMO_SCALE, MEAN, partial_means, with_macro
from core.glue.metrics import BUNDLED, metric_of
from core.glue.pooling import ZERO_SHOT, Jobs, Key, Pooled, Scores, is_official, number_beside, scores_of
from core.glue.table import (
    ABOUT,
    Column,
    Footnotes,
    Kind,
    Origin,
    Reported,
    Row,
    Table,
    Value,
    against,
    as_text,
    with_best,
)

__all__ = [
    "AblationRow",
    "Column",
    "Retained",
    "Row",
    "Scores",
    "Table",
    "Value",
    "ablation_table",
    "all_tables",
    "as_text",
    "bundled_table",
    "downstream_table",
    "glue_table",
    "retained",
    "size_speed_table",
    "zero_shot_table",
]

NINE = paper.GLUE_TASKS
REPORTED = f"Reported rows: {paper.SOURCE}; development sets, BERT-base and DistilBERT as the median of 5 seeds."
POOLED = "Measured rows: the median over the seeds that were run with the recipe used last."
OTHER_SPLIT = "Not scored on the official development set, so not to be compared with reported scores."
ZERO_SHOT_MEANING = (
    "Each model answers a task that it has never learned, with the head of the task that it did learn. A number near "
    "the majority's says that this head knows nothing of the new task; it does not say that the model could not "
    "learn it."
)


@dataclass(frozen=True)
class Retained:
    """One bar of the chart of retained score: how much of its teacher's score a model has on a task, in per cent."""

    task: str
    title: str
    kind: Kind
    kept: float
    origin: Origin
    model: str = ""
    way: str = ""


def glue_table(jobs: Jobs) -> Table:
    """Table 1: the macro score and the nine tasks. Column keys: "macro" and the names of the tasks.

    `jobs` are the cells of each job, newest job first, or `Scores` of them. Rows: ELMo, BERT-base, DistilBERT, the
    course project, then the models measured here that have at least one of the nine tasks: teachers, students,
    controls.
    """
    scores, notes = scores_of(jobs), Footnotes()
    columns = (Column(paper.MACRO, "Macro", MEAN, "dev"), *(_column(task) for task in NINE))
    reported = tuple(_reported(row, notes) for row in (*paper.GLUE_ROWS, paper.COURSE_ROW))
    measured = _distinct([_measured(scores, key, NINE, notes) for key in scores.models(NINE)])
    rows = with_best((*reported, *map(with_macro, measured)), columns)
    return Table(
        "glue",
        "GLUE beside the paper",
        columns,
        rows,
        notes.texts(),
        (REPORTED, *((POOLED, *partial_means(rows)) if measured else ())),
    )


def bundled_table(jobs: Jobs) -> Table:
    """Rotten Tomatoes and IMDb, measured here only; no rows if neither was. No macro score."""
    scores, notes = scores_of(jobs), Footnotes()
    columns = tuple(_column(task) for task in BUNDLED)
    rows = _distinct([_measured(scores, key, BUNDLED, notes) for key in scores.models(BUNDLED)])
    about = "The bundled tasks are no part of GLUE and of no macro score. " + POOLED
    return Table("bundled", "Bundled tasks", columns, with_best(rows, columns), notes.texts(), (about,))


def zero_shot_table(jobs: Jobs) -> Table:
    """Models that learned one task on others: `majority` and `over_majority` of each value. No rows if none was.

    The first row is the score of always giving the most frequent answer. Columns are the tasks that were answered.
    """
    scores, notes = scores_of(jobs), Footnotes()
    order = (*NINE, *BUNDLED)
    rows = _distinct([_measured(scores, key, order, notes) for key in scores.models(order, zero_shot=True)])
    tasks = [task for task in order if any(task in row.values for row in rows)]
    columns = tuple(_column(task) for task in tasks)
    rows = (_majority(rows, tasks), *rows) if rows else ()
    return Table("zero-shot", "Without learning the task", columns, rows, notes.texts(), (ZERO_SHOT_MEANING,))


def retained(jobs: Jobs) -> tuple[Retained, ...]:
    """The bars of the chart of retained score by task, the paper's DistilBERT of BERT-base first; GLUE's order.

    Misprints are corrected. Models without a teacher to compare with have no bars, and neither has the macro score.
    """
    table = glue_table(jobs)
    return tuple(
        Retained(task, row.title, row.kind, value.kept, value.origin, row.model, row.way)
        for row in table.rows
        for task in NINE
        if (value := row.values.get(task)) and value.kept is not None
    )


def all_tables(
    jobs: Jobs,
    timings: Sequence[Mapping[str, Any]] = (),
    ablation: Sequence[AblationRow] = (),
    metric: str = "accuracy",
) -> tuple[Table, ...]:
    """Every table that has a row, for download: 1, bundled, zero-shot, 2, 3 and 4."""
    scores = scores_of(jobs)
    tables = (
        glue_table(scores),
        bundled_table(scores),
        zero_shot_table(scores),
        downstream_table(scores),
        size_speed_table(timings),
        ablation_table(ablation, metric),
    )
    return tuple(table for table in tables if table.rows)


def _column(task: str) -> Column:
    split = {"MNLI": "matched dev"}.get(task, "dev" if task in TASKS else "test")
    return Column(task, task, metric_of(task), split)


def _reported(row: paper.ReportedRow, notes: Footnotes) -> Row:
    origin: Reported = "course project" if row is paper.COURSE_ROW else "paper"
    own = notes.letters(row.footnotes.get("", ()))
    values = {task: _reported_value(row, task, origin, notes) for task in (paper.MACRO, *NINE) if _has(row, task)}
    teacher = paper.BERT_BASE if row is paper.DISTILBERT else None
    if teacher:
        of = {paper.MACRO: teacher.macro, **teacher.scores, **teacher.corrected}
        values = {task: against(value, of[task]) for task, value in values.items()}
    return Row(row.name, origin, values, teacher=teacher.name if teacher else "", footnotes=own)


def _has(row: paper.ReportedRow, task: str) -> bool:
    return row.macro is not None if task == paper.MACRO else task in row.scores


def _reported_value(row: paper.ReportedRow, task: str, origin: Origin, notes: Footnotes) -> Value:
    is_macro = task == paper.MACRO
    return Value(
        row.macro if is_macro else row.scores[task],
        origin,
        metric=MEAN if is_macro else metric_of(task),
        split=row.split or ("dev" if is_macro else _column(task).split),
        label=ABOUT if row.about else "",
        tasks=NINE if is_macro else (),
        footnotes=notes.letters(row.footnotes.get(task, ())),
    )


def _measured(scores: Scores, key: Key, tasks: Sequence[str], notes: Footnotes) -> Row:
    """A measured row, its values beside its teacher's."""
    newest, teacher = scores.newest(key), scores.teacher_of(key)
    values = {}
    for task in tasks:
        if pooled := scores.get(key, task):
            value = replace(pooled.value, footnotes=notes.letters(_said_of(pooled)))
            beside = scores.get(teacher, task) if teacher else None
            values[task] = against(value, number_beside(pooled, beside))
    compared = any(value.difference is not None for value in values.values())
    title = scores.newest(teacher).title if teacher and compared else ""
    return Row(newest.title, newest.role, values, newest.model, newest.way, title)


def _said_of(pooled: Pooled) -> Iterable[str]:
    """What stands in footnotes of a measured value: that it is demo scale first, where `macro` looks for it."""
    if pooled.origin == "demo scale":
        yield DEMO_SCALE
    if pooled.first.task in TASKS and not is_official(pooled.first.split):
        yield OTHER_SPLIT
    # Zero-shot, every note is about one model and one task: it stays with its value.
    if pooled.first.way != ZERO_SHOT:
        yield from pooled.first.notes


def _majority(rows: Sequence[Row], tasks: Sequence[str]) -> Row:
    values = {}
    for task in tasks:
        value = next(row.values[task] for row in rows if task in row.values)
        reason = "" if value.majority is not None else "A constant answer correlates with nothing."
        values[task] = Value(
            value.majority, "measured here", value.metric, value.split, examples=value.examples, reason=reason
        )
    return Row("Always the most frequent answer", "majority", values)


def _distinct(rows: Sequence[Row]) -> tuple[Row, ...]:
    """The rows with the model's name behind titles that several models share."""
    models: dict[str, set[str]] = {}
    for row in rows:
        models.setdefault(row.title, set()).add(row.model)
    return tuple(
        replace(row, title=f"{row.title} ({row.model})") if len(models[row.title]) > 1 else row for row in rows
    )
