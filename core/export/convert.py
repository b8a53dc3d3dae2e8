"""A student as an ONNX file, through torch's exporter, and that file with 8-bit weights, through onnxruntime."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from core.models.families import family_of

OPSET = 20
INPUTS = ("input_ids", "attention_mask")
SEGMENTS = "token_type_ids"


class _LogitsOnly(nn.Module):
    """A model that takes and gives plain tensors, which is all that an ONNX file knows."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """Logits of word pieces (B, L)."""
        segments = {} if token_type_ids is None else {SEGMENTS: token_type_ids}
        return self.model(input_ids=input_ids, attention_mask=attention_mask, **segments).logits


def write_onnx(model: PreTrainedModel, to: Path) -> None:
    """Write one file, weights included, for any number of texts of any length that the model reads.

    Inputs `input_ids` and `attention_mask` (batch, sequence), 64-bit integers, and `token_type_ids` of a model that
    tells the texts of a pair apart by them; output `logits`.
    """
    family = family_of(model)
    longest = family.longest_input(model)
    batch, sequence = torch.export.Dim("batch"), torch.export.Dim("sequence", max=longest)
    # Two texts of unlike length: sizes of 1, and a mask that hides nothing, would be taken for constants.
    ids = torch.ones((2, 8), dtype=torch.long)
    mask = torch.tensor([[1] * 8, [1] * 5 + [0] * 3])
    inputs = dict(zip(INPUTS, (ids, mask), strict=True))
    if family.tells_segments_apart(model):
        inputs[SEGMENTS] = torch.zeros_like(ids)
    with _quietly():
        torch.onnx.export(
            _LogitsOnly(model).eval(),
            tuple(inputs.values()),
            to,
            input_names=list(inputs),
            output_names=["logits"],
            dynamic_shapes={name: {0: batch, 1: sequence} for name in inputs},
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def write_int8(onnx_file: Path, to: Path) -> None:
    """Write the same model with its matrices in 8-bit integers; what flows between them is rounded as it comes."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with _quietly():
        quantize_dynamic(onnx_file, to, weight_type=QuantType.QInt8, per_channel=True)


@contextmanager
def _quietly() -> Iterator[None]:
    """Hold back what both libraries say about themselves; errors still come through."""
    loggers = [logging.getLogger(name) for name in ("", "torch.onnx", "onnxscript")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
