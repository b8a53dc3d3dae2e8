"""A model that is ready to be timed: opened as its runtime opens it, and asked about texts made of random words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core import libraries
from core.speed.measurement import Cell, Device, Runtime

Texts = NDArray[np.int64]


class Opened(Protocol):
    """A model in memory. `passes` gives what is timed: one answer to all the texts, finished when it returns."""

    def passes(self, texts: Texts, device: Device) -> Callable[[], object]:
        """A pass over word pieces (B, L), none of them padding, which lie on the device already."""


def open_form(file: Path, runtime: Runtime, threads: int) -> Opened:
    """Open the weights in `file`. Raises DistilleryError if they cannot be used.

    `threads` compute on the processor, in the whole of this process.
    """
    return _Torch(file, threads) if runtime == "torch" else _Onnx(file, threads)


def random_texts(cell: Cell, vocabulary: int) -> Texts:
    """Word pieces (B, L), the same at every call: what the words are changes no time, only how many there are."""
    return np.random.default_rng(0).integers(0, vocabulary, (cell.batch, cell.tokens), dtype=np.int64)


def devices() -> list[Device]:
    """Where models can be timed here: the processor, and a GPU where there is one."""
    import torch

    found: list[Device] = ["cpu"]
    if torch.cuda.is_available():
        found.append("cuda")
    if torch.backends.mps.is_available():
        found.append("mps")
    return found


class _Torch:
    """A saved model in fp32, as results.json measures it too."""

    def __init__(self, file: Path, threads: int) -> None:
        libraries.load()
        import torch

        from core.models.saved import load_model

        torch.set_num_threads(threads)
        self._model, _ = load_model(file.parent)
        self._model.requires_grad_(False)

    def passes(self, texts: Texts, device: Device) -> Callable[[], object]:
        import torch

        from core.models.in_memory import on_device

        model = on_device(self._model, device)
        ids = torch.from_numpy(texts).to(device)
        mask = torch.ones_like(ids)
        # A GPU answers later than it is asked: wait for it, or only the asking is timed.
        wait = {"cpu": lambda: None, "cuda": torch.cuda.synchronize, "mps": torch.mps.synchronize}[device]

        @torch.inference_mode()
        def answer() -> None:
            model(ids, attention_mask=mask)
            wait()

        return answer


class _Onnx:
    """An exported model; on the processor, whatever device is asked for."""

    def __init__(self, file: Path, threads: int) -> None:
        from core.export.onnx_forms import OnnxModel

        self._model = OnnxModel(file, threads)

    def passes(self, texts: Texts, device: Device) -> Callable[[], object]:
        mask = np.ones_like(texts)
        return lambda: self._model.logits(texts, mask)
