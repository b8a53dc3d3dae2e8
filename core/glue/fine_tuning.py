"""One model learns one task: the encoder that it brings, a fresh head, and the whole official training file.

The same loop, losses and batches as in a run. Nothing is watched on the way: the development set is looked at once.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from numpy.typing import NDArray
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core.config import TASK_WEIGHTS
from core.data.part import Part
from core.data.tokens import Tokens
from core.distill.checkpoint import Keeper
from core.distill.device import Compute
from core.distill.labels import LabelUpdate, fine_tuning_terms, label_lesson, label_teacher, label_tokens
from core.distill.loop import Lesson, Schedule, train
from core.distill.recorder import Recorder, Stage
from core.distill.teacher_outputs import Asked
from core.glue.entrants import Entrant
from core.glue.settings import GlueSettings
from core.models.families import family_of
from core.models.folder import saved_sha256
from core.models.in_memory import on_device
from core.models.saved import load_model
from core.models.student import state_maps
from core.models.teacher import SCORE, teacher_for_labels, teacher_tokenizer
from core.scoring.predict import predict
from core.sections import LossSettings, TeacherSettings, spread_layers

AGAIN = LossSettings()
"""The loss of a second distillation: the paper's 5/2/1 at temperature 2."""

EVERY_LAYER = LossSettings(**TASK_WEIGHTS)
"""The same with every layer compared: the mean over the layers, as large as both kinds of answers together."""


@dataclass(frozen=True)
class Learner:
    """A model on its device, with a head for one task, and what reads texts for it."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    longest: int
    compute: Compute

    def tokens(self, part: Part) -> Tokens:
        """The part as the model reads it."""
        return label_tokens(part, self.tokenizer, self.longest)

    def answers(self, part: Part, recorder: Recorder) -> NDArray:
        """Logits (N, C) in the order of the part, or scores (N, 1). StopRequested may end it early."""
        return predict(self.model, self.tokens(part), self.compute, recorder.check_stop)


@dataclass(frozen=True)
class Course:
    """How a learner learns: for how long, who is told, and where its checkpoints are."""

    schedule: Schedule
    compute: Compute
    recorder: Recorder
    keeper: Keeper
    stage: Stage

    def take(self, lesson: Lesson) -> None:
        """Train to the end, from where an earlier session stopped. Raises StopRequested."""
        train(lesson, self.schedule, self.compute, self.recorder, lambda step: None, self.stage, self.keeper)


def schedule_of(settings: GlueSettings, rate: float, seed: int) -> Schedule:
    """The schedule of a cell of a job with this seed and learning rate."""
    return Schedule(settings.epochs, settings.batch_size, rate, settings.warmup, seed)


def new_learner(entrant: Entrant, label_names: Sequence[str], longest: int, compute: Compute, seed: int) -> Learner:
    """The entrant's encoder with a head that follows from `seed` alone; without label names one output, a score.

    Raises DistilleryError if the model cannot be opened.
    """
    names = tuple(label_names) or SCORE
    if entrant.teacher is not None:
        model = _fresh_teacher(entrant.teacher, label_names, seed)
        tokenizer: PreTrainedTokenizerBase = teacher_tokenizer(entrant.teacher)
    else:
        assert entrant.folder is not None
        model, tokenizer = _fresh_copy(entrant.folder, names, seed)
    return Learner(on_device(model, compute.device), tokenizer, longest, compute)


def again_loss(settings: GlueSettings) -> LossSettings:
    """The loss of a job's second distillation."""
    return EVERY_LAYER if settings.every_layer else AGAIN


def fine_tune(learner: Learner, train: Part, course: Course) -> None:
    """Learn the task from its labels. Raises StopRequested, leaving a checkpoint."""
    terms = partial(fine_tuning_terms, learner.model)
    course.take(label_lesson(learner.tokens(train), learner.model, terms, course.compute.device))


def distil_again(
    learner: Learner, teacher: PreTrainedModel, kept: Path, train: Part, course: Course, loss: LossSettings
) -> None:
    """Learn the task from its labels and from a teacher that has learned it; what it says is kept in `kept`.

    Teacher and student must cut texts into the same word pieces. Raises StopRequested, leaving a checkpoint.
    """
    tokens, student = learner.tokens(train), learner.model
    asked = Asked(teacher, saved_sha256(kept / "model"), tokens, False, course.compute)
    ready = label_teacher(asked, kept, course.recorder, loss)
    depth, device = student.config.num_hidden_layers, course.compute.device
    maps = state_maps(student, teacher, depth if "layers" in loss.needs() else 0, course.schedule.seed)
    layer_map = spread_layers(depth, teacher.config.num_hidden_layers)
    update = LabelUpdate(student, {name: each.to(device) for name, each in maps.items()}, ready, loss, layer_map)
    course.take(label_lesson(tokens, update.learner, update, device))


def _fresh_teacher(teacher: TeacherSettings, label_names: Sequence[str], seed: int) -> PreTrainedModel:
    model = teacher_for_labels(teacher.model_copy(update={"seed": seed, "epochs": 1}), label_names)
    # A head that it brings has learned another task: all models begin this one alike.
    _draw(family_of(model).label_layer(model), model.config.initializer_range, seed)
    return model


def _fresh_copy(folder: Path, names: tuple[str, ...], seed: int) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A model of the same shape as a saved one, for these labels: its encoder, and a head that follows from `seed`."""
    saved, tokenizer = load_model(folder)
    family, config = family_of(saved), copy.deepcopy(saved.config)
    config.id2label = dict(enumerate(names))
    config.label2id = {name: place for place, name in enumerate(names)}
    config.problem_type = "regression" if names == SCORE else None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = family.model_type("labels")(config)
    # A BERT that guessed words has no pooler, which is part of the head.
    model.base_model.load_state_dict(saved.base_model.state_dict(), strict=not family.pooler)
    return model, tokenizer


def _draw(head: nn.Linear, spread: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        head.weight.normal_(std=spread, generator=generator)
        head.bias.zero_()
