"""The teacher's kept answers, and the three terms computed from them through real models."""

from __future__ import annotations

import errno
import os
import shutil
from collections import namedtuple
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from core.data.labelled import Part
from core.data.tokens import Batch, Tokens, tokenise
from core.distill.device import Compute
from core.distill.labels import LabelBatch, LabelTeacher, LabelUpdate
from core.distill.teacher_outputs import Asked, TeacherOutputs, teacher_outputs
from core.errors import DistilleryError
from core.jobs.reporter import StopRequested
from core.kept_arrays import NewRows
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


FILES = ["answers.json", "hidden.npy", "logits.npy", "manifest.json"]


class Noting(Listener):
    """Remembers what it was told to remember."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)


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
    assert listing(kept) == FILES


def test_answers_kept_without_hidden_states_are_completed_when_they_are_needed(tmp_path: Path) -> None:
    tokens, teacher = prepared()
    without = teacher_outputs(asked(teacher, tokens, False), tmp_path, Listener())
    [kept] = (tmp_path / "answers").iterdir()
    assert without.hidden is None and not (kept / "hidden.npy").exists()
    complete = teacher_outputs(asked(teacher, tokens), tmp_path, Listener())
    assert complete.hidden.shape == (len(tokens.ids), 32)


def damaged(content: bytes, damage: str) -> bytes:
    middle = len(content) // 2
    return {
        "empty": b"",
        "short": content[:-4],
        "long": content + b"\0",
        "zeros": bytes(len(content)),
        "flipped": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "first byte": bytes([content[0] ^ 128]) + content[1:],
        "last byte": content[:-1] + bytes([content[-1] ^ 1]),
    }[damage]


DAMAGE = ("missing", "a folder", "empty", "short", "long", "zeros", "flipped", "first byte", "last byte")


@pytest.mark.parametrize("name", ["hidden.npy", "logits.npy", "answers.json", "manifest.json"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_answers_are_asked_for_anew_and_said(tmp_path: Path, name: str, damage: str) -> None:
    """As after a power cut, a bad disk or a full one: never a wrong number without a word."""
    tokens, teacher = prepared()
    first = teacher_outputs(asked(teacher, tokens), tmp_path, Listener())
    batch = tokens.batch(np.arange(9), COMPUTE.device)
    logits, hidden = first.logits_of(batch), first.hidden_of(batch)
    [kept] = (tmp_path / "answers").iterdir()
    content = (kept / name).read_bytes()
    (kept / name).unlink()
    if damage == "a folder":
        (kept / name).mkdir()
    elif damage != "missing":
        (kept / name).write_bytes(damaged(content, damage))
    listener = Noting()
    again = teacher_outputs(asked(teacher, tokens), tmp_path, listener)
    assert torch.equal(again.logits_of(batch), logits) and torch.equal(again.hidden_of(batch), hidden)
    assert len(listener.notes) == 1 and "damaged" in listener.notes[0] and "asked anew" in listener.notes[0]
    assert (kept / name).read_bytes() == content
    whole_again = Noting()
    teacher_outputs(asked(None, tokens), tmp_path, whole_again)
    assert whole_again.notes == [] and listing(tmp_path) == sorted(f"answers/{kept.name}/{each}" for each in FILES)


@pytest.mark.parametrize("what", ["a file", "empty", "a link"])
def test_whatever_lies_where_the_answers_belong_is_replaced(tmp_path: Path, what: str) -> None:
    tokens, teacher = prepared()
    teacher_outputs(asked(teacher, tokens), tmp_path, Listener())
    [kept] = (tmp_path / "answers").iterdir()
    shutil.rmtree(kept)
    {"a file": kept.touch, "empty": kept.mkdir, "a link": lambda: kept.symlink_to(tmp_path)}[what]()
    assert len(teacher_outputs(asked(teacher, tokens), tmp_path, Noting()).logits) == len(tokens)
    assert listing(kept) == FILES


def test_answers_belong_to_one_teacher_one_text_one_device_and_one_precision(tmp_path: Path) -> None:
    tokens, teacher = prepared()
    one = asked(teacher, tokens)
    fewer = Tokens(tokens.ids[: tokens.starts[5]], tokens.starts[:6], tokens.labels[:5], tokens.padding_id)
    others = [
        replace(one, sha256="6" * 64),
        replace(one, data=fewer),
        replace(one, compute=replace(COMPUTE, precision="bf16")),
        replace(one, compute=replace(COMPUTE, threads=2)),
        replace(one, compute=replace(COMPUTE, device=torch.device("cuda"))),
    ]
    assert all(other.made_of() != one.made_of() for other in others)
    assert replace(one, with_hidden=False).made_of() == one.made_of(), "what is kept with hidden states serves both"
    teacher_outputs(one, tmp_path, Listener())
    teacher_outputs(others[3], tmp_path, Listener())
    assert len(list((tmp_path / "answers").iterdir())) == 2
    teacher_outputs(others[0], tmp_path, Listener())
    assert len(list((tmp_path / "answers").iterdir())) == 1, "nobody can ask for those of the former teacher any more"


def test_what_an_older_program_kept_without_hashes_is_never_read_and_goes(tmp_path: Path) -> None:
    tokens, teacher = prepared()
    for name in ("train_hidden.npy", "train_logits.npy"):
        (tmp_path / name).write_bytes(b"wrong answers")
    teacher_outputs(asked(teacher, tokens), tmp_path, Listener())
    assert [path.name for path in tmp_path.iterdir()] == ["answers"]


@pytest.mark.parametrize("how", ["cut", "overwritten"])
def test_a_file_that_is_changed_while_it_is_learned_from_ends_the_run_in_words(tmp_path: Path, how: str) -> None:
    """Mapped, the first would end the process and the second would be learned from."""
    tokens, teacher = prepared()
    outputs = teacher_outputs(asked(teacher, tokens), tmp_path, Listener())
    [kept] = (tmp_path / "answers").iterdir()
    os.utime(kept / "hidden.npy", (1, 1))
    outputs = teacher_outputs(asked(teacher, tokens), tmp_path, Listener())
    if how == "cut":
        os.truncate(kept / "hidden.npy", 1000)
    else:
        with (kept / "hidden.npy").open("r+b") as file:
            file.seek(5000)
            file.write(b"wrong")
    with pytest.raises(DistilleryError, match="were changed by somebody"):
        outputs.hidden_of(tokens.batch(np.array([190, 3, 77]), COMPUTE.device))
    assert len(teacher_outputs(asked(teacher, tokens), tmp_path, Noting()).logits) == len(tokens)


def test_answers_that_are_deleted_while_they_are_learned_from_are_still_there(tmp_path: Path) -> None:
    tokens, teacher = prepared()
    outputs = teacher_outputs(asked(teacher, tokens), tmp_path, Listener())
    batch = tokens.batch(np.array([190, 3, 77]), COMPUTE.device)
    before = outputs.hidden_of(batch)
    shutil.rmtree(tmp_path / "answers")
    assert torch.equal(outputs.hidden_of(batch), before)


def test_a_stop_or_a_full_disk_while_asking_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens, teacher = prepared()
    for error in (StopRequested(), OSError(errno.ENOSPC, "No space left on device")):
        calls = iter(range(2))

        def fail(*_: Any, calls: Any = calls, error: BaseException = error) -> None:
            if next(calls, None) is None:
                raise error

        with monkeypatch.context() as patch:
            patch.setattr(NewRows, "write", fail)
            with pytest.raises(type(error)):
                teacher_outputs(asked(teacher, tokens), tmp_path, Listener())
        assert list((tmp_path / "answers").iterdir()) == []


def test_a_disk_without_room_is_refused_before_anything_is_written(tmp_path: Path, monkeypatch) -> None:
    tokens, teacher = prepared()
    usage = namedtuple("usage", "total used free")(10**6, 10**6 - 100, 100)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DistilleryError, match="Make room, use fewer examples, or set the hidden"):
        teacher_outputs(asked(teacher, tokens), tmp_path, Listener())
    assert not any(tmp_path.iterdir())


def label_loss_terms(student: Any, outputs: TeacherOutputs, part: LabelBatch) -> dict[str, Tensor]:
    """One part of an update with the default weights."""
    layers = tuple(range(student.config.num_hidden_layers))
    return LabelUpdate(student, {}, LabelTeacher(outputs, 4, None), LossSettings(), layers)(part)


def whole(batch: Batch) -> LabelBatch:
    """A batch as the only part of its update."""
    return LabelBatch(batch, len(batch.labels), len(batch.places))


def padded(batch: Batch, columns: int) -> Batch:
    """The same examples with more padding, of word pieces that mean something."""
    rows = len(batch.labels)
    ids = torch.cat([batch.input_ids, torch.full((rows, columns), 7)], dim=1)
    mask = torch.cat([batch.attention_mask, torch.zeros((rows, columns), dtype=torch.long)], dim=1)
    return Batch(batch.examples, batch.lengths, ids, mask, mask.flatten().nonzero().flatten(), batch.labels)


def test_padding_changes_neither_the_loss_nor_its_gradients(tmp_path: Path) -> None:
    """All three terms, through real models, with the batch padded by 20 more columns."""
    tokens, teacher = prepared()
    student = student_for_labels(teacher, StudentSettings(), seed=0).eval()
    outputs = teacher_outputs(asked(teacher, tokens), tmp_path, Listener())
    batch = tokens.batch(np.array([5, 100, 17, 33]), COMPUTE.device)
    assert batch.attention_mask.min() == 0, "the batch itself is padded too"

    def measured(batch: Batch) -> tuple[dict[str, float], Tensor]:
        terms = label_loss_terms(student, outputs, whole(batch))
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
    terms = label_loss_terms(student, outputs, whole(batch))
    assert terms["soft"].item() == pytest.approx(0.0, abs=1e-6)
    assert terms["cosine"].item() == pytest.approx(0.0, abs=1e-6)
    assert terms["hard"].item() > 0.1


def with_tanh(student: Any) -> Any:
    def forward(input_ids: Tensor, attention_mask: Tensor, output_hidden_states: bool) -> Any:
        body = student.distilbert(input_ids, attention_mask=attention_mask, output_hidden_states=output_hidden_states)
        body.logits = student.classifier(torch.tanh(student.pre_classifier(body.last_hidden_state[:, 0])))
        return body

    return forward
