"""What a term of the loss says about itself, and what it is shown when it computes.

Declarations lie below the settings and are read by every page, so nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

Objective = Literal["labels", "masked_words"]
Need = Literal["hidden", "layers", "attention"]
"""States of both models: the last hidden ones; those after every layer that is compared; that layer's queries, keys and
values."""

Options = Mapping[str, Any]
"""The loss's settings that are no weights, by name."""


class View(Protocol):
    """What one model makes of the texts of a part; nothing is computed before it is asked for.

    W word pieces, one example's after the other, without padding. Only what a term declares to need may be asked for.
    The student's states come in the teacher's width, through maps that are learned along with it.
    """

    @property
    def heads(self) -> int:
        """Of the attention."""

    @property
    def logits(self) -> Tensor:
        """The answers to labels, (B, C); of scores (B, 1)."""

    @property
    def hidden(self) -> Tensor:
        """Last hidden states, (W, H)."""

    @property
    def layers(self) -> tuple[Tensor, ...]:
        """Hidden states after each student layer, or the teacher's layer that it is compared with, (W, H) each."""

    def attention(self, number: int) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of one of those layers, from 0, or −1 for the last; (W, own width) each."""


@dataclass(frozen=True)
class Seen:
    """One part of an update as a term sees it, and how much the whole update holds.

    `lengths` are the word pieces of each example. `labels` (B,) are classes, or scores where `are_scores`; −1 or NaN
    where nobody knows what is true, as of a changed copy. A term is a sum over the part divided by `examples` or
    `words` of the whole update, so that parts add up however it was cut.
    """

    student: View
    teacher: View
    lengths: NDArray[np.int64]
    examples: int
    words: int
    labels: Tensor | None = None

    @property
    def are_scores(self) -> bool:
        """True where the labels are scores and not classes."""
        return self.labels is not None and self.labels.is_floating_point()


@dataclass(frozen=True)
class OverVocabulary:
    """A term over all words of the vocabulary, at some positions, computed for a block of logits at a time.

    `block(student, teacher, targets)` takes logits (N, V) that have been divided by the temperature, the teacher's of
    the same positions if the term asks it (it may overwrite them), and the hidden words (N,) if it does not. It returns
    the sum of its values (), before the square of the temperature, and its slope (N, V) by the student's logits.

    `temperature(options)`; `positions(hidden, options, random)` chooses from the positions (W,) of an update, of which
    `hidden` says where a word is hidden; `share(hidden, options)` is the part of them that it chooses, where the part
    `hidden` is hidden.
    """

    block: Callable[[Tensor, Tensor | None, Tensor | None], tuple[Tensor, Tensor]]
    temperature: Callable[[Options], float] = lambda options: 1.0
    positions: Callable[[NDArray[np.bool_], Options, np.random.Generator], NDArray[np.bool_]] = (
        lambda hidden, options, random: hidden
    )
    share: Callable[[float, Options], float] = lambda hidden, options: hidden


@dataclass(frozen=True)
class Term:
    """One way of learning: loss = Σ weight · term.

    `label` and `symbol` name it for people, `help` says what it does, `in_short` what it is in three words. `weight` is
    its default by objective, 0 where none is named; `paper_weight` what the paper gives it, `task_weight`
    what it has in the recipe that matches every layer on a task. `options` are settings of its own: type and pydantic
    `Field`, whose extra "objective" and "only_if" say where they mean something.

    `asks_teacher` is False for what is learned from the texts themselves. `needs` are the states it compares; of those
    `states(seen, options)` makes its value. `labels(seen, options)` makes it of the answers to labels, and
    `vocabulary` of the guesses of hidden words. `formula(seen, options)` is the same value by another way, for the
    tests: what it sees are NumPy arrays of float64, of words their logits and the hidden ones as labels. Each of ours
    has one.
    """

    name: str
    label: str
    symbol: str
    help: str
    weight: Mapping[Objective, float] = field(default_factory=dict)
    most: float = 100.0
    unit: str = ""
    in_short: str = ""
    asks_teacher: bool = True
    paper_weight: float = 0.0
    task_weight: float = 0.0
    options: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    needs: frozenset[Need] = frozenset()
    states: Callable[[Seen, Options], Tensor] | None = None
    labels: Callable[[Seen, Options], Tensor] | None = None
    vocabulary: OverVocabulary | None = None
    formula: Callable[[Any, Options], float] | None = None

    def suits(self, objective: Objective) -> bool:
        """True if there is something of what this objective learns that the term can be computed of."""
        return bool(self.states or (self.labels if objective == "labels" else self.vocabulary))

    @property
    def title(self) -> str:
        """Label and symbol: "Soft targets (L_ce)"."""
        return f"{self.label} ({self.symbol})"
