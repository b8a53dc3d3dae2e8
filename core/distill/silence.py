"""A recorder for work that nobody follows: a benchmark, or questions to a model. Importing this file loads no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from core.distill.recorder import Stage


class Silence:
    """Hears everything and keeps nothing. Whoever wants to hear one thing overrides it."""

    def preparing(self, sentence: str) -> None:
        """Forget it."""

    def stage(self, stage: Stage, total_steps: int, **facts: Any) -> None:
        """Forget it."""

    def teacher_ready(self, key: str, sha256: str) -> None:
        """Forget it."""

    def settle(self) -> None:
        """There is nothing to write down."""

    def note(self, sentence: str) -> None:
        """Forget it."""

    def step(self, step: int, terms: dict[str, Tensor], lr: float, sentences: int) -> None:
        """Forget it."""

    def score(self, step: int, **shares: float | None) -> None:
        """Forget it."""

    def probe(self, step: int, student: list[list[float]], teacher: list[list[float]]) -> None:
        """Forget it."""

    def check_stop(self) -> None:
        """Go on."""
