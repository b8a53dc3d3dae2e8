"""What a model is made of, by its shape alone: every tensor by name, and so what it weighs.

Nothing is built, so the form can say it while you choose, and a file can be checked before anything is allocated.
Importing this file does not load torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

MB = 1e6
BYTES_PER_PARAMETER = 4
"""Weights are stored as 32-bit numbers."""

Family = Literal["bert", "distilbert"]
Head = Literal["labels", "words"]
Tensors = dict[str, tuple[int, ...]]

SAME_IN_BOTH = {
    "attention.self.query": "attention.q_lin",
    "attention.self.key": "attention.k_lin",
    "attention.self.value": "attention.v_lin",
    "attention.output.dense": "attention.out_lin",
    "attention.output.LayerNorm": "sa_layer_norm",
    "intermediate.dense": "ffn.lin1",
    "output.dense": "ffn.lin2",
    "output.LayerNorm": "output_layer_norm",
}
"""Module of a BERT layer to the module of a DistilBERT layer that does the same."""

HEADS: dict[Family, dict[Head, tuple[str, ...]]] = {
    "bert": {
        "labels": ("bert.pooler.dense", "classifier"),
        "words": ("cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", "cls.predictions.bias"),
    },
    "distilbert": {
        "labels": ("pre_classifier", "classifier"),
        "words": ("vocab_transform", "vocab_layer_norm", "vocab_projector.bias"),
    },
}
"""The modules on top of the encoder: a square layer, then the classifier, or a LayerNorm and one number a word.

The word head's vocabulary matrix is the word embeddings themselves.
"""


@dataclass(frozen=True)
class Shape:
    """A BERT or DistilBERT with a head. `segments` is the number of token-type rows (0: none, as in DistilBERT)."""

    layers: int
    width: int = 384
    feed_forward: int = 1536
    vocabulary: int = 30_522
    positions: int = 512
    segments: int = 2
    labels: int = 2
    head: Head = "labels"
    family: Family = "bert"

    def embedding_tensors(self) -> Tensors:
        """Word, position and token-type rows and their LayerNorm, by name."""
        rows = {"word": self.vocabulary, "position": self.positions, "token_type": self.segments}
        start = f"{self.family}.embeddings"
        tables = {f"{start}.{kind}_embeddings.weight": (count, self.width) for kind, count in rows.items() if count}
        return tables | _norm(f"{start}.LayerNorm", self.width)

    def layer_tensors(self, layer: int) -> Tensors:
        """Attention, feed-forward and LayerNorms of one layer, by name."""
        tensors: Tensors = {}
        for bert, distilbert in SAME_IN_BOTH.items():
            if self.family == "bert":
                name = f"bert.encoder.layer.{layer}.{bert}"
            else:
                name = f"distilbert.transformer.layer.{layer}.{distilbert}"
            if bert.endswith("LayerNorm"):
                tensors |= _norm(name, self.width)
            else:
                out = self.feed_forward if bert == "intermediate.dense" else self.width
                tensors |= _linear(name, out, self.feed_forward if bert == "output.dense" else self.width)
        return tensors

    def head_tensors(self) -> Tensors:
        """What lies on top of the encoder, by name."""
        square, *rest = HEADS[self.family][self.head]
        tensors = _linear(square, self.width, self.width)
        if self.head == "labels":
            return tensors | _linear(rest[0], self.labels, self.width)
        return tensors | _norm(rest[0], self.width) | {rest[1]: (self.vocabulary,)}

    def tensors(self) -> Tensors:
        """Every tensor that a file of this model holds, by name."""
        tensors = self.embedding_tensors()
        for layer in range(self.layers):
            tensors |= self.layer_tensors(layer)
        return tensors | self.head_tensors()

    @property
    def embedding_parameters(self) -> int:
        """Parameters of the word, position and token-type rows and their LayerNorm."""
        return _count(self.embedding_tensors())

    @property
    def encoder_parameters(self) -> int:
        """Parameters of all layers."""
        return self.layers * _count(self.layer_tensors(0))

    @property
    def head_parameters(self) -> int:
        """Parameters on top of the encoder."""
        return _count(self.head_tensors())

    @property
    def parameters(self) -> int:
        """All parameters."""
        return self.embedding_parameters + self.encoder_parameters + self.head_parameters

    @property
    def size_mb(self) -> float:
        """Megabytes (10^6 bytes) of the weights on disk."""
        return self.parameters * BYTES_PER_PARAMETER / MB


def _linear(name: str, out: int, into: int) -> Tensors:
    return {f"{name}.weight": (out, into), f"{name}.bias": (out,)}


def _norm(name: str, width: int) -> Tensors:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _count(tensors: Tensors) -> int:
    return sum(math.prod(shape) for shape in tensors.values())
