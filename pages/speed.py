"""What did the smaller model buy, and at what price? `?run=<id>` opens with that run."""

from __future__ import annotations

import streamlit as st

from core import numbers
from core.errors import DistilleryError
from core.runs import folder as runs
from core.runs.about import run_name
from core.runs.table import RunRow
from core.speed.forms import forms_of, weights_of
from core.speed.measurement import BATCHES, LENGTHS, Cell, Device, Measurement, others
from core.speed.standing import MeasuredRun, measured_runs, shown_first, sizes_of, standing
from pages.ui.chooser import choose_run
from pages.ui.form import KEPT
from pages.ui.origin import paper_badge
from pages.ui.speed.gauges import show_paper, show_promises, why_not_smaller
from pages.ui.speed.map import ACROSS, name_of, show_map
from pages.ui.speed.measuring import show_button
from pages.ui.speed.table import VIEWS, show_sizes, show_times
from pages.ui.speed.table import show_paper as show_paper_table
from pages.ui.speed.words import DEVICES, RUNTIMES, how_busy, on_what, when
from pages.ui.text import as_label, clean, show_text
from pages.ui.watch import started

RUN, BATCH, TOKENS, DEVICE = "speed-run", "speed-batch", "speed-tokens", "speed-device"
PROCESSOR: Device = "cpu"
LEAST, ACROSS_KEY, VIEW = "speed-least", "speed-across", "speed-view"


def show_empty(unusable: list[tuple[RunRow, str]]) -> None:
    """No run yet: what to do next, and what the paper promises."""
    with st.container(border=True):
        st.subheader("Nothing to weigh yet", anchor=False)
        st.write("Distil a student first. With the settings as they are, that takes a few minutes.")
        if st.button("Go to Distil", type="primary", key="speed-distil"):
            st.switch_page("../distill.py")
    show_paper()
    st.subheader("The map", anchor=False)
    show_map([], None, Cell(), 0.97, "times")
    show_table_title()
    show_paper_table()
    show_unusable(unusable)


def choose(found: list[MeasuredRun]) -> MeasuredRun:
    """The run in the address, or the newest finished student of a teacher, until another is chosen."""
    by_id = {run.run_id: run for run in found}
    first = shown_first(found).run_id
    return by_id[choose_run(list(by_id), RUN, lambda run_id: describe(by_id[run_id]), why_not, first)]


def why_not(run_id: str) -> str:
    """Why the run in the address cannot be shown."""
    try:
        name = f"“{clean(run_name(runs.run_folder(run_id)))}”"
    except DistilleryError:
        name = f"the run {run_id[:80]!r}"
    return f"There is nothing to weigh in {name}."


def describe(run: MeasuredRun) -> str:
    """A run in the chooser: its name, what it kept, and whether it was measured on the grid."""
    parts = [clean(name_of(run))]
    if run.results and run.results["kept"] is not None:
        parts.append(f"{numbers.percent(run.results['kept'])} kept")
    parts.append("measured" if run.measurement else "not measured yet")
    return " · ".join(parts)


def choose_cell(measurement: Measurement | None) -> Cell:
    """How the models are asked: the place of the grid that gauges and map show."""
    batch = st.segmented_control("Texts at a time", BATCHES, key=BATCH, default=BATCHES[0], required=True, **KEPT)
    tokens = st.segmented_control("Word pieces each", LENGTHS, key=TOKENS, default=LENGTHS[1], required=True, **KEPT)
    devices, device = measurement.devices() if measurement else [], PROCESSOR
    if len(devices) > 1:
        device = st.segmented_control(
            "Where", devices, format_func=DEVICES.__getitem__, key=DEVICE, default=PROCESSOR, required=True
        )
    return Cell(device=device, batch=batch, tokens=tokens)


