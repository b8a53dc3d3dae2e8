"""results.json: every field is what it is called, or the file is refused with the field's name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core.runs.comparable import comparable_runs
from core.runs.results import read_result
from core.runs.table import row_of
from core.storage import BrokenRun, read_json, write_json
from tests.fixtures.made_runs import RESULTS, SCORE_RESULTS, WORDS_RESULTS, make_run


@pytest.mark.parametrize("results", [RESULTS, WORDS_RESULTS, SCORE_RESULTS], ids=lambda results: results["metric"])
def test_what_a_run_writes_is_read(home: Path, results: dict[str, Any]) -> None:
    assert read_result(make_run(home, results=results)) == results


def test_undefined_scores_are_results(home: Path) -> None:
    undefined = RESULTS | {"kept": None, "agreement": None, "majority": None}
    undefined |= {"student": RESULTS["student"] | {"score": None}}
    assert read_result(make_run(home, results=undefined)) == undefined


def test_what_a_later_version_adds_is_passed_over(home: Path) -> None:
    folder = make_run(home)
    write_json(folder / "results.json", read_json(folder / "results.json") | {"colour": ["red"]})
    assert read_result(folder) == RESULTS


BAD: dict[str, Any] = {
    "teacher": None,
    "student": RESULTS["student"] | {"ms_per_sentence": 0},
    "metric": "beauty",
    "counted": ["sentences"],
    "split": 3,
    "examples": 1e3 + 0.5,
    "majority": "0.5",
    "kept": True,
    "agreement": 2,
    "seed": "0",
    "teacher_from_cache": 1,
    "elapsed_s": -1,
    "compute": {"device": "cpu", "precision": "fp32", "threads": "2"},
    "notes": "one text",
    "versions": {"torch": 2},
}


@pytest.mark.parametrize("name", BAD)
def test_a_field_of_another_kind_is_named(home: Path, name: str) -> None:
    folder = make_run(home)
    write_json(folder / "results.json", RESULTS | {name: BAD[name]})
    with pytest.raises(BrokenRun, match=rf"results\.json does not look like the result of a run: {name}"):
        read_result(folder)
    assert row_of(folder).results is None and f": {name}" in row_of(folder).problem
    (unusable,) = comparable_runs()[1]
    assert f": {name}" in unusable.reason or "longer in its folder" in unusable.reason


@pytest.mark.parametrize("name", ["majority", "agreement"])
def test_a_share_beyond_all_is_none(home: Path, name: str) -> None:
    """Its interval would be the root of a number below zero."""
    folder = make_run(home)
    write_json(folder / "results.json", RESULTS | {name: -0.5})
    with pytest.raises(BrokenRun, match="a share is not between 0 and 1"):
        read_result(folder)
    correlated = SCORE_RESULTS | {"agreement": -0.5}
    write_json(folder / "results.json", correlated)
    assert read_result(folder)["agreement"] == -0.5


def test_numbers_that_are_none_are_named(home: Path) -> None:
    folder = make_run(home)
    text = json.dumps(RESULTS)
    for old, new in (('"kept": 0.9', '"kept": NaN, "x": 0.9'), ('"elapsed_s": 150.0', '"elapsed_s": 1e400')):
        assert old in text
        (folder / "results.json").write_text(text.replace(old, new))
        with pytest.raises(BrokenRun, match=r"results\.json cannot be read: .* (no number|too large)"):
            read_result(folder)
