"""The files of a GLUE job, read field by field: one that is none is named, and hides none of the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.glue.as_csv import as_csv
from core.glue.cells import Cell, cell_path, read_cells, readable_cells
from core.glue.plan import read_plan
from core.glue.tables import all_tables
from core.glue.timed import read_timing
from core.storage import BrokenRun, read_json, write_json
from pages.ui.glue.reading import read_jobs
from tests.fixtures.made_glue_jobs import RECIPE, TIMING, cell, make_job

FORMULA = '=HYPERLINK("http://evil.example/","x")'
BAD_CELLS: dict[str, Any] = {
    "score": "0.5",
    "scores": {"accuracy": "0.5"},
    "majority": True,
    "way": FORMULA,
    "role": "judge",
    "seed": FORMULA,
    "examples": 0,
    "train_examples": "400",
    "train_total": -1,
    "model": "../../elsewhere",
    "task": None,
    "title": ["a", "list"],
    "split": {"a": "b"},
    "recipe": RECIPE | {"teacher": ["a list is no name"]},
    "reasons": {"accuracy": 3},
    "mismatched": 0.5,
    "notes": "one text",
    "is_leaked": "no",
    "elapsed_s": -1,
    "compute": None,
    "versions": [],
}


def spoil(path: Path, **fields: Any) -> None:
    write_json(path, read_json(path) | fields)


@pytest.mark.parametrize("name", BAD_CELLS)
def test_a_score_that_is_none_is_named_and_hides_no_other(home: Path, name: str) -> None:
    good, bad = cell("CoLA", "teacher"), cell("MNLI")
    folder = make_job(home, [good, bad])
    spoil(cell_path(folder, bad.model, bad.task, bad.seed), **{name: BAD_CELLS[name]})
    with pytest.raises(BrokenRun, match=rf"cells/.*MNLI.*does not look like a score: .*{name}"):
        read_cells(folder)
    assert readable_cells(folder)[0] == [good]
    (job,) = read_jobs()
    assert job.cells == (good,) and "MNLI.seed-0.json" in job.problem
    assert FORMULA not in as_csv(all_tables([job.cells]))


def test_of_many_scores_that_are_none_a_few_are_named(home: Path) -> None:
    folder = make_job(home, [cell("CoLA", seed=seed) for seed in range(9)])
    for path in (folder / "cells").iterdir():
        path.write_text("{")
    (job,) = read_jobs()
    assert job.problem.count("cannot be read:") == 3 and "6 more scores cannot be read." in job.problem


def test_what_was_kept_before_there_were_formats_is_read(home: Path) -> None:
    kept = cell("CoLA", notes=("One.",), mismatched={"accuracy": None})
    folder = make_job(home, [kept], timing=TIMING)
    assert "format" not in read_json(cell_path(folder, kept.model, kept.task, kept.seed))
    assert read_cells(folder) == [kept] and isinstance(read_cells(folder)[0], Cell)
    assert [each["model"] for each in read_timing(folder)["models"]] == [each["model"] for each in TIMING["models"]]


@pytest.mark.parametrize(
    "change", [{"steps": 0}, {"steps": 1.5}, {"work": "1"}, {"first_step": None}, {"model": "a/b"}]
)
def test_a_plan_that_is_none_is_named(home: Path, change: dict[str, Any]) -> None:
    folder = make_job(home, [cell("CoLA"), cell("MNLI")])
    cells = read_json(folder / "plan.json")["cells"]
    write_json(folder / "plan.json", {"cells": [cells[0], cells[1] | change]})
    with pytest.raises(BrokenRun, match=rf"plan\.json does not look like a plan: cells\.1\.{next(iter(change))}"):
        read_plan(folder)


@pytest.mark.parametrize("change", [{"seconds": "6.4"}, {"seconds": 0}, {"role": 1}, {"title": None}, {"pairs": -1}])
def test_a_timing_that_is_none_is_named_and_hides_no_score(home: Path, change: dict[str, Any]) -> None:
    first, second = TIMING["models"]
    folder = make_job(home, [cell("CoLA")], timing=TIMING | {"models": [first, second | change]})
    with pytest.raises(BrokenRun, match=r"timing\.json does not look like a timing: models\.1\."):
        read_timing(folder)
    (job,) = read_jobs()
    assert job.timing is None and len(job.cells) == 1 and "timing.json" in job.problem


def test_a_later_format_is_not_guessed_at(home: Path) -> None:
    folder = make_job(home, [cell("CoLA")])
    spoil(next((folder / "cells").iterdir()), format=2)
    assert "was made by a newer version of Distillery" in readable_cells(folder)[1][0]
