"""Watch it learn: the student's answers to a handful of sentences, from before its first step to its last.

The teacher's answers never change, so whatever moves on these pictures is the student. Every picture keeps its height,
so that the page stands still while it trains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Generic, TypeVar

import streamlit as st

from core import numbers
from core.config import MASK, Settings
from core.errors import DistilleryError
from core.runs import folder as runs
from core.runs.comparable import kind_of, label_names
from core.runs.events import Event, read_events
from core.scoring.hidden_words import Word, shown
from core.storage import is_number
from pages.ui import marks
from pages.ui.hidden_words import two_lists
from pages.ui.marks import Ends
from pages.ui.text import as_label, clean, show_text

EVERY_S = 3.0

MAX_ROWS = 5
"""Labels drawn for one sentence; of more, the least probable for the teacher share the last row."""

WORDS = 5
"""Words of each model that are recorded for a sentence."""

_MEANING_OF_WORDS = (
    f"The five words that each model finds most likely in place of the first {MASK}. A line joins words that both name."
)

Row = TypeVar("Row", list[float], list[Word])
"""The answer to one sentence: a share for each label or one score, or words."""


@dataclass(frozen=True)
class Frame(Generic[Row]):
    """Both models' answers to every watched sentence at one step."""

    step: int
    teacher: list[Row]
    student: list[Row]


Shares = Frame[list[float]]
Guesses = Frame[list[Word]]


def show_replay(folder: Path) -> None:
    """The watched sentences with a slider over the recorded steps; follows the newest while the run trains."""
    settings = runs.read_settings(folder)
    # Models of pairs are not asked: a watched sentence is one text.
    if not settings.probes or kind_of(settings) == "pairs":
        return
    training = runs.read_status(folder).state in runs.ACTIVE
    st.subheader("Watch it learn")
    st.fragment(_show_frame, run_every=EVERY_S if training else None)(folder, settings, training)


def read_shares(folder: Path, settings: Settings) -> list[Shares]:
    """What a run that learns labels has recorded so far, by step: as many numbers for each sentence in every frame.

    Lines that are no answers to these sentences are passed over.
    """
    found = _frames(folder, len(settings.probes), _shares)
    frames = _by_step(frame for frame in found if len(_widths(frame)) == 1)
    return [frame for frame in frames if _width(frame) == _width(frames[-1])]


def read_guesses(folder: Path, settings: Settings) -> list[Guesses]:
    """What a run that learns masked words has recorded so far, by step; other lines are passed over."""
    return _by_step(_frames(folder, len(settings.probes), _words))


def recorded_ends(frames: list[Shares]) -> Ends:
    """The ends of a scale that holds every recorded score of both models."""
    return marks.round_ends(row[0] for frame in frames for row in (*frame.teacher, *frame.student))


def first_words(frames: list[Guesses], number: int) -> list[str]:
    """The student's first word for one sentence, each time that it changed."""
    words = [frame.student[number][0].text for frame in frames if frame.student[number]]
    return words[:1] + [later for earlier, later in pairwise(words) if later != earlier]


def _show_frame(folder: Path, settings: Settings, training: bool) -> None:
    if training and not folder.exists():
        st.rerun()  # the whole page says what became of it
    try:
        if _show_recorded(folder, settings, training):
            return
    except DistilleryError as error:
        st.caption(as_label(str(error), 300))
        return
    st.caption("The first answers appear when the student begins." if training else "This run recorded no answers.")


def _show_recorded(folder: Path, settings: Settings, training: bool) -> bool:
    """The pictures of what was recorded; False if nothing was. Raises BrokenRun if it cannot be read."""
    if settings.objective == "masked_words":
        if guesses := read_guesses(folder, settings):
            seen = _seen(folder.name, guesses, _MEANING_OF_WORDS, training)
            _show_words(settings.probes, guesses, seen)
            return True
    elif shares := read_shares(folder, settings):
        names = label_names(folder, _width(shares[0]))
        newest = _seen(folder.name, shares, _meaning(names), training)[-1]
        _show_numbers(settings.probes, shares, newest, names)
        return True
    return False


