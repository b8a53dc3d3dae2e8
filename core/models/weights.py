"""Reading a safetensors file without trusting it: the header first, then each tensor into memory of its own.

Nothing is memory-mapped, so a file that is cut or overwritten later cannot change, or crash, a loaded model. One open
file is checked, hashed and read, so nothing can be exchanged in between. Importing this file does not load torch.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Container
from dataclasses import dataclass
from io import BufferedIOBase
from typing import TYPE_CHECKING, Any

from core.errors import DistilleryError

if TYPE_CHECKING:
    from torch import Tensor

MAX_HEADER = 4_000_000
"""Bytes. The header of a BERT of 24 layers has 40 000."""

CHUNK = 1 << 22

BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
"""Types of weights, in the format's words and in torch's."""


class ModelError(DistilleryError):
    """A model that cannot be opened or used; the message names the folder or the field, and the reason."""


@dataclass(frozen=True)
class StoredTensor:
    """Where one tensor lies in a file: type, shape, and first and last byte of the data part."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


class WeightsFile:
    """An open safetensors file whose header has been checked against its length. `label` names it in messages.

    Raises ModelError if it is cut, too long, or not of this format.
    """

    def __init__(self, file: BufferedIOBase, label: str) -> None:
        self.label = label
        self._file = file
        size = file.seek(0, 2)
        file.seek(0)
        start = file.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or not 2 <= length <= min(MAX_HEADER, size - 8):
            raise ModelError(f"{label} is not a safetensors file, or it is cut off.")
        header = file.read(length)
        self._start = start + header
        self.tensors = _stored_tensors(header, size - 8 - length, label)

    @property
    def descriptor(self) -> int:
        """The open file's number."""
        return self._file.fileno()

    def read(self, wanted: Container[str]) -> tuple[dict[str, Tensor], str]:
        """The wanted tensors in fp32, and the SHA-256 of the whole file.

        Raises ModelError if one of them is of no type for weights or holds values that are not finite numbers.
        """
        digest = hashlib.sha256(self._start)
        tensors: dict[str, Tensor] = {}
        self._file.seek(len(self._start))
        for name, stored in sorted(self.tensors.items(), key=lambda item: (item[1].start, item[1].end)):
            if name in wanted:
                tensors[name] = self._read_tensor(name, stored, digest.update)
            else:
                self._pass_over(stored.end - stored.start, digest.update)
        return tensors, digest.hexdigest()

    def _read_tensor(self, name: str, stored: StoredTensor, note: Callable[[memoryview], Any]) -> Tensor:
        import torch

        if stored.dtype not in DTYPES:
            raise ModelError(f"{self.label}: {name} is of type {stored.dtype}; expected one of {', '.join(DTYPES)}.")
        tensor = torch.empty(stored.shape, dtype=getattr(torch, DTYPES[stored.dtype]))
        if tensor.numel():
            content = tensor.view(-1).view(torch.uint8).numpy().data
            if self._file.readinto(content) != len(content):
                raise ModelError(f"{self.label} was changed while it was read; try again.")
            note(content)
        tensor = tensor.float()
        if not torch.isfinite(tensor).all():
            raise ModelError(f"{self.label}: {name} holds values that are not numbers, so the model cannot be used.")
        return tensor

    def _pass_over(self, count: int, note: Callable[[bytes], Any]) -> None:
        while count and (piece := self._file.read(min(count, CHUNK))):
            note(piece)
            count -= len(piece)
        if count:
            raise ModelError(f"{self.label} was changed while it was read; try again.")


def _stored_tensors(header: bytes, data_bytes: int, label: str) -> dict[str, StoredTensor]:
    try:
        entries = json.loads(header.decode(), object_pairs_hook=_no_name_twice)
        entries.pop("__metadata__", None)
        found = {name: _stored(entry) for name, entry in entries.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(f"{label} has a damaged header: {str(error)[:200]}") from error
    # Without gaps and overlaps, from the first byte to the last: as the format demands.
    place = 0
    for stored in sorted(found.values(), key=lambda one: (one.start, one.end)):
        if stored.start != place:
            raise ModelError(f"{label} has a damaged header: its tensors leave gaps or overlap.")
        place = stored.end
    if place != data_bytes:
        raise ModelError(f"{label} holds {data_bytes} bytes of tensors, but its header names {place}; it may be cut.")
    return found


def _stored(entry: dict[str, Any]) -> StoredTensor:
    shape, (start, end) = tuple(entry["shape"]), entry["data_offsets"]
    if not all(type(number) is int and 0 <= number < 2**48 for number in (*shape, start, end)) or len(shape) > 8:
        raise ValueError("a shape or a place is not a number")
    if end - start != math.prod(shape) * BYTES[entry["dtype"]]:
        raise ValueError("a tensor's shape and its number of bytes differ")
    return StoredTensor(entry["dtype"], shape, start, end)


def _no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("it names something twice")
    return dict(pairs)
