"""What every reader makes of a run or GLUE job of which one field was edited: a value, or a sentence of ours."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import shutil
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from starlette.responses import JSONResponse

from core.cli.report import report
from core.export.card import model_card
from core.export.facts import read_facts
from core.export.onnx_forms import read_forms
from core.export.report import report as report_page
from core.glue.as_csv import as_csv
from core.glue.as_latex import as_latex
from core.glue.cells import read_cells
from core.glue.plan import read_plan
from core.glue.tables import all_tables, retained
from core.glue.timed import read_timing
from core.runs import folder as runs
from core.runs.about import read_about
from core.runs.comparable import comparable_runs, label_names, model_folders
from core.runs.curves import read_curves
from core.runs.feed import feed
from core.runs.remove import why_not
from core.runs.results import read_result
from core.runs.table import RunRow, row_of
from core.runs.tensorboard import write_tensorboard
from core.scoring.held_out import read_held_out
from core.scoring.held_out_words import read_held_out_words
from core.speed.forms import forms_of, weights_of
from core.speed.measurement import Cell, Measurement, others, read_measurement
from core.speed.standing import measured_runs, sizes_of, standing
from pages.ui import result
from pages.ui.glue import bars, drawn, reading
from pages.ui.recipe import describe
from pages.ui.replay import read_guesses, read_shares
from pages.ui.runs.differences import differences
from pages.ui.runs.table import as_row
from pages.ui.speed.words import how_busy, on_what, when
from tests.faults.edited_files import Edit, copy_of
from tests.faults.inputs import Tally

Reader = Callable[[Path], object]


def try_run(run: Path, edits: Iterable[Edit], readers: dict[str, Reader] | None = None) -> Tally:
    """Every edit of a run before every reader of runs. The run itself, which lies beside its copy, stays as it is."""
    return _try(run, edits, readers or RUN_READERS, "edited runs")


def try_job(job: Path, edits: Iterable[Edit]) -> Tally:
    """The same of a GLUE job."""
    return _try(job, edits, JOB_READERS, "edited GLUE jobs")


def _try(folder: Path, edits: Iterable[Edit], readers: dict[str, Reader], kind: str) -> Tally:
    tally = Tally(kind)
    for edit in edits:
        # One name for all copies, because what is remembered of a folder must not outlive what it holds.
        copy = copy_of(folder, f"{folder.name}.edited")
        edit.apply(copy)
        for name, reader in readers.items():
            tally.take(f"{edit}: {name}", partial(reader, copy))
        shutil.rmtree(copy)
    return tally


def _list(folder: Path) -> None:
    """The row of a folder, as the browser is told of it: there whatever the folder holds, with its cause if broken."""
    row = row_of(folder)
    _written(as_row(row))
    if row.results is not None and row.settings is not None:
        _say_result(row)
    if row.state is None or row.settings is None:
        assert row.problem, "a row that cannot be read says why"
        assert folder.name in row.problem, f"{row.problem[:200]} does not name the folder"


def _say_result(row: RunRow) -> None:
    assert row.results is not None
    assert row.settings is not None
    result.headline(row.results, row.settings)
    result.one_line(row.results)
    result._how_measured(row.results)
    result._why_not_smaller(row.results)


def _settings(folder: Path) -> None:
    settings = runs.read_settings(folder)
    describe(settings)
    differences([settings, settings.model_copy(update={"name": "other"})])
    runs.read_any_settings(folder)


def _compare(folder: Path) -> None:
    usable, _ = comparable_runs()
    assert folder.name.removesuffix(".edited") in {run.run_id for run in usable}, "the good one beside it is lost"
    label_names(folder, 2)
    model_folders(folder)


def _feed(folder: Path) -> None:
    for since in (0, 1):
        JSONResponse(feed(folder, since))


def _frames(folder: Path) -> None:
    settings = runs.read_settings(folder)
    (read_guesses if settings.objective == "masked_words" else read_shares)(folder, settings)


def _curves(folder: Path) -> None:
    curves = read_curves(folder)
    for name in curves.names():
        curves.raw(name, "elapsed_s")
        curves.smooth(name, "sentences")


def _held_out(folder: Path) -> None:
    models = model_folders(folder)
    if found := read_held_out(folder, models):
        found.by_slice()
        found.furthest(3)
        found.probabilities("student", 0)
    if words := read_held_out_words(folder, models):
        words.by_slice()
        words.lost(3)


def _speed(folder: Path) -> None:
    found, _ = measured_runs()
    assert folder.name.removesuffix(".edited") in {run.run_id for run in found}, "the good one beside it is lost"
    for run in found:
        if point := standing(run, Cell()):
            assert point.pace.times_as_fast > 0
        sizes_of(run)
    forms_of(folder)
    if measurement := read_measurement(folder, weights_of(folder)):
        _say_measurement(measurement)
    for measurement in others(folder, weights_of(folder))[0]:
        _say_measurement(measurement)


def _say_measurement(measurement: Measurement) -> None:
    on_what(measurement)
    how_busy(measurement)
    when(measurement)
    for form in measurement.forms:
        measurement.times_as_fast(form, Cell())


def _export(folder: Path) -> None:
    facts = read_facts(folder)
    model_card(facts).encode()
    report_page(facts).encode()


def _terminal(folder: Path) -> None:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        report(folder)
    printed.getvalue().encode()


def _glue(folder: Path) -> None:
    """The page's tables of all jobs, on the screen and in files. The good job's scores are in them."""
    jobs = reading.read_jobs()
    edited = next(job for job in jobs if job.folder == folder)
    assert edited.status is not None or folder.name in edited.problem
    reading.seconds_left(edited)
    reading.scores_planned(edited)
    cells = [job.cells for job in jobs]
    timings = [job.timing for job in jobs if job.timing]
    tables = all_tables(cells, timings)
    for table in tables:
        drawn.as_html(table, drawn.compared).encode()
        as_latex(table)
    bars.picture(retained(cells))
    bars.finding(retained(cells))
    _no_formulas(as_csv(tables))
    assert len(cells[jobs.index(edited)]) >= len(cells[0]) - 1 or "cells" in edited.problem


def _no_formulas(text: str) -> None:
    numbers = ("number", "least", "most", "difference_to_teacher", "majority", "over_majority")
    for row in csv.DictReader(io.StringIO(text)):
        foreign = {name: value for name, value in row.items() if name not in numbers}
        bad = {name: value for name, value in foreign.items() if value[:1] in ("=", "+", "-", "@")}
        assert not bad, f"formulas in {bad}"


def _written(value: object) -> None:
    """As a page's component or route sends it: strict JSON in UTF-8."""
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode()


RUN_READERS: dict[str, Reader] = {
    "list": _list,
    "status": runs.read_status,
    "settings": _settings,
    "result": read_result,
    "about": read_about,
    "comparison": _compare,
    "live view": _feed,
    "watched sentences": _frames,
    "curves": _curves,
    "held-out set": _held_out,
    "speed": _speed,
    "exported files": read_forms,
    "card and report": _export,
    "event file": write_tensorboard,
    "terminal": _terminal,
    "deleting": why_not,
}

JOB_READERS: dict[str, Reader] = {
    "status": runs.read_status,
    "settings": runs.read_job_settings,
    "plan": read_plan,
    "timing": read_timing,
    "scores": read_cells,
    "tables": _glue,
    "terminal": _terminal,
    "deleting": why_not,
}
