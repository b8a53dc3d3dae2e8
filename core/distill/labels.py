"""Learning labels: to sort texts, or to give them a score, as the teacher does.

With its dropout off a teacher's answers never change, so it is asked about every training example once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core.data.copies import repeated, with_copies
from core.data.labelled import Part, load_labelled, majority_share
from core.data.token_cache import kept_tokens, texts_digest, tokenizer_digest
from core.data.tokens import Batch, Tokens, cut_by_length, tokenise
from core.distill.loop import Lesson
from core.distill.objective import HeldOut, learner_of
from core.distill.recorder import Recorder
from core.distill.session import Session
from core.distill.teacher_outputs import Asked, TeacherOutputs, teacher_outputs
from core.distill.views import KeptView, ModelView
from core.distill.waiting import Waiting
from core.models.folder import saved_sha256
from core.models.student import student_for_labels
from core.models.teacher import teacher_for_labels, teacher_tokenizer
from core.scoring.doubts import softmax
from core.scoring.predict import accuracy, agreement, correlation, inputs_of, predict, work_of
from core.sections import LossSettings
from core.terms.declaration import Seen, View
from core.terms.hard import supervised_loss


@dataclass(frozen=True)
class LabelBatch:
    """A part of an update, and what the whole update holds: examples, and word pieces."""

    batch: Batch
    examples: int
    words: int


class Labels:
    """The objective "labels": classes, or, without label names, scores."""

    def __init__(self, session: Session) -> None:
        """Load, split and tokenise the data. Raises DistilleryError for data that cannot be used."""
        settings = session.settings
        data = load_labelled(settings.data)
        self._session = session
        self._names, self._train = data.label_names, data.train
        self.tokenizer: PreTrainedTokenizerBase = teacher_tokenizer(settings.teacher)
        parts = {"train": data.train, "validation": data.validation, "test": data.test}
        self._parts = {
            name: label_tokens(part, self.tokenizer, settings.data.max_tokens) for name, part in parts.items()
        }
        # A watched sentence is one text; a model of pairs would be asked something it has never learned.
        probes = list(settings.probes) if data.train.pairs is None else []
        watched = Part(probes, np.zeros(len(probes), dtype=np.int64))
        self._probes = tokenise(watched, self.tokenizer, settings.data.max_tokens)
        self.metric = "accuracy" if data.label_names else "correlation"
        self.counted = "pairs" if data.train.pairs is not None else "sentences"
        self.test_split = data.test_split
        self.notes = data.notes

    def new_teacher(self) -> PreTrainedModel:
        """The chosen teacher with a head for these labels."""
        return teacher_for_labels(self._session.settings.teacher, self._names)

    def teacher_lesson(self, teacher: PreTrainedModel) -> Lesson:
        """Plain fine-tuning on the labels."""
        return self._lesson(self._parts["train"], teacher, partial(fine_tuning_terms, teacher))

    def new_student(self, teacher: PreTrainedModel) -> PreTrainedModel:
        """A student with a head for these labels."""
        settings = self._session.settings
        return student_for_labels(teacher, settings.student, settings.training.seed)

    def student_lesson(
        self, student: PreTrainedModel, maps: Mapping[str, nn.Module], teacher: PreTrainedModel, kept: Path
    ) -> Lesson:
        """What the teacher says is kept, so that it need not be asked again; the labels are the data's."""
        session, settings = self._session, self._session.settings
        read = self._read_by_student()
        asked = Asked(teacher, saved_sha256(kept / "model"), read, False, session.compute)
        ready = label_teacher(asked, kept, session.recorder, settings.loss)
        layer_map = settings.student.layer_map(teacher.config.num_hidden_layers)
        update = LabelUpdate(student, maps, ready, settings.loss, layer_map)
        return self._lesson(read, update.learner, update)

    def _read_by_student(self) -> Tokens:
        """The training texts and their changed copies; a control reads the texts themselves as often."""
        settings, tokens = self._session.settings, self._parts["train"]
        if settings.training.copies == 0:
            return tokens
        if settings.loss.asks_teacher():
            part = with_copies(self._train, settings.training.copies, settings.training.seed)
        else:
            part = repeated(self._train, 1 + settings.training.copies)
        return label_tokens(part, self.tokenizer, settings.data.max_tokens)

    def count(self, part: HeldOut) -> int:
        """Examples in a part."""
        return len(self._parts[part])

    def answers(self, model: PreTrainedModel, part: HeldOut, doing: str) -> NDArray:
        """Logits (N, C), or scores (N,)."""
        texts = self._parts[part]
        waiting = Waiting(self._session.recorder, doing, work_of(texts))
        logits = predict(model, texts, self._session.compute, waiting)
        return logits if self._names else logits[:, 0]

    def score(self, answers: NDArray, part: HeldOut) -> float | None:
        """Accuracy, or the mean of both correlations with the true scores."""
        labels = self._parts[part].labels
        return accuracy(answers, labels) if self._names else correlation(answers, labels)

    def agreement(self, student: NDArray, teacher: NDArray) -> float | None:
        """Share of equal labels, or the mean of both correlations."""
        return agreement(student, teacher) if self._names else correlation(student, teacher)

    def majority(self, part: HeldOut) -> float | None:
        """Accuracy of the most frequent label; scores have none."""
        return majority_share(self._parts[part].labels.astype(np.int64)) if self._names else None

    def timed_texts(self) -> Tokens:
        """The test part."""
        return self._parts["test"]

    def probe(self, model: PreTrainedModel) -> list[list[float]]:
        """Probabilities of each label, or the score."""
        answers = predict(model, self._probes, self._session.compute, before_batch=lambda: None)
        rows = softmax(answers) if self._names else answers
        return [[round(value, 4) for value in row] for row in rows.tolist()]

    def _lesson(self, read: Tokens, learner: nn.Module, terms: Callable[[LabelBatch], dict[str, Tensor]]) -> Lesson:
        parts, device = self._session.settings.training.accumulation, self._session.compute.device
        return label_lesson(read, learner, terms, device, parts)


