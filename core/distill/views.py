"""What a model makes of the texts of a part, as the terms of the loss look at it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from core.data.tokens import Batch
from core.distill.teacher_outputs import TeacherOutputs
from core.models.families import family_of
from core.models.student import LAST_MAP, layer_map_name


@dataclass(frozen=True)
class ModelView:
    """A model that has just read a part.

    `states(i)` are its hidden states (W, H) after its embeddings, for 0, and after each layer. `compared` are the
    layers that are looked at, from 0. `maps` take states to the teacher's width.
    """

    model: PreTrainedModel
    states: Callable[[int], Tensor]
    compared: tuple[int, ...]
    maps: Mapping[str, nn.Module]
    answers: Tensor | None = None

    @property
    def heads(self) -> int:
        """Of the attention."""
        return self.model.config.num_attention_heads

    @property
    def logits(self) -> Tensor:
        """The answers to labels, (B, C)."""
        assert self.answers is not None, "a model that guesses words gives no answers to labels"
        return self.answers

    @cached_property
    def hidden(self) -> Tensor:
        """Last hidden states, (W, H)."""
        return self._mapped(LAST_MAP, self.states(-1))

    @cached_property
    def layers(self) -> tuple[Tensor, ...]:
        """Hidden states after each layer that is looked at."""
        states = [self.states(layer + 1) for layer in self.compared]
        return tuple(self._mapped(layer_map_name(place), each) for place, each in enumerate(states))

    def attention(self, number: int) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of one of these layers, made anew of what went into it."""
        layer, family = self.compared[number], family_of(self.model)
        before = self.states(layer)
        with torch.set_grad_enabled(before.requires_grad):
            parts = family.attention_inputs(family.encoder_layers(self.model)[layer])
            query, key, value = (part(before) for part in parts)
        return query, key, value

    def _mapped(self, name: str, states: Tensor) -> Tensor:
        return self.maps[name](states) if name in self.maps else states


@dataclass(frozen=True)
class KeptView:
    """A teacher whose answers are kept: to labels, and perhaps its last hidden states."""

    outputs: TeacherOutputs
    batch: Batch
    heads: int

    @property
    def logits(self) -> Tensor:
        """The answers to labels, (B, C)."""
        return self.outputs.logits_of(self.batch)

    @property
    def hidden(self) -> Tensor:
        """Last hidden states, (W, H)."""
        return self.outputs.hidden_of(self.batch)

    @property
    def layers(self) -> tuple[Tensor, ...]:
        """Not kept: a term that needs them has the teacher asked anew."""
        raise LookupError("only the last hidden states of a teacher are kept")

    def attention(self, number: int) -> tuple[Tensor, Tensor, Tensor]:
        """Not kept either."""
        raise LookupError("queries, keys and values of a teacher are not kept")
