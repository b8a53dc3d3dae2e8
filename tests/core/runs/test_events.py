"""Lines of metrics.jsonl from elsewhere: what is not what it is called is left out, and only a plain file is read."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from core.runs.curves import read_curves
from core.runs.events import EventWriter, parse_event, read_events
from core.runs.feed import feed
from core.runs.table import row_of
from core.storage import BrokenRun
from tests.fixtures.made_runs import make_run

STEP = {"event": "step", "stage": "student", "step": 3, "loss": 0.5, "lr": 1e-4, "sentences": 96, "elapsed_s": 1.5}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("step", "3"),
        ("step", -1),
        ("step", 2.5),
        ("step", True),
        ("sentences", None),
        ("loss", "0.5"),
        ("loss", [0.5]),
        ("loss", True),
        ("lr", 1e300),
        ("elapsed_s", {}),
        ("stage", ["student"]),
        ("event", None),
        ("event", "x" * 1000),
        ("weights", {"soft": "5"}),
        ("weights", 5),
        ("metric", 7),
        ("total_steps", "many"),
    ],
)
def test_a_field_of_another_kind_is_left_out_and_the_others_stay(name: str, value: Any) -> None:
    rest = {field: each for field, each in STEP.items() if field != name}
    assert parse_event(json.dumps(rest | {name: value}).encode()) == rest


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    facts = {"event": "stage", "stage": "student", "total_steps": 9, "metric": "accuracy", "weights": {"soft": 5.0}}
    events = [facts, STEP, STEP | {"loss": None}, {"event": "probe", "step": 0, "student": [[["good", 0.4]]]}]
    writer = EventWriter(tmp_path / "metrics.jsonl")
    for event in events:
        writer.append(event)
    writer.close()
    assert read_events(tmp_path / "metrics.jsonl")[0] == events


NOT_PLAIN: dict[str, Callable[[Path], object]] = {
    "a folder": lambda path: path.mkdir(),
    "a pipe": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("kind", NOT_PLAIN)
def test_what_is_no_plain_file_is_a_sentence_for_every_reader_and_a_problem_in_the_list(home: Path, kind: str) -> None:
    folder = make_run(home)
    path = folder / "metrics.jsonl"
    path.unlink()
    NOT_PLAIN[kind](path)
    readers = (partial(read_events, path), partial(read_curves, folder), partial(feed, folder, 0))
    for read in (*readers, partial(feed, folder, 9)):
        with pytest.raises(BrokenRun, match=r"metrics\.jsonl cannot be read: it is (a link|not a plain file)\."):
            read()
    row = row_of(folder)
    assert row.state == "finished" and row.loss == () and "metrics.jsonl cannot be read" in row.problem
