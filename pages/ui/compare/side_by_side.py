"""Side by side: what two or three models answer to one sentence, a pair, or many lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TypeVar

import streamlit as st

from core import numbers
from core.runs import folder as runs
from core.runs.comparable import RunToCompare
from core.scoring.answers import FEW, ScoreComparison, answers, is_loaded
from core.scoring.hidden_words import HiddenWords, guesses
from pages.ui.answers import show_answers, show_scores
from pages.ui.compare.models import Choice, folders_of, whose
from pages.ui.compare.question import is_asked, show_question
from pages.ui.compare.truth import right_or_wrong, truth_of
from pages.ui.examples import known_ends
from pages.ui.hidden_words import show_hidden_words
from pages.ui.replay import read_shares, recorded_ends
from pages.ui.text import as_label, clean, show_text

WISH = "compare-wish"

Found = TypeVar("Found")


def show_side_by_side(run: RunToCompare, chosen: Mapping[str, Choice]) -> None:
    """The question and every model's answer. Raises DistilleryError where there is none."""
    lines = show_question(run)
    if not is_asked(run, lines):
        return
    said_below = {name: whose(choice) for name, choice in chosen.items()}
    models, longest, texts = folders_of(chosen), run.settings.data.max_tokens, lines.sentences
    if run.kind == "words":
        _show_words(models, texts, longest, said_below)
        return
    first, second = (texts[:1], texts[1:]) if run.kind == "pairs" else (texts, None)
    found = asking(models, len(first), lambda: answers(models, first, longest, second))
    if isinstance(found[0], ScoreComparison):
        show_scores(found, ends_of(run), said_below)
    else:
        show_answers(found, said_below)
        if truth := truth_of(run, list(texts)):
            said = {name: answer.label for name, answer in found[0].answers.items()}
            st.write(f"**{as_label(right_or_wrong(said, truth), 200)}**")


def asking(models: Mapping[str, Path], count: int, ask: Callable[[], Found]) -> Found:
    """What `ask` returns; says so while the models have to be opened first, or are asked about many sentences."""
    if is_loaded(models):
        with st.spinner("Asking the models.") if count > FEW else nullcontext():
            return ask()
    with st.spinner("Opening the models. This takes a few seconds, once."), st.skeleton(height=240):
        return ask()


def ends_of(run: RunToCompare) -> tuple[float, float] | None:
    """The scale of a run whose labels are a score: the task's own, or as far as its watched sentences reached."""
    if (ends := known_ends(run.settings.data)) is not None:
        return ends
    frames = read_shares(runs.run_folder(run.run_id), run.settings)
    return recorded_ends(frames) if frames else None


def _show_words(models: dict[str, Path], texts: Sequence[str], longest: int, whose: Mapping[str, str]) -> None:
    answer = st.container()
    word = st.text_input(
        "How probable is a word of your choice?",
        key=WISH,
        placeholder="for instance: wonderful",
        max_chars=60,
        width=420,
        persist_state="session",
    ).strip()
    with answer:
        found = asking(models, len(texts), lambda: guesses(models, texts, longest, wish=word))
        show_hidden_words(found, whose)
    if word and len(found) == 1:
        show_wish(found[0], word)
    elif word:
        st.caption("The probability of a word is shown for one sentence at a time.")


def show_wish(found: HiddenWords, word: str) -> None:
    """How probable each model finds a word at each hidden place, or why nobody can say."""
    for line in wish_lines(found, word):
        show_text(line)


def wish_lines(found: HiddenWords, word: str) -> list[str]:
    """One line a hidden word: "“good”: the teacher 3.1 %, the student 2.4 %." A word of several pieces is explained."""
    wishes = {name: guess.wish for name, guess in found.answers.items() if guess.wish is not None}
    several = {name: wish.pieces for name, wish in wishes.items() if len(wish.pieces) != 1}
    if several:
        pieces = " + ".join(clean(piece) for piece in next(iter(several.values())))
        if not pieces:
            return [f"“{clean(word)}” is not in the models' word list, so it has no probability."]
        return [
            f"“{clean(word)}” has no single probability: the models write it as {pieces}, and a [MASK] stands for "
            "exactly one such piece. Try a more common word."
        ]
    lines = []
    for place in range(found.guessed):
        said = ", ".join(f"the {name} {_fine(wish.probabilities[place])}" for name, wish in wishes.items())
        where = f" as hidden word {place + 1}" if found.guessed > 1 else ""
        lines.append(f"“{clean(word)}”{where}: {said}.")
    return lines


def _fine(share: float) -> str:
    """A probability that may be tiny."""
    return numbers.percent(share) if share >= 0.001 else f"less than 0.1{numbers.THIN}%"
