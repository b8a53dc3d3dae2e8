"""What is kept of teachers: counted, and given back while nothing trains."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import DistilleryError
from core.jobs.queue import MACHINE, lane_lock
from core.runs.kept import delete_answers, delete_unused, kept_teachers
from tests.fixtures.made_runs import make_run

KEYS = "0123456789abcdef", "fedcba9876543210"


@pytest.fixture
def cache(home: Path) -> Path:
    """Two teachers with answers, one of an older program; one run has learned from the first."""
    teachers = home / "cache" / "teachers"
    for key in KEYS:
        (teachers / key / "model").mkdir(parents=True)
        (teachers / key / "model" / "model.safetensors").write_bytes(bytes(2_000_000))
    (teachers / KEYS[0] / "answers" / "one").mkdir(parents=True)
    (teachers / KEYS[0] / "answers" / "one" / "hidden.npy").write_bytes(bytes(3_000_000))
    (teachers / KEYS[1] / "train_hidden.npy").write_bytes(bytes(500_000))
    (make_run(home) / "teacher.json").write_text(f'{{"key": "{KEYS[0]}"}}')
    return teachers


def test_nothing_is_kept_before_the_first_run(home: Path) -> None:
    assert kept_teachers() == []
    delete_answers()
    delete_unused()


def test_sizes_and_the_runs_that_learned_from_each(cache: Path) -> None:
    found = [(one.key, one.model_mb, one.answers_mb, one.runs) for one in kept_teachers()]
    assert found == [(KEYS[0], 2.0, 3.0, 1), (KEYS[1], 2.0, 0.5, 0)]


def test_answers_go_and_teachers_stay(cache: Path) -> None:
    delete_answers()
    assert [(one.model_mb, one.answers_mb) for one in kept_teachers()] == [(2.0, 0.0), (2.0, 0.0)]
    assert sorted(path.name for path in cache.iterdir()) == sorted(KEYS)


def test_only_teachers_that_no_run_learned_from_go(cache: Path) -> None:
    delete_unused()
    assert [path.name for path in cache.iterdir()] == [KEYS[0]]
    assert (cache / KEYS[0] / "answers" / "one" / "hidden.npy").exists()


def test_nothing_is_deleted_while_something_trains(cache: Path) -> None:
    with lane_lock(MACHINE):
        for delete in (delete_answers, delete_unused):
            with pytest.raises(DistilleryError, match="A training is under way"):
                delete()
    assert len(kept_teachers()) == 2 and kept_teachers()[0].answers_mb == 3.0


def test_what_an_interrupted_deletion_left_goes_with_the_next(cache: Path) -> None:
    (cache / ".deleted-0123").mkdir()
    delete_answers()
    assert sorted(path.name for path in cache.iterdir()) == sorted(KEYS)
