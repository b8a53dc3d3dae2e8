"""Doubts: how sure teacher, student and control are against how often they are right, and if they differ at all."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations

import streamlit as st

from core import numbers
from core.config import is_control
from core.errors import DistilleryError
from core.runs.comparable import RunToCompare, comparable_runs
from core.scoring.doubts import Calibration, Paired, divergence, paired
from core.scoring.held_out import HeldOut
from pages.ui.compare.kept import held_out_of, kept_held_out
from pages.ui.marks import svg
from pages.ui.stacks import theme_type
from pages.ui.text import as_label, show_text
from pages.ui.theme import COLOURS, grid_colour, text_colour

HEIGHT, BOTTOM, TOP = 240, 200, 14
"""Pixels of a picture, and where 0 % and 100 % lie in it."""

LEFT, RIGHT = 14, 96
"""Per cent of the width between which it lies."""

ALIKE = 0.05
"""Differences that chance alone gives in more than this share of tries are not called differences."""

WORDS = "Masked words have no such page yet: of each hidden word the answer is kept, not how sure the models were."
SCORES = "These models give scores, and a score says nothing of how sure it is."


def show_doubts(run: RunToCompare) -> None:
    """A picture for each model, then the models in pairs. Raises DistilleryError if a model is missing."""
    if run.kind == "words":
        st.info(WORDS)
        return
    found = held_out_of(run, "compare-doubts")
    if found is None:
        return
    if not found.label_names:
        st.info(SCORES)
        return
    alone = is_control(run.settings.loss)
    control = None if alone else control_of(run)
    beside = _kept_of(control, found) if control else None
    student = "control" if alone else "student"
    models = {"teacher": (found, "teacher"), student: (found, "student")}
    if beside:
        models["control"] = (beside, "student")
    _show_calibrations(found, {name: of.calibrations[role] for name, (of, role) in models.items()})
    _show_pairs(models)
    if not alone:
        _say_control(run, control, beside)


def control_of(run: RunToCompare) -> RunToCompare | None:
    """The newest finished run that learned the same data without a teacher, and has the same one to be held against."""
    usable, _ = comparable_runs()
    settings = run.settings
    return next(
        (
            other
            for other in usable
            if other.state == "finished"
            and is_control(other.settings.loss)
            and other.settings.objective == settings.objective
            and (other.settings.data, other.settings.teacher) == (settings.data, settings.teacher)
        ),
        None,
    )


def headline(name: str, found: Calibration) -> str:
    """The finding in one line: "The student is 6.3 points surer than it is right"."""
    points = 100 * (found.sure - (found.right.value or 0.0))
    if abs(points) < 1:
        return f"The {name} is as sure as it is right"
    return f"The {name} is {abs(points):.1f} points {'surer' if points > 0 else 'less sure'} than it is right"


def difference(first: str, second: str, found: Paired) -> str:
    """Whether two models differ in what they have right, in a sentence."""
    counts = (
        f"Of {numbers.whole(found.count)} texts the {first} alone has {numbers.whole(found.only_first)} right, the "
        f"{second} alone {numbers.whole(found.only_second)}"
    )
    if found.chance > ALIKE:
        tries = round(100 * found.chance)
        return f"{counts}. Equally good models would differ as much in {tries} of 100 tries: no difference is shown."
    better = first if found.only_first > found.only_second else second
    rare = "fewer than 1 of 1,000" if found.chance < 0.001 else f"{max(1, round(1000 * found.chance))} of 1,000"
    return f"{counts}. Equally good models would differ as much in {rare} tries: the {better} is better here."


def reliability_picture(found: Calibration, classes: int, colour: str) -> str:
    """SVG: how often answers are right over how sure the model was of them, a dot for each bin, the larger the more."""
    text, grid = text_colour(theme_type()), grid_colour(theme_type())
    start = math.floor(10 / classes) / 10

    def x(share: float) -> float:
        return LEFT + (RIGHT - LEFT) * (share - start) / (1 - start)

    def y(share: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * share

    drawing = "".join(
        f'<line x1="{LEFT}%" x2="{RIGHT}%" y1="{y(share):.1f}" y2="{y(share):.1f}" stroke="{grid}"/>'
        f'<text x="{LEFT - 2}%" y="{y(share) + 5:.1f}" text-anchor="end" font-size="13" fill="{text}">'
        f"{100 * share:.0f}</text>"
        for share in (0, 0.5, 1)
    )
    drawing += (
        f'<line x1="{x(start):.2f}%" y1="{y(start):.1f}" x2="{x(1):.2f}%" y2="{y(1):.1f}" stroke="{text}" '
        'stroke-width="1.5" stroke-dasharray="5 4"/>'
    )
    for each in found.bins:
        place, share, ends = x(each.sure), each.right.value or 0.0, each.right.interval
        size = 3.5 + 7 * math.sqrt(each.right.count / found.right.count)
        drawing += (
            f'<line x1="{place:.2f}%" x2="{place:.2f}%" y1="{y(ends[0]):.1f}" y2="{y(ends[1]):.1f}" '
            f'stroke="{colour}" stroke-width="2" opacity="0.6"/>'
            f'<circle cx="{place:.2f}%" cy="{y(share):.1f}" r="{size:.1f}" fill="{colour}"/>'
        )
    for share in (start, (1 + start) / 2, 1):
        anchor = "end" if share == 1 else "middle"
        drawing += (
            f'<text x="{x(share):.2f}%" y="{BOTTOM + 18}" text-anchor="{anchor}" font-size="13" fill="{text}">'
            f"{100 * share:.0f}</text>"
        )
    drawing += f'<text x="{LEFT}%" y="{HEIGHT - 4}" font-size="13" fill="{text}">sure, in % (up: right, in %)</text>'
    return svg(HEIGHT, drawing)


def _show_calibrations(found: HeldOut, by_name: Mapping[str, Calibration]) -> None:
    name = list(by_name)[1]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.header(headline(name, by_name[name]), anchor=False, width="content")
        st.badge("measured here", color="blue", help=_how(found))
    st.write(
        "Beyond the right answer a student copies its teacher's doubts. If a model that is 90 % sure is right in 90 of "
        "100 cases, its doubts can be trusted."
    )
    for column, (name, each) in zip(st.columns(len(by_name)), by_name.items(), strict=True):
        with column:
            st.subheader(name.capitalize(), anchor=False)
            said = f"sure of {numbers.percent(each.sure)} on average, right in {numbers.percent(each.right.value)}"
            st.image(
                reliability_picture(each, len(found.label_names), COLOURS[name]),
                width="stretch",
                alt=f"{name}: {said}; {_spoken(each)}",
            )
            low, high = each.interval
            st.caption(
                f"Is {said}. Calibration error {100 * each.error:.1f} points (95 % interval {100 * low:.1f} to "
                f"{100 * high:.1f})."
            )
    st.caption(
        "A dot gathers the answers given with about the same probability: the larger, the more of them. On the dashed "
        "line a model is as sure as it is right; below it, too sure. The bar is the 95 % interval. The expected "
        "calibration error is the mean distance of the dots from the line, its interval from "
        "1,000 draws of the texts; that of few texts comes out too large."
    )


def _show_pairs(models: Mapping[str, tuple[HeldOut, str]]) -> None:
    st.subheader("Are their doubts alike, and is one better?", anchor=False)
    (of, _), *others = models.values()
    far = {
        name: divergence(of.shares("teacher"), other.shares(role))
        for (name, (other, role)) in zip(list(models)[1:], others, strict=True)
    }
    for column, (name, nats) in zip(st.columns(3), far.items(), strict=False):
        column.metric(
            f"Teacher to {name}",
            f"{nats:.3f} nats",
            help="Mean KL(teacher ‖ other) of the probabilities: 0 for the same doubts, the larger the further apart.",
        )
    for first, second in combinations(models, 2):
        (one, role), (other, other_role) = models[first], models[second]
        show_text(difference(first, second, paired(one.right(role), other.right(other_role))))
    st.caption(
        "Both answered the same texts, so only those count that one of the two alone has right (McNemar's exact test, "
        "two-sided). It speaks of these texts and these weights: another seed is another student."
    )


def _say_control(run: RunToCompare, control: RunToCompare | None, beside: HeldOut | None) -> None:
    if control is None:
        st.caption(
            "A control, the same student without a teacher, would stand beside them: start one with the recipe "
            "“No teacher (control)” and the same data and teacher."
        )
    elif beside is None:
        st.caption(as_label(f"The control “{control.name}” learned the same data. Ask it, and it stands here.", 300))
        if held_out_of(control, "compare-doubts-control") is not None:
            st.caption("It was asked about other texts, so it cannot stand beside them.")
    else:
        st.caption(as_label(f"The control is the student of “{control.name}”.", 300))


def _kept_of(control: RunToCompare, found: HeldOut) -> HeldOut | None:
    """The control's answers to the same texts, if it has been asked."""
    try:
        kept = kept_held_out(control)
    except DistilleryError:
        return None
    if kept is None or (kept.texts, kept.seconds) != (found.texts, found.seconds):
        return None
    return kept if kept.labels.tolist() == found.labels.tolist() else None


def _spoken(found: Calibration) -> str:
    def one(sure: float, right: float | None) -> str:
        return f"{numbers.percent(sure, 0)} sure, {numbers.percent(right, 0)} right"

    return "; ".join(one(each.sure, each.right.value) for each in found.bins)


def _how(found: HeldOut) -> str:
    return (
        f"On this machine's processor, in the run's precision: the {as_label(found.split)} part of its data, "
        f"{numbers.whole(len(found))} texts that none of the models has learned from."
    )
