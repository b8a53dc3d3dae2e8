"""The result of a finished run: one card that can be read aloud."""

from __future__ import annotations

import streamlit as st

from core import numbers, paper
from core.config import Settings, is_control
from core.runs.results import MODELS, Results, read_result, uncertainty
from pages.ui.origin import demo_scale_badge, measured_badge, paper_badge
from pages.ui.text import as_label

__all__ = ["headline", "one_line", "read_result", "show_result"]

ONE = {"sentences": "a sentence", "pairs": "a pair", "masked words": "a text"}
"""What a model answers at a time, by what was counted."""


def show_result(run_id: str, results: Results, settings: Settings) -> None:
    """Scores, the three promises beside the paper's, and what to do next."""
    with st.container(border=True, key="verdict"):
        st.markdown(f"## {headline(results, settings)}")
        _show_scores(results)
        _show_promises(results)
        with st.container(horizontal=True, vertical_alignment="center"):
            if st.button("Talk to both", type="primary", key="talk", icon=":material/forum:"):
                st.switch_page("../compare.py", query_params={"run": run_id})
            st.caption(_how_measured(results))
        for note in results.get("notes", []):
            st.caption(as_label(note, 400))
        if results["student"]["parameters"] > 0.65 * results["teacher"]["parameters"]:
            st.caption(_why_not_smaller(results))


def headline(results: Results, settings: Settings) -> str:
    """The finding in plain words."""
    teacher, student, metric = results["teacher"], results["student"], results["metric"]
    speed = teacher["ms_per_sentence"] / student["ms_per_sentence"]
    smaller = 1 - student["parameters"] / teacher["parameters"]
    change = "smaller" if smaller >= 0 else "larger"
    cost = f"{numbers.percent(abs(smaller), 0)} {change} and answers {numbers.times(speed)} as fast"
    for name in MODELS:
        if results[name]["score"] is None:
            return f"The {name}'s {metric} is undefined, because its answers are all alike. The student is {cost}."
    control = is_control(settings.loss)
    if metric == "masked-word accuracy":
        guesses = {name: numbers.score(results[name]["score"], metric) for name in MODELS}
        who, its = ("Without a teacher, the small model", "the") if control else ("The student", "its")
        return (
            f"{who} guesses {guesses['student']} of the hidden words, {its} teacher {guesses['teacher']}: "
            f"{numbers.percent(results['kept'], 0)} kept.{_another_answer(results)} It is {cost}."
        )
    how = "Without a teacher, the small model reaches" if control else "The student kept"
    is_even = numbers.is_share(metric) and student["score"] == teacher["score"]
    even = ", so it is as often right" if is_even else ""
    kept = numbers.percent(results["kept"])
    return f"{how} {kept} of the teacher's {metric}{even}.{_another_answer(results)} It is {cost}."


def different(results: Results) -> str:
    """How often the student's answer is another than its teacher's: "another answer in 6 of 100". Empty if unknown.

    Two models can be right equally often and yet not on the same texts. Scores on a scale are never quite the same, so
    there it is how well the two go together.
    """
    agreement = results["agreement"]
    if agreement is None:
        return ""
    if results["metric"] == "correlation":
        return f"scores that go with its teacher's at {numbers.score(agreement, results['metric'])}"
    what = "word" if results["metric"] == "masked-word accuracy" else "answer"
    return f"another {what} {numbers.of_hundred(1 - agreement)}" if agreement < 1 else f"the same {what} every time"


def _another_answer(results: Results) -> str:
    said = different(results)
    return f" It gives {said}." if said else ""


def one_line(results: Results) -> str:
    """The scores of a result in one line: "98.7 % kept (85.1 % of 86.2 %), agreement 95.0 %"."""
    metric = results["metric"]
    scores = [numbers.score(results[model]["score"], metric) for model in ("student", "teacher")]
    kept, agreement = numbers.percent(results["kept"]), numbers.score(results["agreement"], metric)
    return f"{kept} kept ({scores[0]} of {scores[1]}), agreement {agreement}"


def _how_measured(results: Results) -> str:
    chance = uncertainty(results)
    sure = "" if chance is None else f", so each share is sure to about ±{100 * chance:.1f} points"
    kept_teacher = ", with a teacher that was trained already" if results["teacher_from_cache"] else ""
    spent = numbers.duration(results["elapsed_s"]).removeprefix("about ")
    return f"{_what_was_counted(results)}{sure}; {spent} of training and scoring{kept_teacher}."