def label_lesson(
    train: Tokens,
    learner: nn.Module,
    terms: Callable[[LabelBatch], dict[str, Tensor]],
    device: torch.device,
    parts: int = 1,
) -> Lesson:
    """A lesson on labelled examples, each update computed in so many parts of about equally many word pieces."""

    def batches(examples: NDArray[np.int64], _random: np.random.Generator) -> list[LabelBatch]:
        lengths = train.lengths[examples]
        return [
            LabelBatch(train.batch(examples[places], device), len(examples), int(lengths.sum()))
            for places in cut_by_length(lengths, parts)
        ]

    return Lesson(learner, train.lengths, batches, terms)


def fine_tuning_terms(model: PreTrainedModel, part: LabelBatch) -> dict[str, Tensor]:
    """The loss of learning a task from its labels alone: cross-entropy, or of scores the squared error."""
    logits = model(**inputs_of(model, part.batch)).logits
    return {"loss": supervised_loss(logits, part.batch.labels, part.examples)}


class LabelUpdate(nn.Module):
    """A part of an update: the student reads it, and the terms that have a weight compare what it makes of it."""

    def __init__(
        self,
        student: PreTrainedModel,
        maps: Mapping[str, nn.Module],
        teacher: LabelTeacher | None,
        loss: LossSettings,
        layer_map: tuple[int, ...],
    ) -> None:
        """`layer_map` says which teacher layer each student layer is compared with; a control needs no teacher."""
        super().__init__()
        self.learner = learner_of(student, maps)
        self._student, self._maps, self._loss = student, maps, loss
        self._teacher, self._layer_map = teacher, layer_map

    def forward(self, part: LabelBatch) -> dict[str, Tensor]:
        """The weighted "loss" of the part and its terms, by name; a term whose weight is 0 is not computed."""
        needs, options, batch = self._loss.needs(), self._loss.options(), part.batch
        layers = tuple(range(self._student.config.num_hidden_layers))
        student = read_labels(self._student, batch, bool(needs), layers, self._maps)
        teacher = student if self._teacher is None else self._teacher.view(batch, self._layer_map)
        seen = Seen(student, teacher, batch.lengths, part.examples, part.words, batch.labels)
        terms: dict[str, Tensor] = {}
        for term in self._loss.in_use():
            for compute in filter(None, (term.labels, term.states)):
                value = compute(seen, options)
                terms[term.name] = terms[term.name] + value if term.name in terms else value
        return {"loss": weighted_sum(terms, self._loss), **terms}


@dataclass(frozen=True)
class LabelTeacher:
    """A teacher of labels: what it has said is kept, and where that does not do it reads along.

    `model` is None where kept answers are all that is needed.
    """

    outputs: TeacherOutputs
    heads: int
    model: PreTrainedModel | None

    def view(self, batch: Batch, layer_map: tuple[int, ...]) -> View:
        """What it makes of a batch."""
        kept = KeptView(self.outputs, batch, self.heads)
        if self.model is None:
            return kept
        with torch.no_grad():
            return replace(read_labels(self.model, batch, True, layer_map, {}), answers=kept.logits)


def label_teacher(asked: Asked, kept: Path, recorder: Recorder, loss: LossSettings) -> LabelTeacher | None:
    """The teacher as these loss settings need it; None for a control, which never asks it.

    Errors as `teacher_outputs`.
    """
    if not loss.asks_teacher():
        return None
    reads_along = not loss.needs() <= {"hidden"}
    outputs = teacher_outputs(replace(asked, with_hidden=bool(loss.needs()) and not reads_along), kept, recorder)
    return LabelTeacher(outputs, asked.model.config.num_attention_heads, asked.model if reads_along else None)


def read_labels(
    model: PreTrainedModel, batch: Batch, with_states: bool, layers: tuple[int, ...], maps: Mapping[str, nn.Module]
) -> ModelView:
    """A model's answers to a batch and, if asked for, its states."""
    answer = model(**inputs_of(model, batch), output_hidden_states=with_states)

    def states(place: int) -> Tensor:
        return batch.hidden_at_places(answer.hidden_states[place])

    return ModelView(model, states, layers, maps, answer.logits)


def weighted_sum(terms: Mapping[str, Tensor], loss: LossSettings) -> Tensor:
    """Σ weight · term over the terms that are there. Shape ()."""
    weights = loss.weights()
    return torch.stack([weights[name] * value for name, value in terms.items()]).sum()


def label_tokens(part: Part, tokenizer: PreTrainedTokenizerBase, longest: int) -> Tokens:
    """A part as word pieces, from the cache where these very texts have been read before."""
    key = (texts_digest(part), tokenizer_digest(tokenizer), str(longest), "labels")
    return kept_tokens(key, partial(tokenise, part, tokenizer, longest))
