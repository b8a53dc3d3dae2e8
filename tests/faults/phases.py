"""Four faults at five moments of a real run in one process that goes on living, and the run after each.

Each try: a run on tiny models meets the fault after its checkpoint of step 6 (at "load": when it is resumed from that
of step 7), must fail in words, keep that checkpoint, and then, resumed in the same process, end with
the bits of a run that nothing happened to.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from core import whole_folder
from core.cli import kinds
from core.distill import checkpoint, job, labels, loop
from core.distill.checkpoint import Progress, newest_checkpoint
from core.jobs import events
from core.jobs.queue import MACHINE
from core.runs import folder as runs
from core.runs.recorder import FolderRecorder
from core.runs.resume import request_resume
from tests.fixtures.broken_runs import new_run, outcome, stop_after_update

PHASES = ("load", "step", "scoring", "logging", "save")
FAULTS = ("disk full", "out of memory", "NaN", "panic")
STEP = 8
"""The update of the student at which a fault strikes; checkpoints are at 3, 6, 9, …"""

WORDS = {
    "disk full": "The disk was full at step",
    "out of memory": "There was not enough memory at step",
    "NaN": "smaller learning rate",
    "panic": "Something unexpected went wrong at step",
}
"""What the run must say about each fault."""


class Panic(BaseException):
    """As the PanicException of a tokenizer, which `except Exception` lets through."""


@dataclass
class Try:
    """One fault at one moment; `problem` is empty if everything held."""

    fault: str
    phase: str
    problem: str = ""


class Living:
    """A process that lives on, as a terminal has it, and carries out what waits."""

    def run(self, start: Callable[[], Any]) -> runs.State:
        """Start something, carry it out, and return how it ended."""
        start()
        (folder,) = kinds.queue.waiting(MACHINE)
        return kinds.carry_out(folder)


def try_all(phases: tuple[str, ...] = PHASES, faults: tuple[str, ...] = FAULTS) -> list[Try]:
    """Every fault at every moment, one after the other in this process, in the home of the moment."""
    living = Living()
    living.run(lambda: new_run("teacher-first"))
    folder = new_run("unbroken")
    living.run(lambda: None)
    unbroken = outcome(folder)
    tries = [Try(fault, phase) for phase in phases for fault in faults]
    for one in tries:
        one.problem = _try(living, one, unbroken)
    return tries


def _try(living: Living, one: Try, unbroken: dict[str, Any]) -> str:
    name = f"{one.fault}-at-{one.phase}".replace(" ", "-")
    folder = new_run(name)
    if one.phase == "load":
        with stop_after_update(7):
            living.run(lambda: None)
        with broken(one.fault, one.phase):
            state = living.run(lambda: request_resume(folder))
    else:
        with broken(one.fault, one.phase):
            state = living.run(lambda: None)
    said, kept = runs.read_status(folder).sentence, newest_checkpoint(folder / "checkpoints")
    if state != "failed" or WORDS[one.fault] not in said or "Traceback" in said:
        return f"It ended as {state}: {said}"
    if kept is None or kept.step < 6 or not _is_finite(kept):
        return f"The checkpoint that was kept is {kept and kept.step}."
    if "Traceback" not in (folder / "log.txt").read_text(encoding="utf-8"):
        return "The log does not have it."
    if living.run(lambda: request_resume(folder)) != "finished":
        return f"The next run ended so: {runs.read_status(folder).sentence}"
    (folder / "log.txt").unlink()  # an unbroken run has none
    return "" if outcome(folder) == unbroken else "The next run ended with other bits."


def _is_finite(kept: checkpoint.Checkpoint) -> bool:
    tensors = (*kept.tensors("weights").values(), *kept.tensors("optimiser").values())
    return all(torch.isfinite(tensor).all() for tensor in tensors)


def error_of(fault: str) -> BaseException:
    """What the system or a library raises."""
    return {
        "disk full": OSError(errno.ENOSPC, "No space left on device"),
        "out of memory": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        "panic": Panic("a regular expression"),
    }[fault]


@contextmanager
def broken(fault: str, phase: str) -> Iterator[None]:
    """The fault strikes within the block, once the student's run has come to STEP."""
    with pytest.MonkeyPatch.context() as patch:
        if fault == "NaN":
            NAN_AT[phase](patch)
        else:
            owner, name, is_time = PLACES[phase]
            _raise_in(patch, owner, name, is_time, error_of(fault))
        yield


