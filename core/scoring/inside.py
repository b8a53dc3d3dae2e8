"""Inside two models that read the same sentence: how alike their last hidden states are, and where they look.

Attention is only given by the plain implementation, so it is asked of a copy that shares the weights: models on the
shelf are never changed under somebody else. Importing this file does not load torch.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.data.pieces import word_pieces_of
from core.errors import DistilleryError
from core.models import shelf
from core.scoring.answers import longest_input, one_thread, readable, word_pieces

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

    from core.models.shelf import Loaded

NARROWER = (
    "The two models describe a word with a different number of values ({first} and {second}). They can only be "
    "compared through the projection that was learned along with the student, and that is not part of it."
)
OTHER_PIECES = "The two models cut this sentence into different word pieces, so there is nothing to lay side by side."


@dataclass(frozen=True)
class Inside:
    """What happens in two models at one text of L word pieces, [CLS] and [SEP] included.

    `closeness` (L,) is the cosine of both last hidden states, −1 to 1; None where it cannot be taken, and `reason` says
    why. `attention` holds by model (layers, heads, L, L): from the word piece of a row to that of a column, each row
    adding up to 1.
    """

    tokens: tuple[str, ...]
    closeness: NDArray[np.float64] | None
    attention: Mapping[str, NDArray[np.float32]]
    reason: str
    was_cut: bool

    @property
    def layers(self) -> dict[str, int]:
        """Layers of each model."""
        return {name: weights.shape[0] for name, weights in self.attention.items()}

    @property
    def heads(self) -> dict[str, int]:
        """Heads in a layer of each model."""
        return {name: weights.shape[1] for name, weights in self.attention.items()}

    def looks(self, name: str, layer: int, head: int | None) -> NDArray[np.float32]:
        """One model's attention (L, L) in one head of a layer; without a head, the mean over its heads."""
        weights = self.attention[name][layer]
        return weights.mean(axis=0) if head is None else weights[head]


def overlap(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """How alike two attention maps (L, L) are, 0 to 1: the share of its attention that a word spends alike in both."""
    return float(np.minimum(first, second).sum(axis=1).mean())


def same_depth(layer: int, layers: int, other_layers: int) -> int:
    """The layer of a stack of `other_layers` that lies as deep as `layer` of `layers`, both counted from 0."""
    return round((layer + 1) / layers * other_layers) - 1 if layers > 1 else other_layers - 1


def look_inside(
    folders: Mapping[str, Path], text: str, max_tokens: int, second: str | None = None, with_masks: bool = False
) -> Inside:
    """Both models' insides at a text or pair; `with_masks` reads [MASK] as a hidden word.

    Raises DistilleryError if a model cannot be opened, or if the two read different word pieces.
    """
    models = {name: shelf.get(folder) for name, folder in folders.items()}
    # Not before: the shelf has loaded torch, on one thread.
    import torch

    text, second = readable(text), None if second is None else readable(second)
    read = {name: _read(loaded, text, second, max_tokens, with_masks) for name, loaded in models.items()}
    tokens = {
        name: tuple(word_pieces_of(models[name].tokenizer, inputs["input_ids"][0].tolist(), is_text=True))
        for name, (inputs, _) in read.items()
    }
    if len(set(tokens.values())) > 1:
        raise DistilleryError(OTHER_PIECES)
    with one_thread(), torch.inference_mode():
        outputs = {name: _asked(loaded.model, read[name][0]) for name, loaded in models.items()}
    hidden = [states for states, _ in outputs.values()]
    closeness, reason = _closeness(*hidden)
    attention = {name: weights.numpy() for name, (_, weights) in outputs.items()}
    was_cut = any(was_cut for _, was_cut in read.values())
    return Inside(next(iter(tokens.values())), closeness, attention, reason, was_cut)


def with_attention(model: PreTrainedModel) -> PreTrainedModel:
    """A copy of a model that can tell its attention. It shares every weight, and the model itself stays as it is."""
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    twin = copy.deepcopy(model, shared)
    twin.set_attn_implementation("eager")
    return twin


def _read(
    loaded: Loaded, text: str, second: str | None, max_tokens: int, with_masks: bool
) -> tuple[dict[str, Tensor], bool]:
    if not with_masks:
        return word_pieces(loaded, text, second, max_tokens)
    import torch

    from core.data.tokens import pieces_with_masks

    ids, was_cut = pieces_with_masks(text, loaded.tokenizer, longest_input(loaded, max_tokens))
    return {"input_ids": torch.tensor([ids])}, was_cut


def _asked(model: PreTrainedModel, inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Last hidden states (L, H) and attention (layers, heads, L, L)."""
    import torch

    output = with_attention(model)(**inputs, output_attentions=True, output_hidden_states=True)
    return output.hidden_states[-1][0], torch.stack([weights[0] for weights in output.attentions])


def _closeness(first: Tensor, second: Tensor) -> tuple[NDArray[np.float64] | None, str]:
    if first.shape != second.shape:
        return None, NARROWER.format(first=first.shape[-1], second=second.shape[-1])
    import torch

    return torch.cosine_similarity(first.double(), second.double(), dim=-1).numpy(), ""
