"""What the models say, on the screen: large cards for one text or pair, a table for several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from core import numbers
from core.scoring.answers import Comparison, ScoreComparison
from pages.ui import marks
from pages.ui.compare.names import all_of, colour_of, title_of
from pages.ui.marks import Ends, short, svg
from pages.ui.stacks import theme_type
from pages.ui.text import as_label, clean, show_text
from pages.ui.theme import grid_colour, text_colour

if TYPE_CHECKING:
    import pandas as pd
    from streamlit.elements.lib.column_types import ColumnConfig

    from core.scoring.answers import Answer, Score
    from core.scoring.hidden_words import Guesses

    Timed = Answer | Score | Guesses

ROW, BAR, STRIPE = 52, 14, 6
"""Pixels: one label with its bar, the bar, and the coloured line on top of a card."""

MAX_BARS = 6
"""Of more labels than this, the least probable share one bar."""

HOW_MEASURED = (
    "The forward pass of this model for this sentence alone, in fp32 on one processor thread, after a first pass that "
    "does not count. The models take turns; for up to five sentences it is the median of three passes."
)
SAW_THE_BEGINNING = "A text was longer than the models read. They saw its beginning."


def show_answers(comparisons: Sequence[Comparison], whose: Mapping[str, str] | None = None) -> None:
    """The labels: cards for one text, a table for several. `whose` says below each name what that model is."""
    if len(comparisons) == 1:
        _show_one(comparisons[0], whose or {})
    else:
        _show_several(comparisons)
    _show_cut(comparisons)


def show_scores(
    comparisons: Sequence[ScoreComparison], ends: Ends | None, whose: Mapping[str, str] | None = None
) -> None:
    """The scores: numbers and, where its ends are known, their scale for one text; a table for several."""
    if len(comparisons) == 1:
        _show_one_score(comparisons[0], ends, whose or {})
    else:
        apart = marks.value(sum(comparison.apart for comparison in comparisons) / len(comparisons))
        show_finding(f"On average they are {apart} apart.", mean_times([each.answers for each in comparisons]))
        st.dataframe(
            score_table(comparisons),
            hide_index=True,
            column_config=_score_columns(list(comparisons[0].answers)),
            alt=f"The scores that the models give to {len(comparisons)} sentences.",
        )
    _show_cut(comparisons)


def verdict(comparison: Comparison) -> str:
    """Whether the models agree, in one line: "Both say positive." """
    labels = {role: answer.label for role, answer in comparison.answers.items()}
    if comparison.agree:
        return f"{all_of(len(labels))} say {next(iter(labels.values()))}."
    return "They disagree: " + ", ".join(f"the {role} says {label}" for role, label in labels.items()) + "."


def score_verdict(comparison: ScoreComparison) -> str:
    """Both scores in one line: "The teacher says 3.72, the student says 3.41." """
    said = ", ".join(f"the {role} says {marks.value(score.value)}" for role, score in comparison.answers.items())
    return f"{said[0].upper()}{said[1:]}."


def gap(comparison: Comparison) -> str:
    """How sure each model is, and how far apart they are, in one line."""
    sure = ", ".join(
        f"the {role} is {numbers.percent(answer.confidence)} sure" for role, answer in comparison.answers.items()
    )
    most = "at most " if len(comparison.answers) > 2 else ""
    return f"{sure[0].upper()}{sure[1:]}: {most}{100 * comparison.apart:.1f} points apart."


def condensed(comparison: Comparison) -> dict[str, dict[str, float]]:
    """Every model's probabilities, by role, with the same labels in the same order and at most `MAX_BARS` of them.

    Where there are more, those that any model says or finds likely stay and the rest is added up.
    """
    shares = {role: answer.probabilities for role, answer in comparison.answers.items()}
    labels = list(dict.fromkeys(label for given in shares.values() for label in given))
    if len(labels) > MAX_BARS:
        said = {answer.label for answer in comparison.answers.values()}
        labels.sort(key=lambda label: (label not in said, -max(given.get(label, 0.0) for given in shares.values())))
        labels, rest = labels[: MAX_BARS - 1], labels[MAX_BARS - 1 :]
        others = f"{len(rest)} other labels"
        return {
            role: {label: given.get(label, 0.0) for label in labels} | {others: sum(given.get(x, 0.0) for x in rest)}
            for role, given in shares.items()
        }
    return {role: {label: given.get(label, 0.0) for label in labels} for role, given in shares.items()}


def bars(probabilities: Mapping[str, float], said: str, colour: str) -> str:
    """SVG: one bar for each label with its per cent; the label that is said stands in bold."""
    text, track, drawing = text_colour(theme_type()), grid_colour(theme_type()), ""
    for place, (label, share) in enumerate(probabilities.items()):
        y, weight = place * ROW, 700 if label == said else 400
        words = f'y="{y + 22}" font-size="17" font-weight="{weight}" fill="{text}"'
        box = f'x="0" y="{y + 32}" height="{BAR}" rx="4"'
        drawing += f'<text x="0" {words}>{escape(short(label, 40))}</text>'
        drawing += f'<text x="100%" text-anchor="end" {words}>{numbers.percent(share)}</text>'
        drawing += f'<rect {box} width="100%" fill="{track}"/>'
        drawing += f'<rect {box} width="{100 * share:.2f}%" fill="{colour}"/>'
    return svg(ROW * len(probabilities), drawing)


def table(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """One row a sentence: whether they agree, each model's label, confidence (0 to 100) and milliseconds."""
    import pandas as pd

    rows = []
    for comparison in comparisons:
        row: dict[str, str | float] = {"Agree": "yes" if comparison.agree else "no"}
        row["Sentence"] = clean(comparison.sentence)
        for role, answer in comparison.answers.items():
            row[f"{title_of(role)} says"] = clean(answer.label)
            row[f"{title_of(role)} sure"] = 100 * answer.confidence
        row["Apart"] = 100 * comparison.apart
        row |= {f"{title_of(role)} ms": answer.milliseconds for role, answer in comparison.answers.items()}
        rows.append(row)
    return pd.DataFrame(rows)


