"""Files that a person named: opened once, only if they are plain files of a sensible size, and read as text.

Nothing here trusts a name's ending: what a file is, its bytes say.
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from core.errors import DistilleryError
from core.plain_file import NotPlain, open_plain_file

DATA_ROOTS = "DISTILLERY_DATA_ROOTS"
"""Environment variable: folders, separated as in PATH, below which all data and teacher folders must lie."""

MAX_BYTES = 1_000_000_000
"""Largest file that is read: all of it is held in memory. The largest of GLUE's has about 430 MB."""

LEAST = 8192
"""Bytes of a file that say what it is, if it is not text; never fewer are read of its beginning."""

_Decode = Callable[[bytes, str, bool], tuple[str, int]]

_UTF16_UTF32: tuple[tuple[bytes, str, _Decode], ...] = (
    (codecs.BOM_UTF32_LE, "UTF-32", codecs.utf_32_decode),
    (codecs.BOM_UTF32_BE, "UTF-32", codecs.utf_32_decode),
    (codecs.BOM_UTF16_LE, "UTF-16", codecs.utf_16_decode),
    (codecs.BOM_UTF16_BE, "UTF-16", codecs.utf_16_decode),
)

_KINDS = (
    (b"\xd0\xcf\x11\xe0", "an old Excel or Office file (xls)"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"%PDF", "a PDF document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"PAR1", "a Parquet file"),
    (b"ARROW1", "an Arrow file"),
    (b"SQLite format 3", "an SQLite database"),
    (b"\x7fELF", "a program"),
)


class DataError(DistilleryError):
    """Data that cannot be used; the message names the file, the line where there is one, and what to do."""


def as_path(typed: str, field: str = "data.path") -> Path:
    """The path that a person typed in a field, `~` resolved.

    Raises DataError if no system could have such a file, or if it may not be read (`check_allowed`).
    """
    path = Path(typed.strip())
    try:
        os.fsencode(path := path.expanduser())
    except (RuntimeError, UnicodeEncodeError) as error:
        raise unreadable(path, ValueError()) from error
    check_allowed(path, field)
    is_there(path)
    return path


def is_there(path: Path) -> bool:
    """True if there is such a file or folder.

    Raises DataError if that cannot be known: a name longer than any file system takes, a closed folder, a bad disk.
    """
    try:
        return path.exists()
    except OSError as error:
        raise unreadable(path, error) from error


def is_folder(path: Path) -> bool:
    """True if there is such a folder; errors as `is_there`."""
    return is_there(path) and path.is_dir()


def check_allowed(path: Path, field: str) -> None:
    """Raise DataError unless a path, links followed, lies in one of the folders of DISTILLERY_DATA_ROOTS.

    Without that variable every folder will do: the program then serves only whoever started it.
    """
    typed = [root for root in os.environ.get(DATA_ROOTS, "").split(os.pathsep) if root.strip()]
    if not typed:
        return
    try:
        found = path.resolve()
        if any(found.is_relative_to(Path(root.strip()).expanduser().resolve()) for root in typed):
            return
    except (OSError, RuntimeError, ValueError):
        pass  # a path that cannot be followed to its end is in no folder
    raise DataError(
        f"{field}: {shown(str(path), 300)} does not lie in a folder that may be read. Allowed are "
        f"{', '.join(shown(root, 300) for root in typed)} ({DATA_ROOTS} in the environment of the program)."
    )


def file_name(path: Path) -> str:
    """What messages call a file: its name, safe to show."""
    return shown(path.name, 80)[1:-1]


@contextmanager
def open_plain(path: Path) -> Iterator[BufferedReader]:
    """A plain file, open for reading.

    Raises DataError if it is missing, a folder, a pipe or not to be read, also where that shows while it is read.
    """
    # Asked again for a file in a folder that was typed: it may be a link that leads out.
    check_allowed(path, file_name(path))
    try:
        file = open_plain_file(path)
    except NotPlain as error:
        raise DataError(f"{shown(str(path), 300)} is a pipe or a device, not a plain file. Name a file.") from error
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    try:
        with file:
            yield file
    except OSError as error:  # a bad disk, a network drive that has gone
        raise unreadable(path, error) from error


def read_bytes(path: Path, limit: int = MAX_BYTES) -> bytes:
    """All bytes of a plain file. Raises DataError as `open_plain`, or if it is larger than `limit` bytes."""
    with open_plain(path) as file:
        _size_within(file, limit, path)
        return file.read(limit)


@dataclass(frozen=True)
class Beginning:
    """The text in the first `read` of a file's `size` bytes, in whole characters."""

    text: str
    read: int
    size: int

    @property
    def is_whole(self) -> bool:
        """True if it is the whole file."""
        return self.read == self.size


def read_beginning(path: Path, count: int, name: str, limit: int = MAX_BYTES, whole_lines: bool = False) -> Beginning:
    """The text in about the first `count` bytes of a plain file.

    With `whole_lines` it ends with a line feed, wherever that comes; a file without any is read to its end.
    Raises DataError as reading and decoding the whole file would, for what is wrong as far as it is read.
    """
    with open_plain(path) as file:
        size = _size_within(file, limit, path)
        head = file.read(max(count, LEAST))
        text, used = _decoded(head, name, whole=len(head) >= size)
        while whole_lines and len(head) < size and "\n" not in text:
            more = file.read(len(head))
            head, size = head + more, size if more else len(head)  # it may have been cut meanwhile
            text, used = _decoded(head, name, whole=len(head) >= size)
    if len(head) >= size:
        return Beginning(text, len(head), len(head))
    kept = text[: text.rfind("\n") + 1] if whole_lines else text
    return Beginning(kept, round(used * len(kept) / len(text)) if text else used, size)


def read_lines_across(path: Path, count: int, places: int = 3) -> list[bytes]:
    """Whole lines from as many places after the beginning of a plain file, about `count` bytes each."""
    with open_plain(path) as file:
        size = os.fstat(file.fileno()).st_size
        parts = []
        for place in range(1, places + 1):
            file.seek(size * place // (places + 1))
            file.readline(count)
            part = file.read(count)
            parts.append(part[: part.rfind(b"\n") + 1])
    return parts


def file_size(path: Path) -> int:
    """The size of a plain file in bytes; errors as `open_plain`."""
    with open_plain(path) as file:
        return os.fstat(file.fileno()).st_size


def unreadable(path: Path, error: OSError | ValueError) -> DataError:
    """The error for a file that cannot be opened, with the reason in words."""
    name = shown(str(path), 300)
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return DataError(f"There is no file {name}. Check the path.")
    if isinstance(error, IsADirectoryError):
        return DataError(f"{name} is a folder, not a file. Name the file itself.")
    if isinstance(error, PermissionError):
        return DataError(f"{name} may not be read by this user. Change its permissions.")
    if isinstance(error, OSError) and error.strerror:
        return DataError(f"{name} cannot be read: {error.strerror}.")
    return DataError(f"{name} is not a path that can exist. Check the path.")


def decode(content: bytes, name: str) -> str:
    """The text in a file's bytes: UTF-8 with or without its mark, or UTF-16/32 with one.

    Raises DataError naming what the file really is, or the first line that is not UTF-8.
    """
    return _decoded(content, name, whole=True)[0]


def _decoded(content: bytes, name: str, whole: bool) -> tuple[str, int]:
    """The text, and how many bytes it is: of what is not the whole file, a character cut at its end is left out."""
    for mark, encoding, decode_marked in _UTF16_UTF32:
        if content.startswith(mark):
            try:
                return decode_marked(content, "strict", whole)
            except UnicodeDecodeError as error:
                raise DataError(f"{name} begins like {encoding} but is not. Save it as UTF-8.") from error
    if kind := foreign_kind(content):
        raise DataError(f"{name} is {kind}, not text. Save it as plain text in UTF-8 and name that file.")
    plain = content.removeprefix(codecs.BOM_UTF8)
    try:
        text, used = codecs.utf_8_decode(plain, "strict", whole)
    except UnicodeDecodeError as error:
        line = plain[: error.start].count(b"\n") + 1
        raise DataError(
            f"{name}, line {line}: this is not UTF-8 (byte 0x{plain[error.start]:02x}). Save the file as UTF-8."
        ) from error
    return text, used + len(content) - len(plain)


def foreign_kind(content: bytes) -> str:
    """What a file is that is no text, by its first bytes; empty where it may be text."""
    if content.startswith(b"PK\x03\x04"):
        return "an Excel workbook (xlsx)" if b"xl/" in content[:LEAST] else "a ZIP archive"
    for magic, kind in _KINDS:
        if content.startswith(magic):
            return kind
    start = content[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "a web page (HTML)"
    # A NUL here and there is a slip; one in every few bytes is no text in any encoding that could be told.
    sample = content[:LEAST]
    return "a binary file or UTF-16 without its mark" if sample.count(0) > len(sample) / 10 else ""


def shown(text: str, limit: int = 60) -> str:
    """Foreign text in a message: short, in quotes, with nothing in it that could break a line or a terminal."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return "'" + "".join(character if character.isprintable() else "\ufffd" for character in cut) + "'"


def _size_within(file: BufferedReader, limit: int, path: Path) -> int:
    size = os.fstat(file.fileno()).st_size
    if size > limit:
        raise DataError(
            f"{file_name(path)} has {_size(size)}, more than the {_size(limit)} that are read. "
            "Keep a part of it in a file of its own."
        )
    return size


def _size(count: int) -> str:
    return f"{count / 1e6:,.0f} MB" if count >= 1e6 else f"{count:,} bytes"
