"""Arrays in .npy files, written and read by plain system calls and never through a memory map.

A map would turn a full disk, or a file that somebody cuts, into a signal that ends the whole process.
"""

from __future__ import annotations

import io
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import DTypeLike, NDArray

from core.errors import DistilleryError
from core.plain_file import open_plain_file
from core.whole_folder import HashedFile


def write_array(file: HashedFile, array: NDArray[Any]) -> None:
    """A whole array as a .npy file."""
    file.write(header_of(array.dtype, array.shape))
    file.write(_bytes_of(array))


def header_of(dtype: DTypeLike, shape: tuple[int, ...]) -> bytes:
    """What a .npy file begins with."""
    header = io.BytesIO()
    descr = npy.dtype_to_descr(np.dtype(dtype))
    npy.write_array_header_1_0(header, {"descr": descr, "fortran_order": False, "shape": shape})
    return header.getvalue()


class NewRows:
    """A new two-dimensional array on the disk whose rows are written in any order. Raises OSError on a full disk."""

    def __init__(self, path: Path, dtype: DTypeLike, shape: tuple[int, int]) -> None:
        header = header_of(dtype, shape)
        self._start = len(header)
        self._file = path.open("xb", buffering=0)
        self._write(0, memoryview(header))

    def write(self, first: int, rows: NDArray[Any]) -> None:
        """Write `rows` (R, width), which are those from `first` on."""
        self._write(self._start + first * rows[:1].nbytes, _bytes_of(rows))

    def close(self) -> None:
        """Finish the file."""
        self._file.close()

    def _write(self, place: int, content: memoryview) -> None:
        self._file.seek(place)
        while content:
            # A disk that is nearly full takes a part and says so; only the next write is an error.
            content = content[self._file.write(content) :]


def read_array(path: Path) -> NDArray[Any]:
    """A whole array, in memory of its own, not to be written to.

    Raises OSError or ValueError if it is not a plain .npy file of exactly its size.
    """
    with open_plain_file(path) as file:
        dtype, shape, _ = _read_header(file)
        array = np.empty(shape, dtype)
        content = _bytes_of(array)
        if _read_into(file, content) != len(content):
            raise ValueError(f"{path.name} is cut off")
    array.flags.writeable = False
    return array


class OpenRows:
    """A two-dimensional array that stays on the disk; rows are read as they are asked for.

    The file is open from the beginning, so it may be deleted meanwhile. Raises OSError or ValueError if it is not a
    plain .npy file of exactly its size.
    """

    def __init__(self, path: Path) -> None:
        self._file = open_plain_file(path)
        self.dtype, self.shape, self._start = _read_header(self._file)
        if len(self.shape) != 2:
            raise ValueError(f"{path.name} does not hold rows")
        self._stamp = self._now()

    def read(self, first: int, rows: NDArray[Any]) -> None:
        """Fill `rows` (R, width) from row `first` on.

        Raises DistilleryError if the file is no longer what was opened: wrong rows would be learned without a word.
        """
        content = _bytes_of(rows)
        self._file.seek(self._start + first * rows.strides[0])
        if _read_into(self._file, content) != len(content) or self._now() != self._stamp:
            raise DistilleryError(
                "The teacher's kept answers were changed by somebody while the student learned from them. Resume the "
                "run: it goes on from its last checkpoint and asks the teacher anew."
            )

    def _now(self) -> tuple[int, int]:
        found = os.fstat(self._file.fileno())
        return found.st_size, found.st_mtime_ns

    def __del__(self) -> None:
        if file := getattr(self, "_file", None):
            file.close()


def _read_header(file: io.BufferedReader) -> tuple[np.dtype[Any], tuple[int, ...], int]:
    """Type, shape, and the byte at which the values begin. Leaves the file there."""
    if npy.read_magic(file) != (1, 0):
        raise ValueError("not a .npy file of version 1.0")
    shape, in_columns, dtype = npy.read_array_header_1_0(file)
    start = file.tell()
    # Before anything of that size is allocated.
    if in_columns or dtype.hasobject or os.fstat(file.fileno()).st_size != start + math.prod(shape) * dtype.itemsize:
        raise ValueError("a .npy file whose size is not what it says")
    return dtype, shape, start


def _read_into(file: io.BufferedReader, content: memoryview) -> int:
    done = 0
    while done < len(content) and (count := file.readinto(content[done:])):
        done += count
    return done


def _bytes_of(array: NDArray[Any]) -> memoryview:
    """The bytes of an array in C order, which are not copied."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
