"""Soft targets: the student copies the teacher's doubts (Hinton et al. 2015; Sanh et al. 2019, section 3)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from core.terms.declaration import Options, OverVocabulary, Seen, Term

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor


def soft_target_loss(
    student_logits: Tensor, teacher_logits: Tensor, temperature: float, count: int | None = None
) -> Tensor:
    """KL(teacher ‖ student) at a temperature, times temperature², averaged over the positions.

    Shapes (N, C) and (N, C) to (). Nats. Zero when both agree; the square keeps the gradient's size comparable
    across temperatures (Hinton et al. 2015, section 2). The paper writes cross-entropy: the gradients are equal.

    Raises ValueError if temperature is not positive and finite or the shapes differ.
    """
    import torch.nn.functional as F

    from core.terms._arithmetic import count_of, fp32, same_shape

    _check(temperature)
    same_shape(student_logits, teacher_logits)
    student = F.log_softmax(fp32(student_logits) / temperature, dim=-1)
    teacher = F.log_softmax(fp32(teacher_logits) / temperature, dim=-1)
    divergence = F.kl_div(student, teacher, reduction="sum", log_target=True)
    return divergence * temperature**2 / count_of(student_logits, count)


def _labels(seen: Seen, options: Options) -> Tensor:
    from core.terms._arithmetic import squared_error_loss

    student, teacher = seen.student.logits, seen.teacher.logits
    if seen.are_scores:
        return squared_error_loss(student[:, 0], teacher[:, 0], seen.examples)
    return soft_target_loss(student, teacher, options["temperature"], seen.examples)


def _block(student: Tensor, teacher: Tensor | None, targets: Tensor | None) -> tuple[Tensor, Tensor]:
    """Σ KL, and the student's minus the teacher's probabilities."""
    import torch

    assert teacher is not None
    shares, top = torch.softmax(teacher, -1), teacher.amax(-1)
    cross = torch.sub(teacher, student, out=teacher).mul_(shares).sum(-1)
    # log Σ exp: the most probable word has the share exp(top) / Σ exp.
    teacher_log_sum = top - shares.amax(-1).log_()
    own = torch.softmax(student, -1)
    student_log_sum = student.amax(-1) - own.amax(-1).log_()
    return (cross + student_log_sum - teacher_log_sum).sum(), own.sub_(shares)


def _temperature(options: Options) -> float:
    _check(options["temperature"])
    return options["temperature"]


def _positions(hidden: NDArray[np.bool_], options: Options, random: np.random.Generator) -> NDArray[np.bool_]:
    """A share is drawn without replacement: its mean has the mean of all as its expectation."""
    import numpy as np

    if options["soft_positions"] == "masked":
        return hidden
    if options["soft_positions"] == "all":
        return np.ones_like(hidden)
    drawn = np.zeros_like(hidden)
    wanted = int(np.ceil(options["soft_share"] * len(hidden)))
    drawn[random.choice(len(hidden), wanted, replace=False, shuffle=False)] = True
    return drawn


def _share(hidden: float, options: Options) -> float:
    return {"all": 1.0, "masked": hidden, "sample": options["soft_share"]}[options["soft_positions"]]


def _formula(seen: Any, options: Options) -> float:
    import numpy as np

    if seen.are_scores:
        return float(((seen.student.logits - seen.teacher.logits) ** 2).sum() / seen.examples)
    temperature, total = options["temperature"], 0.0
    for own, theirs in zip(seen.student.logits / temperature, seen.teacher.logits / temperature, strict=True):
        p, q = np.exp(theirs) / np.exp(theirs).sum(), np.exp(own) / np.exp(own).sum()
        total += float((p * np.log(p / q)).sum())
    return total * temperature**2 / seen.examples


def _check(temperature: float) -> None:
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature is {temperature}; it must be positive and finite")


TERM = Term(
    name="soft",
    label="Soft targets",
    symbol="L_ce",
    help="How strongly the student copies the teacher's doubts: "
    "KL(teacher ‖ student) of both models' probabilities at temperature T, times T².",
    in_short="copy its doubts",
    unit="nats",
    weight={"labels": 5.0, "masked_words": 5.0},
    paper_weight=5.0,
    task_weight=1.0,
    options={
        "temperature": (
            float,
            Field(
                2.0,
                ge=0.1,
                le=100,
                title="Temperature (T)",
                description="Softens the teacher's answer before it is copied. At 1 the student sees the plain "
                "probabilities; higher values show more of the teacher's doubts. The paper uses 2.",
                json_schema_extra={"symbol": "T", "step": 0.5},
            ),
        ),
        "soft_positions": (
            Literal["all", "masked", "sample"],
            Field(
                "all",
                title="Soft targets at",
                description="Masked words only: where the student copies the teacher's doubts. The paper: at every "
                "word piece. A random share costs less and has the same expectation.",
                json_schema_extra={
                    "objective": "masked_words",
                    "options": {
                        "all": "Every word piece (paper)",
                        "masked": "Masked words only",
                        "sample": "A random share",
                    },
                },
            ),
        ),
        "soft_share": (
            float,
            Field(
                0.3,
                ge=0.01,
                le=1,
                title="Random share",
                description="Share of the word pieces at which soft targets are computed, drawn anew for every batch.",
                json_schema_extra={
                    "objective": "masked_words",
                    "only_if": {"soft_positions": "sample"},
                    "step": 0.05,
                },
            ),
        ),
    },
    labels=_labels,
    vocabulary=OverVocabulary(_block, _temperature, _positions, _share),
    formula=_formula,
)
