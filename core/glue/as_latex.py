"""A table as LaTeX, to be put into a report: packages booktabs and threeparttable, pdfLaTeX or LuaLaTeX.

Model names are foreign text: whatever they hold is printed, never carried out.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from itertools import groupby

from core.glue.table import ABOUT, Column, Footnotes, Row, Table, Value, as_text, one_line

ESCAPED = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "−": "$-$",
    "±": r"$\pm$",
    "–": "--",
    "“": "``",
    "”": "''",
    "\u202f": r"\,",
}
SHORT = {
    "accuracy": "acc.",
    "Matthews correlation": "Matthews",
    "mean of accuracy and F1": "acc., F1",
    "mean of Pearson and Spearman": "Pears., Spearm.",
    "mean of the nine tasks": "mean",
}
"""Metrics as they fit above a column of numbers."""

UNITS = {"M": "M", "MB": "MB", "s": "s", "times": ""}
"""What stands below a column that is not in points, in place of its split."""

LATIN = "\u024f"
"""The last letter that pdfLaTeX's usual fonts may have."""


def as_latex(table: Table) -> str:
    """The table as a `table` environment: metric and split under each column, best in bold, footnotes below.

    Below a row that has a teacher stands how much per cent of the teacher's it kept.
    """
    notes = _Notes(table)
    groups = [list(rows) for _, rows in groupby(table.rows, lambda row: row.is_measured)]
    body = "\\midrule\n".join("".join(_row(row, table, notes) for row in group) for group in groups)
    columns = "l" + "r" * len(table.columns) + "l"
    text = "\n".join(
        (
            r"\begin{table}",
            r"\centering\small\setlength{\tabcolsep}{4pt}",
            r"\begin{threeparttable}",
            rf"\caption{{{escape(table.title)}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            _header(table, notes),
            r"\midrule",
            f"{body}\\bottomrule",
            r"\end{tabular}",
            r"\begin{tablenotes}\footnotesize",
            *(rf"\item[{letter}] {escape(said)}" for letter, said in notes.texts().items()),
            *(rf"\item[] {escape(said)}" for said in table.notes),
            r"\end{tablenotes}",
            r"\end{threeparttable}",
            r"\end{table}",
            "",
        )
    )
    return _preamble(text) + text


def escape(text: str) -> str:
    """Foreign text in one line, as LaTeX prints it."""
    return "".join(ESCAPED.get(character, character) for character in one_line(text))


class _Notes:
    """The table's footnotes, and after them what else has to be said about single numbers."""

    def __init__(self, table: Table) -> None:
        self._notes = Footnotes()
        # Asked for in their order, they get the letters that they have.
        self._notes.letters(table.footnotes.values())

    def of_value(self, value: Value) -> str:
        label = value.label if value.label not in (ABOUT, _beside(value)) else ""
        said = [f"{label[:1].upper()}{label[1:]}." if label else "", value.reason]
        return _marks((*value.footnotes, *self._notes.letters(filter(None, said))))

    def texts(self) -> dict[str, str]:
        return self._notes.texts()


def _marks(letters: Iterable[str]) -> str:
    together = ",".join(dict.fromkeys(letters))
    return rf"\tnote{{{together}}}" if together else ""


def _header(table: Table, notes: _Notes) -> str:
    titles = [f"{escape(column.title)}{_marks(column.footnotes)}" for column in table.columns]
    below = [SHORT.get(column.metric, column.metric) for column in table.columns]
    units = [UNITS.get(column.unit, column.split) for column in table.columns]
    return "\n".join(
        (
            f"Model & {' & '.join(titles)} & Origin \\\\",
            *(
                " & ".join(("", *(rf"{{\scriptsize {escape(text)}}}" for text in texts), "")) + r" \\"
                for texts in (below, units)
            ),
        )
    )


def _row(row: Row, table: Table, notes: _Notes) -> str:
    cells = [_cell(row.values.get(column.key), column, notes) for column in table.columns]
    origins = ", ".join(dict.fromkeys(value.origin for value in row.values.values())) or row.state
    way = f" ({row.way})" if row.way == "distilled again" else ""
    # A row that began with "[" or "*" would be read as an argument of the line break before it.
    line = f"{{}}{escape(row.title + way)}{_marks(row.footnotes)} & {' & '.join(cells)} & {escape(origins)} \\\\\n"
    return line + _kept(row, table)


def _cell(value: Value | None, column: Column, notes: _Notes) -> str:
    if value is None:
        return ""
    text = escape(as_text(value, column))
    number = rf"\textbf{{{text}}}" if value.is_best else text
    return f"{number} {escape(_beside(value))}".rstrip() + notes.of_value(value)


def _beside(value: Value) -> str:
    """A label that is short enough to stand beside its number: half an interval."""
    return value.label if value.label.startswith("±") else ""


def _kept(row: Row, table: Table) -> str:
    kept = [row.values[column.key].kept if column.key in row.values else None for column in table.columns]
    if not row.teacher or not any(share is not None for share in kept):
        return ""
    cells = ["" if share is None else rf"{{\scriptsize {share:.1f}}}" for share in kept]
    return rf"\quad{{\scriptsize \% of {escape(row.teacher)}}} & {' & '.join(cells)} & \\" + "\n"


def _preamble(text: str) -> str:
    engine = " Compile with LuaLaTeX or XeLaTeX: a name holds letters beyond Latin." if _is_beyond_latin(text) else ""
    return f"% \\usepackage[T1]{{fontenc}}, {{booktabs}} and {{threeparttable}}.{engine}\n"


def _is_beyond_latin(text: str) -> bool:
    """True if a letter, accent, digit or symbol is in it that pdfLaTeX would stop at; it knows the punctuation."""
    return any(character > LATIN and unicodedata.category(character)[0] in "LMNS" for character in text)
