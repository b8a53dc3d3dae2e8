"""The groups of settings: each field once, with its label, unit, bounds, help and default.

What spans several groups is checked in `core/config.py`. Nothing here imports torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator

from core.terms import TERMS
from core.terms.declaration import Need, Term

BundledSource = Literal["rotten_tomatoes", "imdb"]
GlueSource = Literal["glue_folder", "glue_hub"]
GlueTask = Literal["CoLA", "SST-2", "MRPC", "STS-B", "QQP", "MNLI", "QNLI", "RTE", "WNLI"]

LONGEST_PATH = 4096
"""Bound of every field that names a file or folder, in characters."""


class Section(BaseModel):
    """A group of settings: frozen, strict about types, closed to unknown names, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class DataSettings(Section):
    """What the models read."""

    source: Literal[BundledSource, GlueSource, "csv", "text"] = Field(
        "rotten_tomatoes",
        title="Data",
        description="The text that both models read. Sentences take minutes, whole reviews take much longer.",
        json_schema_extra={
            "options": {
                "rotten_tomatoes": "Movie sentences (Rotten Tomatoes, 8 530)",
                "imdb": "Movie reviews (IMDb, 25 000)",
                "glue_folder": "A GLUE task from a folder",
                "glue_hub": "A GLUE task from the Hub (network)",
                "csv": "A CSV file of yours",
                "text": "Plain text of yours (masked words)",
            }
        },
    )
    path: str = Field(
        "",
        max_length=LONGEST_PATH,
        title="File or folder",
        description="Where the data lies on this machine: the GLUE folder (with SST-2/, MRPC/ and so on inside), the "
        "CSV file, or a text file or a folder of .txt files.",
    )
    task: GlueTask = Field(
        "SST-2",
        title="GLUE task",
        description="Which of the nine tasks of GLUE.",
        json_schema_extra={"options": {name: name for name in get_args(GlueTask)}},
    )
    split: Literal["auto", "random", "official", "merged"] = Field(
        "auto",
        title="Split",
        description="Which examples are kept for scoring. Official: GLUE's own development set. Merged: train and "
        "development set together, duplicates removed, then 80/10/10, as the course project did: easier, because "
        "parts of a sentence can be in train and the whole in test.",
        json_schema_extra={
            "options": {
                "auto": "Automatic",
                "random": "80/10/10, at random",
                "official": "Official (GLUE)",
                "merged": "Course project: merged, then 80/10/10 (GLUE)",
            }
        },
    )
    text_column: str = Field(
        "text", max_length=200, title="Text column", description="The CSV column that holds the text."
    )
    pair_column: str = Field(
        "",
        max_length=200,
        title="Second text column",
        description="The CSV column that holds the second text of a pair. Empty: there is only one text.",
    )
    label_column: str = Field(
        "label", max_length=200, title="Label column", description="The CSV column that holds the label."
    )
    label_kind: Literal["auto", "classes", "score"] = Field(
        "auto",
        title="Labels are",
        description="Classes: a name or number for each kind of text. Score: a number on a scale, to be predicted "
        "itself. Automatic: a score if the column holds numbers with decimals, classes otherwise.",
        json_schema_extra={"options": {"auto": "Automatic", "classes": "Classes", "score": "A score"}},
    )
    max_examples: int | None = Field(
        None,
        ge=200,
        le=100_000,
        title="Use at most",
        description="Take only this many examples, balanced by label. Empty means all of them.",
        json_schema_extra={"unit": "examples", "step": 500},
    )
    max_tokens: int = Field(
        128,
        ge=8,
        le=512,
        title="Longest input",
        description="Longer texts are cut after this many word pieces, [CLS] and [SEP] included.",
        json_schema_extra={"unit": "word pieces", "step": 8},
    )
    split_seed: int = Field(
        0,
        ge=0,
        le=2**31 - 1,
        title="Seed of the split",
        description="Decides which tenth is held out for validation and which for the test. Keep it to compare runs.",
    )


