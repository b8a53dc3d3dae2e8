"""What the models say, on the screen: two large cards for one sentence, a table for several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from core.scoring.answers import Answer, Comparison
from pages.ui import numbers
from pages.ui.stacks import theme_type
from pages.ui.text import as_label, clean, show_text
from pages.ui.theme import COLOURS, grid_colour, text_colour

if TYPE_CHECKING:
    import pandas as pd

TITLES = {"teacher": "Teacher", "student": "Student"}

ROW, BAR, STRIPE = 52, 14, 6
"""Pixels: one label with its bar, the bar, and the coloured line on top of a card."""

HOW_MEASURED = (
    "The forward pass of this model for this sentence alone, in fp32 on one processor thread, after a first pass that "
    "does not count. The models take turns; for up to five sentences it is the median of three passes."
)


def show_answers(comparisons: Sequence[Comparison]) -> None:
    """The answer: cards for one sentence, a table for several."""
    if len(comparisons) == 1:
        _show_one(comparisons[0])
    else:
        _show_several(comparisons)
    if any(answer.was_cut for comparison in comparisons for answer in comparison.answers.values()):
        st.caption("A sentence was longer than the models read. They saw its beginning.")


def verdict(comparison: Comparison) -> str:
    """Whether the models agree, in one line: "Both say positive." """
    labels = {role: answer.label for role, answer in comparison.answers.items()}
    if comparison.agree:
        return f"Both say {next(iter(labels.values()))}."
    return "They disagree: " + ", ".join(f"the {role} says {label}" for role, label in labels.items()) + "."


def gap(comparison: Comparison) -> str:
    """How sure each model is, and how far apart they are, in one line."""
    sure = ", ".join(
        f"the {role} is {numbers.percent(answer.confidence)} sure" for role, answer in comparison.answers.items()
    )
    return f"{sure[0].upper()}{sure[1:]}: {100 * comparison.apart:.1f} points apart."


def bars(probabilities: Mapping[str, float], colour: str) -> str:
    """SVG: a line in the model's colour, then one bar for each label with its per cent.

    Only lengths across are relative, so the words keep their size at every width.
    """
    text, track = text_colour(theme_type()), grid_colour(theme_type())
    winner = max(probabilities, key=lambda label: probabilities[label])
    drawing = ""
    for place, (label, share) in enumerate(probabilities.items()):
        y, weight = place * ROW, 700 if label == winner else 400
        words = f'y="{y + 22}" font-size="17" font-weight="{weight}" fill="{text}"'
        box = f'x="0" y="{y + 32}" height="{BAR}" rx="4"'
        drawing += f'<text x="0" {words}>{escape(clean(label))}</text>'
        drawing += f'<text x="100%" text-anchor="end" {words}>{numbers.percent(share)}</text>'
        drawing += f'<rect {box} width="100%" fill="{track}"/>'
        drawing += f'<rect {box} width="{100 * share:.2f}%" fill="{colour}"/>'
    return _svg(ROW * len(probabilities), drawing)


def table(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """One row a sentence: whether they agree, each model's label, confidence (0 to 100) and milliseconds."""
    import pandas as pd

    rows = []
    for comparison in comparisons:
        row: dict[str, str | float] = {"Agree": "yes" if comparison.agree else "no"}
        row["Sentence"] = clean(comparison.sentence)
        for role, answer in comparison.answers.items():
            row[f"{TITLES[role]} says"] = clean(answer.label)
            row[f"{TITLES[role]} sure"] = 100 * answer.confidence
        row["Points apart"] = 100 * comparison.apart
        row |= {f"{TITLES[role]} ms": answer.milliseconds for role, answer in comparison.answers.items()}
        rows.append(row)
    return pd.DataFrame(rows)


def _show_one(comparison: Comparison) -> None:
    _show_finding(as_label(verdict(comparison), 200), gap(comparison))
    columns = st.columns(len(comparison.answers))
    for column, (role, answer) in zip(columns, comparison.answers.items(), strict=True):
        with column.container(border=True, height="stretch"):
            _show_card(role, answer)


def _show_card(role: str, answer: Answer) -> None:
    st.image(_svg(STRIPE, f'<rect width="100%" height="6" rx="3" fill="{COLOURS[role]}"/>'), width="stretch", alt="")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.metric(f"{TITLES[role]} says", as_label(answer.label), width="content")
        st.space("stretch")
        st.metric("It took", numbers.milliseconds(answer.milliseconds), width="content", help=HOW_MEASURED)
    shares = ", ".join(f"{clean(label)} {numbers.percent(share)}" for label, share in answer.probabilities.items())
    st.image(bars(answer.probabilities, COLOURS[role]), width="stretch", alt=f"{TITLES[role]}: {shares}")


def _show_several(comparisons: Sequence[Comparison]) -> None:
    agreeing = sum(comparison.agree for comparison in comparisons)
    _show_finding(f"They agree on {agreeing} of {len(comparisons)}.", _mean_times(comparisons))
    rows = table(comparisons)
    st.dataframe(
        rows,
        hide_index=True,
        column_config=_columns(list(comparisons[0].answers)),
        alt=f"Both answers to {len(comparisons)} sentences; they agree on {agreeing}.",
    )


def _columns(roles: list[str]) -> dict:
    config: dict = {
        "Agree": st.column_config.TextColumn(width=60),
        "Sentence": st.column_config.TextColumn(width=310),
        "Points apart": st.column_config.NumberColumn(
            "Apart", format="%.1f", width=65, help="How far apart their probabilities are, in percentage points."
        ),
    }
    for role in roles:
        config[f"{TITLES[role]} says"] = st.column_config.TextColumn(width=100)
        config[f"{TITLES[role]} sure"] = st.column_config.ProgressColumn(
            "sure", min_value=0, max_value=100, format="%.1f %%", color=COLOURS[role], width=150
        )
        config[f"{TITLES[role]} ms"] = st.column_config.NumberColumn(format="%.1f", width=90, help=HOW_MEASURED)
    return config


def _mean_times(comparisons: Sequence[Comparison]) -> str:
    def mean(role: str) -> str:
        times = [comparison.answers[role].milliseconds for comparison in comparisons]
        return f"the {role} took {numbers.milliseconds(sum(times) / len(times))} a sentence"

    return "On average " + ", ".join(mean(role) for role in comparisons[0].answers) + "."


def _show_finding(headline: str, details: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.header(headline, anchor=False, width="content")
        st.badge("measured here", color="blue", help=HOW_MEASURED)
    show_text(details)


def _svg(height: int, drawing: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="100%" height="{height}" '
        f'font-family="system-ui, sans-serif">{drawing}</svg>'
    )
