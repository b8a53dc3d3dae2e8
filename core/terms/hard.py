"""Hard targets: the student learns from what is true, the labels or the hidden words (Sanh et al. 2019, section 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.terms.declaration import Options, OverVocabulary, Seen, Term

if TYPE_CHECKING:
    from torch import Tensor


def hard_target_loss(student_logits: Tensor, labels: Tensor, count: int | None = None) -> Tensor:
    """Cross-entropy with the true labels, at temperature 1. Shapes (N, C) and (N,) to (). Nats.

    A label of −1 is not known and adds nothing.
    """
    import torch.nn.functional as F

    from core.terms._arithmetic import count_of, fp32

    total = F.cross_entropy(fp32(student_logits), labels, ignore_index=-1, reduction="sum")
    return total / count_of(student_logits, count)


def supervised_loss(logits: Tensor, labels: Tensor, count: int | None = None) -> Tensor:
    """A task from its labels alone: cross-entropy of classes; of scores, logits (N, 1), the squared error.

    A class of −1 and a score of NaN are not known and add nothing.
    """
    from core.terms._arithmetic import fp32, squared_error_loss

    if labels.is_floating_point():
        scores = fp32(logits[:, 0])
        return squared_error_loss(scores, labels.where(~labels.isnan(), scores.detach()), count)
    return hard_target_loss(logits, labels, count)


def _labels(seen: Seen, options: Options) -> Tensor:
    assert seen.labels is not None
    return supervised_loss(seen.student.logits, seen.labels, seen.examples)


def cross_entropy_of(student: Tensor, teacher: Tensor | None, targets: Tensor | None) -> tuple[Tensor, Tensor]:
    """Σ cross-entropy, and the probabilities, less 1 at the targets."""
    import torch

    assert targets is not None
    own = torch.softmax(student, -1)
    log_sum = student.amax(-1) - own.amax(-1).log_()
    chosen = targets.unsqueeze(-1)
    value = log_sum.sum() - student.gather(-1, chosen).sum()
    return value, own.scatter_add_(-1, chosen, torch.full_like(chosen, -1, dtype=own.dtype))


def _formula(seen: Any, options: Options) -> float:
    import numpy as np

    if seen.are_scores:
        return float(np.nansum((seen.student.logits[:, 0] - seen.labels) ** 2) / seen.examples)
    pairs = zip(seen.student.logits, seen.labels, strict=True)
    known = (np.log(np.exp(own).sum()) - own[label] for own, label in pairs if label >= 0)
    return float(sum(known) / seen.examples)


TERM = Term(
    name="hard",
    label="Hard targets",
    symbol="L_hard",
    help="How strongly the student learns from the true labels: cross-entropy with the label. "
    "The paper's L_mlm, with labels in place of masked words.",
    in_short="the true labels",
    unit="nats",
    weight={"labels": 2.0, "masked_words": 2.0},
    asks_teacher=False,
    paper_weight=2.0,
    task_weight=1.0,
    labels=_labels,
    vocabulary=OverVocabulary(cross_entropy_of),
    formula=_formula,
)