def score_table(comparisons: Sequence[ScoreComparison]) -> pd.DataFrame:
    """One row a sentence: each model's score, how far apart they are, and milliseconds."""
    import pandas as pd

    rows = []
    for comparison in comparisons:
        row: dict[str, str | float] = {"Sentence": clean(comparison.sentence)}
        row |= {f"{title_of(role)} says": score.value for role, score in comparison.answers.items()}
        row["Apart"] = comparison.apart
        row |= {f"{title_of(role)} ms": score.milliseconds for role, score in comparison.answers.items()}
        rows.append(row)
    return pd.DataFrame(rows)


def show_card_head(role: str, question: str, said: str, milliseconds: float, whose: str = "") -> None:
    """The top of a card: a line in the model's colour, what it says, how long that took, and what it is."""
    stripe = f'<rect width="100%" height="{STRIPE}" rx="3" fill="{colour_of(role)}"/>'
    st.image(svg(STRIPE, stripe), width="stretch", alt="")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.metric(f"{title_of(role)} {question}", as_label(said), width="content")
        st.space("stretch")
        st.metric("It took", numbers.milliseconds(milliseconds), width="content", help=HOW_MEASURED)
    if whose:
        st.caption(whose)


def show_finding(headline: str, details: str) -> None:
    """The answer in one line that can be read aloud, and the numbers behind it in a smaller one."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.header(as_label(headline, 200), anchor=False, width="content")
        st.badge("measured here", color="blue", help=HOW_MEASURED)
    show_text(details)


def mean_times(answers: Sequence[Mapping[str, Timed]]) -> str:
    """How long each model took on average, in one line."""

    def mean(role: str) -> str:
        times = [each[role].milliseconds for each in answers]
        return f"the {role} took {numbers.milliseconds(sum(times) / len(times))} a sentence"

    return "On average " + ", ".join(mean(role) for role in answers[0]) + "."


def time_column() -> ColumnConfig:
    """How a table shows milliseconds."""
    return st.column_config.NumberColumn(format="%.1f", width=90, help=HOW_MEASURED)


def sure_column(role: str, width: int) -> ColumnConfig:
    """How a table shows a probability in per cent, so many pixels wide."""
    return st.column_config.ProgressColumn(
        "sure", min_value=0, max_value=100, format="%.1f %%", color=colour_of(role), width=width
    )


def _show_one(comparison: Comparison, whose: Mapping[str, str]) -> None:
    show_finding(verdict(comparison), gap(comparison))
    shares = condensed(comparison)
    columns = st.columns(len(comparison.answers))
    for column, (role, answer) in zip(columns, comparison.answers.items(), strict=True):
        with column.container(border=True, height="stretch"):
            show_card_head(role, "says", answer.label, answer.milliseconds, whose.get(role, ""))
            spoken = ", ".join(f"{clean(label)} {numbers.percent(share)}" for label, share in shares[role].items())
            picture = bars(shares[role], answer.label, colour_of(role))
            st.image(picture, width="stretch", alt=f"{title_of(role)}: {spoken}")


def _show_one_score(comparison: ScoreComparison, ends: Ends | None, whose: Mapping[str, str]) -> None:
    show_finding(score_verdict(comparison), f"{marks.value(comparison.apart)} apart.")
    columns = st.columns(len(comparison.answers))
    for column, (role, score) in zip(columns, comparison.answers.items(), strict=True):
        with column.container(border=True, height="stretch"):
            show_card_head(role, "says", marks.value(score.value), score.milliseconds, whose.get(role, ""))
    scores = {role: score.value for role, score in comparison.answers.items()}
    if ends is not None and set(scores) == {"teacher", "student"}:
        with st.container(border=True):
            say = marks.value
            st.image(marks.line(**scores, ends=ends, say=say), width="stretch", alt=score_verdict(comparison))
            st.image(marks.line_ends(say(ends[0]), say(ends[1])), width="stretch", alt="")


def _show_several(comparisons: Sequence[Comparison]) -> None:
    agreeing = sum(comparison.agree for comparison in comparisons)
    show_finding(f"They agree on {agreeing} of {len(comparisons)}.", mean_times([each.answers for each in comparisons]))
    st.dataframe(
        table(comparisons),
        hide_index=True,
        column_config=_columns(list(comparisons[0].answers)),
        alt=f"All answers to {len(comparisons)} sentences; the models agree on {agreeing}.",
    )


def _show_cut(comparisons: Sequence[Comparison] | Sequence[ScoreComparison]) -> None:
    if any(answer.was_cut for comparison in comparisons for answer in comparison.answers.values()):
        st.caption(SAW_THE_BEGINNING)


def _columns(roles: list[str]) -> dict[str, ColumnConfig]:
    config = {
        "Agree": st.column_config.TextColumn(width=60),
        "Sentence": st.column_config.TextColumn(width=310),
        "Apart": st.column_config.NumberColumn(
            format="%.1f", width=65, help="How far apart their probabilities are, in percentage points."
        ),
    }
    for role in roles:
        config[f"{title_of(role)} says"] = st.column_config.TextColumn(width=100)
        config[f"{title_of(role)} sure"] = sure_column(role, width=150)
        config[f"{title_of(role)} ms"] = time_column()
    return config


def _score_columns(roles: list[str]) -> dict[str, ColumnConfig]:
    config = {
        "Sentence": st.column_config.TextColumn(width=480),
        "Apart": st.column_config.NumberColumn(format="%.2f", width=80),
    }
    for role in roles:
        config[f"{title_of(role)} says"] = st.column_config.NumberColumn(format="%.2f", width=130)
        config[f"{title_of(role)} ms"] = time_column()
    return config
