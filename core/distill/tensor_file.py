"""Tensors into a safetensors file and out of it, one at a time: a checkpoint of 4 GB needs no second 4 GB of memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from core.models.weights import ModelError, WeightsFile
from core.plain_file import open_plain_file
from core.whole_folder import HashedFile

NAMES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
"""What the format calls torch's types."""

TYPES = {name: dtype for dtype, name in NAMES.items()}


def write_tensors(file: HashedFile, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors from where they are: those on the processor are not copied, others are fetched one by one."""
    header, place = {}, 0
    for name, tensor in tensors.items():
        end = place + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [place, end]}
        place = end
    text = json.dumps(header, separators=(",", ":")).encode()
    # The format wants the tensors to begin at a multiple of eight.
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    for tensor in tensors.values():
        file.write(_bytes_of(tensor.detach().cpu().contiguous()))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file, each in memory of its own. Raises OSError or ModelError if it cannot be read."""
    with open_plain_file(path) as file:
        stored = WeightsFile(file, path.name).tensors
        tensors: dict[str, Tensor] = {}
        for name, one in sorted(stored.items(), key=lambda item: (item[1].start, item[1].end)):
            tensors[name] = torch.empty(one.shape, dtype=TYPES[one.dtype])
            content = _bytes_of(tensors[name])
            while content:
                count = file.readinto(content)
                if not count:
                    raise ModelError(f"{path.name} was changed while it was read; try again.")
                content = content[count:]
    return tensors


def _bytes_of(tensor: Tensor) -> memoryview:
    """The bytes of a contiguous tensor on the processor, which are not copied."""
    return tensor.reshape(-1).view(torch.uint8).numpy().data
