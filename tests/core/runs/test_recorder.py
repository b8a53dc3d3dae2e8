"""What a run's recorder says while its stages begin."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.config import CONTROL, WEIGHT_PRESETS
from core.jobs.folder import Status, written_status
from core.jobs.reporter import Reporter
from core.runs.recorder import FolderRecorder


def _said(folder: Path, weights: dict[str, float]) -> Status:
    with FolderRecorder(Reporter(folder)) as recorder:
        recorder.stage("student", 10, metric="accuracy", weights=weights)
    return written_status(folder)


@pytest.mark.parametrize("preset", WEIGHT_PRESETS)
def test_only_a_control_is_said_to_learn_without_the_teacher(tmp_path: Path, preset: str) -> None:
    sentence = _said(tmp_path, WEIGHT_PRESETS[preset]).sentence
    alone = preset == CONTROL
    assert sentence == ("The student learns without the teacher." if alone else "The student learns from the teacher.")
