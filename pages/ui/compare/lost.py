"""What got lost: on which kinds of text the student falls behind, and the sentences where the two differ most."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from core import numbers
from core.runs.comparable import RunToCompare
from core.scoring.held_out import HeldOut
from core.scoring.held_out_words import HeldOutWords
from core.scoring.slices import Share, SliceRow
from pages.ui.compare.kept import held_out_of, held_out_words_of
from pages.ui.compare.question import put
from pages.ui.compare.truth import remember_truth
from pages.ui.marks import fit, short, style, svg
from pages.ui.stacks import theme_type
from pages.ui.text import as_label, show_text
from pages.ui.theme import STUDENT, grid_colour, text_colour

if TYPE_CHECKING:
    import pandas as pd

PART = "compare-part"
SHOWN = 8

ROW = 44
"""Pixels of one slice in the picture."""

NAME, TRACK = 34, 48
"""Per cent of the width: where the tracks begin, and how long they are. The number stands behind."""


def show_lost(run: RunToCompare) -> None:
    """Shares by kind of text and the sentences furthest apart. Raises DistilleryError if a model is missing."""
    if run.kind == "words":
        words = held_out_words_of(run, "compare-lost")
        if words is not None:
            show_slices(words, "hidden words", ("They guess the same word", "Teacher is right", "Student is right"))
            show_lost_words(run, words)
        return
    found = held_out_of(run, "compare-lost")
    if found is not None and found.label_names:
        show_slices(found, "texts", ("They give the same label", "Teacher is right", "Student is right"))
        show_furthest(run, found)
    elif found is not None:
        show_slices(
            found, "texts", ("Their scores are alike", "Teacher is near the truth", "Student is near the truth")
        )
        st.caption(f"Two scores count as alike if they differ by at most {found.near:.3g}, a tenth of the scale.")
        show_furthest(run, found)


def show_slices(found: HeldOut | HeldOutWords, what: str, names: tuple[str, str, str]) -> None:
    """Agreement by kind of `what` as a picture, and everything in numbers; `names` are those of the three shares."""
    rows = found.by_slice()
    everything, *parts = rows
    with st.container(horizontal=True, vertical_alignment="center"):
        st.header(headline(rows, what), anchor=False, width="content")
        st.badge("measured here", color="blue", help=_how(found, what))
    shares = (everything.agreement, everything.teacher, everything.student)
    for column, name, share in zip(st.columns(3), names, shares, strict=True):
        column.metric(name, numbers.percent(share.value))
        column.caption(spoken(share))
    part = "test" if isinstance(found, HeldOutWords) else found.split
    st.caption(as_label(f"On the {part} part, as in the run's result; the curves of a run show the validation part."))
    st.subheader(f"Agreement by kind of {what[:-1]}", anchor=False)
    st.image(agreement_picture(rows, what), width="stretch", alt=_spoken_rows(rows))
    st.caption(
        f"The dot is the share of {what} for which the student gives the teacher's answer, the bar its 95 % interval "
        "(Wilson): where there are few it is wide. The dashed line is the share over all of them."
    )
    with st.expander("All numbers"):
        st.dataframe(slice_table(rows), hide_index=True, alt=f"Counts and shares of {len(rows)} kinds of {what}.")
        for row in parts:
            st.caption(f"{row.slice.name}: {row.slice.rule}")


def headline(rows: Sequence[SliceRow], what: str) -> str:
    """The finding in one line: where least of the teacher is left, as far as the counts allow to say so."""
    everything, *parts = rows
    behind = [row for row in parts if row.agreement.interval[1] < (everything.agreement.value or 0.0)]
    if not behind:
        return f"No kind of {what[:-1]} stands out among {numbers.whole(everything.count)}"
    worst = min(behind, key=lambda row: row.agreement.value or 0.0)
    return f"Most got lost here: {worst.slice.name[0].lower()}{worst.slice.name[1:]}"


def show_lost_words(run: RunToCompare, found: HeldOutWords) -> None:
    """Hidden words that the teacher guesses and the student does not, each with the way to the side-by-side view."""
    lost = found.lost(SHOWN)
    if not lost:
        st.info("There is no hidden word that the teacher guesses and the student does not.")
        return
    st.subheader("Words that the teacher still finds, the rarest first", anchor=False)
    for number in lost:
        said = f"Hidden word and teacher: {found.words[number]}. Student: {found.student[number]}."
        _show_example(run, number, found.contexts[number], as_label(said, 200), (found.contexts[number],), "")


def show_furthest(run: RunToCompare, found: HeldOut) -> None:
    """The texts with the largest gap, each with the way to the side-by-side view."""
    st.subheader("Where they are furthest apart", anchor=False)
    for number in found.furthest(SHOWN):
        texts = (found.texts[number],) if found.seconds is None else (found.texts[number], found.seconds[number])
        truth = found.label_names[int(found.labels[number])] if found.label_names else ""
        _show_example(run, number, "\n".join(texts), clean_caption(found, number), texts, truth)


def _show_example(run: RunToCompare, number: int, text: str, caption: str, texts: Sequence[str], truth: str) -> None:
    with st.container(border=True):
        show_text(text[:400] + ("…" if len(text) > 400 else ""))
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(caption, width="stretch")
            st.button(
                "Side by side",
                key=f"compare-open-{number}",
                type="tertiary",
                icon=":material/arrow_forward:",
                on_click=_open,
                args=(run, texts, truth),
            )


def clean_caption(found: HeldOut, number: int) -> str:
    """What each says to a text and what is true, in one line that is safe as markdown."""
    if not found.label_names:
        true = float(found.labels[number])
        values = {role: float(found.answers[role][number, 0]) for role in ("teacher", "student")}
        said = {role: f"{value:.3g} ({abs(value - true):.2g} off)" for role, value in values.items()}
        truth, gap = f"{true:.3g}", f"{found.gaps[number]:.3g} apart"
    else:
        said = {}
        for role in ("teacher", "student"):
            shares = found.probabilities(role, number)
            label = max(shares, key=lambda each: shares[each])
            verdict = "right" if found.right(role)[number] else "wrong"
            said[role] = f"{label} ({numbers.percent(shares[label], 0)}), {verdict}"
        truth = found.label_names[int(found.labels[number])]
        points = round(100 * found.gaps[number])
        gap = f"{points} {numbers.plural('point', points)} apart"
    return as_label(f"Teacher: {said['teacher']}. Student: {said['student']}. True: {truth}. {gap}", 300)


def slice_table(rows: Sequence[SliceRow]) -> pd.DataFrame:
    """One row a kind of text: how many, and three shares with their intervals."""
    import pandas as pd

    def cells(name: str, share: Share) -> dict[str, str]:
        low, high = share.interval
        return {name: numbers.percent(share.value), f"{name}, 95 %": f"{100 * low:.1f} to {100 * high:.1f} %"}

    return pd.DataFrame(
        [
            {"Texts": row.slice.name, "Count": row.count}
            | cells("Agreement", row.agreement)
            | cells("Teacher right", row.teacher)
            | cells("Student right", row.student)
            for row in rows
        ]
    )


def agreement_picture(rows: Sequence[SliceRow], what: str) -> str:
    """SVG: a line for each kind of `what`, from the lowest end of all intervals to 100 %."""
    low = min(row.agreement.interval[0] for row in rows)
    start = min(0.9, int(low * 10) / 10)
    text, grid = text_colour(theme_type()), grid_colour(theme_type())

    def x(share: float) -> float:
        return NAME + TRACK * (share - start) / (1 - start)

    height = ROW * len(rows) + 28
    overall = x(rows[0].agreement.value or start)
    drawing = style("slice", 15, narrow=12)
    drawing += (
        f'<line x1="{overall:.2f}%" x2="{overall:.2f}%" y1="4" y2="{ROW * len(rows)}" stroke="{text}" '
        'stroke-width="1.5" stroke-dasharray="5 4"/>'
    )
    for place, row in enumerate(rows):
        y, (left, right) = place * ROW + ROW // 2, row.agreement.interval
        name = short(row.slice.name, 26)
        drawing += (
            f'<line x1="{NAME}%" x2="{NAME + TRACK}%" y1="{y}" y2="{y}" stroke="{grid}" stroke-width="2"/>'
            f'<text class="slice" x="0" y="{y + 5}" fill="{text}" {fit(name, 26, 17)}>{escape(name)}</text>'
            f'<line x1="{x(left):.2f}%" x2="{x(right):.2f}%" y1="{y}" y2="{y}" stroke="{STUDENT}" stroke-width="8" '
            'stroke-linecap="round" opacity="0.4"/>'
            f'<circle cx="{x(row.agreement.value or 0):.2f}%" cy="{y}" r="7" fill="{STUDENT}"/>'
            f'<text class="slice" x="100%" y="{y - 2}" text-anchor="end" font-weight="600" fill="{text}">'
            f"{numbers.percent(row.agreement.value, 0)}</text>"
            f'<text x="100%" y="{y + 14}" text-anchor="end" font-size="12" fill="{text}">'
            f"{numbers.whole(row.count)} {what.rpartition(' ')[2]}</text>"
        )
    ends = f'y="{height - 8}" font-size="13" fill="{text}"'
    drawing += f'<text x="{NAME}%" {ends}>{numbers.percent(start, 0)}</text>'
    drawing += f'<text x="{NAME + TRACK}%" text-anchor="end" {ends}>{numbers.percent(1, 0)}</text>'
    return svg(height, drawing)


def spoken(share: Share) -> str:
    """A share's counts and interval in words."""
    low, high = share.interval
    counts = f"{numbers.whole(share.hits)} of {numbers.whole(share.count)}"
    return f"{counts}; 95 % interval {100 * low:.1f} to {100 * high:.1f} %"


def _spoken_rows(rows: Sequence[SliceRow]) -> str:
    return "; ".join(f"{row.slice.name}: {numbers.percent(row.agreement.value)} of {row.count}" for row in rows)


def _how(found: HeldOut | HeldOutWords, what: str) -> str:
    part = "test" if isinstance(found, HeldOutWords) else as_label(found.split)
    return (
        f"On this machine's processor, in the run's precision: the {part} part of its data, "
        f"{numbers.whole(len(found))} {what} that neither model has learned from."
    )


def _open(run: RunToCompare, texts: Sequence[str], truth: str) -> None:
    # One line is one sentence there, so a text of several lines becomes one.
    asked = [" ".join(text.split()) for text in texts]
    put(run.kind, asked)
    remember_truth(run, asked, truth)
    st.session_state[PART] = "Side by side"
