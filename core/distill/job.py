"""One distillation from beginning to end: data, teacher, student, result."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core.config import Settings
from core.data.labelled import Part, load_labelled, majority_share
from core.data.tokens import Batch, Tokens, tokenise
from core.distill import teacher_stage
from core.distill.cache import teacher_key
from core.distill.checkpoint import Keeper
from core.distill.device import Compute, choose_compute
from core.distill.loop import Schedule, is_due, train
from core.distill.losses import hard_target_loss, hidden_cosine_loss, soft_target_loss, weighted_sum
from core.distill.recorder import Recorder, StopRequested
from core.models.saved import save_model
from core.models.student import build_student
from core.models.teacher import bundled_tokenizer
from core.scoring.predict import accuracy, agreement, predict, probabilities
from core.scoring.speed import milliseconds_per_sentence

SCORES = 12
PROBES = 48


@dataclass(frozen=True)
class Task:
    """The data of one run, as words and as numbers."""

    label_names: tuple[str, ...]
    tokenizer: PreTrainedTokenizerBase
    train: Tokens
    validation: Tokens
    test: Tokens
    probes: Tokens


def run_job(
    settings: Settings, student_folder: Path, teachers: Path, recorder: Recorder, checkpoints: Path | None = None
) -> dict[str, Any]:
    """Teach a student and measure it; returns what results.json holds.

    The student is saved as a plain `from_pretrained` folder, also when StopRequested ends its training early (which is
    then raised again). Trained teachers are kept below `teachers`. With `checkpoints` the job goes on from the newest
    one there. Raises DistilleryError for what a person can mend.
    """
    began = time.monotonic()
    compute = choose_compute(settings.training)
    torch.set_num_threads(compute.threads)
    recorder.preparing("Reading the texts and checking the bundled files.")
    task = prepare(settings)
    key = teacher_key(settings)
    keeper = None
    if checkpoints:
        keeper = Keeper(checkpoints, settings.training.checkpoint_every, _facts(settings, compute), recorder)
    cached = (teachers / key / "model").exists()
    teacher = teacher_stage.load_or_make(
        teachers / key / "model",
        task.tokenizer,
        lambda: teacher_stage.fine_tune(
            settings, task.label_names, task.train, task.validation, compute, recorder, keeper
        ),
    ).to(compute.device)
    recorder.teacher_ready(key)
    student = _distil(settings, task, teacher, teachers / key, student_folder, compute, recorder, keeper)
    recorder.preparing("Scoring both models on the test sentences.")
    results = _results(task, teacher, student, compute, recorder)
    return results | {
        "split": "test",
        "examples": len(task.test),
        "teacher_from_cache": cached,
        "seed": settings.training.seed,
        "elapsed_s": round(time.monotonic() - began, 1),
        "compute": {"device": str(compute.device), "precision": compute.precision, "threads": compute.threads},
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
    }


def _facts(settings: Settings, compute: Compute) -> dict[str, Any]:
    """What a checkpoint has to remember to say whether a later run is the same run."""
    return {
        "settings": settings.model_dump(mode="json"),
        "compute": {
            "device": str(compute.device),
            "precision": compute.precision,
            "threads": compute.threads,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
    }


def prepare(settings: Settings) -> Task:
    """Load, split and tokenise the data. Raises BundleError if a bundled file is missing or altered."""
    data = load_labelled(settings.data)
    tokenizer = bundled_tokenizer()
    longest = settings.data.max_tokens
    probes = Part(list(settings.probes), np.zeros(len(settings.probes), dtype=np.int64))
    parts = (tokenise(part, tokenizer, longest) for part in (data.train, data.validation, data.test, probes))
    return Task(data.label_names, tokenizer, *parts)


def _distil(
    settings: Settings,
    task: Task,
    teacher: PreTrainedModel,
    teacher_folder: Path,
    student_folder: Path,
    compute: Compute,
    recorder: Recorder,
    keeper: Keeper | None,
) -> PreTrainedModel:
    recorder.preparing("Asking the teacher about every training sentence.")
    validation = predict(teacher, task.validation, compute, recorder.check_stop)
    teacher_accuracy, majority = accuracy(validation, task.validation.labels), majority_share(task.validation.labels)
    teacher_stage.check_worth_teaching(teacher_accuracy, majority, len(task.validation))
    outputs = teacher_stage.teacher_outputs(
        teacher, task.train, teacher_folder, settings.loss.cosine > 0, compute, recorder
    )
    student = build_student(teacher, settings.student, settings.training.seed).to(compute.device)
    chosen = settings.training
    schedule = Schedule(chosen.epochs, chosen.batch_size, chosen.learning_rate, chosen.warmup, chosen.seed)
    total = schedule.total_steps(len(task.train))
    observer = _Observer(student, task, validation, _probe(teacher, task, compute), total, compute, recorder)
    weights = settings.loss.model_dump(include={"soft", "hard", "cosine"})
    recorder.stage("student", total, teacher_accuracy=teacher_accuracy, majority=majority, weights=weights)
    try:
        loss_terms = _loss_terms(settings, student, outputs)
        train(student, task.train, loss_terms, schedule, compute, recorder, observer, "student", keeper)
    except StopRequested:
        save_model(student, task.tokenizer, student_folder)
        raise
    save_model(student, task.tokenizer, student_folder)
    return student


def _loss_terms(
    settings: Settings, student: PreTrainedModel, outputs: teacher_stage.TeacherOutputs
) -> Callable[[Batch], dict[str, Tensor]]:
    """The weighted loss of one batch and its terms; a term whose weight is 0 is not computed."""
    weights = settings.loss

    def loss_terms(batch: Batch) -> dict[str, Tensor]:
        answer = student(batch.input_ids, attention_mask=batch.attention_mask, output_hidden_states=weights.cosine > 0)
        terms: dict[str, Tensor] = {}
        if weights.soft > 0:
            terms["soft"] = soft_target_loss(answer.logits, outputs.logits_of(batch), weights.temperature)
        if weights.hard > 0:
            terms["hard"] = hard_target_loss(answer.logits, batch.labels)
        if weights.cosine > 0:
            words = answer.hidden_states[-1][batch.attention_mask.bool()]
            terms["cosine"] = hidden_cosine_loss(words, outputs.hidden_of(batch))
        return {"loss": weighted_sum(terms, weights), **terms}

    return loss_terms


@dataclass(frozen=True)
class _Observer:
    """Scores the student on the validation part, and asks it the watched sentences, as it learns."""

    student: PreTrainedModel
    task: Task
    teacher_validation: NDArray
    teacher_probes: list[list[float]]
    total: int
    compute: Compute
    recorder: Recorder

    def __call__(self, step: int) -> None:
        if self.teacher_probes and is_due(step, self.total, PROBES):
            self.recorder.probe(step, _probe(self.student, self.task, self.compute), self.teacher_probes)
        if is_due(step, self.total, SCORES):
            logits = predict(self.student, self.task.validation, self.compute, self.recorder.check_stop)
            self.recorder.score(
                step,
                accuracy=accuracy(logits, self.task.validation.labels),
                agreement=agreement(logits, self.teacher_validation),
            )


def _probe(model: PreTrainedModel, task: Task, compute: Compute) -> list[list[float]]:
    logits = predict(model, task.probes, compute, before_batch=lambda: None)
    return [[round(share, 4) for share in row] for row in probabilities(logits).tolist()]


def _results(
    task: Task, teacher: PreTrainedModel, student: PreTrainedModel, compute: Compute, recorder: Recorder
) -> dict[str, Any]:
    """Test accuracy, agreement, size and speed of both models."""
    logits = {
        name: predict(model, task.test, compute, recorder.check_stop)
        for name, model in (("teacher", teacher), ("student", student))
    }
    scores = {name: accuracy(values, task.test.labels) for name, values in logits.items()}
    times = milliseconds_per_sentence({"teacher": teacher, "student": student}, task.test)

    def card(name: str, model: PreTrainedModel) -> dict[str, float]:
        parameters = sum(parameter.numel() for parameter in model.parameters())
        return {
            "accuracy": scores[name],
            "parameters": parameters,
            "encoder_parameters": sum(p.numel() for n, p in model.base_model.named_parameters() if "layer." in n),
            "size_mb": round(parameters * 4 / 1e6, 1),
            "ms_per_sentence": round(times[name], 3),
        }

    return {
        "teacher": card("teacher", teacher),
        "student": card("student", student),
        "majority": majority_share(task.test.labels),
        "kept": scores["student"] / scores["teacher"],
        "agreement": agreement(logits["student"], logits["teacher"]),
    }
