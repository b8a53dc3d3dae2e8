"""Did the student copy the doubts? How sure a model is against how often it is right, and whether two models differ.

Pure arithmetic on kept answers to texts whose true label is known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.scoring.slices import Share

BINS = 10
"""Of equal width, from 0 to 1 (Guo et al. 2017 use 15; held-out sets here are smaller)."""

RESAMPLES = 1000
"""Draws of as many texts, with replacement, behind an interval."""

Interval = tuple[float, float]


@dataclass(frozen=True)
class Bin:
    """The answers given with a probability between two ends: the mean of it, and how many of them are right."""

    low: float
    high: float
    sure: float
    right: Share


@dataclass(frozen=True)
class Calibration:
    """How sure a model is of its answers against how often they are right; all but counts are shares, 0 to 1.

    `error` is the expected calibration error, the mean distance of the two over the bins, weighted by their counts;
    `interval` holds 95 % of its values on texts drawn anew. It is never below 0, so that of few texts is too large.
    """

    bins: tuple[Bin, ...]
    sure: float
    right: Share
    error: float
    interval: Interval


@dataclass(frozen=True)
class Paired:
    """Two models on the same texts: how many each alone has right, of how many.

    `chance` is how often a difference as large would come about if both were equally good: the exact, two-sided test of
    McNemar (1947).
    """

    only_first: int
    only_second: int
    count: int
    chance: float


def softmax(logits: NDArray) -> NDArray:
    """Probabilities of logits, over the last axis, at temperature 1."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def calibration(shares: NDArray[np.float64], labels: NDArray) -> Calibration:
    """Of probabilities (N, C) and true classes (N,). Raises ValueError without a text."""
    if not len(labels):
        raise ValueError("no texts, so nothing to be sure of")
    sure, hits = shares.max(axis=1), shares.argmax(axis=1) == labels
    places = np.minimum((sure * BINS).astype(np.int64), BINS - 1)
    bins = tuple(
        Bin(place / BINS, (place + 1) / BINS, float(sure[inside].mean()), Share(int(hits[inside].sum()), inside.sum()))
        for place in np.unique(places).tolist()
        for inside in [places == place]
    )
    right = Share(int(hits.sum()), len(labels))
    return Calibration(bins, float(sure.mean()), right, _error(sure, hits, places), _interval(sure, hits, places))


def divergence(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Mean KL(first ‖ second) in nats of two models' probabilities (N, C): 0 if they have the same doubts."""
    tiny = np.finfo(np.float64).tiny
    return float((first * np.log(np.maximum(first, tiny) / np.maximum(second, tiny))).sum(axis=1).mean())


def paired(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Paired:
    """Of what two models have right, (N,) each."""
    # Half a second of the interpreter, and only who asks for it needs it.
    from scipy.stats import binomtest

    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    differ = only_first + only_second
    return Paired(only_first, only_second, len(first), float(binomtest(only_first, differ).pvalue) if differ else 1.0)


def _error(sure: NDArray[np.float64], hits: NDArray[np.bool_], places: NDArray[np.int64]) -> float:
    # Count times distance of the means is the distance of the sums.
    return float(np.abs(np.bincount(places, hits - sure, BINS)).sum() / len(sure))


def _interval(sure: NDArray[np.float64], hits: NDArray[np.bool_], places: NDArray[np.int64]) -> Interval:
    random = np.random.default_rng(0)
    draws = (random.integers(len(sure), size=len(sure)) for _ in range(RESAMPLES))
    low, high = np.quantile([_error(sure[drawn], hits[drawn], places[drawn]) for drawn in draws], (0.025, 0.975))
    return float(low), float(high)
