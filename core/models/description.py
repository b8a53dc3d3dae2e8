"""What a config.json says about a model, taken over value by value: known names, sane types, sane bounds.

Only what is listed here reaches Transformers, so nothing else in the file can have an effect. Importing this file does
not load torch.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from core.models.folder import CONFIG, ModelFolder, printable
from core.models.shape import Family, Head, Shape
from core.models.weights import ModelError

MAX_LAYERS = 48
MAX_LABELS = 1000

SIZES: dict[Family, dict[str, tuple[str, int, int]]] = {
    "bert": {
        "num_hidden_layers": ("layers", 1, MAX_LAYERS),
        "hidden_size": ("width", 2, 8192),
        "num_attention_heads": ("heads", 1, 256),
        "intermediate_size": ("feed_forward", 1, 65_536),
        "vocab_size": ("vocabulary", 5, 2_000_000),
        "max_position_embeddings": ("positions", 8, 65_536),
        "type_vocab_size": ("segments", 1, 64),
    },
    "distilbert": {
        "n_layers": ("layers", 1, MAX_LAYERS),
        "dim": ("width", 2, 8192),
        "n_heads": ("heads", 1, 256),
        "hidden_dim": ("feed_forward", 1, 65_536),
        "vocab_size": ("vocabulary", 5, 2_000_000),
        "max_position_embeddings": ("positions", 8, 65_536),
    },
}
"""Name in the file to the name here, smallest and largest value."""

SHARES: dict[Family, tuple[str, ...]] = {
    "bert": ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"),
    "distilbert": ("dropout", "attention_dropout", "seq_classif_dropout"),
}
ACTIVATION: dict[Family, str] = {"bert": "hidden_act", "distilbert": "activation"}
ACTIVATIONS = ("gelu", "gelu_new", "gelu_fast", "gelu_python", "gelu_pytorch_tanh", "relu", "silu", "swish", "mish")
PROBLEMS = ("regression", "single_label_classification", "multi_label_classification")

CLASSES: dict[str, tuple[Family, Head]] = {
    "BertForSequenceClassification": ("bert", "labels"),
    "BertForMaskedLM": ("bert", "words"),
    "DistilBertForSequenceClassification": ("distilbert", "labels"),
    "DistilBertForMaskedLM": ("distilbert", "words"),
}


OF_TEACHERS: tuple[Family, ...] = ("bert",)
"""The families of which a teacher can be."""


@dataclass(frozen=True)
class Description:
    """A model as its config.json describes it. `values` are in the words of Transformers."""

    family: Family
    sizes: dict[str, int]
    label_names: tuple[str, ...]
    architectures: tuple[str, ...]
    values: dict[str, Any]

    def shape(self, head: Head) -> Shape:
        """The shape with one of the two heads."""
        sizes = {name: size for name, size in self.sizes.items() if name != "heads"}
        labels = len(self.label_names)
        return Shape(**{"segments": 0} | sizes, labels=labels, head=head, family=self.family)


def read_description(folder: ModelFolder, families: Collection[Family]) -> Description:
    """The folder's config.json, checked. Raises ModelError, naming the field, what it holds and what was expected."""
    return describe(folder.read_json(CONFIG), folder.where(CONFIG), families)


def describe(config: dict[str, Any], where: str, families: Collection[Family]) -> Description:
    """A config.json's content, checked; `where` is what messages call the file. Raises ModelError."""
    family = next((known for known in families if known == config.get("model_type")), None)
    if family is None:
        found = _shown(config.get("model_type"))
        raise ModelError(f"{where} names the model type {found}; expected {' or '.join(families)}.")
    if "auto_map" in config:
        raise ModelError(f"{where} asks for a program of its own (auto_map), and foreign programs are never run.")
    _refuse_other_kinds(config, where)
    fields = {name: (config.get(name), low, high) for name, (_, low, high) in SIZES[family].items()}
    for name, (value, low, high) in fields.items():
        if type(value) is not int or not low <= value <= high:
            raise ModelError(f"{where}: {name} is {_shown(value)}; expected a whole number from {low} to {high}.")
    sizes = {ours: config[name] for name, (ours, _, _) in SIZES[family].items()}
    if sizes["width"] % sizes["heads"]:
        raise ModelError(f"{where}: {sizes['heads']} heads cannot share a width of {sizes['width']} equally.")
    names = _label_names(config, where)
    values = {name: config[name] for name in SIZES[family]}
    values |= _details(config, family, sizes["vocabulary"], where)
    values |= {"id2label": dict(enumerate(names)), "label2id": {name: place for place, name in enumerate(names)}}
    return Description(family, sizes, names, _architectures(config, where), values)


def _refuse_other_kinds(config: dict[str, Any], where: str) -> None:
    """Kinds of BERT that our students could not copy, or that Transformers would build in another way."""
    for name in ("is_decoder", "add_cross_attention", "quantization_config"):
        if config.get(name):
            raise ModelError(f"{where}: {name} is set; expected a plain BERT that reads whole texts.")
    if config.get("position_embedding_type", "absolute") != "absolute":
        found = _shown(config["position_embedding_type"])
        raise ModelError(f"{where}: position_embedding_type is {found}; expected absolute.")


def _details(config: dict[str, Any], family: Family, vocabulary: int, where: str) -> dict[str, Any]:
    """Everything but sizes and labels; what the file does not say is left to Transformers' own defaults."""
    values: dict[str, Any] = {}
    ranges = dict.fromkeys(SHARES[family], (0.0, 0.999))
    ranges |= {"layer_norm_eps": (1e-15, 0.1)} if family == "bert" else {}
    for name, (low, high) in (ranges | {"initializer_range": (0.0, 10.0)}).items():
        if (value := config.get(name)) is not None:
            if type(value) not in (int, float) or not low <= value <= high:
                raise ModelError(f"{where}: {name} is {_shown(value)}; expected a number from {low:g} to {high:g}.")
            values[name] = float(value)
    for name, known in ((ACTIVATION[family], ACTIVATIONS), ("problem_type", PROBLEMS)):
        if (value := config.get(name)) is not None:
            if value not in known:
                raise ModelError(f"{where}: {name} is {_shown(value)}; expected one of {', '.join(known)}.")
            values[name] = value
    padding = config.get("pad_token_id", 0)
    if padding is not None and (type(padding) is not int or not 0 <= padding < vocabulary):
        raise ModelError(f"{where}: pad_token_id is {_shown(padding)}; expected 0 to {vocabulary - 1}.")
    return values | {"pad_token_id": padding}


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
