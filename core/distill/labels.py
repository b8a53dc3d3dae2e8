"""Learning labels: to sort texts, or to give them a score, as the teacher does.

With its dropout off a teacher's answers never change, so it is asked about every training example once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import BertForSequenceClassification, PreTrainedModel, PreTrainedTokenizerBase

from core.data.labelled import Part, load_labelled, majority_share
from core.data.token_cache import kept_tokens, texts_digest, tokenizer_digest
from core.data.tokens import Batch, Tokens, cut_by_length, tokenise
from core.distill.loop import Lesson
from core.distill.losses import (
    hard_target_loss,
    hidden_cosine_loss,
    soft_target_loss,
    squared_error_loss,
    weighted_sum,
)
from core.distill.objective import HeldOut, learner_of, of_kind
from core.distill.session import Session
from core.distill.teacher_outputs import Asked, TeacherOutputs, teacher_outputs
from core.models.folder import saved_sha256
from core.models.student import student_for_labels
from core.models.teacher import teacher_for_labels, teacher_tokenizer
from core.scoring.predict import accuracy, agreement, correlation, inputs_of, predict, probabilities
from core.sections import LossSettings


@dataclass(frozen=True)
class LabelBatch:
    """A part of an update, and what the whole update holds: examples, and word pieces."""

    batch: Batch
    examples: int
    words: int

    @property
    def are_scores(self) -> bool:
        """True where the labels are scores and not classes."""
        return self.batch.labels.is_floating_point()


class Labels:
    """The objective "labels": classes, or, without label names, scores."""

    def __init__(self, session: Session) -> None:
        """Load, split and tokenise the data. Raises DistilleryError for data that cannot be used."""
        settings = session.settings
        data = load_labelled(settings.data)
        self._session = session
        self._names = data.label_names
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
        return self._lesson(teacher, partial(fine_tuning_terms, teacher))

    def new_student(self, teacher: PreTrainedModel) -> PreTrainedModel:
        """A student with a head for these labels."""
        settings = self._session.settings
        sorts = of_kind(BertForSequenceClassification, teacher)
        return student_for_labels(sorts, settings.student, settings.training.seed)

    def student_lesson(
        self, student: PreTrainedModel, projection: nn.Module | None, teacher: PreTrainedModel, kept: Path
    ) -> Lesson:
        """Soft targets and hidden states from the teacher's kept answers, hard targets from the labels."""
        session, weights = self._session, self._session.settings.loss
        sha256 = saved_sha256(kept / "model")
        asked = Asked(teacher, sha256, self._parts["train"], weights.cosine > 0, session.compute)
        outputs = teacher_outputs(asked, kept, session.recorder)
        terms = partial(label_loss_terms, student, projection, outputs, loss_settings=weights)
        return self._lesson(learner_of(student, projection), terms)

    def count(self, part: HeldOut) -> int:
        """Examples in a part."""
        return len(self._parts[part])

    def answers(self, model: PreTrainedModel, part: HeldOut) -> NDArray:
        """Logits (N, C), or scores (N,)."""
        logits = predict(model, self._parts[part], self._session.compute, self._session.recorder.check_stop)
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
        rows = probabilities(answers) if self._names else answers
        return [[round(value, 4) for value in row] for row in rows.tolist()]

    def _lesson(self, learner: nn.Module, terms: Callable[[LabelBatch], dict[str, Tensor]]) -> Lesson:
        parts, device = self._session.settings.training.accumulation, self._session.compute.device
        return label_lesson(self._parts["train"], learner, terms, device, parts)


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
    return {"loss": _hard(model(**inputs_of(model, part.batch)).logits, part)}


def label_loss_terms(
    student: PreTrainedModel,
    projection: nn.Module | None,
    outputs: TeacherOutputs,
    part: LabelBatch,
    loss_settings: LossSettings,
) -> dict[str, Tensor]:
    """The weighted loss of a part and its terms; a term whose weight is 0 is not computed."""
    batch = part.batch
    answer = student(**inputs_of(student, batch), output_hidden_states=loss_settings.cosine > 0)
    terms: dict[str, Tensor] = {}
    if loss_settings.soft > 0:
        terms["soft"] = _soft(answer.logits, outputs.logits_of(batch), part, loss_settings.temperature)
    if loss_settings.hard > 0:
        terms["hard"] = _hard(answer.logits, part)
    if loss_settings.cosine > 0:
        words = batch.hidden_at_places(answer.hidden_states[-1])
        words = words if projection is None else projection(words)
        terms["cosine"] = hidden_cosine_loss(words, outputs.hidden_of(batch), part.words)
    return {"loss": weighted_sum(terms, loss_settings), **terms}


def _soft(logits: Tensor, teacher_logits: Tensor, part: LabelBatch, temperature: float) -> Tensor:
    if part.are_scores:
        return squared_error_loss(logits[:, 0], teacher_logits[:, 0], part.examples)
    return soft_target_loss(logits, teacher_logits, temperature, part.examples)


def _hard(logits: Tensor, part: LabelBatch) -> Tensor:
    if part.are_scores:
        return squared_error_loss(logits[:, 0], part.batch.labels, part.examples)
    return hard_target_loss(logits, part.batch.labels, part.examples)


def label_tokens(part: Part, tokenizer: PreTrainedTokenizerBase, longest: int) -> Tokens:
    """A part as word pieces, from the cache where these very texts have been read before."""
    key = (texts_digest(part), tokenizer_digest(tokenizer), str(longest), "labels")
    return kept_tokens(key, partial(tokenise, part, tokenizer, longest))
