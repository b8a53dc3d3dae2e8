"""What the engine tells the world while it works. The run folder is one listener; a test can be another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from torch import Tensor

Stage = Literal["teacher", "student", "scores"]
"""What trains; "scores" is a GLUE job, in which models of both kinds take turns."""


class StopRequested(Exception):
    """Somebody asked this run to end. Not an error: what was learned is kept."""


class Recorder(Protocol):
    """Receives what happens in a run and says when it should stop. Called on the training thread only."""

    def preparing(self, sentence: str) -> None:
        """Something that takes a moment has begun; `sentence` says what."""

    def stage(self, stage: Stage, total_steps: int, **facts: Any) -> None:
        """A stage of training begins."""

    def teacher_ready(self, key: str, sha256: str) -> None:
        """The trained teacher is on disk under this name; its weights have this SHA-256."""

    def settle(self) -> None:
        """Everything recorded so far is on the disk before this returns: a checkpoint is about to rely on it."""

    def note(self, sentence: str) -> None:
        """Something about this run that whoever reads its result should know."""

    def step(self, step: int, terms: dict[str, Tensor], lr: float, sentences: int) -> None:
        """One update is done. `terms` are scalars still on the device: read them later, in one transfer."""

    def score(self, step: int, **shares: float | None) -> None:
        """The model was scored on the validation part; shares from 0 to 1, None where one is undefined."""

    def probe(self, step: int, student: list[list[float]], teacher: list[list[float]]) -> None:
        """Both models' probabilities for the sentences being watched."""

    def check_stop(self) -> None:
        """Called before every batch. Raises StopRequested once the run should end."""
