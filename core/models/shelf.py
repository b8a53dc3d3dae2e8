"""The one holder of loaded models, shared by every page of the server: few, never twice, and given back on request.

A trainer never takes a model from here, so nothing on the shelf changes while somebody looks at it.
Importing this file does not load torch.
"""

from __future__ import annotations

import gc
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from core import libraries
from core.models.families import family_of
from core.models.folder import WEIGHTS
from core.models.weights import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

CAPACITY = 4
"""Two runs side by side, or three models and the one looked at before."""

Stamp = tuple[int, int]


@dataclass(frozen=True)
class Loaded:
    """A model in fp32 and evaluation mode on the processor that has answered once already, and its tokenizer."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


@dataclass(frozen=True)
class _Place:
    stamp: Stamp
    content: Future[Loaded] = field(default_factory=Future)


class Shelf:
    """The models used last, at most `capacity` of them. All methods may be called from any thread."""

    def __init__(self, load: Callable[[Path], Loaded], capacity: int = CAPACITY) -> None:
        self._load = load
        self._capacity = capacity
        self._places: OrderedDict[Path, _Place] = OrderedDict()
        self._guard = Lock()

    def get(self, folder: Path) -> Loaded:
        """The model in `folder`, loaded at most once however many threads ask, and again if its weights changed.

        Raises DistilleryError if there are no weights, and whatever the loader raises; then nothing is kept.
        """
        folder = folder.resolve()
        # Before loading: weights that are replaced meanwhile are then loaded again at the next question.
        stamp = _stamp(folder)
        with self._guard:
            place = self._places.get(folder)
            is_mine = place is None or place.stamp != stamp
            if place is None or is_mine:
                place = self._places[folder] = _Place(stamp)
            self._places.move_to_end(folder)
            while len(self._places) > self._capacity:
                self._places.popitem(last=False)
        if is_mine:
            self._fill(folder, place)
        return place.content.result()

    def holds(self, folder: Path) -> bool:
        """True if `get` would answer without loading."""
        folder = folder.resolve()
        with self._guard:
            place = self._places.get(folder)
        return place is not None and place.content.done() and place.stamp == _stamp(folder)

    def unload_all(self) -> None:
        """Let go of every model; memory is free as soon as nobody computes with one."""
        with self._guard:
            self._places.clear()
        gc.collect()

    def _fill(self, folder: Path, place: _Place) -> None:
        try:
            loaded = self._load(folder)
        except BaseException as error:  # noqa: BLE001  handed to every thread that waits, this one included
            with self._guard:
                if self._places.get(folder) is place:
                    del self._places[folder]
            place.content.set_exception(error)
        else:
            place.content.set_result(loaded)


def _stamp(folder: Path) -> Stamp:
    """Changes when the weights are replaced: time of change in nanoseconds, and bytes."""
    try:
        stat = (folder / WEIGHTS).stat()
    except OSError as error:
        raise ModelError(f"The model in {folder.name}/ has no {WEIGHTS}; it may have been deleted.") from error
    return stat.st_mtime_ns, stat.st_size


def _open(folder: Path) -> Loaded:
    # A page that only lists runs can do without.
    libraries.load()
    import torch

    from core.models.saved import load_model

    model, tokenizer = load_model(folder)
    model.requires_grad_(False)
    with torch.inference_mode():
        # The first pass of a process allocates and is several times slower: nobody should be shown that number.
        model(torch.zeros((1, min(16, family_of(model).longest_input(model))), dtype=torch.long))
    return Loaded(model, tokenizer)


_shelf = Shelf(_open)
get = _shelf.get
holds = _shelf.holds
unload_all = _shelf.unload_all
