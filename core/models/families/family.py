"""What a model family is: one declaration that everything else asks.

A declaration is data and names: where layers, embeddings, heads and attention inputs lie, what config.json may say, how
texts are cut, which student results. Pages read it, so nothing here loads torch or transformers before a model is built
or looked into.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from core.models.tokenizer import TokenizerKind

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
    from transformers import PreTrainedConfig, PreTrainedModel

Head = Literal["labels", "words"]
Tensors = dict[str, tuple[int, ...]]
Sizes = Mapping[str, int]
"""Sizes by our names: layers, width, heads, feed_forward, vocabulary, positions, segments, embedding, labels."""

SHARE = (0.0, 0.999)
"""Smallest and largest dropout."""


@dataclass(frozen=True)
class Table:
    """A matrix of rows that are looked up: `rows` and `width` name sizes."""

    name: str
    rows: str
    width: str

    def tensors(self, start: str, sizes: Sizes) -> Tensors:
        """Its tensor by name; none where there are no rows."""
        return {f"{start}{self.name}.weight": (sizes[self.rows], sizes[self.width])} if sizes[self.rows] else {}


@dataclass(frozen=True)
class Linear:
    """A matrix and a bias. With `only_between_widths` it is there only where both sizes differ."""

    name: str
    out: str
    into: str
    only_between_widths: bool = False

    def tensors(self, start: str, sizes: Sizes) -> Tensors:
        """Its tensors by name."""
        out, into = sizes[self.out], sizes[self.into]
        if self.only_between_widths and out == into:
            return {}
        return {f"{start}{self.name}.weight": (out, into), f"{start}{self.name}.bias": (out,)}


@dataclass(frozen=True)
class Norm:
    """A LayerNorm."""

    name: str
    width: str

    def tensors(self, start: str, sizes: Sizes) -> Tensors:
        """Its tensors by name."""
        return {f"{start}{self.name}.{kind}": (sizes[self.width],) for kind in ("weight", "bias")}


@dataclass(frozen=True)
class Numbers:
    """A parameter by itself, one number for each of what `size` counts."""

    name: str
    size: str

    def tensors(self, start: str, sizes: Sizes) -> Tensors:
        """Its tensor by name."""
        return {f"{start}{self.name}": (sizes[self.size],)}


Part = Table | Linear | Norm | Numbers


@dataclass(frozen=True)
class OtherStudent:
    """How a student of another family is made of a teacher's parts.

    `config` takes the teacher's and the student's sizes by our names. `encoder` takes the state of the teacher's
    encoder and the chosen layers, and gives the state of the student's. `copy_word_head` copies the head for words.
    """

    family: str
    config: Callable[[PreTrainedConfig, Sizes], PreTrainedConfig]
    encoder: Callable[[dict[str, Tensor], Sequence[int]], dict[str, Tensor]]
    copy_word_head: Callable[[PreTrainedModel, PreTrainedModel], None]


@dataclass(frozen=True)
class Family:
    """One kind of model, in the words of Transformers where it names parts of one.

    `name` is the model type in config.json, `prefix` the module of a model that is its encoder. `sizes` gives the name
    here, the smallest and the largest value of each size in config.json; `ranges` are its numbers that may be left out;
    `padding` numbers the piece that pads a text where it does not say so.

    Names in `layers`, `embeddings` and `layer` are below the encoder, or below one layer, as those in `attention`;
    those in `heads` and `output_layer` are below the whole model. `label_rows` is the part of the head that has a row
    a label; `pooler` is how the names begin of a head's part that lies inside the encoder. Names that begin with one of
    `tops` may be missing or left over in a teacher's file; `tied` maps tensors that some files hold a second time to
    the first.

    `word_classes` are the classes whose files have a head for words, and `head_rows` is that head up to the vocabulary
    matrix. Without it words can be learned with a fresh head, unless `words_need_head` says why not. `student` is None
    where the student is of the same class, with fewer layers.
    """

    name: str
    title: str
    prefix: str
    config_class: str
    classes: Mapping[Head, str]
    word_classes: tuple[str, ...]
    sizes: Mapping[str, tuple[str, int, int]]
    ranges: Mapping[str, tuple[float, float]]
    activation: str
    embeddings: tuple[Part, ...]
    layers: str
    layer: tuple[Part, ...]
    attention: tuple[str, str, str]
    heads: Mapping[Head, tuple[Part, ...]]
    label_rows: str
    output_layer: str
    head_rows: Callable[[Any, Tensor], Tensor]
    tops: tuple[str, ...]
    tied: Mapping[str, str]
    tokenizer: TokenizerKind
    pooler: str = ""
    padding: int = 0
    reads_segments: bool = False
    positions_follow_padding: bool = False
    words_need_head: str = ""
    student: OtherStudent | None = None

    # What follows from the declaration alone

    def embedding_tensors(self, sizes: Sizes) -> Tensors:
        """Tensors of everything below the layers, by name."""
        return _of(self.embeddings, f"{self.prefix}.", sizes)

    def layer_tensors(self, layer: int, sizes: Sizes) -> Tensors:
        """Tensors of one layer, by name."""
        return _of(self.layer, f"{self.prefix}.{self.layers}.{layer}.", sizes)

    def head_tensors(self, head: Head, sizes: Sizes) -> Tensors:
        """Tensors on top of the encoder, by name."""
        return _of(self.heads[head], "", sizes)

    def is_top(self, name: str) -> bool:
        """True for a tensor on top of the encoder."""
        return name.startswith(self.tops)

    @property
    def bare(self) -> tuple[str, ...]:
        """How names begin in a file that holds the encoder alone."""
        inside = {part.name.partition(".")[0] for part in self.embeddings} | {self.layers.partition(".")[0]}
        pooler = {self.pooler.removeprefix(f"{self.prefix}.").rstrip(".")} if self.pooler else set()
        return tuple(f"{name}." for name in sorted(inside | pooler))

    @property
    def counters(self) -> tuple[str, ...]:
        """The numbers 0, 1, 2, …, which older files store and a model makes itself."""
        return tuple(f"{self.prefix}.embeddings.{kind}" for kind in ("position_ids", "token_type_ids"))

    def offset(self, padding: int | None) -> int:
        """The number of the first word piece's position."""
        return (padding or 0) + 1 if self.positions_follow_padding else 0

    # What asks a model. Only here are torch and transformers needed.

    def config_type(self) -> type[PreTrainedConfig]:
        """Transformers' class of its configuration."""
        import transformers

        return getattr(transformers, self.config_class)

    def model_type(self, head: Head) -> type[PreTrainedModel]:
        """Transformers' class of a model with this head."""
        import transformers

        return getattr(transformers, self.classes[head])

    def encoder_layers(self, model: PreTrainedModel) -> list[nn.Module]:
        """The layers, the one next to the embeddings first."""
        return list(model.base_model.get_submodule(self.layers).children())

    def attention_inputs(self, layer: nn.Module) -> tuple[nn.Module, nn.Module, nn.Module]:
        """The linear modules of one layer that make queries, keys and values."""
        query, key, value = (layer.get_submodule(name) for name in self.attention)
        return query, key, value

    def vocabulary_layer(self, model: PreTrainedModel) -> nn.Linear:
        """The vocabulary matrix of a model that guesses words, and its bias."""
        layer: Any = model.get_submodule(self.output_layer)
        return layer

    def label_layer(self, model: PreTrainedModel) -> nn.Linear:
        """The last linear module of a model that gives labels."""
        layer: Any = model.get_submodule(self.label_rows)
        return layer

    def first_position(self, model: PreTrainedModel) -> int:
        """The number of the first word piece's position in this model."""
        return self.offset(model.config.pad_token_id)

    def longest_input(self, model: PreTrainedModel) -> int:
        """How many word pieces this model reads at most."""
        return model.config.max_position_embeddings - self.first_position(model)

    def tells_segments_apart(self, model: PreTrainedModel) -> bool:
        """True if it is told which text of a pair a word piece belongs to."""
        return self.reads_segments and model.config.type_vocab_size > 1

    def guesses_words(self, model: PreTrainedModel) -> bool:
        """True for a model with the head for words."""
        return isinstance(model, self.model_type("words"))

    def counted_anew(self, model: PreTrainedModel) -> dict[str, torch.Tensor]:
        """The encoder's counters, by name, as a model makes them itself: (1, positions) each."""
        import torch

        positions = torch.arange(model.config.max_position_embeddings).expand((1, -1))
        values = {"position_ids": positions, "token_type_ids": torch.zeros_like(positions)}
        buffers = model.base_model.get_submodule("embeddings").named_buffers(recurse=False)
        return {name: values[name] for name, _ in buffers}


def _of(parts: tuple[Part, ...], start: str, sizes: Sizes) -> Tensors:
    tensors: Tensors = {}
    for part in parts:
        tensors |= part.tensors(start, sizes)
    return tensors
