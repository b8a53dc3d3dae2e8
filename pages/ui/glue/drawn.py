"""A table of results as a page shows it: a real table, read aloud cell by cell, wide ones scrolled below their names.

Streamlit's own tables draw on a canvas or read every cell as markdown. This one escapes all text and leaves nothing to
be read but words and numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape

import streamlit as st

from core import numbers
from core.glue.table import Column, Row, Table, Value, as_text
from pages.ui.stacks import theme_type
from pages.ui.tables import frame, properties
from pages.ui.text import clean
from pages.ui.theme import COLOURS, text_colour

MARKS = {
    "paper": ("paper", "paper"),
    "course project": ("course project", "paper"),
    "measured here": ("measured here", "here"),
    "demo scale": ("demo scale", "demo"),
}
"""What stands beside numbers of an origin, and how it looks."""

REPORTED = ("paper", "course project")
"""The kinds of rows that were not measured here."""

ABLATION = "ablation"
"""The table whose rows hold reported and measured numbers side by side."""

UNITS = {"M": "millions", "MB": "megabytes", "s": "seconds"}
LONGEST_TITLE = 60

Lines = Callable[[Value], Iterable[str]]


def show_table(table: Table, lines: Lines | None = None, legend: str = "", below: str = "") -> None:
    """Draw a table with its footnotes. `lines` says what stands small below a number, `legend` how to read it.

    `below` is HTML that comes with the table: what is drawn apart is pushed down when the table gets its height.
    """
    st.html(as_html(table, lines or compared, legend) + below)


def compared(value: Value) -> Iterable[str]:
    """Below a score: the difference to the teacher in points, and the per cent of its score that was kept."""
    if value.is_leaked:
        yield "seen before"
    if value.difference is not None:
        yield signed(value.difference)
    if value.kept is not None:
        yield numbers.percent(value.kept / 100).replace("-", "−")


def signed(number: float, decimals: int = 1) -> str:
    """ "−2.5", "+0.3"."""
    return f"{number:+.{decimals}f}".replace("-", "−")


def as_html(table: Table, lines: Lines, legend: str = "") -> str:
    """The table and what is said below it, all text escaped."""
    drawing = _Drawing(table, lines)
    # A few numbers need no whole projector between them and their names.
    framed = frame(drawing.head() + drawing.bodies(), table.title, widest_rem=24 + 9 * len(table.columns))
    return f'{framed}<div class="results-notes" style="{properties()}">{drawing.notes(legend)}</div>'


class _Drawing:
    """One table on its way to HTML; numbers the reasons why values are undefined, each once."""

    def __init__(self, table: Table, lines: Lines) -> None:
        self._table, self._lines = table, lines
        self._names = "Recipe" if table.key == "ablation" else "Model"
        self._reasons: list[str] = []
        # Where reported and measured numbers share a row, the mark belongs to the column.
        self._by_column = any({"paper"} < _origins(row.values.values()) for row in table.rows)

    def head(self) -> str:
        cells = "".join(self._column(column) for column in self._table.columns)
        return f'<thead><tr><th class="first" scope="col"><small>{self._names}</small></th>{cells}</tr></thead>'

    def bodies(self) -> str:
        """The rows, reported ones apart from measured ones where there are both."""
        groups: dict[str, list[Row]] = {}
        for row in self._table.rows:
            group = "Reported" if row.kind in REPORTED else "Measured on this machine"
            groups.setdefault(group, []).append(row)
        return "".join(self._body(name if len(groups) > 1 else "", rows) for name, rows in groups.items())

    def notes(self, legend: str) -> str:
        said = [escape(clean(note)) for note in self._table.notes]
        said += [f"<sup>{place}</sup> {escape(clean(text))}" for place, text in enumerate(self._reasons, 1)]
        said += [f"<sup>{escape(letter)}</sup> {escape(clean(text))}" for letter, text in self._table.footnotes.items()]
        first = f'<p class="legend">{escape(legend)}</p>' if legend else ""
        return f"{first}<div>{''.join(f'<p>{line}</p>' for line in said)}</div>"

    def _column(self, column: Column) -> str:
        values = (row.values[column.key] for row in self._table.rows if column.key in row.values)
        marks = "".join(map(_mark, sorted(_origins(values)))) if self._by_column else ""
        small = "".join(f"<small>{escape(line)}</small>" for line in _below(column))
        return f'<th scope="col">{escape(column.title)}{_letters(column.footnotes)}{small}{marks}</th>'

    def _body(self, name: str, rows: Sequence[Row]) -> str:
        wide = len(self._table.columns) + 1
        head = f'<tr class="group"><th scope="rowgroup" colspan="{wide}"><span>{name}</span></th></tr>' if name else ""
        return f"<tbody>{head}{''.join(map(self._row, rows))}</tbody>"

    def _row(self, row: Row) -> str:
        origins = set() if self._by_column else _origins(row.values.values())
        cells = "".join(
            self._cell(row.values.get(column.key), column, len(origins) > 1) for column in self._table.columns
        )
        return f"<tr>{_name(row, sorted(origins, key=list(MARKS).index))}{cells}</tr>"

    def _cell(self, value: Value | None, column: Column, mixed: bool) -> str:
        """`mixed`: the row has other origins too, so this one is said in the cell."""
        if value is None:
            return '<td class="missing"></td>'
        if value.number is None:
            marks = _letters([self._reason(column, value), *value.footnotes])
            return f'<td class="missing">{as_text(value, column)}{marks}</td>'
        marks = _letters(value.footnotes)
        small = [value.label] if value.label and value.label != "about" else []
        small += filter(None, self._lines(value))
        below = "".join(f"<small>{escape(line)}</small>" for line in small)
        below += _mark(value.origin) if mixed and value.origin == "demo scale" else ""
        best = ' class="best"' if value.is_best else ""
        told = escape(clean(details(value)))
        return f'<td{best} title="{told}"><span>{escape(as_text(value, column))}</span>{marks}{below}</td>'

    def _reason(self, column: Column, value: Value) -> str:
        reason = f"{column.title}: {value.reason or 'undefined.'}"
        if reason not in self._reasons:
            self._reasons.append(reason)
        return str(self._reasons.index(reason) + 1)


def _origins(values: Iterable[Value]) -> set[str]:
    return {value.origin for value in values}


def _below(column: Column) -> Iterable[str]:
    """The metric and the split or the unit of a column."""
    yield from filter(None, (column.metric, column.split))
    if column.unit in UNITS:
        yield UNITS[column.unit]


def _name(row: Row, origins: Sequence[str]) -> str:
    title = clean(row.title)
    short = title if len(title) <= LONGEST_TITLE else f"{title[: LONGEST_TITLE - 1]}…"
    colour = COLOURS.get(row.kind, text_colour(theme_type()))
    shape = "paper" if row.kind in REPORTED else row.kind
    said = [row.state] if row.state and row.state != "finished" else []
    said += [row.way] if row.way in ("distilled again", "zero-shot") else []
    said += ["no teacher"] if row.kind == "control" and not row.state else []
    small = f"<small>{escape(', '.join(said))}</small>" if said else ""
    return (
        f'<th class="first" scope="row" title="{escape(title)}">'
        f'<i class="swatch {shape}" style="--colour:{colour}"></i>{escape(short)}{_letters(row.footnotes)} {small}'
        f'<span class="marks">{"".join(map(_mark, origins))}</span></th>'
    )


def details(value: Value) -> str:
    """All that is known of a number, for whoever points at it."""
    said = [value.metric, value.split and f"{value.split} split"]
    said += [f"{name} {part:.1f}" for name, part in value.parts.items() if part is not None and len(value.parts) > 1]
    if len(value.seeds) > 1:
        said.append(f"median of {len(value.seeds)} seeds, {value.low:.1f} to {value.high:.1f}")
    elif value.seeds:
        said.append(f"one seed ({value.seeds[0]})")
    if value.examples:
        said.append(f"scored on {value.examples:,} examples")
    if value.train_examples is not None:
        said.append(f"learned from {value.train_examples:,} of {value.train_total:,}")
    if value.majority is not None:
        said.append(f"always the most frequent answer: {value.majority:.1f}")
    return "; ".join(filter(None, [*said, value.reason]))


def _mark(origin: str) -> str:
    words, look = MARKS[origin]
    return f'<span class="mark {look}">{words}</span>'


def _letters(letters: Iterable[str]) -> str:
    # One element for all: in a cell it hangs beside the number, so that numbers stay aligned.
    together = ",".join(map(escape, letters))
    return f"<sup>{together}</sup>" if together else ""
