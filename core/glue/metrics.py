"""What a task's score is: GLUE's own metrics, and what a constant answer would get by them.

Every score is a share or a correlation as scikit-learn and SciPy give it, from -1 to 1, never per cent. Importing this
file loads nothing heavy; the first score takes seconds, because the evaluate package loads transformers with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.data.glue import ACCURACY, TASKS
from core.errors import DistilleryError

BUNDLED = ("Rotten Tomatoes", "IMDb")
"""The tasks that need no download. They are no part of GLUE and of no GLUE score."""


@dataclass(frozen=True)
class TaskScore:
    """How well a task was answered.

    `score` is the one number that GLUE reports, None where it is undefined. `scores` holds every metric by its name
    ("accuracy", "F1", "Matthews correlation", "Pearson", "Spearman"), None where undefined; `reasons` says in a
    sentence why, by metric name, and by the name of the task's metric where `score` is None.
    """

    score: float | None
    scores: dict[str, float | None]
    reasons: dict[str, str] = field(default_factory=dict)


def metric_of(task_name: str) -> str:
    """The name of the metric of which a task's score is made, such as "mean of accuracy and F1"."""
    return ACCURACY if task_name in BUNDLED else TASKS[task_name].metric


def score_task(task_name: str, answers: ArrayLike, labels: ArrayLike) -> TaskScore:
    """Score a model's answers to a whole development set.

    Answers are logits (N, C), of which the largest counts, or for STS-B scores (N,) or (N, 1); labels are class
    numbers or scores (N,). Equal logits give the first class. Raises DistilleryError for answers that are no numbers,
    for a model with another number of classes than the task, and where there is nothing to score.
    """
    given, true = np.asarray(answers), np.asarray(labels).ravel()
    if not true.size:
        raise DistilleryError(f"{task_name} has no examples to score. Put its official development file there.")
    if len(given) != len(true):
        raise ValueError(f"{len(given)} answers to {len(true)} examples of {task_name}")
    if not np.isfinite(given).all():
        raise DistilleryError(
            f"The model's answers to {task_name} are not all numbers: its training has diverged. "
            "Choose a smaller learning rate, or fp32, and let it learn the task again."
        )
    return _measure(task_name, _one_each(task_name, given), true)


def majority(task_name: str, labels: ArrayLike) -> TaskScore:
    """The score of always giving the most frequent label, by the task's own metric; the first of equally frequent.

    Undefined, with its reason, where the metric is a correlation: a constant correlates with nothing.
    """
    true = np.asarray(labels).ravel()
    if not true.size:
        raise DistilleryError(f"{task_name} has no examples to score. Put its official development file there.")
    values, counts = np.unique(true, return_counts=True)
    return _measure(task_name, np.full_like(true, values[counts.argmax()]), true)


def majority_score(task_name: str, labels: ArrayLike) -> float | None:
    """`majority` as one number: None, never 0, where it is undefined."""
    return majority(task_name, labels).score


def _one_each(task_name: str, given: NDArray[Any]) -> NDArray[Any]:
    """One class number or score an example, (N,)."""
    classes = len(TASKS[task_name].label_names) if task_name in TASKS else 2
    outputs = given.shape[1] if given.ndim == 2 else 1
    if given.ndim > 2 or outputs != (classes or 1):
        raise DistilleryError(
            f"The model gives {outputs} {'number' if outputs == 1 else 'numbers'} for an example; {task_name} needs "
            f"{classes or 1}. Let the model learn {task_name} first."
        )
    return given.argmax(axis=1) if classes else given.ravel()


def _measure(task_name: str, given: NDArray[Any], true: NDArray[Any]) -> TaskScore:
    from core import libraries

    libraries.load_metrics()
    from core.glue.evaluate_metric import GlueMetric

    metric = metric_of(task_name)
    found = GlueMetric.named(metric).compute(predictions=given, references=true)
    scores, reasons = found["scores"], found["reasons"]
    missing = [name for name, value in scores.items() if value is None]
    if missing:
        reasons = reasons | {metric: reasons[missing[0]]}
    return TaskScore(None if missing else float(np.mean(list(scores.values()))), scores, reasons)
