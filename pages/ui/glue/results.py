"""What the jobs have measured: three numbers, the tables one behind the other, the bars, and both downloads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import streamlit as st

from core import numbers, paper
from core.glue.as_csv import as_csv
from core.glue.as_latex import as_latex
from core.glue.table import Row, Table, Value
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
from pages.ui.glue.bars import show_bars
from pages.ui.glue.drawn import compared, show_table
from pages.ui.glue.reading import Job
from pages.ui.origin import paper_badge
from pages.ui.text import as_label

TABS = ("GLUE", "Bundled tasks", "Zero-shot", "IMDb and SQuAD", "Size and speed", "Ablation")
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
    _show_numbers(glue)
    if not glue.measured and not any(measured.jobs):
        st.info(NOTHING_YET)
    tabs = dict(zip(TABS, st.tabs(TABS, key="glue-tab", on_change="rerun"), strict=True))
    draw = {
        "GLUE": lambda: _show_glue(glue, measured),
        "Bundled tasks": lambda: _show_bundled(measured),
        "Zero-shot": lambda: _show_zero_shot(measured),
        "IMDb and SQuAD": lambda: show_table(downstream_table(measured.jobs)),
        "Size and speed": lambda: _show_size(measured),
        "Ablation": show_ablation,
    }
    for name, tab in tabs.items():
        if tab.open:
            with tab:
                draw[name]()
    _show_downloads(measured)


@dataclass(frozen=True)
class BesideTeacher:
    """A student and what it kept: its mean over `mean.tasks` and its teacher's in points, and the per cent of it."""

    title: str
    mean: Value
    student: float
    teacher: float
    kept: float


def best_student(table: Table) -> BesideTeacher | None:
    """The student with the most tasks, of equal ones the one that kept most; None without one beside a teacher."""
    students = [_beside_teacher(row) for row in table.rows if row.kind == "student"]
    found = [student for student in students if student is not None]
    return max(found, key=lambda student: (len(student.mean.tasks), student.kept), default=None)


def _beside_teacher(row: Row) -> BesideTeacher | None:
    mean = row.values.get(paper.MACRO)
    if mean is None or mean.number is None or mean.difference is None or mean.kept is None:
        return None
    return BesideTeacher(row.title, mean, mean.number, mean.number - mean.difference, mean.kept)


def _show_numbers(table: Table) -> None:
    columns, best = st.columns(3), best_student(table)
    reported = next(row for row in table.rows if row.title == paper.DISTILBERT.name).values[paper.MACRO]
    with columns[0].container(border=True, height="stretch"):
        st.metric("The paper's DistilBERT kept", _percent(reported.kept))
        with st.container(horizontal=True, vertical_alignment="center"):
            paper_badge()
            st.caption(f"{reported.number:.1f} of {paper.BERT_BASE.macro:.1f}, mean of nine tasks")
    with columns[1].container(border=True, height="stretch"):
        whose = as_label(best.title, 40) if best else "Your student"
        st.metric(f"{whose} kept", _percent(best.kept if best else None))
        if best is None:
            st.caption("once a student and its teacher are measured on the same task")
        else:
            _show_here(best)
    with columns[2].container(border=True, height="stretch"):
        same = _same_tasks(best.mean) if best else None
        st.metric("DistilBERT on the same tasks", _percent(same))
        if best is None or same is None:
            st.caption("for a comparison that is fair")
        else:
            with st.container(horizontal=True, vertical_alignment="center"):
                paper_badge()
                st.caption(f"of BERT-base's score on {_names(best.mean.tasks)}")


def _show_here(best: BesideTeacher) -> None:
    tasks = best.mean.label or "mean of nine tasks"
    with st.container(horizontal=True, vertical_alignment="center"):
        if best.mean.origin == "demo scale":
            st.badge("demo scale", color="orange", help="Learned from fewer examples than the official tasks have.")
        else:
            st.badge("measured here", color="blue")
        st.caption(as_label(f"{best.student:.1f} of {best.teacher:.1f}, {tasks}", 200))


def _same_tasks(mean: Value) -> float | None:
    """What the paper's student kept of its teacher's mean over the same tasks, in per cent."""
    teacher = mean.same_tasks.get(paper.BERT_BASE.name)
    return 100 * mean.same_tasks[paper.DISTILBERT.name] / teacher if teacher else None


def _percent(per_cent: float | None) -> str:
    return numbers.percent(None if per_cent is None else per_cent / 100)


def _names(tasks: Sequence[str]) -> str:
    return ", ".join(tasks) if len(tasks) < 9 else "all nine"


def _show_glue(table: Table, measured: Measured) -> None:
    show_table(_one_page(table, "glue-rows"), legend=LEGEND)
    st.subheader("How much of its teacher's score each model kept")
    show_bars(retained(measured.jobs))


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
    if value.over_majority is not None:
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

    with st.container(horizontal=True):
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
