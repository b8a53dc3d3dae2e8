"""Watch it learn: the student's answers to a handful of sentences, from before its first step to its last."""

from __future__ import annotations

from html import escape
from pathlib import Path

import streamlit as st

from core.runs import folder as runs
from core.runs.events import Event, read_events
from pages.ui import numbers
from pages.ui.stacks import theme_type
from pages.ui.text import show_text
from pages.ui.theme import STUDENT, TEACHER, grid_colour, text_colour

EVERY_S = 3.0


def show_replay(folder: Path) -> None:
    """The watched sentences with a slider over the recorded steps; follows the newest while the run trains."""
    if not runs.read_settings(folder).probes:
        return
    training = runs.read_status(folder).state in runs.ACTIVE
    st.subheader("Watch it learn")
    st.caption("How likely each model finds that a sentence is positive. Move the slider back to see how it began.")
    st.fragment(_frame, run_every=EVERY_S if training else None)(folder, training)


def _frame(folder: Path, training: bool) -> None:
    if training and not folder.exists():
        st.rerun()  # the whole page says what became of it
    probes = runs.read_settings(folder).probes
    recorded = [event for event in read_events(folder / "metrics.jsonl")[0] if _is_frame(event, len(probes))]
    if not recorded:
        st.caption("The first answers appear when the student begins." if training else "This run recorded no answers.")
        return
    frames = {event["step"]: event for event in recorded}
    step = _chosen_step(folder.name, list(frames), follow=training)
    for number, sentence in enumerate(probes):
        _show_sentence(sentence, number, frames[step])


def _is_frame(event: Event, probes: int) -> bool:
    """True for both models' answers to every watched sentence at one step."""
    answers = [event.get("student"), event.get("teacher")]
    complete = all(isinstance(rows, list) and len(rows) == probes and all(rows) for rows in answers)
    return event.get("event") == "probe" and type(event.get("step")) is int and complete


def _chosen_step(run_id: str, steps: list[int], follow: bool) -> int:
    if len(steps) == 1:
        return steps[0]
    key = f"replay-{run_id}"
    newest = f"{key}-newest"
    # While it trains the slider stays at the end unless somebody has moved it away from there.
    if key not in st.session_state or (follow and st.session_state[key] == st.session_state.get(newest)):
        st.session_state[key] = steps[-1]
    st.session_state[newest] = steps[-1]
    return st.select_slider("Step", steps, key=key)


def _show_sentence(sentence: str, number: int, event: Event) -> None:
    student, teacher = event["student"][number][-1], event["teacher"][number][-1]
    words, bars = st.columns([2, 3], vertical_alignment="center")
    with words:
        show_text(sentence)
    finding = f"Student {numbers.percent(student, 0)} positive, teacher {numbers.percent(teacher, 0)}"
    bars.image(_scale(student, teacher), width="stretch", alt=finding)


def _scale(student: float, teacher: float) -> str:
    """One line from negative to positive, the teacher's mark above it and the student's below."""
    width, left, line = 560, 24, 34
    text, grid = text_colour(theme_type()), grid_colour(theme_type())

    def x(share: float) -> float:
        return left + share * (width - 2 * left)

    def label(share: float, y: float, words: str) -> str:
        # Near an end the words would be cut: let them end or begin at the mark there.
        anchor = "start" if share < 0.2 else "end" if share > 0.8 else "middle"
        return (
            f'<text x="{x(share)}" y="{y}" text-anchor="{anchor}" fill="{text}" font-size="13">{escape(words)}</text>'
        )

    def bar(end: float, begin: float, colour: str, look: str) -> str:
        return (
            f'<line x1="{x(begin)}" x2="{x(end)}" y1="{line}" y2="{line}" stroke="{colour}" stroke-width="6" {look}/>'
        )

    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} 68" font-family="sans-serif">'
        + bar(0, 1, grid, 'stroke-linecap="round"')
        + f'<line x1="{x(0.5)}" x2="{x(0.5)}" y1="{line - 8}" y2="{line + 8}" stroke="{grid}" stroke-width="2"/>'
        + bar(student, teacher, STUDENT, 'opacity="0.35"')
        + f'<path d="M{x(teacher)},{line - 13} l13,13 l-13,13 l-13,-13 Z" fill="{TEACHER}"/>'
        + f'<circle cx="{x(student)}" cy="{line}" r="6" fill="{STUDENT}"/>'
        + label(teacher, 15, f"teacher {numbers.percent(teacher, 0)}")
        + label(student, 62, f"student {numbers.percent(student, 0)}")
        + "</svg>"
    )