def _seen(run_id: str, frames: list[Frame[Row]], meaning: str, training: bool) -> list[Frame[Row]]:
    """The frames up to the chosen step, after a line that says what their pictures show."""
    how = " Move the slider back to see how the student began." if len(frames) > 1 else ""
    st.caption(meaning + how)
    step = _chosen_step(run_id, [frame.step for frame in frames], follow=training)
    return [frame for frame in frames if frame.step <= step]


def _meaning(names: tuple[str, ...]) -> str:
    """What the pictures of shares or scores show."""
    if len(names) == 1:
        return "The score that each model gives to each sentence."
    if len(names) == 2:
        return f"How likely each model finds “{as_label(names[1])}”."
    return "How likely each model finds each label. The diamond is the teacher; the dot and the number are the student."


def _chosen_step(run_id: str, steps: list[int], follow: bool) -> int:
    if len(steps) == 1:
        return steps[0]
    key = f"replay-{run_id}"
    newest = f"{key}-newest"
    # While it trains the slider stays at the end unless somebody has moved it away from there.
    if st.session_state.get(key) not in steps or (follow and st.session_state[key] == st.session_state.get(newest)):
        st.session_state[key] = steps[-1]
    st.session_state[newest] = steps[-1]
    return st.select_slider("Step", steps, key=key)


def _show_numbers(probes: tuple[str, ...], frames: list[Shares], frame: Shares, names: tuple[str, ...]) -> None:
    if len(names) == 1:
        _show_scores(probes, frame, recorded_ends(frames))
    elif len(names) == 2:
        _show_shares(probes, frame, names)
    else:
        for number, sentence in enumerate(probes):
            _show_labels(sentence, frame.teacher[number], frame.student[number], names)


def _show_words(probes: tuple[str, ...], frames: list[Guesses], seen: list[Guesses]) -> None:
    for start in range(0, len(probes), 2):
        for column, number in zip(st.columns(2), range(start, min(start + 2, len(probes))), strict=False):
            with column.container(border=True, height="stretch"):
                _show_one_mask(probes[number], number, frames, seen)


def _show_one_mask(sentence: str, number: int, frames: list[Guesses], seen: list[Guesses]) -> None:
    show_text(sentence)
    teacher, student = seen[-1].teacher[number], seen[-1].student[number]
    if not teacher or not student:
        st.caption(f"The {MASK} lies beyond the part of the sentence that the models read.")
        return
    recorded = [word.probability for frame in frames for row in (frame.teacher, frame.student) for word in row[number]]
    said = f"Teacher: {_spoken(teacher)}. Student: {_spoken(student)}."
    picture = two_lists(teacher, student, max(*recorded, 1e-9), WORDS, first_words(seen, number))
    st.image(picture, width="stretch", alt=said)


def _show_scores(probes: tuple[str, ...], frame: Shares, ends: Ends) -> None:
    _show_ends(marks.value(ends[0]), marks.value(ends[1]))
    for number, sentence in enumerate(probes):
        teacher, student = frame.teacher[number][0], frame.student[number][0]
        said = f"Student {marks.value(student)}, teacher {marks.value(teacher)}"
        _show_sentence(sentence, marks.line(teacher, student, ends, marks.value), said)


def _show_shares(probes: tuple[str, ...], frame: Shares, names: tuple[str, ...]) -> None:
    _show_ends(names[0], names[1])
    for number, sentence in enumerate(probes):
        teacher, student = frame.teacher[number][1], frame.student[number][1]
        said = f"Student {_whole(student)} {clean(names[1])}, teacher {_whole(teacher)}"
        _show_sentence(sentence, marks.line(teacher, student, (0, 1), _whole), said)


