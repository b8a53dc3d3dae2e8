"""Teachers: the bundled MiniLM, or one of a known family from a folder or the Hub, with a head for the task.

Weights are read from checked bytes into memory of their own. What a checkpoint does not have is random and follows
from the teacher's seed; that may be its head, and nothing else.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import BertTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from core.data.bundle import MINILM_CONFIG, MINILM_VOCABULARY, MINILM_WEIGHTS
from core.models import hub
from core.models.description import Description, describe, load_tokenizer, read_description
from core.models.families import family_of
from core.models.families.family import Head
from core.models.folder import ModelFolder
from core.models.layout import Contents, contents_of_teacher, taken_tensors
from core.models.outline import check_head, check_objective, outline_of, teacher_folder
from core.models.weights import ModelError, WeightsFile
from core.sections import TeacherSettings

SCORE = ("score",)
"""Name of the one output of a teacher that gives a score."""


def teacher_tokenizer(teacher: TeacherSettings) -> PreTrainedTokenizerBase:
    """The tokenizer of the chosen teacher. Raises DistilleryError, also where it does not fit the teacher."""
    if teacher.source == "minilm":
        return bundled_tokenizer()
    folder = _fetched_folder(teacher)
    return load_tokenizer(folder, read_description(folder))


def teacher_for_labels(teacher: TeacherSettings, label_names: Sequence[str]) -> PreTrainedModel:
    """The chosen teacher, untrained on the task, with one output for each label; without labels, one for a score.

    A head that it brings is used if it has as many outputs (its rows put in the order of the labels, where the names
    are the same); otherwise its rows, and what it does not have, are random. Raises DistilleryError.
    """
    names = tuple(label_names) or SCORE
    with _opened(teacher) as source:
        outline = outline_of(source.description, source.contents)
        if teacher.epochs == 0:
            check_head(outline, is_for_words=False, outputs=len(names))
        values = source.description.values | {"id2label": dict(enumerate(names)), "problem_type": None}
        values["label2id"] = {name: place for place, name in enumerate(names)}
        if not label_names:
            values["problem_type"] = "regression"
        model = _random(source.description, "labels", values, teacher.seed)
        has_head = len(outline.label_names) == len(names)
        tensors = source.read(taken_tensors(source.description, source.contents, "labels", rows=has_head))
    if has_head:
        order, rows = _order(outline.label_names, names), source.description.family.label_rows
        tensors |= {name: tensors[name][order] for name in (f"{rows}.weight", f"{rows}.bias")}
    return _filled(model, tensors)


def teacher_for_words(teacher: TeacherSettings) -> PreTrainedModel:
    """The chosen teacher as a guesser of words: its own head if it has one, else a random one.

    The vocabulary matrix is the word embeddings. Raises DistilleryError, also if the teacher shall not learn
    (`epochs` 0) and has no such head.
    """
    with _opened(teacher) as source:
        outline = outline_of(source.description, source.contents)
        check_objective(outline, "masked_words")
        if teacher.epochs == 0:
            check_head(outline, is_for_words=True)
        model = _random(source.description, "words", source.description.values, teacher.seed)
        tensors = source.read(taken_tensors(source.description, source.contents, "words", rows=True))
    for second, first in source.description.family.tied.items():
        if second in tensors and not torch.equal(tensors.pop(second), tensors[first]):
            raise ModelError(
                f"{source.label} holds a vocabulary matrix that is not its word embeddings; "
                "a student cannot take over such a head. Choose another teacher."
            )
    return _filled(model, tensors)


def bundled_tokenizer() -> BertTokenizer:
    """The bundled teacher's tokenizer (the vocabulary of bert-base-uncased). Raises BundleError."""
    pieces = MINILM_VOCABULARY.read().decode().splitlines()
    return BertTokenizer(vocab={piece: i for i, piece in enumerate(pieces)}, do_lower_case=True, model_max_length=512)


@dataclass(frozen=True)
class _Source:
    """An open checkpoint whose header has been checked."""

    description: Description
    contents: Contents
    weights: WeightsFile
    check: Callable[[str], None]

    @property
    def label(self) -> str:
        return self.weights.label

    def read(self, wanted: Collection[str]) -> dict[str, Tensor]:
        """The wanted tensors by today's names, in fp32."""
        stored = {name: kept for name, kept in self.contents.stored.items() if name in wanted}
        tensors, sha256 = self.weights.read(set(stored.values()))
        self.check(sha256)
        return {name: tensors[kept] for name, kept in stored.items()}


@contextmanager
def _opened(teacher: TeacherSettings) -> Iterator[_Source]:
    if teacher.source == "minilm":
        description = describe(json.loads(MINILM_CONFIG.read()), "The bundled teacher's config.json")
        # Its bytes are held against their SHA-256 as they are read from the disk.
        weights = WeightsFile(io.BytesIO(MINILM_WEIGHTS.read()), "The bundled teacher's model.safetensors")
        yield _Source(description, contents_of_teacher(weights, description), weights, lambda sha256: None)
    else:
        folder = _fetched_folder(teacher)
        description = read_description(folder)
        with folder.weights() as weights:
            yield _Source(description, contents_of_teacher(weights, description), weights, folder.check_weights)


def _fetched_folder(teacher: TeacherSettings) -> ModelFolder:
    if teacher.source == "hub":
        hub.fetch_model(teacher.hub_id)
    return teacher_folder(teacher)


def _random(description: Description, head: Head, values: dict[str, Any], seed: int) -> PreTrainedModel:
    """A model with random weights that follow from `seed` alone."""
    family = description.family
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return family.model_type(head)(family.config_type()(**values))


def _filled(model: PreTrainedModel, tensors: dict[str, Tensor]) -> PreTrainedModel:
    """The model with these tensors copied into it; the rest, which can only be its head, stays as it is."""
    family, found = family_of(model), model.load_state_dict(tensors, strict=False)
    wrong = [*found.unexpected_keys, *(name for name in found.missing_keys if not family.is_top(name))]
    if wrong:
        raise ModelError(f"The teacher's weights do not fit the model that was built: {', '.join(wrong[:3])}.")
    return model


def _order(own: tuple[str, ...], wanted: Collection[str]) -> list[int]:
    """For each wanted label its row of the head: by name where all names are known, else by place."""
    rows = {name.casefold(): row for row, name in enumerate(own)}
    names = [name.casefold() for name in wanted]
    if set(names) == set(rows) and len(rows) == len(own):
        return [rows[name] for name in names]
    return list(range(len(own)))
