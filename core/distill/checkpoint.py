"""Checkpoints that a kill, a full disk or a power cut cannot spoil, and that hold no pickle.

One checkpoint is one folder `<stage>-<step>/` with weights and optimiser (safetensors) and state.json. It is whole or
not there (`core/whole_folder.py`), so that at every moment the newest complete one can be gone on from. Tensors go to
the disk one by one, straight from where they are. Randomness needs no saving: order, masks and dropout follow from the
seed and the step.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from core.distill.recorder import Recorder, Stage
from core.distill.tensor_file import read_tensors, write_tensors
from core.errors import DistilleryError
from core.whole_folder import FORMAT, HashedFile, damage, sweep, whole_folder

Writer = Callable[[HashedFile], None]
"""Writes one file of a checkpoint."""

KEPT = 2
"""So many are kept: the newest, and the one before it should the newest turn out damaged."""

UNKNOWN = "unknown"
"""In place of a hash: the teacher of a checkpoint that an earlier program wrote."""

NAME = re.compile(r"(teacher|student)-(\d{8})")
STAGES: tuple[Stage, ...] = ("teacher", "student")


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint whose files are what its manifest says."""

    folder: Path
    stage: Stage
    step: int

    def state(self) -> dict[str, Any]:
        """What was written beside the tensors: settings, device, versions."""
        return json.loads((self.folder / "state.json").read_bytes())

    def tensors(self, name: str) -> dict[str, Tensor]:
        """The tensors of one file, in memory of their own."""
        return read_tensors(self.folder / f"{name}.safetensors")


def newest_checkpoint(root: Path) -> Checkpoint | None:
    """The furthest checkpoint that is whole, or None; a damaged one is passed over."""
    return next((found for found in _newest_first(root) if _is_whole(found.folder)), None)


@dataclass(frozen=True)
class Progress:
    """All that changes while a stage trains: what a checkpoint has to hold."""

    stage: Stage
    learner: nn.Module
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler


@dataclass(frozen=True)
class Keeper:
    """Saves a run's checkpoints below `root` and continues from the newest. `facts` are written into each.

    `as_today` puts frozen settings that an earlier program wrote into today's fields, so that they can be compared.
    """

    root: Path
    every: int
    facts: dict[str, Any]
    recorder: Recorder
    as_today: Callable[[dict[str, Any]], dict[str, Any]] = dict

    def restore(self, progress: Progress) -> int:
        """Load the newest checkpoint of this stage; returns its step, 0 if there is none.

        Raises DistilleryError if the run's settings are not those it was made with.
        """
        newest = newest_checkpoint(self.root)
        if newest is None:
            return 0
        state = newest.state()
        # Also at a stage before the checkpoint's: after other data the teacher would first be taught all over again.
        self._compare(state)
        if newest.stage != progress.stage:
            return 0
        first = _first_names(progress.learner.state_dict())
        weights = newest.tensors("weights")
        progress.learner.load_state_dict({name: weights[first[name]] for name in first})
        groups = progress.optimiser.state_dict()["param_groups"]
        moments = _unflattened(newest.tensors("optimiser"))
        progress.optimiser.load_state_dict({"state": moments, "param_groups": groups})
        progress.scaler.load_state_dict(state["scaler"])
        return newest.step

    def taught_by(self) -> list[str]:
        """SHA-256 of every teacher that the student has learned from so far, as far as its checkpoints know."""
        newest = newest_checkpoint(self.root)
        is_student = newest is not None and newest.stage == "student"
        return list(newest.state().get("teachers", [UNKNOWN])) if newest is not None and is_student else []

    def save_if_due(self, progress: Progress, step: int) -> None:
        """Save every so many steps."""
        if step % self.every == 0:
            self.save(progress, step)

    def save(self, progress: Progress, step: int) -> None:
        """Write a checkpoint and delete those it replaces. Raises OSError, leaving the older ones, if it cannot.

        Raises DistilleryError rather than keep weights that are not numbers.
        """
        # First the curves up to this step, so that the checkpoint never knows more than they do.
        self.recorder.settle()
        if not all(torch.isfinite(weights).all() for weights in progress.learner.parameters()):
            raise DistilleryError(
                f"The weights stopped being numbers by step {step}. Choose a smaller learning rate and start again."
            )
        weights = progress.learner.state_dict()
        distinct = {name: weights[name] for name, first in _first_names(weights).items() if name == first}
        state = self.facts | {"scaler": progress.scaler.state_dict()}
        moments = _flattened(progress.optimiser.state_dict()["state"])
        files: dict[str, Writer] = {
            "weights.safetensors": partial(write_tensors, tensors=distinct),
            "optimiser.safetensors": partial(write_tensors, tensors=moments),
            "state.json": lambda file: file.write(json.dumps({"format": FORMAT, **state}, indent=2).encode()),
        }
        commit(self.root, f"{progress.stage}-{step:08d}", files)
        for old in list(_newest_first(self.root))[KEPT:]:
            shutil.rmtree(old.folder)

    def _compare(self, then: dict[str, Any]) -> None:
        changed = differences(self.as_today(then["frozen"]), self.facts["frozen"])
        if changed:
            raise DistilleryError(
                "This run's settings, data or teacher were changed since its checkpoint, so it cannot go on: "
                f"{'; '.join(changed)}. Set up a new run with the new settings."
            )
        for what in differences(then["compute"], self.facts["compute"]):
            self.recorder.note(f"Resumed under other conditions ({what}): the last digits differ from an unbroken run.")