def _show_labels(sentence: str, teacher: list[float], student: list[float], names: tuple[str, ...]) -> None:
    # The teacher's order never changes, so the rows keep their places while the student learns.
    order = sorted(range(len(names)), key=lambda place: -teacher[place])
    kept, rest = (order, []) if len(order) <= MAX_ROWS else (order[: MAX_ROWS - 1], order[MAX_ROWS - 1 :])
    shown_names = [names[place] for place in kept] + ([f"{len(rest)} others"] if rest else [])
    shares = {
        role: [row[place] for place in kept] + ([sum(row[place] for place in rest)] if rest else [])
        for role, row in {"teacher": teacher, "student": student}.items()
    }
    first = student.index(max(student))
    said = f"Student: {clean(names[first])}, teacher: {clean(names[order[0]])}"
    bold = kept.index(first) if first in kept else None
    _show_sentence(sentence, marks.rows(shown_names, shares["teacher"], shares["student"], bold, _whole), said, said)


def _show_sentence(sentence: str, picture: str, said: str, below: str = "") -> None:
    words, drawing = st.columns([2, 3], vertical_alignment="center")
    with words:
        show_text(sentence)
        if below:
            st.caption(as_label(below, 200))
    drawing.image(picture, width="stretch", alt=said)


def _show_ends(low: str, high: str) -> None:
    _, drawing = st.columns([2, 3])
    drawing.image(marks.line_ends(low, high), width="stretch", alt=f"From {clean(low)} to {clean(high)}")


def _frames(folder: Path, probes: int, parse: Callable[[Any], Row | None]) -> list[Frame[Row]]:
    events = read_events(folder / "metrics.jsonl", kind="probe")[0]
    return [frame for event in events if (frame := _frame(event, probes, parse)) is not None]


def _by_step(frames: Iterable[Frame[Row]]) -> list[Frame[Row]]:
    # Of several frames of one step the last counts, as in a run that went on from an earlier one.
    return sorted({frame.step: frame for frame in frames}.values(), key=lambda frame: frame.step)


def _frame(event: Event, probes: int, parse: Callable[[Any], Row | None]) -> Frame[Row] | None:
    """The answers in a line of metrics.jsonl; None for any other line."""
    step = event.get("step")
    if event.get("event") != "probe" or type(step) is not int:
        return None
    teacher, student = (_rows(event.get(model), probes, parse) for model in ("teacher", "student"))
    return None if teacher is None or student is None else Frame(step, teacher, student)


def _rows(raw: Any, probes: int, parse: Callable[[Any], Row | None]) -> list[Row] | None:
    """One row for each watched sentence, or None."""
    if not isinstance(raw, list) or len(raw) != probes:
        return None
    rows = [row for each in raw if (row := parse(each)) is not None]
    return rows if len(rows) == probes else None


def _shares(raw: Any) -> list[float] | None:
    """Numbers, at least one."""
    whole = isinstance(raw, list) and raw and all(is_number(value) for value in raw)
    return [float(value) for value in raw] if whole else None


def _words(raw: Any) -> list[Word] | None:
    """Pairs of a word and its probability; none where the hidden word was cut off."""
    if not isinstance(raw, list):
        return None
    whole = all(
        isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) and is_number(pair[1]) for pair in raw
    )
    return [Word(shown(piece), float(share)) for piece, share in raw[:WORDS]] if whole else None


def _widths(frame: Shares) -> set[int]:
    """How many numbers each answer has."""
    return {len(row) for row in (*frame.teacher, *frame.student)}


def _width(frame: Shares) -> int:
    """How many numbers there are for each sentence."""
    return len(frame.student[0])


def _whole(share: float) -> str:
    return numbers.percent(share, 0)


def _spoken(words: list[Word]) -> str:
    return ", ".join(f"{clean(word.text)} {_whole(word.probability)}" for word in words)
