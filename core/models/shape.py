"""What a model is made of, by its shape alone: every tensor by name, and so what it weighs.

Nothing is built, so the form can say it while you choose, and a file can be checked before anything is allocated.
Importing this file does not load torch.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from core.models.families import FAMILIES
from core.models.families.family import Head, Sizes, Tensors

MB = 1e6
BYTES_PER_PARAMETER = 4
"""Weights are stored as 32-bit numbers."""


@dataclass(frozen=True)
class Shape:
    """A model of a family with a head. `segments` is the number of token-type rows (0: none, as in DistilBERT).

    `embedding` is the width of the word rows (0: that of the layers), `offset` the number of the first position.
    """

    layers: int
    width: int = 384
    feed_forward: int = 1536
    vocabulary: int = 30_522
    positions: int = 512
    segments: int = 2
    labels: int = 2
    head: Head = "labels"
    family: str = "bert"
    embedding: int = 0
    offset: int = 0

    @property
    def longest(self) -> int:
        """How many word pieces it reads at most."""
        return self.positions - self.offset

    @property
    def word_width(self) -> int:
        """Width of a row of the vocabulary matrix."""
        return self.embedding or self.width

    def embedding_tensors(self) -> Tensors:
        """Word, position and token-type rows and what lies between them and the layers, by name."""
        return FAMILIES[self.family].embedding_tensors(self._sizes())

    def layer_tensors(self, layer: int) -> Tensors:
        """Attention, feed-forward and LayerNorms of one layer, by name."""
        return FAMILIES[self.family].layer_tensors(layer, self._sizes())

    def head_tensors(self) -> Tensors:
        """What lies on top of the encoder, by name.

        The word head's vocabulary matrix is the word embeddings themselves.
        """
        return FAMILIES[self.family].head_tensors(self.head, self._sizes())

    def tensors(self) -> Tensors:
        """Every tensor that a file of this model holds, by name."""
        tensors = self.embedding_tensors()
        for layer in range(self.layers):
            tensors |= self.layer_tensors(layer)
        return tensors | self.head_tensors()

    @property
    def embedding_parameters(self) -> int:
        """Parameters of everything below the layers."""
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

    def _sizes(self) -> Sizes:
        return {name: value for name, value in asdict(self).items() if type(value) is int} | {
            "embedding": self.word_width
        }


def _count(tensors: Tensors) -> int:
    return sum(math.prod(shape) for shape in tensors.values())
