"""Numbers as the card and the report write them: what was measured, and how it reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from core import paper
from core.numbers import percent, score, unit, whole
from core.runs.results import Results

ONE = {"sentences": "sentence", "pairs": "pair", "masked words": "text"}
"""What a model answers at a time, by what was counted."""


@dataclass(frozen=True)
class Number:
    """A measured value, exactly as results.json has it or as it follows from there, and as people read it."""

    value: float | None
    text: str


@dataclass(frozen=True)
class Row:
    """One line of the result: what it is, the number of either model or of both together, and the paper's."""

    label: str
    teacher: Number | None = None
    student: Number | None = None
    both: Number | None = None
    paper: str = ""


Measured = Literal["score", "parameters", "encoder_parameters", "size_mb", "ms_per_sentence"]


def result_rows(results: Results) -> list[Row]:
    """All numbers of a result, with the paper's where it promises one."""
    teacher, student, metric = results["teacher"], results["student"], results["metric"]
    speed = teacher["ms_per_sentence"] / student["ms_per_sentence"]
    smaller = 1 - student["parameters"] / teacher["parameters"]

    def each(label: str, name: Measured, text: Any) -> Row:
        of_teacher, of_student = (Number(model[name], text(model[name])) for model in (teacher, student))
        return Row(label, of_teacher, of_student)

    def shared(label: str, value: float | None, text: str, promise: str = "") -> Row:
        return Row(label, both=Number(value, text), paper=promise)

    rows = [
        each(metric[:1].upper() + metric[1:], "score", lambda value: score(value, metric)),
        shared("Kept of the teacher's score", results["kept"], percent(results["kept"]), paper.KEPT.value),
        shared("Agreement with the teacher", results["agreement"], score(results["agreement"], metric)),
        each("Parameters", "parameters", whole),
        each("Parameters of the layers alone", "encoder_parameters", whole),
        each("Size of the weights", "size_mb", lambda value: unit(value, "MB")),
        shared("Smaller than the teacher", smaller, percent(smaller), paper.SMALLER.value),
        each(f"Time for one {ONE[results['counted']]}, processor", "ms_per_sentence", lambda value: unit(value, "ms")),
        shared("Times as fast as the teacher", speed, f"{speed:.3g} times", paper.FASTER.value),
    ]
    if results["majority"] is not None:
        guess = shared("Always the most frequent answer", results["majority"], score(results["majority"], metric))
        rows.insert(1, guess)
    return rows


def measured_on(results: Results) -> str:
    """The sentence that has to stand beside numbers of a run: device, split, seed, examples. Foreign text in part."""
    compute = results["compute"]
    return (
        f"Measured here on {results['examples']} {results['counted']} of the {results['split']} split, "
        f"seed {results['seed']}, on {compute['device']} in {compute['precision']} with {compute['threads']} "
        f"{'thread' if compute['threads'] == 1 else 'threads'}; times on the processor in fp32, one at a time."
    )
