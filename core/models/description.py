"""What a config.json says about a model, taken over value by value: known names, sane types, sane bounds.

Only what its family lists reaches Transformers, so nothing else in the file can have an effect. Importing this file
does not load torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.models.families import FAMILIES
from core.models.families.family import Family, Head
from core.models.folder import CONFIG, ModelFolder, printable
from core.models.shape import Shape
from core.models.tokenizer import Room
from core.models.weights import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MAX_LABELS = 1000
FEWEST_PIECES = 8
"""A model that reads fewer word pieces reads no texts."""

ACTIVATIONS = ("gelu", "gelu_new", "gelu_fast", "gelu_python", "gelu_pytorch_tanh", "relu", "silu", "swish", "mish")
PROBLEMS = ("regression", "single_label_classification", "multi_label_classification")


@dataclass(frozen=True)
class Description:
    """A model as its config.json describes it. `sizes` are by our names, `values` in the words of Transformers."""

    family: Family
    sizes: dict[str, int]
    label_names: tuple[str, ...]
    architectures: tuple[str, ...]
    values: dict[str, Any]

    def shape(self, head: Head) -> Shape:
        """The shape with one of the two heads."""
        sizes = {"segments": 0} | {name: size for name, size in self.sizes.items() if name != "heads"}
        return Shape(**sizes, offset=self.offset, labels=len(self.label_names), head=head, family=self.family.name)

    @property
    def offset(self) -> int:
        """The number of the first word piece's position."""
        return self.family.offset(self.values["pad_token_id"])

    @property
    def tells_segments(self) -> bool:
        """True if the model is told which text of a pair a word piece belongs to."""
        return self.family.reads_segments and self.sizes["segments"] > 1

    @property
    def longest(self) -> int:
        """How many word pieces the model reads at most."""
        return self.sizes["positions"] - self.offset


def read_description(folder: ModelFolder) -> Description:
    """The folder's config.json, checked. Raises ModelError, naming the field, what it holds and what was expected."""
    return describe(folder.read_json(CONFIG), folder.where(CONFIG))


def load_tokenizer(folder: ModelFolder, description: Description) -> PreTrainedTokenizerBase:
    """The folder's tokenizer for the model that it describes. Raises ModelError, naming the file."""
    room = Room(description.sizes["vocabulary"], description.longest, description.values["pad_token_id"])
    return description.family.tokenizer.load(folder, room)


def describe(config: dict[str, Any], where: str) -> Description:
    """A config.json's content, checked; `where` is what messages call the file. Raises ModelError."""
    named = config.get("model_type")
    family = FAMILIES.get(named) if isinstance(named, str) else None
    if family is None:
        raise ModelError(f"{where} names the model type {_shown(named)}; expected {' or '.join(FAMILIES)}.")
    if "auto_map" in config:
        raise ModelError(f"{where} asks for a program of its own (auto_map), and foreign programs are never run.")
    _refuse_other_kinds(config, family, where)
    fields = {name: (config.get(name), low, high) for name, (_, low, high) in family.sizes.items()}
    for name, (value, low, high) in fields.items():
        if type(value) is not int or not low <= value <= high:
            raise ModelError(f"{where}: {name} is {_shown(value)}; expected a whole number from {low} to {high}.")
    sizes = {ours: config[name] for name, (ours, _, _) in family.sizes.items()}
    if sizes["width"] % sizes["heads"]:
        raise ModelError(f"{where}: {sizes['heads']} heads cannot share a width of {sizes['width']} equally.")
    names = _label_names(config, where)
    values = {name: config[name] for name in family.sizes}
    values |= _details(config, family, sizes["vocabulary"], where)
    values |= {"id2label": dict(enumerate(names)), "label2id": {name: place for place, name in enumerate(names)}}
    return _long_enough(Description(family, sizes, names, _architectures(config, where), values), where)


def _refuse_other_kinds(config: dict[str, Any], family: Family, where: str) -> None:
    """Kinds of a family that our students could not copy, or that Transformers would build in another way."""
    for name in ("is_decoder", "add_cross_attention", "quantization_config"):
        if config.get(name):
            raise ModelError(f"{where}: {name} is set; expected a plain {family.title} that reads whole texts.")
    if config.get("position_embedding_type", "absolute") != "absolute":
        found = _shown(config["position_embedding_type"])
        raise ModelError(f"{where}: position_embedding_type is {found}; expected absolute.")


def _details(config: dict[str, Any], family: Family, vocabulary: int, where: str) -> dict[str, Any]:
    """Everything but sizes and labels; what the file does not say is left to Transformers' own defaults."""
    values: dict[str, Any] = {}
    for name, (low, high) in {**family.ranges, "initializer_range": (0.0, 10.0)}.items():
        if (value := config.get(name)) is not None:
            if type(value) not in (int, float) or not low <= value <= high:
                raise ModelError(f"{where}: {name} is {_shown(value)}; expected a number from {low:g} to {high:g}.")
            values[name] = float(value)
    for name, known in ((family.activation, ACTIVATIONS), ("problem_type", PROBLEMS)):
        if (value := config.get(name)) is not None:
            if value not in known:
                raise ModelError(f"{where}: {name} is {_shown(value)}; expected one of {', '.join(known)}.")
            values[name] = value
    padding = config.get("pad_token_id", family.padding)
    # Where positions are counted from the padding's number, there has to be one.
    is_missing = padding is None and not family.positions_follow_padding
    if not is_missing and (type(padding) is not int or not 0 <= padding < vocabulary):
        raise ModelError(f"{where}: pad_token_id is {_shown(padding)}; expected 0 to {vocabulary - 1}.")
    return values | {"pad_token_id": padding}


def _long_enough(found: Description, where: str) -> Description:
    if found.longest < FEWEST_PIECES:
        raise ModelError(
            f"{where}: of max_position_embeddings, {found.sizes['positions']}, {max(0, found.longest)} are left for "
            f"word pieces; expected at least {FEWEST_PIECES}."
        )
    return found


def _label_names(config: dict[str, Any], where: str) -> tuple[str, ...]:
    names = config.get("id2label")
    if names is None:
        count = config.get("num_labels", 2)
        if type(count) is not int or not 1 <= count <= MAX_LABELS:
            raise ModelError(f"{where}: num_labels is {_shown(count)}; expected a number from 1 to {MAX_LABELS}.")
        return tuple(f"LABEL_{place}" for place in range(count))
    if not isinstance(names, dict) or not 1 <= len(names) <= MAX_LABELS:
        raise ModelError(f"{where}: id2label is {_shown(names)}; expected 1 to {MAX_LABELS} names.")
    found = [names.get(str(place)) for place in range(len(names))]
    if not all(isinstance(name, str) and len(name) <= 200 for name in found):
        raise ModelError(f'{where}: id2label does not name the labels "0" to "{len(names) - 1}" in short words.')
    return tuple(printable(str(name)) for name in found)


def _architectures(config: dict[str, Any], where: str) -> tuple[str, ...]:
    found = config.get("architectures") or []
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise ModelError(f"{where}: architectures is {_shown(found)}; expected a list of names.")
    return tuple(found)


def _shown(value: object) -> str:
    """A foreign value, short, for a message."""
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