class TeacherSettings(Section):
    """How the large model is first fine-tuned on the task."""

    source: Literal["minilm", "folder", "hub"] = Field(
        "minilm",
        title="Teacher",
        description="The large model that the student learns from.",
        json_schema_extra={
            "options": {
                "minilm": "MiniLM, 6 layers (bundled)",
                "folder": "A model folder of yours",
                "hub": "A model from the Hub (network)",
            }
        },
    )
    path: str = Field(
        "",
        max_length=LONGEST_PATH,
        title="Model folder",
        description="A folder with config.json, model.safetensors and the model's tokenizer.",
    )
    hub_id: str = Field(
        "google-bert/bert-base-uncased",
        max_length=96,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?$",
        title="Hub id",
        description="A model on the Hugging Face Hub, as owner/name.",
    )
    epochs: int = Field(
        1,
        ge=0,
        le=20,
        title="Teacher epochs",
        description="How often the teacher reads all the data while it learns the task. 0 uses it as it is, which "
        "needs a model that has learned the task already.",
        json_schema_extra={"unit": "epochs"},
    )
    batch_size: int = Field(
        16,
        ge=1,
        le=1024,
        title="Teacher batch",
        description="Texts per update of the teacher.",
        json_schema_extra={"unit": "texts"},
    )
    learning_rate: float = Field(
        1e-4,
        ge=1e-7,
        le=1e-2,
        title="Teacher learning rate",
        description="The largest step the teacher's optimiser takes.",
        json_schema_extra={"format": "%.1e", "step": 1e-5},
    )
    seed: int = Field(
        0,
        ge=0,
        le=2**31 - 1,
        title="Teacher seed",
        description="Order and dropout of the teacher's training. Keep it to reuse a trained teacher.",
    )


class StudentSettings(Section):
    """What the small model is made of."""

    layers: int = Field(
        3,
        ge=1,
        le=48,
        title="Student layers",
        description="How deep the student is. Fewer layers are smaller and faster, and lose more.",
        json_schema_extra={"unit": "layers"},
    )
    teacher_layers: tuple[int, ...] | None = Field(
        None,
        strict=False,
        title="Copied from teacher layers",
        description="Which teacher layers the student's layers start from, counted from 0. "
        "Empty means evenly spread, first and last included: round(linspace(0, last, layers)).",
    )
    initial_weights: Literal["copied", "random"] = Field(
        "copied",
        title="Initial weights",
        description="Copied: each student layer starts as the teacher layer it comes from. Random: the student "
        "starts knowing nothing, which on little data costs more than any loss term (paper, Table 4: −3.69).",
        json_schema_extra={"options": {"copied": "Copied from the teacher", "random": "Random"}},
    )
    width: int | None = Field(
        None,
        ge=8,
        le=4096,
        title="Hidden width",
        description="Numbers per word piece inside the student. Empty means the teacher's. A narrower student starts "
        "from random weights, and the cosine term compares it through a projection that is learned along with it.",
        json_schema_extra={"unit": "numbers", "step": 64},
    )
    heads: int | None = Field(
        None,
        ge=1,
        le=64,
        title="Attention heads",
        description="Attention heads of each layer; they share the width equally. Empty means the teacher's.",
        json_schema_extra={"unit": "heads"},
    )

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> StudentSettings:
        if self.width and self.heads and self.width % self.heads:
            raise ValueError(f"student.width is {self.width}, which {self.heads} heads cannot share equally")
        return self

    def layer_map(self, teacher_depth: int) -> tuple[int, ...]:
        """Teacher layer (from 0) that each student layer comes from, shallowest first."""
        return self.teacher_layers or spread_layers(self.layers, teacher_depth)


class LossOfTerms(Section):
    """How the ways of learning are mixed: loss = Σ weight · term. Weights and options are fields, one for each term's.

    Which those are is found (`core.terms`), so no field is named here; `LossSettings` below has them.
    """

    if TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None: ...

        def __getattr__(self, name: str) -> Any: ...

    @model_validator(mode="after")
    def _something_to_learn(self) -> Self:
        if not self.in_use():
            raise ValueError("all loss weights are 0, so the student would learn nothing; raise at least one")
        return self

    def weights(self) -> dict[str, float]:
        """Every term's weight, by name."""
        return {term.name: getattr(self, term.name) for term in TERMS}

    def in_use(self) -> tuple[Term, ...]:
        """The terms that have a weight: no other is computed."""
        return tuple(term for term in TERMS if getattr(self, term.name) > 0)

    def options(self) -> dict[str, Any]:
        """All that is no weight, of every term, by name."""
        return {name: getattr(self, name) for term in TERMS for name in term.options}

    def needs(self) -> frozenset[Need]:
        """Which states of both models the terms in use compare."""
        return frozenset(need for term in self.in_use() for need in term.needs)

    def asks_teacher(self) -> bool:
        """False for a control: the same student trained on the texts alone."""
        return any(term.asks_teacher for term in self.in_use())


def _loss_fields() -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for term in TERMS:
        extra: dict[str, Any] = {"symbol": term.symbol, "step": 0.5}
        if not term.paper_weight:
            # The first format knew the paper's; of any other an older configuration has no weight.
            extra["before"] = 0.0
        default, help = term.weight.get("labels", 0.0), term.help
        field = Field(default, ge=0, le=term.most, title=term.title, description=help, json_schema_extra=extra)
        fields[term.name] = (float, field)
    return fields | {name: option for term in TERMS for name, option in term.options.items()}


