"""The one picture of distillation: the teacher's layers beside the student's, and what passes between them.

Drawn as SVG, so it is sharp at any size, costs nothing, and follows a choice at once.
"""

from __future__ import annotations

from html import escape

import streamlit as st

from pages.ui.theme import COSINE, HARD, SOFT, STUDENT, TEACHER, grid_colour, text_colour

LAYER_HEIGHT, GAP, WIDTH = 28, 7, 140
TOP, LEFT, RIGHT = 36, 10, 440
CANVAS = 590
"""Units of the drawing; it is scaled to the room it has."""


def theme_type() -> str:
    """ "light" or "dark", as the viewer sees the page now."""
    return st.context.theme.type or "light"


def show_layer_map(teacher_layers: int, layer_map: tuple[int, ...], copied: bool) -> None:
    """Both stacks, an arrow from each copied teacher layer to the student layer it becomes."""
    height = _height(teacher_layers)
    drawing = _stack(LEFT, teacher_layers, height, TEACHER, "Teacher")
    drawing += _stack(RIGHT, len(layer_map), height, STUDENT, "Student", copied)
    for place, layer in enumerate(layer_map):
        if copied:
            drawing += _arrow(LEFT + WIDTH, _middle(layer, height), RIGHT, _middle(place, height))
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
    into = _middle(student_layers - 1, height)
    arrows = (
        (SOFT, _middle(5, height), into - 8, "soft targets: copy its doubts"),
        (COSINE, _middle(3, height), into + 6, "hidden cosine: think alike"),
        (HARD, _middle(0.5, height), _middle(0.5, height), "hard targets: the true labels"),
    )
    for colour, begin, end, words in arrows:
        # The true labels do not come from the teacher, so their arrow begins in the open.
        x = LEFT + WIDTH + (40 if colour == HARD else 0)
        drawing += _arrow(x, begin, RIGHT, end, colour, 3, bend=0.85) + _words(
            LEFT + WIDTH + 14, begin - 9, words, anchor="start"
        )
    st.image(
        _svg(height, drawing),
        width="stretch",
        alt="A teacher of six layers and a student of three. Three arrows lead to the student: soft targets and "
        "hidden cosine from the teacher, hard targets from the true labels.",
    )


def _stack(x: float, layers: int, height: float, colour: str, title: str, solid: bool = True) -> str:
    boxes = _words(x + WIDTH / 2, _middle(layers - 0.5, height) - 10, title, bold=True)
    fill = f'fill="{colour}" fill-opacity="0.9"' if solid else 'fill="none"'
    for layer in range(layers):
        y = _middle(layer, height) - LAYER_HEIGHT / 2
        boxes += (
            f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{LAYER_HEIGHT}" rx="6" {fill} stroke="{colour}" '
            f'stroke-width="1.5"{"" if solid else " stroke-dasharray=" + chr(34) + "5 4" + chr(34)}/>'
        )
        boxes += _words(x + WIDTH / 2, y + 19, f"layer {layer}", colour="#ffffff" if solid else None)
    return boxes


def _height(layers: int) -> float:
    return TOP + layers * (LAYER_HEIGHT + GAP) + 16


def _middle(layer: float, height: float) -> float:
    """Layers grow from the bottom, where the words enter."""
    return height - 14 - (layer + 0.5) * (LAYER_HEIGHT + GAP)


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
    x: float, y: float, words: str, colour: str | None = None, bold: bool = False, anchor: str = "middle"
) -> str:
    fill = colour or text_colour(theme_type())
    weight = 600 if bold else 400
    return (
        f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="15" font-weight="{weight}" fill="{fill}">'
        f"{escape(words)}</text>"
    )


def _svg(height: float, drawing: str) -> str:
    frame = grid_colour(theme_type())
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {CANVAS} {height}" font-family="sans-serif">'
        f'<line x1="16" x2="{CANVAS - 16}" y1="{height - 6}" y2="{height - 6}" stroke="{frame}"/>{drawing}</svg>'
    )