def _raise_in(
    patch: pytest.MonkeyPatch, owner: Any, name: str, is_time: Callable[..., bool], error: BaseException
) -> None:
    real = getattr(owner, name)

    def raising(*arguments: Any, **options: Any) -> Any:
        if is_time(*arguments, **options):
            raise error
        return real(*arguments, **options)

    patch.setattr(owner, name, raising)


def _is_step(*arguments: Any, **_: Any) -> bool:
    return arguments[5] == STEP


def _is_line_of_step(_writer: Any, event: dict[str, Any]) -> bool:
    return event.get("stage") == "student" and event.get("step") == STEP


def _is_second_file_of_save(building: whole_folder.Building, name: str) -> bool:
    return name == "optimiser.safetensors" and (building.path.parent / "student-00000006").exists()


# Owner and name of what raises, and when.
PLACES: dict[str, tuple[Any, str, Callable[..., bool]]] = {
    "load": (job, "load_or_make", lambda *_, **__: True),
    "step": (loop, "_update", _is_step),
    "scoring": (FolderRecorder, "score", lambda _recorder, step, **__: step >= STEP),
    "logging": (events.EventWriter, "append", _is_line_of_step),
    "save": (whole_folder.Building, "file", _is_second_file_of_save),
}


def _poisoned_update(patch: pytest.MonkeyPatch) -> None:
    """Weights that are no numbers after an update: the loss of the next one says so."""
    real = loop._update

    def update(lesson: Any, progress: Progress, *rest: Any) -> Any:
        terms = real(lesson, progress, *rest)
        if _is_step(lesson, progress, *rest):
            _fill(lesson.learner)
        return terms

    patch.setattr(loop, "_update", update)


def _poisoned_teacher(patch: pytest.MonkeyPatch) -> None:
    real = job.load_or_make

    def load(*arguments: Any) -> Any:
        model = real(*arguments)
        _fill(model)
        return model

    patch.setattr(job, "load_or_make", load)


def _poisoned_answers(patch: pytest.MonkeyPatch) -> None:
    """A student whose answers, not its weights, are no numbers from STEP on."""
    real, update = labels.predict, loop._update
    reached: list[int] = []

    def count(*arguments: Any) -> Any:
        if _is_step(*arguments):
            reached.append(STEP)
        return update(*arguments)

    def predict(model: Any, data: Any, *rest: Any, **options: Any) -> Any:
        if reached and "DistilBert" in type(model).__name__:
            with pytest.MonkeyPatch.context() as inner:
                inner.setattr(model.classifier, "forward", lambda words: torch.full((len(words), 2), float("nan")))
                return real(model, data, *rest, **options)
        return real(model, data, *rest, **options)

    patch.setattr(loop, "_update", count)
    patch.setattr(labels, "predict", predict)


def _poisoned_loss(patch: pytest.MonkeyPatch) -> None:
    real = FolderRecorder.step

    def step(self: FolderRecorder, number: int, terms: dict[str, torch.Tensor], *rest: Any) -> None:
        bad = number == STEP and self.reporter.status.stage == "student"
        real(self, number, terms | {"loss": torch.tensor(float("nan"))} if bad else terms, *rest)

    patch.setattr(FolderRecorder, "step", step)


def _poisoned_save(patch: pytest.MonkeyPatch) -> None:
    real = checkpoint.Keeper.save

    def save(self: checkpoint.Keeper, progress: Progress, step: int) -> None:
        if step > STEP and progress.stage == "student":
            _fill(progress.learner)
        real(self, progress, step)

    patch.setattr(checkpoint.Keeper, "save", save)


def _fill(model: torch.nn.Module) -> None:
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))


NAN_AT: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "load": _poisoned_teacher,
    "step": _poisoned_update,
    "scoring": _poisoned_answers,
    "logging": _poisoned_loss,
    "save": _poisoned_save,
}
