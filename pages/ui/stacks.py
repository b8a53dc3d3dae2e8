"""The one picture of distillation: the teacher's layers beside the student's, and what passes between them.

Drawn as SVG, so it is sharp at any size, costs nothing, and follows a choice at once.
"""

from __future__ import annotations

from html import escape

import streamlit as st

from core.terms import TERMS, colour_of
from core.terms.declaration import Term
from pages.ui.theme import STUDENT, TEACHER, grid_colour, text_colour

PITCH, WIDTH = 35, 140
TOP, LEFT, RIGHT = 36, 10, 440
CANVAS = 590
"""Units of the drawing; it is scaled to the room it has. The pitch is from one layer to the next."""

TALLEST = 15 * PITCH
"""Deeper stacks are drawn with flatter layers."""

READABLE = 17
"""Layers that are flatter than this carry no words."""


def theme_type() -> str:
    """ "light" or "dark", as the viewer sees the page now."""
    return st.context.theme.type or "light"


def show_layer_map(teacher_layers: int, layer_map: tuple[int, ...], copied: bool, narrower: float = 1.0) -> None:
    """Both stacks, an arrow from each copied teacher layer to the student layer it becomes.

    `narrower` is the student's width as a share of the teacher's.
    """
    pitch = min(PITCH, TALLEST / teacher_layers)
    height = _height(teacher_layers, pitch)
    width = WIDTH * max(0.45, narrower)
    drawing = _stack(LEFT, teacher_layers, height, TEACHER, "Teacher", pitch=pitch)
    drawing += _stack(RIGHT, len(layer_map), height, STUDENT, "Student", copied, pitch, width)
    for place, layer in enumerate(layer_map):
        if copied:
            drawing += _arrow(LEFT + WIDTH, _middle(layer, height, pitch), RIGHT, _middle(place, height, pitch))
    if not copied:
        drawing += _words((LEFT + WIDTH + RIGHT) / 2, height / 2, "starts from random weights")
    chosen = ", ".join(str(layer) for layer in layer_map)
    how = f"copied from teacher layers {chosen}" if copied else "with random weights"
    st.image(
        _svg(height, drawing),
        width="stretch",
        alt=f"Teacher of {teacher_layers} layers; student of {len(layer_map)} layers {how}.",
    )


def show_distillation() -> None:
    """Both stacks of the demo and the three arrows of the loss."""
    teacher_layers, student_layers = 6, 3
    height = _height(teacher_layers)
    drawing = _stack(LEFT, teacher_layers, height, TEACHER, "Teacher (large)")
    drawing += _stack(RIGHT, student_layers, height, STUDENT, "Student (small)")
    taught = [term for term in TERMS if term.paper_weight and term.asks_teacher]
    true = [term for term in TERMS if term.paper_weight and not term.asks_teacher]
    into = _middle(student_layers - 1, height)
    arrows = [
        (term, LEFT + WIDTH, _middle(teacher_layers - 1 - 2 * place, height), into - 8 + 14 * place)
        for place, term in enumerate(taught)
    ]
    # The true labels do not come from the teacher, so their arrow begins in the open.
    level = _middle(0.5, height)
    arrows += [(term, LEFT + WIDTH + 40, level, level) for term in true]
    for term, x, begin, end in arrows:
        words = f"{term.label.lower()}: {term.in_short}"
        drawing += _arrow(x, begin, RIGHT, end, colour_of(term.name), 3, bend=0.85)
        drawing += _words(LEFT + WIDTH + 14, begin - 9, words, anchor="start")
    st.image(
        _svg(height, drawing),
        width="stretch",
        alt=f"A teacher of six layers and a student of three. Arrows lead to the student: {_listed(taught)} from the "
        f"teacher, {_listed(true)} from what is true.",
    )


def _listed(terms: list[Term]) -> str:
    return " and ".join(term.label.lower() for term in terms)


def _stack(
    x: float,
    layers: int,
    height: float,
    colour: str,
    title: str,
    solid: bool = True,
    pitch: float = PITCH,
    width: float = WIDTH,
) -> str:
    boxes = _words(x + width / 2, _middle(layers - 0.5, height, pitch) - 10, title, bold=True)
    fill = f'fill="{colour}" fill-opacity="0.9"' if solid else 'fill="none"'
    tall = 0.8 * pitch
    for layer in range(layers):
        middle = _middle(layer, height, pitch)
        boxes += (
            f'<rect x="{x}" y="{middle - tall / 2:.1f}" width="{width:.1f}" height="{tall:.1f}" rx="{tall / 5:.1f}" '
            f'{fill} stroke="{colour}" '
            f'stroke-width="1.5"{"" if solid else " stroke-dasharray=" + chr(34) + "5 4" + chr(34)}/>'
        )
        if pitch > READABLE:
            size = min(15, 0.62 * tall)
            name = f"layer {layer}" if width > WIDTH / 2 else str(layer)
            boxes += _words(x + width / 2, middle + 0.34 * size, name, "#ffffff" if solid else None, size=size)
    return boxes


def _height(layers: int, pitch: float = PITCH) -> float:
    return TOP + layers * pitch + 16


def _middle(layer: float, height: float, pitch: float = PITCH) -> float:
    """Layers grow from the bottom, where the words enter."""
    return height - 14 - (layer + 0.5) * pitch


def _arrow(
    x1: float, y1: float, x2: float, y2: float, colour: str | None = None, width: float = 2, bend: float = 0.5
) -> str:
    colour = colour or text_colour(theme_type())
    turn = x1 + bend * (x2 - x1)
    return (
        f'<path d="M{x1 + 4},{y1} C{turn},{y1} {turn},{y2} {x2 - 10},{y2}" fill="none" stroke="{colour}" '
        f'stroke-width="{width}"/>'
        f'<path d="M{x2 - 12},{y2 - 5} L{x2 - 2},{y2} L{x2 - 12},{y2 + 5} Z" fill="{colour}"/>'
    )


def _words(
    x: float,
    y: float,
    words: str,
    colour: str | None = None,
    bold: bool = False,
    anchor: str = "middle",
    size: float = 15,
) -> str:
    fill = colour or text_colour(theme_type())
    weight = 600 if bold else 400
    return (
        f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="{size:g}" font-weight="{weight}" fill="{fill}">'
        f"{escape(words)}</text>"
    )


def _svg(height: float, drawing: str) -> str:
    frame = grid_colour(theme_type())
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {CANVAS} {height}" font-family="sans-serif">'
        f'<line x1="16" x2="{CANVAS - 16}" y1="{height - 6}" y2="{height - 6}" stroke="{frame}"/>{drawing}</svg>'
    )
