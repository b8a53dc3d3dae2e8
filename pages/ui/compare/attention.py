"""Where both models look: attention of one layer and head side by side, the student's beside the teacher's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from core import numbers
from core.scoring.inside import Inside, overlap, same_depth
from pages.ui.compare.models import Choice
from pages.ui.compare.names import colour_of, title_of
from pages.ui.marks import short
from pages.ui.stacks import theme_type
from pages.ui.text import clean
from pages.ui.theme import text_colour

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from plotly.graph_objects import Figure

MOST_TOKENS = 24
"""So many words still can be read on the axes."""

LAYER, HEAD = "compare-layer", "compare-head"
MEAN = -1


def show_attention(found: Inside, two: Mapping[str, Choice]) -> None:
    """The choice of a layer and a head, and both heat maps."""
    first, second = two
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader("Where they look", anchor=False, width="content")
        st.badge("measured here", color="blue", help="In fp32 on one processor thread, by the plain implementation.")
    st.write(
        "To describe a word (a row), a model looks at the other words (the columns): the stronger the colour, the "
        "more. Each row adds up to 100 %."
    )
    layer, head = _show_choice(found, first, second)
    beside, reason = layer_beside(layer, found, two)
    maps = {first: found.looks(first, beside, head), second: found.looks(second, layer, head)}
    st.metric(
        "They look alike",
        numbers.percent(overlap(*maps.values()), 0),
        help="Of the attention of a word, this share goes to the same words in both models, on average over the "
        "words. Not a goal of the training: a student may find another way to the same answer.",
    )
    st.caption(reason)
    top = max(float(weights[:MOST_TOKENS, :MOST_TOKENS].max()) for weights in maps.values())
    for column, (name, weights) in zip(st.columns(2), maps.items(), strict=True):
        with column:
            which = beside if name == first else layer
            title = f"{title_of(name)}, layer {which}"
            st.plotly_chart(
                heat_map(found.tokens, weights, title, colour_of(name), top),
                key=f"compare-attention-{name}",
                config={"displayModeBar": False},
                alt=f"{title}: {strongest(found.tokens, weights)}",
            )
    if len(found.tokens) > MOST_TOKENS:
        st.caption(f"The first {MOST_TOKENS} of {len(found.tokens)} word pieces are drawn.")


def layer_beside(layer: int, found: Inside, two: Mapping[str, Choice]) -> tuple[int, str]:
    """The first model's layer to lay beside a layer of the second, and in a sentence why this one."""
    first, second = two
    depth = found.layers[first]
    teacher, student = two[first], two[second]
    if teacher.role == "teacher" and student.role != "teacher" and student.has_teacher(teacher):
        settings = student.settings.student
        if settings.initial_weights == "copied":
            came_from = settings.layer_map(depth)[layer]
            return came_from, (
                f"Layer {layer} of the {second} began as a copy of the {first}'s layer {came_from}, so the two are "
                "laid side by side. Layers are counted from 0, where the words enter."
            )
        why = f"The {second} began with random weights, so no layer of it comes from the {first}."
    else:
        why = f"The {second} did not learn from this {first}."
    return same_depth(layer, found.layers[second], depth), (
        f"{why} The layer at about the same depth is shown beside it. Layers are counted from 0, where the words enter."
    )


def strongest(tokens: Sequence[str], weights: NDArray) -> str:
    """Where each of the first words looks most, in words."""
    places = weights.argmax(axis=1).tolist()
    said = [f"{clean(token)} looks most at {clean(tokens[place])}" for token, place in zip(tokens, places, strict=True)]
    return "; ".join(said[:6])


def heat_map(tokens: Sequence[str], weights: NDArray, title: str, colour: str, top: float) -> Figure:
    """Attention (L, L) as a heat map with the words on both axes; `top` is the weight in the full colour."""
    import plotly.graph_objects as go

    words = [escape(short(token, 12)) for token in tokens[:MOST_TOKENS]]
    values, places = 100 * weights[: len(words), : len(words)], list(range(len(words)))
    text = text_colour(theme_type())
    named = [[f"{row} looks at {column}" for column in words] for row in words]
    chart = go.Heatmap(
        z=values,
        customdata=named,
        hovertemplate="%{customdata}: %{z:.1f} %<extra></extra>",
        zmin=0,
        zmax=max(100 * top, 1e-6),
        colorscale=[[0, "rgba(128,128,128,0.08)"], [1, colour]],
        xgap=1,
        ygap=1,
        colorbar={"ticksuffix": " %", "thickness": 12, "tickfont": {"color": text}},
    )
    axis = {
        "tickvals": places,
        "ticktext": words,
        "showgrid": False,
        "zeroline": False,
        "tickfont": {"size": 13, "color": text},
    }
    return go.Figure(
        chart,
        layout={
            "title": {"text": title, "font": {"size": 17}},
            "height": 130 + max(240, 24 * len(words)),
            "margin": {"l": 8, "r": 8, "t": 44, "b": 8},
            "xaxis": axis | {"tickangle": -60, "automargin": True, "fixedrange": True},
            "yaxis": axis | {"autorange": "reversed", "automargin": True, "fixedrange": True},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
        },
    )


def _show_choice(found: Inside, first: str, second: str) -> tuple[int, int | None]:
    layers, heads = found.layers[second], min(found.heads.values())
    columns = st.columns(2)
    key, of_head = f"{LAYER}-{layers}", f"{HEAD}-{heads}"
    layer = columns[0].selectbox(
        f"Layer of the {second}",
        list(range(layers)),
        index=layers - 1,
        format_func=lambda each: f"layer {each}{' (last)' if each == layers - 1 else ''}",
        key=key,
        persist_state="session",
    )
    head = columns[1].selectbox(
        "Head",
        [MEAN, *range(heads)],
        format_func=lambda each: "mean of all heads" if each == MEAN else f"head {each}",
        key=of_head,
        help="A layer looks in several ways at once; each is a head.",
        persist_state="session",
    )
    if len(set(found.heads.values())) > 1:
        st.caption(
            f"The {first} has {found.heads[first]} heads in a layer, the {second} {found.heads[second]}: single heads "
            "of the two have nothing to do with each other."
        )
    return layer, None if head == MEAN else head
