"""The result of a finished run: one card that can be read aloud."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import streamlit as st

from core import paper
from core.config import Settings, is_control
from core.models.size import teacher_shape
from core.runs.folder import BrokenRun, read_results
from pages.ui import numbers
from pages.ui.origin import demo_scale_badge, measured_badge, paper_badge

SHARES = ("kept", "agreement", "majority")
FACTS = ("split", "examples", "seed", "elapsed_s", "teacher_from_cache", "compute")
OF_A_MODEL = ("parameters", "encoder_parameters", "size_mb", "ms_per_sentence")


def read_result(folder: Path) -> dict[str, Any]:
    """What a finished run measured. Raises BrokenRun if the file is missing or lacks a number that the pages show."""
    results = read_results(folder)
    if results is None:
        raise BrokenRun(f"{folder.name}/results.json is missing, although the run has finished.")
    models = [results.get("teacher"), results.get("student")]
    complete = (
        all(name in results for name in FACTS)
        and all(_is_number(results.get(name)) for name in SHARES)
        and all(isinstance(model, dict) and _is_number(model.get("accuracy")) for model in models)
        and all(_is_number(model.get(name)) and model[name] > 0 for model in models for name in OF_A_MODEL)
    )
    if not complete:
        raise BrokenRun(f"{folder.name}/results.json does not look like the result of a run.")
    return results


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def show_result(run_id: str, results: dict[str, Any], settings: Settings) -> None:
    """Scores, the three promises beside the paper's, and what to do next."""
    teacher, student = results["teacher"], results["student"]
    with st.container(border=True):
        st.markdown(f"#### {headline(results, settings)}")
        _show_scores(results)
        _show_promises(results)
        with st.container(horizontal=True, vertical_alignment="center"):
            if st.button("Talk to both", type="primary", key="talk", icon=":material/forum:"):
                st.switch_page("../compare.py", query_params={"run": run_id})
            st.caption(
                f"{numbers.whole(results['examples'])} test sentences that neither model had seen, so each share is "
                f"sure to about ±{100 * uncertainty(results):.1f} points; "
                f"{numbers.duration(results['elapsed_s']).removeprefix('about ')} of training and scoring"
                f"{', with a teacher that was trained already' if results['teacher_from_cache'] else ''}."
            )
        if student["parameters"] > 0.65 * teacher["parameters"]:
            st.caption(_why_not_smaller(results))


def headline(results: dict[str, Any], settings: Settings) -> str:
    """The finding in one plain sentence."""
    speed = results["teacher"]["ms_per_sentence"] / results["student"]["ms_per_sentence"]
    smaller = 1 - results["student"]["parameters"] / results["teacher"]["parameters"]
    how = "Without a teacher, the small model reaches" if is_control(settings.loss) else "The student kept"
    change = "smaller" if smaller >= 0 else "larger"
    return (
        f"{how} {numbers.percent(results['kept'])} of the teacher's accuracy, is "
        f"{numbers.percent(abs(smaller), 0)} {change} and answers {speed:.2g} times as fast."
    )


def uncertainty(results: dict[str, Any]) -> float:
    """Half the width of the 95 % interval of the student's accuracy, as a share: chance alone moves it that much."""
    share = results["student"]["accuracy"]
    return 1.96 * (share * (1 - share) / results["examples"]) ** 0.5


def _show_scores(results: dict[str, Any]) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("**On sentences it had never seen**")
        measured_badge(results)
        demo_scale_badge()
    student, teacher, majority, agreement = st.columns(4)
    agreement.metric(
        "Agreement",
        numbers.percent(results["agreement"]),
        help="Share of the test sentences for which teacher and student give the same answer, right or wrong.",
    )
    student.metric(
        "Student is right",
        numbers.percent(results["student"]["accuracy"]),
        numbers.points(results["student"]["accuracy"] - results["teacher"]["accuracy"]) + " against the teacher",
        delta_color="off",
        delta_arrow="off",
    )
    teacher.metric("Teacher is right", numbers.percent(results["teacher"]["accuracy"]))
    majority.metric(
        "Guessing",
        numbers.percent(results["majority"]),
        help="Accuracy of always giving the more frequent answer: what a score must beat to mean anything.",
    )


def _show_promises(results: dict[str, Any]) -> None:
    teacher, student = results["teacher"], results["student"]
    speed = teacher["ms_per_sentence"] / student["ms_per_sentence"] - 1
    smaller = 1 - student["parameters"] / teacher["parameters"]
    rows = (
        (paper.KEPT, numbers.percent(results["kept"]), "of the teacher's accuracy"),
        (
            paper.SMALLER,
            numbers.percent(smaller, 0),
            f"{numbers.millions(student['parameters'])} parameters, {numbers.megabytes(student['size_mb'])}; "
            f"teacher {numbers.millions(teacher['parameters'])}, {numbers.megabytes(teacher['size_mb'])}",
        ),
        (
            paper.FASTER,
            numbers.percent(speed, 0),
            f"{numbers.milliseconds(student['ms_per_sentence'])} a sentence; teacher "
            f"{numbers.milliseconds(teacher['ms_per_sentence'])}",
        ),
    )
    for column, (promise, here, meaning) in zip(st.columns(3), rows, strict=True):
        with column.container(border=True, height="stretch"):
            st.metric(promise.title, here)
            st.caption(meaning)  # not the metric's delta, which is cut off where it does not fit
            with st.container(horizontal=True, vertical_alignment="center"):
                paper_badge()
                st.caption(f"{promise.value}", help=promise.meaning)


def _why_not_smaller(results: dict[str, Any]) -> str:
    words = teacher_shape().embedding_parameters
    layers = 1 - results["student"]["encoder_parameters"] / results["teacher"]["encoder_parameters"]
    return (
        f"Why not 40 % smaller: {numbers.millions(words)} of this teacher's "
        f"{numbers.millions(results['teacher']['parameters'])} parameters are its word list, and the student keeps "
        f"all of it. Its layers, the part that computes, are {numbers.percent(layers, 0)} smaller."
    )
