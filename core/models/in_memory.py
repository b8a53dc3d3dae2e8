"""What Transformers says of a model and a tokenizer in memory in several types, in one."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    Model = TypeVar("Model", bound=PreTrainedModel)


def on_device(model: Model, device: torch.device | str) -> Model:
    """The model, moved to a device as it is."""
    model.to(device)  # type: ignore[arg-type]  # Transformers wraps `to`, after which it looks like no method
    return model


def label_names(model: PreTrainedModel) -> tuple[str, ...]:
    """What its outputs are called, by place; the one output of a model that gives a score has a name too."""
    names = {int(place): str(name) for place, name in (model.config.id2label or {}).items()}
    return tuple(names[place] for place in range(len(names)))


def ids_of(tokenizer: PreTrainedTokenizerBase, pieces: list[str]) -> list[int]:
    """The numbers of word pieces."""
    ids = tokenizer.convert_tokens_to_ids(pieces)
    return [ids] if isinstance(ids, int) else ids


def pieces_of(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> list[str]:
    """The word pieces of numbers, as the tokenizer writes them."""
    pieces = tokenizer.convert_ids_to_tokens(ids)
    return [pieces] if isinstance(pieces, str) else pieces
