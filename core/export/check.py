"""Is an ONNX file still the student? Its logits, its answers on the test texts and its speed, against the original's.

The forms take turns on every text, so that a machine that slows down slows all of them alike.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from core.data.tokens import Batch
from core.export.held_out import HeldOut, Question
from core.export.onnx_forms import OnnxModel
from core.models.size import MB
from core.scoring.predict import inputs_of

LARGEST_DIFFERENCE = 1e-4
"""A 32-bit ONNX file whose logits are further from the student's than that is not the student."""

FASTER = 1.05
"""Called faster from here on: smaller differences come and go from one measurement to the next."""

TIMED_TEXTS, WARM_UP = 60, 5
TIMED_THREADS = 1

Ask = Callable[[Batch], NDArray[np.float32]]


def compare(model: PreTrainedModel, files: Mapping[str, Path], texts: HeldOut) -> dict[str, dict[str, Any]]:
    """What was measured of the student ("torch") and of each file, by form.

    `largest_difference` is over the logits of all word pieces that are not padding, `agreement` with the student and
    `score` are over the test texts.
    """
    threads = os.cpu_count() or 1
    asked = _askers(model, files, threads)
    answers: dict[str, list[NDArray]] = {form: [] for form in asked}
    truth: list[NDArray] = []
    furthest = dict.fromkeys(files, 0.0)
    with _computing_with(threads):
        for question in texts.questions():
            logits = {form: ask(question.batch) for form, ask in asked.items()}
            truth.append(question.truth)
            for form in asked:
                answers[form].append(texts.answers(logits[form], question))
            for form in files:
                furthest[form] = max(furthest[form], _distance(logits[form], logits["torch"], question))
    given = {form: np.concatenate(rows) for form, rows in answers.items()}
    right = np.concatenate(truth)
    measured: dict[str, dict[str, Any]] = {form: {"score": texts.score(given[form], right)} for form in asked}
    for form, path in files.items():
        measured[form] |= {
            "largest_difference": furthest[form],
            "agreement": texts.agreement(given[form], given["torch"]),
            "answers": len(right),
            "size_mb": round(path.stat().st_size / MB, 1),
        }
    return measured


def time_forms(model: PreTrainedModel, files: Mapping[str, Path], texts: HeldOut) -> dict[str, dict[str, Any]]:
    """Median milliseconds a text of the student and of each file, one text at a time on one processor thread.

    `times_as_fast` is, by other form, the median over the texts of how much longer that one took for the same text.
    """
    asked = _askers(model, files, TIMED_THREADS)
    times: dict[str, list[float]] = {form: [] for form in asked}
    with _computing_with(TIMED_THREADS):
        for batch in texts.one_by_one(TIMED_TEXTS + WARM_UP):
            for form, ask in asked.items():
                begin = time.perf_counter()
                ask(batch)
                times[form].append(1000 * (time.perf_counter() - begin))
    kept = {form: values[WARM_UP:] or values for form, values in times.items()}
    return {
        form: {
            "ms_per_text": round(statistics.median(values), 3),
            "times_as_fast": {other: _ratio(kept[other], values) for other in asked if other != form},
        }
        for form, values in kept.items()
    }


def is_faster(measured: Mapping[str, Any]) -> bool:
    """True if a form beat every 32-bit form in our own measurement, by more than chance does."""
    ratios = [ratio for other, ratio in measured["times_as_fast"].items() if other != "int8"]
    return min(ratios, default=0.0) >= FASTER


def _askers(model: PreTrainedModel, files: Mapping[str, Path], threads: int) -> dict[str, Ask]:
    opened = {form: OnnxModel(path, threads) for form, path in files.items()}

    @torch.inference_mode()
    def student(batch: Batch) -> NDArray[np.float32]:
        return model(**inputs_of(model, batch)).logits.numpy()

    def asker(onnx: OnnxModel) -> Ask:
        def ask(batch: Batch) -> NDArray[np.float32]:
            types = None if batch.token_type_ids is None else batch.token_type_ids.numpy()
            return onnx.logits(batch.input_ids.numpy(), batch.attention_mask.numpy(), types)

        return ask

    return {"torch": student} | {form: asker(onnx) for form, onnx in opened.items()}


@contextmanager
def _computing_with(threads: int) -> Iterator[None]:
    """Let torch use so many processor threads within the block, and leave the number as it was."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _distance(logits: NDArray, others: NDArray, question: Question) -> float:
    """The largest difference of two models' logits, padding aside; infinite if one of them is no number."""
    if logits.ndim == 3:
        places = question.batch.places.numpy()
        logits, others = (each.reshape(-1, each.shape[-1])[places] for each in (logits, others))
    furthest = float(np.abs(logits - others).max())
    return furthest if np.isfinite(furthest) else float("inf")


def _ratio(slower: list[float], faster: list[float]) -> float:
    return round(statistics.median(a / b for a, b in zip(slower, faster, strict=True)), 3)
