"""The teacher's kept answers, and the three terms computed from them through real models."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from core.data.labelled import Part
from core.data.tokens import Batch, Tokens, tokenise
from core.distill.device import Compute
from core.distill.labels import LabelBatch, label_loss_terms
from core.distill.teacher_outputs import Asked, teacher_outputs
from core.errors import DistilleryError
from core.models.student import student_for_labels
from core.sections import LossSettings, StudentSettings
from tests.core.distill.test_loop import Listener
from tests.fixtures.small_runs import listing, reviews
from tests.fixtures.tiny_models import tiny_teacher, tiny_tokenizer

COMPUTE = Compute(torch.device("cpu"), "fp32", 1)


def prepared() -> tuple[Tokens, Any]:
    """Some sentences, and a teacher that has not been trained: enough to compare answers."""
    labels = np.array([label == "positive" for _, label in reviews()][:192], dtype=np.int64)
    tokens = tokenise(Part([text for text, _ in reviews()][:192], labels), tiny_tokenizer(), 32)
    return tokens, tiny_teacher(layers=6).requires_grad_(False)


def asked(teacher: Any, tokens: Tokens, with_hidden: bool = True) -> Asked:
    return Asked(teacher, "5" * 64, tokens, with_hidden, COMPUTE)


def test_the_kept_answers_of_the_teacher_are_its_answers(tmp_path: Path) -> None:
    """Whatever the order in which a batch asks for them: logits exactly, hidden states to 16 bits."""
    tokens, teacher = prepared()
    outputs = teacher_outputs(asked(teacher, tokens), tmp_path, Listener())
    batch = tokens.batch(np.array([190, 3, 77, 0, 4]), COMPUTE.device)
    with torch.inference_mode():
        answer = teacher(batch.input_ids, attention_mask=batch.attention_mask, output_hidden_states=True)
    words = answer.hidden_states[-1][batch.attention_mask.bool()]
    torch.testing.assert_close(outputs.logits_of(batch), answer.logits, rtol=0, atol=1e-5)
    torch.testing.assert_close(outputs.hidden_of(batch).float(), words, rtol=1e-3, atol=1e-3)
    again = teacher_outputs(asked(None, tokens), tmp_path, Listener())
    assert torch.equal(again.logits_of(batch), outputs.logits_of(batch))
    [kept] = (tmp_path / "answers").iterdir()
    assert listing(kept) == ["answers.json", "hidden.npy", "logits.npy", "manifest.json"]


def test_answers_kept_without_hidden_states_are_completed_when_they_are_needed(tmp_path: Path) -> None:
    tokens, teacher = prepared()
    without = teacher_outputs(asked(teacher, tokens, False), tmp_path, Listener())
    [kept] = (tmp_path / "answers").iterdir()
    assert without.hidden is None and not (kept / "hidden.npy").exists()
    complete = teacher_outputs(asked(teacher, tokens), tmp_path, Listener())
    assert complete.hidden.shape == (len(tokens.ids), 32)


def test_a_disk_without_room_is_refused_before_anything_is_written(tmp_path: Path, monkeypatch) -> None:
    tokens, teacher = prepared()
    usage = namedtuple("usage", "total used free")(10**6, 10**6 - 100, 100)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DistilleryError, match="Make room, use fewer examples, or set the hidden"):
        teacher_outputs(asked(teacher, tokens), tmp_path, Listener())
    assert not any(tmp_path.iterdir())


def whole(batch: Batch) -> LabelBatch:
    """A batch as the only part of its update."""
    return LabelBatch(batch, len(batch.labels), len(batch.places))


def padded(batch: Batch, columns: int) -> Batch:
    """The same examples with more padding, of word pieces that mean something."""
    rows = len(batch.labels)
    ids = torch.cat([batch.input_ids, torch.full((rows, columns), 7)], dim=1)
    mask = torch.cat([batch.attention_mask, torch.zeros((rows, columns), dtype=torch.long)], dim=1)
    return Batch(batch.examples, ids, mask, mask.flatten().nonzero().flatten(), batch.labels)


def test_padding_changes_neither_the_loss_nor_its_gradients(tmp_path: Path) -> None:
    """All three terms, through real models, with the batch padded by 20 more columns."""
    tokens, teacher = prepared()
    student = student_for_labels(teacher, StudentSettings(), seed=0).eval()
    outputs = teacher_outputs(asked(teacher, tokens), tmp_path, Listener())
    batch = tokens.batch(np.array([5, 100, 17, 33]), COMPUTE.device)
    assert batch.attention_mask.min() == 0, "the batch itself is padded too"

    def measured(batch: Batch) -> tuple[dict[str, float], Tensor]:
        terms = label_loss_terms(student, None, outputs, whole(batch), LossSettings())
        student.zero_grad()
        terms["loss"].backward()
        gradient = torch.cat([p.grad.flatten() for p in student.parameters() if p.grad is not None])
        return {name: term.item() for name, term in terms.items()}, gradient

    terms, gradient = measured(batch)
    more_terms, more_gradient = measured(padded(batch, 20))
    assert terms == pytest.approx(more_terms, rel=1e-5)
    torch.testing.assert_close(gradient, more_gradient, rtol=1e-4, atol=1e-4 * float(gradient.abs().max()))
    assert set(terms) == {"loss", "soft", "hard", "cosine"} and all(value > 0 for value in terms.values())


def test_a_student_that_is_its_teacher_has_no_soft_and_no_cosine_loss(tmp_path: Path) -> None:
    """At full depth, with the teacher's head: only the labels are left to learn."""
    tokens, teacher = prepared()
    student = student_for_labels(teacher, StudentSettings(layers=6), seed=0).eval()
    student.pre_classifier.load_state_dict(teacher.bert.pooler.dense.state_dict())
    student.classifier.load_state_dict(teacher.classifier.state_dict())
    # BERT's pooler ends in tanh, DistilBERT's head in ReLU: the one place in which the two classes differ.
    student.forward = with_tanh(student)  # type: ignore[method-assign]
    outputs = teacher_outputs(asked(teacher, tokens), tmp_path, Listener())
    batch = tokens.batch(np.arange(8), COMPUTE.device)
    terms = label_loss_terms(student, None, outputs, whole(batch), LossSettings())
    assert terms["soft"].item() == pytest.approx(0.0, abs=1e-6)
    assert terms["cosine"].item() == pytest.approx(0.0, abs=1e-6)
    assert terms["hard"].item() > 0.1


def with_tanh(student: Any) -> Any:
    def forward(input_ids: Tensor, attention_mask: Tensor, output_hidden_states: bool) -> Any:
        body = student.distilbert(input_ids, attention_mask=attention_mask, output_hidden_states=output_hidden_states)
        body.logits = student.classifier(torch.tanh(student.pre_classifier(body.last_hidden_state[:, 0])))
        return body

    return forward
