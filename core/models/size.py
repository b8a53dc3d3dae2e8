"""What a model weighs, worked out from its shape alone: nothing is built, so the form can say it while you choose."""

from __future__ import annotations

from dataclasses import dataclass

MB = 1e6
BYTES_PER_PARAMETER = 4
"""Weights are stored as 32-bit numbers."""


@dataclass(frozen=True)
class Shape:
    """A BERT-family classifier. `segments` is the number of token-type rows (0: none, as in DistilBERT)."""

    layers: int
    width: int = 384
    feed_forward: int = 1536
    vocabulary: int = 30_522
    positions: int = 512
    segments: int = 2
    labels: int = 2

    @property
    def embedding_parameters(self) -> int:
        """Word, position and token-type rows and their LayerNorm."""
        return (self.vocabulary + self.positions + self.segments + 2) * self.width

    @property
    def encoder_parameters(self) -> int:
        """Attention, feed-forward and LayerNorms of all layers."""
        attention = 4 * (self.width * self.width + self.width)
        feed_forward = 2 * self.width * self.feed_forward + self.feed_forward + self.width
        return self.layers * (attention + feed_forward + 4 * self.width)

    @property
    def head_parameters(self) -> int:
        """The layer on top of [CLS] (BERT's pooler, DistilBERT's pre-classifier) and the classifier."""
        return self.width * self.width + self.width + self.width * self.labels + self.labels

    @property
    def parameters(self) -> int:
        """All parameters."""
        return self.embedding_parameters + self.encoder_parameters + self.head_parameters

    @property
    def size_mb(self) -> float:
        """Megabytes (10^6 bytes) of the weights on disk."""
        return self.parameters * BYTES_PER_PARAMETER / MB


def teacher_shape(labels: int = 2) -> Shape:
    """The bundled teacher, MiniLM."""
    return Shape(layers=6, labels=labels)


def student_shape(layers: int, labels: int = 2) -> Shape:
    """A student of the bundled teacher: same width, fewer layers, no token types."""
    return Shape(layers=layers, segments=0, labels=labels)
