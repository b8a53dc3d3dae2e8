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

WORDS_END = 352
"""Where the words above an arrow have ended."""

ROOM, CLOSE = 14, 0.34
"""Units above the topmost words, and how far apart arrows end that lead to the same, as a share of the pitch."""

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
    """Both stacks of the demo, each with its answer on top, and the three arrows of the loss.

    An arrow leads from what a term takes of the teacher to the same of the student.
    """
    teacher_layers, student_layers = 6, 3
    height = _height(teacher_layers + 1) + ROOM
    drawing = _stack(LEFT, teacher_layers, height, TEACHER, "Teacher (large)", answers=True)
    drawing += _stack(RIGHT, student_layers, height, STUDENT, "Student (small)", answers=True)
    for term, begin, end in loss_arrows(teacher_layers, student_layers):
        # The true labels do not come from the teacher, so their arrow begins in the open.
        x = LEFT + WIDTH + (0 if term.asks_teacher else 40)
        start, words = _middle(begin, height), f"{term.label.lower()}: {term.in_short}"
        drawing += _arrow(x, start, RIGHT, _middle(end, height), colour_of(term.name), 3, level_to=WORDS_END)
        drawing += _words(LEFT + WIDTH + 14, start - 9, words, anchor="start")
    states, answers, true = (_listed(part) for part in _taken())
    st.image(
        _svg(height, drawing),
        width="stretch",
        alt=f"A teacher of six layers and a student of three, each with its answer on top. Arrows lead to the student: "
        f"{answers} from the teacher's answer to the student's, {states} from the teacher's last layer to the "
        f"student's, {true} from what is true to the student's answer.",
    )


def loss_arrows(teacher_layers: int, student_layers: int) -> list[tuple[Term, float, float]]:
    """Each term of the paper, topmost first, with the level where its arrow begins and the one where it ends.

    A level is a layer's number from 0; an answer's is the number of layers below it. What is true lies above the
    teacher's answer, where no layer is.
    """
    states, answers, true = _taken()
    into_answer = len(true) + len(answers)
    arrows = [(term, teacher_layers + 1.0) for term in true] + [(term, float(teacher_layers)) for term in answers]
    return [
        (term, begin, student_layers + CLOSE * ((into_answer - 1) / 2 - place))
        for place, (term, begin) in enumerate(arrows)
    ] + [(term, teacher_layers - 1.0, student_layers - 1.0) for term in states]


def _taken() -> tuple[list[Term], list[Term], list[Term]]:
    """The paper's terms: those of hidden states, those of the teacher's answers, those of what is true."""
    paper = [term for term in TERMS if term.paper_weight]
    return (
        [term for term in paper if term.needs],
        [term for term in paper if term.asks_teacher and not term.needs],
        [term for term in paper if not term.asks_teacher],
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
    answers: bool = False,
) -> str:
    boxes = _words(x + width / 2, _middle(layers - 0.5 + answers, height, pitch) - 10, title, bold=True)
    boxes += _answer(x, _middle(layers, height, pitch), colour) if answers else ""
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


def _answer(x: float, middle: float, colour: str) -> str:
    """What a stack says in the end: no layer, so outlined."""
    look = f'rx="14" fill="none" stroke="{colour}" stroke-width="1.5"'
    return f'<rect x="{x}" y="{middle - 14}" width="{WIDTH}" height="28" {look}/>' + _words(
        x + WIDTH / 2, middle + 5, "answer"
    )


def _height(layers: int, pitch: float = PITCH) -> float:
    return TOP + layers * pitch + 16


def _middle(layer: float, height: float, pitch: float = PITCH) -> float:
    """Layers grow from the bottom, where the words enter."""
    return height - 14 - (layer + 0.5) * pitch


def _arrow(
    x1: float, y1: float, x2: float, y2: float, colour: str | None = None, width: float = 2, level_to: float = 0.0
) -> str:
    """An arrow that runs level from its beginning as far as `level_to`, below the words that stand there."""
    colour = colour or text_colour(theme_type())
    bends = max(x1 + 4, level_to)
    turn = (bends + x2) / 2
    return (
        f'<path d="M{x1 + 4},{y1} H{bends} C{turn},{y1} {turn},{y2} {x2 - 10},{y2}" fill="none" stroke="{colour}" '
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