def commit(root: Path, name: str, files: Mapping[str, Writer]) -> None:
    """Make `root/name` of these files, all on the disk before the name appears.

    Raises OSError if it cannot; nothing is then left behind. A folder of that name that is whole already stays.
    """
    root.mkdir(mode=0o700, exist_ok=True)
    sweep(root)
    if _is_whole(root / name):
        return
    # A damaged one is of no use, and its room may be what a full disk lacks.
    shutil.rmtree(root / name, ignore_errors=True)
    with whole_folder(root / name) as building:
        for file_name, write in files.items():
            with building.file(file_name) as file:
                write(file)


def differences(then: dict[str, Any], now: dict[str, Any], path: str = "") -> list[str]:
    """What differs between two nested dictionaries, one "name: was …, is …" each."""
    found: list[str] = []
    for name in sorted(then.keys() | now.keys()):
        before, after = then.get(name), now.get(name)
        if isinstance(before, dict) and isinstance(after, dict):
            found += differences(before, after, f"{path}{name}.")
        elif before != after:
            found.append(f"{path}{name}: was {json.dumps(before)}, is {json.dumps(after)}")
    return found


def _newest_first(root: Path) -> Iterator[Checkpoint]:
    names = (NAME.fullmatch(path.name) for path in root.iterdir()) if root.is_dir() else ()
    found = [
        Checkpoint(root / name[0], stage, int(name[2]))
        for name in names
        if name
        for stage in STAGES
        if stage == name[1]
    ]
    yield from sorted(found, key=lambda one: (STAGES.index(one.stage), one.step), reverse=True)


def _is_whole(folder: Path) -> bool:
    return not damage(folder)


def _first_names(weights: dict[str, Tensor]) -> dict[str, str]:
    """Every name with the first name of the same tensor: tied weights are one, and are stored once."""
    names: dict[tuple[int, torch.Size], str] = {}
    return {name: names.setdefault((tensor.data_ptr(), tensor.shape), name) for name, tensor in weights.items()}


def _flattened(state: dict[int, dict[str, Tensor]]) -> dict[str, Tensor]:
    return {f"{number}.{name}": tensor for number, of in state.items() for name, tensor in of.items()}


def _unflattened(tensors: dict[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        number, _, kind = name.partition(".")
        state.setdefault(int(number), {})[kind] = tensor
    return state
