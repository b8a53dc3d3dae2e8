"""A measured row's macro score: over the tasks that it has, called what it is, and what may be compared with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from core import paper
from core.glue.pooling import is_official
from core.glue.table import Row, Value, against

NINE = paper.GLUE_TASKS
MEAN = "mean of the nine tasks"
DEMO_SCALE = (
    "Demo scale: learned from fewer training examples, or scored on fewer examples, than the official task has."
)


def with_macro(row: Row) -> Row:
    """The row with the mean over those of the nine tasks that it has a score for on the official development set.

    A task whose texts the model had learned from before does not count.
    """
    found = {task: row.values[task] for task in NINE if task in row.values}
    counted = {task: value.number for task, value in found.items() if value.number is not None and _counts(value)}
    tasks = tuple(counted)
    if not tasks:
        return row
    label = "" if len(tasks) == len(NINE) else f"mean of {len(tasks)} of {len(NINE)} tasks"
    small = next((found[task] for task in tasks if found[task].origin == "demo scale"), None)
    value = Value(
        sum(counted.values()) / len(counted),
        "demo scale" if small else "measured here",
        metric=label or MEAN,
        split="official dev",
        label=label,
        reason=_missing(found, tasks),
        tasks=tasks,
        same_tasks=_reported_means(tasks),
        footnotes=small.footnotes[:1] if small else (),
    )
    return replace(row, values={paper.MACRO: _beside_teacher(value, found), **row.values})


def partial_means(rows: Sequence[Row]) -> tuple[str, ...]:
    """What the means over fewer than nine tasks may be compared with, in a sentence for each set of tasks."""
    means = [row.values[paper.MACRO] for row in rows if row.is_measured and paper.MACRO in row.values]
    partial = {value.tasks: value.same_tasks for value in means if value.label}
    return tuple(
        f"A mean over {', '.join(tasks)} alone is no GLUE score. Over the same tasks the paper's rows have "
        + ", ".join(f"{name} {mean:.1f}" for name, mean in same.items())
        + (", with BERT-base's misprint corrected." if "MNLI" in tasks else ".")
        for tasks, same in partial.items()
    )


def _beside_teacher(value: Value, found: Mapping[str, Value]) -> Value:
    """Compared over all its tasks or not at all: a mean over fewer would not be the number that is shown."""
    apart = paper.mean_of_all([found[task].difference for task in value.tasks])
    return value if value.number is None or apart is None else against(value, value.number - apart)


def _reported_means(tasks: Sequence[str]) -> dict[str, float]:
    means = {row.name: row.mean_over(tasks) for row in paper.GLUE_ROWS}
    return {name: mean for name, mean in means.items() if mean is not None}


def _counts(value: Value) -> bool:
    return is_official(value.split) and not value.is_leaked


def _missing(found: Mapping[str, Value], tasks: Sequence[str]) -> str:
    absent = [task for task in NINE if task not in found]
    parts = [f"Not measured: {', '.join(absent)}."] if absent else []
    for task, value in found.items():
        if value.number is None:
            parts.append(f"{task} is undefined: {value.reason}")
        elif value.is_leaked:
            parts.append(f"{task} does not count: the model had learned from its texts before.")
        elif task not in tasks:
            parts.append(f"{task} was not scored on the official development set.")
    return " ".join(parts)
