"""One field of one file is not what it was: every reader answers with a value or a sentence, every page is drawn.

A sample of what `python -m benchmarks.faults edits` tries in full: each whole file replaced in each way, and of the
fields every so-many-th change, another share of them for each reader.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from core.runs import results
from tests.faults import edited_files, edited_pages, edited_readers
from tests.faults.edited_files import VALUES, WHOLE, Edit

EVERY = 97
"""A prime number, so that each value meets each kind of field sooner or later."""


@pytest.fixture(params=["labels", "words"])
def run_and_job(request: pytest.FixtureRequest, home: Path, nothing_trains: None) -> tuple[Path, Path]:
    return edited_files.run_and_job(home, words=request.param == "words")


def sample(edits: Iterable[Edit]) -> list[Edit]:
    """A part of the changes of whole files, and of those of fields."""
    whole, fields = [], []
    for edit in edits:
        (fields if edit.place else whole).append(edit)
    return whole[::5] + fields[::EVERY]


def test_every_field_of_every_file_is_edited(run_and_job: tuple[Path, Path]) -> None:
    run, job = run_and_job
    answers = "held_out.json" if (run / "held_out.json").exists() else "held_out_words.json"
    files = {"config.json", "status.json", "results.json", "about.json", "teacher.json", "metrics.jsonl", answers}
    assert files | {"export/manifest.json", "student/config.json"} <= set(edited_files.files_of(run))
    assert {"config.json", "status.json", "plan.json", "timing.json"} <= set(edited_files.files_of(job))
    edits = list(edited_files.edits(run))
    places = {edit.place for edit in edits if edit.file == "status.json"}
    assert {"state", "owner", "owner.pid", "sentence", "updated_at"} <= places
    assert len(edits) > 3_000 and {edit.value for edit in edits} == {*VALUES, *WHOLE}


def test_no_reader_of_an_edited_run_or_job_answers_with_anything_else(run_and_job: tuple[Path, Path]) -> None:
    run, job = run_and_job
    of_run = edited_readers.try_run(run, sample(edited_files.edits(run)))
    of_job = edited_readers.try_job(job, sample(edited_files.edits(job)))
    assert of_run.escapes == of_job.escapes == []
    assert of_run.tried > 1_000 and of_run.refused > 100
    assert of_job.tried > 300 and of_job.refused > 50


def test_no_page_breaks_on_edited_runs_and_jobs_and_the_good_ones_stand_beside(run_and_job: tuple[Path, Path]) -> None:
    run, job = run_and_job
    run_edits, job_edits = sample(edited_files.edits(run)), sample(edited_files.edits(job))
    beside = edited_pages.try_lists(run, job, run_edits[::2], job_edits[::2])
    alone = edited_pages.try_each(run, run_edits[::40])
    assert beside.escapes == alone.escapes == []
    assert beside.tried >= 7 and alone.tried >= 10


def test_the_trials_find_a_reader_that_checks_nothing(run_and_job: tuple[Path, Path], monkeypatch) -> None:
    run, _ = run_and_job
    edits = [edit for edit in edited_files.edits(run) if edit.file == "results.json" and edit.place]
    monkeypatch.setattr(results, "checked", lambda kind, fields, *_: fields)
    monkeypatch.setattr(results, "_are_shares", lambda _: True)
    readers = {name: edited_readers.RUN_READERS[name] for name in ("list", "card and report", "terminal")}
    assert len(edited_readers.try_run(run, edits[::3], readers).escapes) > 20
