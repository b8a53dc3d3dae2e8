"""Tables as CSV: one line a number, each with its origin and all else that has to be said about it."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Sequence

from core.glue.table import Column, Row, Table, Value, one_line

FORMULA = ("=", "+", "-", "@")


def as_csv(tables: Sequence[Table]) -> str:
    """All numbers of some tables, one line each: table, row, column, number, unit, origin, split, metric, seeds, …

    Numbers have six digits and a point; one that is undefined is empty, with its reason in the line. Text that a
    spreadsheet would take for a formula gets an apostrophe in front. What was not measured has no line.
    """
    file = io.StringIO()
    writer: csv.DictWriter[str] | None = None
    for table in tables:
        for row in table.rows:
            for column in table.columns:
                if column.key in row.values:
                    line = _line(table, row, column, row.values[column.key])
                    if writer is None:
                        writer = csv.DictWriter(file, list(line), lineterminator="\n")
                        writer.writeheader()
                    writer.writerow(line)
    return file.getvalue()


def plain(text: str) -> str:
    """Foreign text in one line that no spreadsheet takes for a formula."""
    line = one_line(text)
    # Full-width signs count: some programs read them as the plain ones.
    first = unicodedata.normalize("NFKC", line[:1])
    return f"'{line}" if first.startswith(FORMULA) else line


def _line(table: Table, row: Row, column: Column, value: Value) -> dict[str, str]:
    return {
        "table": plain(table.title),
        "row": plain(row.title),
        "kind": plain(row.kind),
        "way": plain(row.way),
        "column": plain(column.title),
        "number": _number(value.number),
        "unit": column.unit,
        "says": plain(value.label),
        "origin": value.origin,
        "split": plain(value.split or column.split),
        "metric": plain(value.metric or column.metric),
        "seeds": plain(" ".join(map(str, value.seeds))),
        "least": _number(value.low),
        "most": _number(value.high),
        "teacher": plain(row.teacher) if value.difference is not None else "",
        "difference_to_teacher": _number(value.difference),
        "per_cent_of_teacher": _number(value.kept),
        "majority": _number(value.majority),
        "over_majority": _number(value.over_majority),
        "best_here": "yes" if value.is_best else "",
        "scored_examples": _number(value.examples),
        "training_examples": _number(value.train_examples),
        "training_examples_of_the_task": _number(value.train_total),
        "made_of": plain("; ".join(f"{name} {_number(part) or 'undefined'}" for name, part in value.parts.items())),
        "tasks": plain(" ".join(value.tasks)),
        "paper_over_the_same_tasks": "; ".join(f"{name} {_number(mean)}" for name, mean in value.same_tasks.items()),
        "reason": plain(value.reason),
        "footnotes": plain(" ".join((*value.notes, *_said(table, row, column, value)))),
        "model": plain(row.model),
        "state": plain(row.state),
    }


def _said(table: Table, row: Row, column: Column, value: Value) -> tuple[str, ...]:
    return table.said_of((*value.footnotes, *column.footnotes, *row.footnotes))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
