"""The one reader of CSV: from a file that a person named or from uploaded bytes, exact about every row.

A value stays the text it is in the file ("NA", "1.0", "True"); a row of another width than the header is an error with
its line, never shifted. What a table is used for is decided elsewhere; here are only columns, rows and their lines.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.data.files import DataError, decode, file_name, read_beginning, read_bytes, shown

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab"}


@dataclass(frozen=True)
class Limits:
    """The largest table that is read."""

    size: int
    rows: int
    columns: int = 100


TRAINING = Limits(size=200_000_000, rows=1_000_000)
"""Of a file to learn from."""

UPLOAD = Limits(size=20_000_000, rows=50_000)
"""Of a file sent by a browser, which the server holds in memory."""


@dataclass(frozen=True)
class Table:
    """A table of texts: `rows[i]` has one value for each of `columns` and begins in line `lines[i]` (from 1)."""

    name: str
    columns: tuple[str, ...]
    rows: list[list[str]]
    lines: list[int]
    delimiter: str
    notes: tuple[str, ...] = ()

    def column(self, column: str, field: str) -> list[str]:
        """All values of a column. `field` is the setting that named it, for the message if it is not there."""
        if column not in self.columns:
            known = ", ".join(shown(name, 40) for name in self.columns[:12] if name)
            more = ", …" if len(self.columns) > 12 else ""
            raise DataError(f"{self.name} has no column {shown(column)}; it has {known}{more}. Change {field}.")
        place = self.columns.index(column)
        return [row[place] for row in self.rows]


class _Unfinished(DataError):
    """The text ends inside quotation marks."""


def read_csv(path: Path, limits: Limits = TRAINING) -> Table:
    """The table in a CSV file. Raises DataError as `parse_csv`, or if the file cannot be read."""
    return parse_csv(read_bytes(path, limits.size), file_name(path), limits)


def parse_csv(content: bytes, name: str, limits: Limits = UPLOAD) -> Table:
    """The table in the bytes of a CSV file: comma, semicolon or tab, whichever the first line shows.

    Lines without anything are left out. Raises DataError, naming the line and the reason, if it has no rows, is not
    text, has a column twice, or a row that is broken or of another width than the header.
    """
    if len(content) > limits.size:
        raise DataError(f"{name} has {len(content) / 1e6:,.0f} MB; at most {limits.size / 1e6:,.0f} MB are read.")
    return _table(decode(content, name), name, limits)


def sample_csv(path: Path, count: int) -> tuple[Table, int, bool]:
    """The rows in about the first `count` bytes, how many the whole file may have, and whether that is exact.

    At least one row, however long it is. Raises DataError as `read_csv`, for what is wrong as far as it is read.
    """
    name = file_name(path)
    while True:
        beginning = read_beginning(path, count, name, TRAINING.size, whole_lines=True)
        if beginning.is_whole:
            table = _table(beginning.text, name, TRAINING)
            return table, len(table.rows), True
        so_far = _read_rows(beginning.text, name, TRAINING, goes_on=True)
        if so_far and so_far.rows:
            return so_far, round(len(so_far.rows) * beginning.size / beginning.read), False
        count = 4 * max(count, beginning.read)


def _table(text: str, name: str, limits: Limits) -> Table:
    table = _read_rows(text, name, limits)
    if table is None:
        raise _empty(name)
    if not table.rows:
        raise DataError(f"{name} has a header but no rows. Add one row for each text.")
    return table


def _read_rows(text: str, name: str, limits: Limits, goes_on: bool = False) -> Table | None:
    """The header and the rows so far, of a text that goes on without the last if it is not whole; None if empty."""
    delimiter = find_delimiter(text)
    table = None
    try:
        for line, row in _rows(text, delimiter, name):
            if table is None:
                table = Table(name, _header(row, name, limits), [], [], delimiter, _notes(text, name))
            else:
                _add(table, line, row, limits)
    except _Unfinished:
        if not goes_on:
            raise
    return table


def _add(table: Table, line: int, row: list[str], limits: Limits) -> None:
    if len(row) != len(table.columns):
        raise _wrong_width(table, line, len(row))
    if len(table.rows) == limits.rows:
        raise DataError(f"{table.name} has more than {limits.rows:,} rows. Keep a part of it in a file of its own.")
    table.rows.append(row)
    table.lines.append(line)


def find_delimiter(text: str) -> str:
    """The delimiter that cuts the first line into most columns; a comma where none does."""
    first = next((line for line in lines_of(text[:100_000]) if line.strip()), "")

    def width(delimiter: str) -> int:
        try:
            return len(next(csv.reader([first], delimiter=delimiter), []))
        except csv.Error:
            return 0  # reading the rows says what is wrong, and where

    return max(DELIMITERS, key=width)


def lines_of(text: str) -> Iterator[str]:
    """The lines of a text with their ends, cut at line feeds (at returns where there are none) and nowhere else."""
    # Not splitlines: it also cuts at characters that are allowed inside a text. Not all at once: memory.
    end, start = "\n" if "\n" in text else "\r", 0
    while start < len(text):
        stop = text.find(end, start) + 1 or len(text)
        yield text[start:stop]
        start = stop


def _rows(text: str, delimiter: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """Each row that holds anything, with the line it begins in."""
    # Otherwise a field of more than 131,072 characters is refused. The setting is the whole program's.
    csv.field_size_limit(TRAINING.size)
    reader = csv.reader(lines_of(text.replace("\0", "\ufffd")), delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            kind = _Unfinished if "unexpected end" in str(error) else DataError
            raise kind(f"{name}, line {line}: {_reason(str(error), reader.line_num)}") from error
        if any(row):
            yield line, row


def _reason(error: str, line: int) -> str:
    if "unexpected end of data" in error:
        return f'a quotation mark (") is opened and never closed, up to the end in line {line}. Close it.'
    if "expected after" in error:
        return (
            f'something follows a closing quotation mark (") in line {line}. Inside a quoted text, '
            'write each quotation mark twice ("").'
        )
    return f"the row cannot be read ({error}). Write it anew."


def _header(row: list[str], name: str, limits: Limits) -> tuple[str, ...]:
    columns = tuple(column.strip() for column in row)
    if not any(columns):
        raise _empty(name)
    if len(columns) > limits.columns:
        raise DataError(f"{name} has {len(columns):,} columns; at most {limits.columns} are read.")
    twice = [column for column in columns if column and columns.count(column) > 1]
    if twice:
        raise DataError(f"{name} has two columns called {shown(twice[0])}. Give each its own name in the first line.")
    return columns


def _empty(name: str) -> DataError:
    return DataError(f"{name} is empty. Its first line must name the columns, for example: text,label")


def _wrong_width(table: Table, line: int, width: int) -> DataError:
    sign = DELIMITERS[table.delimiter]
    advice = f"A text that holds a {sign} must stand in quotation marks." if width > len(table.columns) else "Fill it."
    return DataError(
        f"{table.name}, line {line}: this row has {width} values, but the header names {len(table.columns)} "
        f"columns. {advice}"
    )


def _notes(text: str, name: str) -> tuple[str, ...]:
    count = text.count("\0")
    return (f"{name} holds {count:,} NUL characters; each is read as \ufffd.",) if count else ()
