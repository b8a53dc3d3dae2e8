"""Where a model's layers make queries, keys and values."""

from __future__ import annotations

from torch import nn
from transformers import PreTrainedModel


def attention_inputs(model: PreTrainedModel, layer: int) -> tuple[nn.Module, nn.Module, nn.Module]:
    """The linear maps of a layer, counted from 0, that make its queries, keys and values of what goes into it."""
    if model.config.model_type == "distilbert":
        names = f"transformer.layer.{layer}.attention", ("q_lin", "k_lin", "v_lin")
    else:
        names = f"encoder.layer.{layer}.attention.self", ("query", "key", "value")
    query, key, value = (model.base_model.get_submodule(f"{names[0]}.{name}") for name in names[1])
    return query, key, value