if TYPE_CHECKING:
    LossSettings = LossOfTerms
else:
    LossSettings = create_model("LossSettings", __base__=LossOfTerms, __module__=__name__, **_loss_fields())


class MaskingSettings(Section):
    """Which words are hidden and have to be guessed (only where the objective is masked words)."""

    share: float = Field(
        0.15,
        ge=0.01,
        le=0.5,
        title="Share of masked words",
        description="Share of the word pieces that have to be guessed. Of them 80 % are replaced by [MASK], 10 % by a "
        "random word piece, 10 % are left.",
        json_schema_extra={"step": 0.01},
    )
    rarity: float = Field(
        0.7,
        ge=0,
        le=2,
        title="Favour rare words",
        description="Word pieces are chosen with probability ∝ count^−rarity. 0: all alike. The paper's code: 0.7.",
        json_schema_extra={"step": 0.1},
    )
    whole_words: bool = Field(
        False,
        title="Whole words",
        description="Hide all pieces of a word together, which is harder to guess.",
    )


class TrainingSettings(Section):
    """How the student trains."""

    epochs: int = Field(
        2,
        ge=1,
        le=100,
        title="Epochs",
        description="How often the student reads all the data.",
        json_schema_extra={"unit": "epochs"},
    )
    batch_size: int = Field(
        32,
        ge=1,
        le=1024,
        title="Batch",
        description="Texts per update: the effective batch, since every batch is one update.",
        json_schema_extra={"unit": "texts"},
    )
    copies: int = Field(
        0,
        ge=0,
        le=10,
        title="Changed copies",
        description="How often each text is also read with words left out, moved or taken from another text. What is "
        "true of such a copy nobody knows, so only the teacher's answer to it is learned. A control, which has no "
        "teacher, reads the text itself as often instead.",
        json_schema_extra={"unit": "of each text", "before": 0},
    )
    accumulation: int = Field(
        1,
        ge=1,
        le=256,
        title="Cut each batch into",
        description="Computes a batch in this many parts, one after the other: less memory, the same update.",
        json_schema_extra={"unit": "parts"},
    )
    learning_rate: float = Field(
        1e-4,
        ge=1e-7,
        le=1e-2,
        title="Learning rate",
        description="The largest step of the optimiser (AdamW); it warms up, then falls linearly to 0.",
        json_schema_extra={"format": "%.1e", "step": 1e-5},
    )
    warmup: float = Field(
        0.05,
        ge=0,
        le=0.5,
        title="Warm-up",
        description="Share of the steps in which the learning rate rises from 0. The paper uses 5 %.",
        json_schema_extra={"step": 0.01},
    )
    seed: int = Field(
        0,
        ge=0,
        le=2**31 - 1,
        title="Seed",
        description="Order of the data, dropout and random weights. The same seed here gives the same run.",
    )
    device: Literal["auto", "cuda", "mps", "cpu"] = Field(
        "auto",
        title="Device",
        description="Where the models compute. Automatic takes a GPU where there is one.",
        json_schema_extra={
            "options": {"auto": "Automatic", "cuda": "NVIDIA GPU", "mps": "Apple GPU", "cpu": "Processor"}
        },
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto",
        title="Precision",
        description="bf16 is faster where the device supports it; losses are always computed in fp32.",
        json_schema_extra={
            "options": {
                "auto": "Automatic",
                "fp32": "32-bit (fp32)",
                "bf16": "16-bit (bf16)",
                "fp16": "16-bit (fp16, NVIDIA GPU)",
            }
        },
    )
    compile: bool = Field(
        False,
        title="Compile the student",
        description="Lets torch translate the student into code of its own (torch.compile). The first steps then take "
        "minutes; a long run on a GPU gains.",
    )
    checkpoint_every: int = Field(
        200,
        ge=1,
        le=100_000,
        title="Checkpoint every",
        description="How often everything is saved, so that a run that was cut off can go on from there. "
        "A stop saves too.",
        json_schema_extra={"unit": "steps", "step": 50},
    )
    threads: int | None = Field(
        None,
        ge=1,
        le=256,
        title="Compute threads",
        description="Processor threads for training. Empty means all cores. "
        "Changing it changes the last digits of a run.",
        json_schema_extra={"unit": "threads"},
    )


def spread_layers(layers: int, teacher_depth: int) -> tuple[int, ...]:
    """Evenly spread teacher layers, round(linspace(0, last, layers)): (0, 2, 4, 7, 9, 11) for 6 of 12, as released."""
    if layers == 1:
        return (0,)
    return tuple(round(i * (teacher_depth - 1) / (layers - 1)) for i in range(layers))
