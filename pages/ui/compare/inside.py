"""Inside: for one sentence, how alike two models describe each word, where they look, and what a temperature does."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from itertools import combinations
from typing import TYPE_CHECKING

import streamlit as st

from core.runs.comparable import RunToCompare
from core.scoring.inside import Inside, look_inside
from pages.ui.compare.attention import show_attention
from pages.ui.compare.lens import show_lens
from pages.ui.compare.models import Choice, folders_of
from pages.ui.compare.names import title_of
from pages.ui.compare.question import is_asked, show_question
from pages.ui.compare.side_by_side import asking
from pages.ui.marks import short, svg
from pages.ui.stacks import theme_type
from pages.ui.text import as_label, clean
from pages.ui.theme import CLOSENESS, grid_colour, text_colour

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_TOKENS = 48
"""So many word pieces are drawn; of a longer text its beginning."""

HEIGHT, PER_LETTER, NARROWEST = 66, 10.5, 58
"""Pixels of a word's tile: its height, a letter, and the least width."""

HOW = (
    "Measured here, in fp32 on one processor thread. The cosine of two lists of numbers is 1 where both point the same "
    "way, 0 where they have nothing to do with each other."
)


def show_inside(run: RunToCompare, chosen: Mapping[str, Choice]) -> None:
    """The question, and what happens in two of the models. Raises DistilleryError where they cannot be compared."""
    lines = show_question(run, several=False)
    if not is_asked(run, lines):
        return
    two = _two_of(chosen)
    models, longest = folders_of(two), run.settings.data.max_tokens
    text, second = lines.sentences[0], lines.sentences[1] if run.kind == "pairs" else None
    found = asking(models, 1, lambda: look_inside(models, text, longest, second, with_masks=run.kind == "words"))
    show_closeness(found, list(two))
    show_attention(found, two)
    show_lens(run, two, text, second)


def show_closeness(found: Inside, names: Sequence[str]) -> None:
    """A tile for each word piece, the fuller the closer, with its number."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader("How alike they describe each word", anchor=False, width="content")
        st.badge("measured here", color="blue", help=HOW)
    closeness = found.closeness
    if closeness is None:
        st.info(found.reason)
        return
    empty = empty_at(closeness.tolist())
    st.write(
        "Behind its last layer a model holds a list of numbers for every piece of the text. The closer both lists "
        f"point the same way, the fuller the tile: empty at {empty:.1f}, full at 1."
    )
    words = [(place, shown) for place, shown in enumerate(found.tokens) if not _is_frame(shown)]
    columns = st.columns(3)
    columns[0].metric("On average", cosine(closeness.mean()))
    if words:
        ends = [pick(words, key=lambda word: closeness[word[0]]) for pick in (max, min)]
        for column, name, (place, shown) in zip(columns[1:], ("Closest", "Furthest apart"), ends, strict=True):
            column.metric(name, as_label(f"{short(shown, 14)} {cosine(closeness[place])}"))
    with st.container(horizontal=True, gap="xsmall", key="compare-tiles"):
        for shown, value in zip(found.tokens[:MOST_TOKENS], closeness[:MOST_TOKENS].tolist(), strict=True):
            picture, width = tile(shown, value, empty)
            st.image(picture, width=width, alt=f"{clean(shown)}: {cosine(value)}")
    if len(found.tokens) > MOST_TOKENS or found.was_cut:
        st.caption(f"The text is long: its first {min(len(found.tokens), MOST_TOKENS)} word pieces are shown.")
    st.caption(
        f"{' and '.join(title_of(name) for name in names)}. [CLS] and [SEP] are marks that the models put around it; "
        "## goes on with the word before it."
    )


def empty_at(values: Sequence[float]) -> float:
    """The closeness of an empty tile: a round number below all of them, so that differences can be seen."""
    return min(0.9, max(-1.0, math.floor(10 * min(values)) / 10))


def cosine(value: float) -> str:
    """A cosine with three digits: "0.953", "−0.020"."""
    return f"{value:.3f}".replace("-", "−")


def tile(token: str, closeness: float, empty: float = 0.0) -> tuple[str, int]:
    """SVG of one word piece with its number, tinted by how close the two models are, and its width in pixels.

    The tint and the bar are nothing at a closeness of `empty` and full at 1.
    """
    text, word = text_colour(theme_type()), short(token, 18)
    width = round(max(NARROWEST, 18 + PER_LETTER * len(word)))
    full = min(max((closeness - empty) / (1 - empty), 0.0), 1.0)
    drawing = (
        f'<rect x="0.75" y="0.75" width="{width - 1.5}" height="{HEIGHT - 1.5}" rx="8" fill="{CLOSENESS}" '
        f'fill-opacity="{0.5 * full:.3f}" stroke="{grid_colour(theme_type())}" stroke-width="1.5"/>'
        f'<text x="50%" y="24" text-anchor="middle" font-size="17" fill="{text}">{escape(word)}</text>'
        f'<text x="50%" y="44" text-anchor="middle" font-size="14" fill="{text}">'
        f"{cosine(closeness)}</text>"
        f'<rect x="8" y="52" width="{width - 16}" height="6" rx="3" fill="{grid_colour(theme_type())}"/>'
        f'<rect x="8" y="52" width="{(width - 16) * full:.1f}" height="6" rx="3" fill="{CLOSENESS}"/>'
    )
    return svg(HEIGHT, drawing), width


def _two_of(chosen: Mapping[str, Choice]) -> dict[str, Choice]:
    """Two of the models: a question of its own where there are three."""
    names = list(chosen)
    if len(names) > 2:
        pairs = {title_of(f"{first} and {second}"): [first, second] for first, second in combinations(names, 2)}
        picked = st.pills(
            "Look inside",
            list(pairs),
            default=next(iter(pairs)),
            required=True,
            key=f"compare-two-{'-'.join(names)}",
            wrap=True,
        )
        names = pairs[picked]
    return {name: chosen[name] for name in names}


def _is_frame(token: str) -> bool:
    return token in ("[CLS]", "[SEP]", "[PAD]")
