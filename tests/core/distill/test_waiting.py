"""What is said while somebody waits for a pass over many texts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from core.distill.silence import Silence
from core.distill.waiting import Waiting
from core.jobs.folder import written_status
from core.jobs.reporter import Reporter, StopRequested
from core.runs.recorder import FolderRecorder

THIN = "\u202f"


class _Heard(Silence):
    """Keeps the sentences."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def preparing(self, sentence: str) -> None:
        self.sentences.append(sentence)


def _waited(seconds_a_batch: float, work: list[float]) -> list[str]:
    """What is heard during a pass whose batches take so long, each for every unit of its work."""
    heard, now = _Heard(), 0.0
    waiting = Waiting(heard, "Asking the teacher", work, clock=lambda: now)
    for each in work:
        waiting()
        now += each * seconds_a_batch
    return heard.sentences


def test_a_wait_says_what_it_is_how_far_and_how_long_by_its_own_pace() -> None:
    said = _waited(2.0, [1.0, 1.0, 2.0, 6.0])
    assert said == [
        f"Asking the teacher: 10{THIN}% done, about 20{THIN}s left.",
        f"Asking the teacher: 20{THIN}% done, about 15{THIN}s left.",
        f"Asking the teacher: 40{THIN}% done, about 10{THIN}s left.",
    ]


def test_a_short_wait_needs_no_words_and_a_long_one_is_told_once_a_second() -> None:
    assert _waited(0.01, [1.0] * 100) == []
    assert len(_waited(0.1, [1.0] * 100)) == 8, "ten seconds, of which the first two are short"


def test_a_stop_ends_the_wait() -> None:
    class Stopped(Silence):
        def check_stop(self) -> None:
            raise StopRequested

    with pytest.raises(StopRequested):
        Waiting(Stopped(), "Asking", [1.0])()


def test_the_step_after_a_wait_says_again_what_happens(tmp_path: Path) -> None:
    with FolderRecorder(Reporter(tmp_path)) as recorder:
        recorder.stage("student", 10, weights={"soft": 1.0})
        recorder.preparing("Scoring the student: half of it is done.")
        assert written_status(tmp_path).sentence == "Scoring the student: half of it is done."
        recorder.step(1, {"loss": torch.tensor(1.0)}, 1e-4, 8)
        assert written_status(tmp_path).sentence == "The student learns from the teacher."
        recorder.progress("Alone on MRPC: epoch 1 of 3.", 2)
        recorder.preparing("Alone on MRPC: asking the teacher.")
        recorder._flushed = -10.0
        recorder.step(3, {"loss": torch.tensor(1.0)}, 1e-4, 8)
        assert written_status(tmp_path).sentence == "Alone on MRPC: epoch 1 of 3."
