"""GLUE's metrics as a metric of the evaluate package that needs no network: scikit-learn and SciPy do the counting.

The package's own ones are scripts on the Hub. Importing this file takes seconds; nothing is written but an empty
folder in the cache, since predictions stay in memory.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import datasets
import evaluate
import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from core import storage

METRICS = {
    "accuracy": ("accuracy",),
    "mean of accuracy and F1": ("accuracy", "F1"),
    "Matthews correlation": ("Matthews correlation",),
    "mean of Pearson and Spearman": ("Pearson", "Spearman"),
}
"""What each task metric is the plain mean of."""

CONSTANT_ANSWERS = "Every answer is the same, and a constant correlates with nothing."
CONSTANT_LABELS = "Every example has the same label, so nothing can correlate with it."
ONE_EXAMPLE = "There is one example only, and a correlation needs two."
OUT_OF_RANGE = "The answers are too large, or too near each other, to compute with."
NO_POSITIVES = "No example is of the second class and none was taken for it, so F1 is 0 divided by 0."


class GlueMetric(evaluate.Metric):
    """The metrics of one kind of task. Computes {"scores": by name or None, "reasons": why None, by name}."""

    @classmethod
    def named(cls, metric: str) -> GlueMetric:
        """The metric with this name of `METRICS`; all it would write stays in memory, below the project's cache."""
        folder = storage.cache_root() / "metrics"
        return cls(config_name=metric, keep_in_memory=True, cache_dir=str(folder))

    def _info(self) -> evaluate.MetricInfo:
        kind = datasets.Value("float64" if "Pearson" in METRICS[self.config_name] else "int64")
        return evaluate.MetricInfo(
            description=f"GLUE: {self.config_name}, computed with scikit-learn and SciPy.",
            citation="",
            inputs_description="predictions and references: one class number or one score an example",
            features=datasets.Features({"predictions": kind, "references": kind}),
        )

    def _compute(self, predictions: list[Any], references: list[Any]) -> dict[str, dict[str, Any]]:
        # As lists: the package's own NumPy format would make float32 of them.
        given, true = np.asarray(predictions), np.asarray(references)
        scores, reasons = {}, {}
        for name in METRICS[self.config_name]:
            reason = _undefined(name, given, true)
            value = None if reason else _value(name, given, true)
            scores[name] = value if value is None or math.isfinite(value) else None
            if scores[name] is None:
                reasons[name] = reason or OUT_OF_RANGE
        return {"scores": scores, "reasons": reasons}


def _undefined(name: str, given: NDArray[Any], true: NDArray[Any]) -> str:
    """Why a metric has no value here, or "" if it has one."""
    if name == "accuracy":
        return ""
    if name == "F1":
        return "" if (given == 1).any() or (true == 1).any() else NO_POSITIVES
    if len(true) < 2:
        return ONE_EXAMPLE
    if (true == true[0]).all():
        return CONSTANT_LABELS
    return CONSTANT_ANSWERS if (given == given[0]).all() else ""


def _value(name: str, given: NDArray[Any], true: NDArray[Any]) -> float:
    with warnings.catch_warnings():
        # What they warn of, a constant, has been looked for before.
        warnings.simplefilter("ignore")
        if name == "accuracy":
            return float(accuracy_score(true, given))
        if name == "F1":
            return float(f1_score(true, given))
        if name == "Matthews correlation":
            return float(matthews_corrcoef(true, given))
        return float((stats.pearsonr if name == "Pearson" else stats.spearmanr)(given, true).statistic)
