"""What the pages make of edited runs and GLUE jobs: drawn without an exception, the good ones beside the edited ones.

Hundreds of edited folders lie in one home, so that pages which list all of them are drawn once for all; the pages of
one run are drawn for each.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from core.runs.comparable import comparable_runs
from tests.faults.edited_files import Edit, copy_of
from tests.faults.inputs import Tally
from tests.fixtures.drawn_pages import COMPARE, DISTIL, HOME, RUNS, open_page, words
from tests.fixtures.runs_page import listed

GLUE, SPEED = "../glue.py", "../speed.py"
TOGETHER = 60


def try_lists(run: Path, job: Path, run_edits: Sequence[Edit], job_edits: Sequence[Edit]) -> Tally:
    """Every page that lists runs or jobs, with so many edited ones at a time."""
    tally = Tally("pages with edited runs and jobs beside good ones")
    for some in _batches(run_edits):
        _draw_beside(tally, run, some, (HOME, COMPARE, SPEED, RUNS, DISTIL))
    for some in _batches(job_edits):
        _draw_beside(tally, job, some, (GLUE, HOME))
    return tally


def try_each(run: Path, edits: Sequence[Edit]) -> Tally:
    """The pages of one run, for each edited one."""
    tally = Tally("pages of an edited run")
    for edit in edits:
        (copy,) = _copies(run, [edit])
        for page, address in _addresses(run, copy):
            tally.take(f"{edit}: {page} {address}", partial(open_page, page, **address))
        shutil.rmtree(copy)
    return tally


def _draw_beside(tally: Tally, good: Path, edits: Sequence[Edit], pages: Sequence[str]) -> None:
    copies = _copies(good, edits)
    for page in pages:
        tally.take(f"{page} with {edits[0]} … {edits[-1]}", partial(_draw_and_look, page, good, copies))
    for copy in copies:
        shutil.rmtree(copy)


def _draw_and_look(page: str, good: Path, copies: Sequence[Path]) -> None:
    """The good one stands on the page, and every edited one where all are listed."""
    at = open_page(page)
    if page == RUNS:
        rows = {row["id"]: row for row in listed(at)}
        assert set(rows) == {good.name, *(copy.name for copy in copies)}
        assert rows[good.name]["state"] == "finished"
        unread = [row for row in rows.values() if row["state"] == "broken"]
        assert all(row["sentence"] for row in unread), "a broken run without its cause"
    if page == HOME:
        assert "kept" in words(at)
    if page in (COMPARE, SPEED):
        (chooser,) = (box for box in at.selectbox if box.label == "Run")
        assert any("My run" in option for option in chooser.options)
    if page == COMPARE:
        assert len(chooser.options) == len(comparable_runs()[0])
    if page == GLUE:
        assert f"All GLUE jobs ({len(copies) + 1})" in words(at)


def _batches(edits: Sequence[Edit]) -> Iterator[Sequence[Edit]]:
    return (edits[start : start + TOGETHER] for start in range(0, len(edits), TOGETHER))


def _copies(good: Path, edits: Sequence[Edit]) -> list[Path]:
    made = []
    for number, edit in enumerate(edits):
        made.append(copy_of(good, f"{good.name}.edited-{number:03}"))
        edit.apply(made[-1])
    return made


def _addresses(run: Path, copy: Path) -> Iterator[tuple[str, dict[str, str]]]:
    yield RUNS, {"run": copy.name}
    yield RUNS, {"runs": f"{run.name},{copy.name}"}
    yield DISTIL, {"run": copy.name}
    yield COMPARE, {"run": copy.name}
    yield SPEED, {"run": copy.name}
