"""What the jobs have measured: three numbers, the tables one behind the other, the bars, and both downloads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import streamlit as st

from core import numbers
from core.glue.as_csv import as_csv
from core.glue.as_latex import as_latex
from core.glue.table import Table, Value
from core.glue.tables import (
    all_tables,
    bundled_table,
    downstream_table,
    glue_table,
    retained,
    size_speed_table,
    zero_shot_table,
)
from pages.ui.glue.ablation import ablation_rows, show_ablation
from pages.ui.glue.bars import bars_html
from pages.ui.glue.drawn import compared, show_table
from pages.ui.glue.headline import ASKED, BUNDLED_TASKS, GLUE, newest_result, show_headline, tab_of
from pages.ui.glue.reading import Job

TABS = (GLUE, BUNDLED_TASKS, ASKED, "IMDb and SQuAD", "Size and speed", "Ablation")
TAB, LED_BY = "glue-tab", "glue-led-by"
"""In the session: the open tab, and the job for whose scores it was opened."""

ROWS_AT_ONCE = 15

LEGEND = (
    "Large: the score. Small: the difference to the teacher in points, and the per cent of its score that was kept. "
    "Tinted: the best measured here. Empty: not measured. The paper's rows are reported, not measured here."
)
NOTHING_YET = (
    "Nothing has been measured here yet: name your GLUE folder under “What is measured, and how”, press Start, and "
    "this machine's rows fill in below the paper's. The two bundled tasks need no folder."
)


@dataclass(frozen=True)
class Measured:
    """What the tables are made of, newest job first."""

    jobs: Sequence[Sequence]
    timings: Sequence

    @classmethod
    def of(cls, jobs: Sequence[Job]) -> Measured:
        """The scores and timings of some jobs."""
        return cls([job.cells for job in jobs], [job.timing for job in jobs if job.timing])


def show_results(jobs: Sequence[Job]) -> None:
    """Everything below the start button."""
    measured = Measured.of(jobs)
    glue = glue_table(measured.jobs)
    show_headline(jobs, glue)
    if not any(measured.jobs) and all(job.is_over for job in jobs):
        st.info(NOTHING_YET)
    # Above the tables: below them it would be pushed down when they get their height.
    _show_downloads(measured)
    _open_result(jobs)
    tabs = dict(zip(TABS, st.tabs(TABS, key=TAB, on_change="rerun"), strict=True))
    draw = {
        GLUE: lambda: _show_glue(glue, measured),
        BUNDLED_TASKS: lambda: _show_bundled(measured),
        ASKED: lambda: _show_zero_shot(measured),
        "IMDb and SQuAD": lambda: show_table(downstream_table(measured.jobs)),
        "Size and speed": lambda: _show_size(measured),
        "Ablation": show_ablation,
    }
    for name, tab in tabs.items():
        if tab.open:
            with tab:
                draw[name]()


def _open_result(jobs: Sequence[Job]) -> None:
    """Open the tab that holds the newest job's scores, once for each job: who turns to another tab stays there."""
    job = newest_result(jobs)
    if job and (TAB not in st.session_state or st.session_state.get(LED_BY) != job.folder.name):
        st.session_state[TAB] = tab_of(job)
        st.session_state[LED_BY] = job.folder.name


def _show_glue(table: Table, measured: Measured) -> None:
    show_table(_one_page(table, "glue-rows"), legend=LEGEND, below=bars_html(retained(measured.jobs)))


def _one_page(table: Table, key: str) -> Table:
    """The reported rows, and of those measured here so many as can be read at once."""
    pages = -(-len(table.measured) // ROWS_AT_ONCE)
    if pages < 2:
        return table
    page = st.pagination(pages, key=key)
    shown = table.measured[(page - 1) * ROWS_AT_ONCE : page * ROWS_AT_ONCE]
    st.caption(f"{len(shown)} of {len(table.measured)} measured rows; all of them are in the downloads.")
    return replace(table, rows=(*(row for row in table.rows if not row.is_measured), *shown))


def _show_bundled(measured: Measured) -> None:
    table = bundled_table(measured.jobs)
    if not table.rows:
        st.info("Nothing yet. Choose Rotten Tomatoes or IMDb as the task: neither needs a download.")
        return
    show_table(_one_page(table, "bundled-rows"), beside_guessing)


def _show_zero_shot(measured: Measured) -> None:
    table = zero_shot_table(measured.jobs)
    if not table.rows:
        st.info(
            "Nothing yet. Choose Zero-shot above: a model that has learned one task is then asked others without "
            "learning them, as the course project did, and stands beside always giving the most frequent answer."
        )
        return
    st.write(" ".join(table.notes))
    show_table(replace(_one_page(table, "zero-shot-rows"), notes=()), over_guessing)


def _show_size(measured: Measured) -> None:
    table = size_speed_table(measured.timings)
    if not table.measured:
        st.info("Only the paper's numbers yet. Tick “Measure size and speed” above, and the models are timed here too.")
    show_table(table, share_of_teacher)


def beside_guessing(value: Value) -> Iterable[str]:
    """Below a score: what it is beside the teacher's, and what guessing gets."""
    yield from compared(value)
    if value.majority is not None:
        yield f"guessing {value.majority:.1f}"


def over_guessing(value: Value) -> Iterable[str]:
    """Below a score: how far it is above or below always giving the most frequent answer."""
    if value.is_leaked:
        yield "seen before"
    elif value.over_majority is not None:
        where = "over" if value.over_majority >= 0 else "below"
        yield f"{abs(value.over_majority):.1f} {where} guessing"


def share_of_teacher(value: Value) -> Iterable[str]:
    """Below a size or a time: its share of the teacher's."""
    if value.kept is not None:
        yield f"{value.kept:.0f}{numbers.THIN}% of the teacher's"


def _show_downloads(measured: Measured) -> None:
    def tables() -> tuple[Table, ...]:
        rows, metric = ablation_rows()
        return all_tables(measured.jobs, measured.timings, rows, metric)

    with st.container(horizontal=True, horizontal_alignment="right"):
        st.download_button(
            "All tables as CSV",
            data=lambda: as_csv(tables()),
            file_name="glue.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
            key="glue-csv",
        )
        st.download_button(
            "All tables as LaTeX",
            data=lambda: "\n".join(map(as_latex, tables())),
            file_name="glue.tex",
            mime="text/x-tex",
            icon=":material/download:",
            on_click="ignore",
            key="glue-latex",
        )
