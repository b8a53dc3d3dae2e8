"""The three numbers above GLUE's tables: the paper's student, what was measured here last, what it stands beside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import streamlit as st

from core import numbers, paper
from core.glue.pooling import ZERO_SHOT
from core.glue.table import Kind, Row, Table, Value
from core.glue.tables import bundled_table, zero_shot_table
from pages.ui.glue.reading import Job
from pages.ui.origin import paper_badge
from pages.ui.text import as_label

GLUE, BUNDLED_TASKS, ASKED = "GLUE", "Bundled tasks", "Zero-shot"
"""The tabs whose tables hold scores of jobs."""

TALL = 81
"""Pixels of a number with its title: kept free for it from the beginning, so that nothing jumps when it comes."""

FIRST: tuple[Kind, ...] = ("student", "control", "teacher")
"""Whose score a page is opened for."""


@dataclass(frozen=True)
class BesideTeacher:
    """A student and what it kept: its mean over `mean.tasks` and its teacher's in points, and the per cent of it."""

    title: str
    mean: Value
    student: float
    teacher: float
    kept: float


@dataclass(frozen=True)
class OneScore:
    """A model's score on one task. Beside a teacher's where both can be compared."""

    title: str
    kind: Kind
    way: str
    task: str
    value: Value
    points: float


def newest_result(jobs: Sequence[Job]) -> Job | None:
    """The newest job that has a score."""
    return next((job for job in jobs if job.cells), None)


def tab_of(job: Job) -> str:
    """The tab whose table holds a job's scores; GLUE's before others."""
    fine_tuned = {cell.task for cell in job.cells if cell.way != ZERO_SHOT}
    if not fine_tuned:
        return ASKED
    return GLUE if fine_tuned.intersection(paper.GLUE_TASKS) else BUNDLED_TASKS


def show_headline(jobs: Sequence[Job], glue: Table) -> None:
    """The paper's student, and the best or the newest result of this machine with what it stands beside."""
    job = newest_result(jobs)
    tab = tab_of(job) if job else GLUE
    best = best_student(glue) if tab == GLUE else None
    one = _one_score(job, _table(tab, jobs, glue)) if job and best is None else None
    columns = st.columns(3)
    with columns[0].container(border=True, height="stretch"):
        _show_paper(glue)
    with columns[1].container(border=True, height="stretch"):
        _show_here(best, one)
    with columns[2].container(border=True, height="stretch"):
        _show_beside(best, one)


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


def _table(tab: str, jobs: Sequence[Job], glue: Table) -> Table:
    if tab == GLUE:
        return glue
    return (bundled_table if tab == BUNDLED_TASKS else zero_shot_table)([job.cells for job in jobs])


def _one_score(job: Job, table: Table) -> OneScore | None:
    """Of a job's scores the one that a person looks for: a student's, and one that can be compared before others."""
    found = [one for one in _scores(table) if one[1:] in {(cell.model, cell.way, cell.task) for cell in job.cells}]
    scores = [one for one, *_ in found]
    return min(scores, key=_place, default=None)


def _place(one: OneScore) -> tuple[int, bool, bool]:
    return FIRST.index(one.kind), one.value.kept is None, one.value.is_leaked


def _scores(table: Table) -> Iterator[tuple[OneScore, str, str, str]]:
    """Every score measured here, with the model, way and task that name it."""
    for row in table.measured:
        for task, value in row.values.items():
            if value.number is not None:
                yield OneScore(row.title, row.kind, row.way, task, value, value.number), row.model, row.way, task


def _show_paper(glue: Table) -> None:
    reported = next(row for row in glue.rows if row.title == paper.DISTILBERT.name).values[paper.MACRO]
    st.metric("The paper's DistilBERT kept", _percent(reported.kept), height=TALL)
    with st.container(horizontal=True, vertical_alignment="center"):
        paper_badge()
        st.caption(f"{reported.number:.1f} of {paper.BERT_BASE.macro:.1f}, mean of nine tasks")


def _show_here(best: BesideTeacher | None, one: OneScore | None) -> None:
    if best is not None:
        st.metric(f"{as_label(best.title, 40)} kept", _percent(best.kept), height=TALL)
        tasks = best.mean.label or "mean of nine tasks"
        _say_origin(best.mean, f"{best.student:.1f} of {best.teacher:.1f}, {tasks}")
    elif one is not None:
        _show_score(one)
    else:
        st.metric("Your student kept", numbers.percent(None), height=TALL)
        st.caption("once a student and its teacher are measured on the same task")


def _show_score(one: OneScore) -> None:
    name, value = as_label(one.title, 40), one.value
    if value.kept is None or value.difference is None:
        st.metric(f"{name} scored", f"{one.points:.1f}", height=TALL)
        _say_origin(value, f"{one.task}{_alone(one)}")
    else:
        st.metric(f"{name} kept", _percent(value.kept), height=TALL)
        _say_origin(value, f"{one.points:.1f} of {one.points - value.difference:.1f} on {one.task}")


def _alone(one: OneScore) -> str:
    """Why a score stands beside no teacher's."""
    if one.value.is_leaked:
        return ": seen before, so compared with nothing"
    if one.way == ZERO_SHOT:
        return ", without learning it"
    return "" if one.kind == "teacher" else ": no teacher's score to compare with"


def _show_beside(best: BesideTeacher | None, one: OneScore | None) -> None:
    if best is None and one is not None:
        guessed = one.value.majority
        st.metric(f"Guessing on {one.task}", "–" if guessed is None else f"{guessed:.1f}", height=TALL)
        st.caption("always the most frequent answer")
        return
    same = _same_tasks(best.mean) if best else None
    st.metric("DistilBERT on the same tasks", _percent(same), height=TALL)
    if best is None or same is None:
        st.caption("for a comparison that is fair")
    else:
        with st.container(horizontal=True, vertical_alignment="center"):
            paper_badge()
            st.caption(f"of BERT-base's score on {_names(best.mean.tasks)}")


def _say_origin(value: Value, said: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        if value.origin == "demo scale":
            st.badge("demo scale", color="orange", help="Learned from fewer examples than the official tasks have.")
        else:
            st.badge("measured here", color="blue")
        st.caption(as_label(said, 200))


def _same_tasks(mean: Value) -> float | None:
    """What the paper's student kept of its teacher's mean over the same tasks, in per cent."""
    teacher = mean.same_tasks.get(paper.BERT_BASE.name)
    return 100 * mean.same_tasks[paper.DISTILBERT.name] / teacher if teacher else None


def _percent(per_cent: float | None) -> str:
    return numbers.percent(None if per_cent is None else per_cent / 100)


def _names(tasks: Sequence[str]) -> str:
    return ", ".join(tasks) if len(tasks) < len(paper.GLUE_TASKS) else "all nine"