def show_measured(run: MeasuredRun, cell: Cell) -> None:
    """The table of the chosen run, and how it was measured."""
    measurement = run.measurement
    show_table_title(measurement)
    if run.problem:
        st.error(as_label(run.problem, 500))
    if measurement is None:
        st.info("This run has not been measured on this machine yet. Press Measure: it times both models side by side.")
        for line in elsewhere(run):
            st.caption(as_label(line, 600))
        show_paper_table()
        return
    show_sizes(measurement.forms)
    view = st.segmented_control(
        "Time of one pass",
        list(VIEWS),
        format_func=VIEWS.__getitem__,
        key=VIEW,
        default="median",
        required=True,
        **KEPT,
    )
    show_times(measurement, cell.device, view)
    st.caption("Columns: texts at a time × word pieces of each. ▸ marks the best of a column.")
    for line in (
        f"Measured here: {on_what(measurement)}; {when(measurement)}.",
        how_busy(measurement),
        *missing(run.run_id, measurement),
    ):
        if line:
            st.caption(as_label(line, 600))


def elsewhere(run: MeasuredRun) -> list[str]:
    """What was measured of this run on other machines or with other versions, which is never mixed with this one."""
    try:
        folder = runs.run_folder(run.run_id)
        found, problems = others(folder, weights_of(folder))
    except DistilleryError:
        return []
    before = "Measured before, on another machine or with other versions or weights"
    return [*(f"{before}: {on_what(each)}." for each in found), *problems]


def missing(run_id: str, measurement: Measurement) -> list[str]:
    """Forms that have been made since the run was measured."""
    try:
        forms = forms_of(runs.run_folder(run_id))
    except DistilleryError:
        return []
    new = [form for form in forms if measurement.form(form.role, form.runtime) is None]
    names = " and ".join(f"{form.role}{RUNTIMES[form.runtime]}" for form in new)
    return [f"Not in this table, because it was exported later: {names}. Measure again to see it."] if new else []


def show_table_title(measurement: Measurement | None = None) -> None:
    """The heading of the table, with the origin of its rows."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader("Size and time of each model", anchor=False, width="content")
        if measurement is not None:
            st.badge("measured here", color="blue", help=as_label(f"On this machine: {on_what(measurement)}.", 300))
        paper_badge()


def show_method() -> None:
    """What is measured and how, for whoever wants to trust it."""
    with st.expander("How this is measured"):
        st.markdown(
            "- The models take turns on the same texts of random words, pass by pass, and the grid is visited four "
            "times: whatever else the machine does meanwhile falls on all of them alike.\n"
            "- Each number is the median of 12 to 60 passes; 95 of 100 passes stay within the other one. Weights are "
            "32-bit numbers, but for int8.\n"
            "- Peak memory is what a process of its own needs, above its libraries, to open one model and answer the "
            "largest batch.\n"
            "- For masked words a pass guesses a word at every position, which costs more than the layers do.\n"
            "- Measuring runs in a process of its own and never beside a training; its numbers are kept in the run's "
            "folder for this machine, these library versions and these weights."
        )


def show_unusable(unusable: list[tuple[RunRow, str]]) -> None:
    """The runs that are not on this page, each with the reason."""
    if unusable:
        with st.expander(f"Runs that cannot be measured ({len(unusable)})"):
            for row, reason in unusable:
                show_text(f"{row.name or started(row.run_id)}: {reason}")


def show_everything(found: list[MeasuredRun]) -> None:
    """The chosen run's gauges, the map of all, and the chosen run's table."""
    which, how, button = st.columns([3, 4, 2], vertical_alignment="top")
    with which:
        run = choose(found)
    with how, st.container(horizontal=True):
        cell = choose_cell(run.measurement)
    with button:
        show_button(run)
    try:
        show_promises(run, cell)
        if words := why_not_smaller(sizes_of(run)):
            st.caption(words)
    except DistilleryError as error:
        st.error(as_label(str(error), 500))
    st.subheader("Every run on one map", anchor=False)
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    least = left.slider("Keep at least", 50, 105, 97, format=f"%d{numbers.THIN}%%", key=LEAST, **KEPT)
    across = right.segmented_control(
        "Speed as", list(ACROSS), format_func=ACROSS.__getitem__, key=ACROSS_KEY, default="times", required=True, **KEPT
    )
    points = [point for each in found if (point := standing(each, cell)) is not None]
    show_map(points, run, cell, least / 100, across)
    show_measured(run, cell)


st.title("Size and speed", anchor=False)
st.write("What did the smaller model buy, and at what price? Its size, its speed and what it kept, measured here.")
found, unusable = measured_runs()
if found:
    show_everything(found)
    show_method()
    show_unusable(unusable)
else:
    show_empty(unusable)