def _what_was_counted(results: Results) -> str:
    """ "1 066 test sentences that no training here had seen"."""
    split, counted = as_label(results["split"]), results["counted"]
    what = f"{counted} in {split} texts" if counted == "masked words" else f"{split} {counted}"
    return f"{numbers.whole(results['examples'])} {what} that no training here had seen"


def _show_scores(results: Results) -> None:
    metric = results["metric"]
    scores = _words_for_scores(metric, results["counted"])
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{scores['title']}**")
        measured_badge(results)
        demo_scale_badge(results)
    values = {model: results[model]["score"] for model in ("student", "teacher")}
    columns = st.columns(4 if results["majority"] is not None else 3)
    student, teacher = values["student"], values["teacher"]
    change = (
        None
        if student is None or teacher is None
        else numbers.difference(student - teacher, metric) + " against the teacher"
    )
    columns[0].metric(
        scores["student"], numbers.score(values["student"], metric), change, delta_color="off", delta_arrow="off"
    )
    columns[1].metric(scores["teacher"], numbers.score(values["teacher"], metric))
    if results["majority"] is not None:
        columns[2].metric("Guessing", numbers.score(results["majority"], metric), help=scores["guessing"])
    columns[-1].metric(
        "Agreement",
        numbers.score(results["agreement"], metric),
        _differ(results),
        delta_color="off",
        delta_arrow="off",
        help=scores["agreement"],
    )


def _differ(results: Results) -> str | None:
    """ "54 of 853 differ"; None where answers are scores, or nothing is known."""
    agreement, examples = results["agreement"], results["examples"]
    if agreement is None or not numbers.is_share(results["metric"]):
        return None
    return f"{numbers.whole(round((1 - agreement) * examples))} of {numbers.whole(examples)} differ"


def _words_for_scores(metric: str, counted: str) -> dict[str, str]:
    """Labels and tooltips of the four scores."""
    if metric == "correlation":
        return {
            "title": f"Against the true scores of {counted} it had never seen",
            "student": "Student's correlation",
            "teacher": "Teacher's correlation",
            "guessing": "",
            "agreement": "Correlation of the student's scores with the teacher's. Like the others it is the mean of "
            "Pearson's and Spearman's: 1 where both always rise and fall together, 0 where they have nothing to do "
            "with each other.",
        }
    hidden = metric == "masked-word accuracy"
    return {
        "title": "On hidden words of texts it had never seen" if hidden else f"On {counted} it had never seen",
        "student": "Student is right",
        "teacher": "Teacher is right",
        "guessing": "Score of always giving the most frequent answer: what a score must beat to mean anything.",
        "agreement": f"Share of the {'hidden words' if hidden else counted} for which teacher and student give "
        "the same answer, right or wrong.",
    }


def _show_promises(results: Results) -> None:
    teacher, student = results["teacher"], results["student"]
    speed = teacher["ms_per_sentence"] / student["ms_per_sentence"]
    smaller = 1 - student["parameters"] / teacher["parameters"]
    rows = (
        (paper.KEPT, numbers.percent(results["kept"]), f"of the teacher's {results['metric']}"),
        (
            paper.SMALLER,
            numbers.percent(smaller, 0),
            f"{numbers.millions(student['parameters'])} parameters, {numbers.megabytes(student['size_mb'])}; "
            f"teacher {numbers.millions(teacher['parameters'])}, {numbers.megabytes(teacher['size_mb'])}",
        ),
        (
            paper.FASTER,
            numbers.times(speed),
            f"as fast as its teacher: {numbers.milliseconds(student['ms_per_sentence'])} {ONE[results['counted']]}, "
            f"teacher {numbers.milliseconds(teacher['ms_per_sentence'])}",
        ),
    )
    for column, (promise, here, meaning) in zip(st.columns(3), rows, strict=True):
        with column.container(border=True, height="stretch"):
            st.metric(promise.title, here)
            st.caption(meaning)  # not the metric's delta, which is cut off where it does not fit
            with st.container(horizontal=True, vertical_alignment="center"):
                paper_badge()
                st.caption(f"{promise.value}", help=promise.meaning)


def _why_not_smaller(results: Results) -> str:
    teacher, student = results["teacher"], results["student"]
    outside = {name: results[name]["parameters"] - results[name]["encoder_parameters"] for name in MODELS}
    layers = 1 - student["encoder_parameters"] / teacher["encoder_parameters"]
    return (
        f"Why not 40 % smaller: of this teacher's {numbers.millions(teacher['parameters'])} parameters "
        f"{numbers.millions(outside['teacher'])} are not in its layers but mostly in its word list, and the student "
        f"has {numbers.millions(outside['student'])} of that kind too. Its layers, the part that computes, are "
        f"{numbers.percent(layers, 0)} smaller."
    )
