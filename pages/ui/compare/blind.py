"""A blind test for an audience: a sentence, two answers without names, and whether anybody can tell the large model.

The order is drawn anew for every round, both answers are there before either is shown, and neither its time nor its
colour tells whose it is.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import streamlit as st

from core import numbers
from core.runs import folder as runs
from core.runs.comparable import RunToCompare, model_folders
from core.scoring.answers import Answer, Score, answers, read_lines, read_pair
from core.scoring.hidden_words import Guesses, guesses
from core.scoring.slices import wilson
from pages.ui import marks
from pages.ui.answers import bars
from pages.ui.compare.kept import held_out_of
from pages.ui.compare.side_by_side import asking
from pages.ui.examples import HIDDEN
from pages.ui.hidden_words import word_bars
from pages.ui.marks import svg
from pages.ui.stacks import theme_type
from pages.ui.text import as_label, clean, show_text
from pages.ui.theme import grid_colour, text_colour

ROUND, SCORE, TYPED = "compare-round", "compare-score", "compare-blind-text"
NEUTRAL = "#8A8F9E"
SIDES = ("A", "B")


Asked = tuple[str, str | None, str]
"""A sentence, or the two texts of a pair, and the true label: empty where nobody knows it."""

Reply = Answer | Score | Guesses
"""What a model says: labels, a score, or words in place of a hidden one."""


@dataclass(frozen=True)
class Said:
    """An answer without its author: what is said, the picture of it, and the picture in words."""

    words: str
    picture: str
    alt: str


@dataclass(frozen=True)
class Round:
    """One question to the audience. `teacher` is the side, "A" or "B", on which the large model answers."""

    run_id: str
    text: str
    second: str | None
    answers: Mapping[str, Reply]
    teacher: str
    guess: str = ""
    truth: str = ""

    @property
    def is_right(self) -> bool:
        """True once the large model was found."""
        return self.guess == self.teacher


def show_blind(run: RunToCompare) -> None:
    """The sentence, the two answers, the guess, and the score so far. Raises DistilleryError if a model is missing."""
    st.write(
        "Two answers, no names. Can anybody tell which one comes from the large model? If about half the guesses are "
        "right, nobody can: the small one has learned to talk like it."
    )
    texts = _texts(run)
    current: Round | None = st.session_state.get(ROUND)
    if current is None or current.run_id != run.run_id:
        if texts is None:
            _show_typed(run)
            return
        _next(run, texts)
        current = st.session_state[ROUND]
    _show_round(current)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Next sentence",
            key="compare-blind-next",
            type="primary" if current.guess else "secondary",
            on_click=_next,
            args=(run, texts),
            disabled=texts is None,
        )
    show_score(*_score(run))
    _show_typed(run)


def show_score(hits: int, count: int) -> None:
    """How often the audience was right so far, beside chance."""
    if not count:
        st.caption("No guess yet. Chance alone is right in half of them.")
        return
    low, high = wilson(hits, count)
    st.subheader(f"{hits} of {count} right: {numbers.percent(hits / count, 0)}", anchor=False)
    st.image(score_picture(hits, count), width="stretch", alt=verdict(hits, count))
    st.caption(f"{verdict(hits, count)} 95 % interval {100 * low:.0f} to {100 * high:.0f} % (Wilson); chance is 50 %.")


def verdict(hits: int, count: int) -> str:
    """What a score means so far, in one plain sentence."""
    low, high = wilson(hits, count)
    if low > 0.5:
        return "The audience can tell the two apart."
    if high < 0.5:
        return "The audience takes the small model for the large one."
    if count < 10:
        return "Too few guesses to say: go on."
    return "Guessing would do as well: nobody can tell the two apart so far."


def score_picture(hits: int, count: int) -> str:
    """SVG: the share of right guesses with its interval on a line from 0 to 100 %, and the chance line at 50 %."""
    low, high = wilson(hits, count)
    text, grid = text_colour(theme_type()), grid_colour(theme_type())

    def x(share: float) -> str:
        return f"{3 + 94 * share:.2f}%"

    return svg(
        78,
        f'<line x1="{x(0)}" x2="{x(1)}" y1="38" y2="38" stroke="{grid}" stroke-width="6" stroke-linecap="round"/>'
        f'<line x1="{x(low)}" x2="{x(high)}" y1="38" y2="38" stroke="{text}" stroke-width="10" opacity="0.35" '
        'stroke-linecap="round"/>'
        f'<line x1="50%" x2="50%" y1="18" y2="58" stroke="{text}" stroke-width="2" stroke-dasharray="5 4"/>'
        f'<text x="50%" y="13" text-anchor="middle" font-size="14" fill="{text}">chance, 50 %</text>'
        f'<circle cx="{x(hits / count)}" cy="38" r="9" fill="{text}"/>'
        f'<text x="0" y="74" font-size="14" fill="{text}">never right</text>'
        f'<text x="100%" y="74" text-anchor="end" font-size="14" fill="{text}">always right</text>',
    )


def _texts(run: RunToCompare) -> list[Asked] | None:
    """Sentences to ask about: of the held-out set, or for hidden words the examples; None while there are none."""
    if run.kind == "words":
        return [(text, None, "") for text in (*(text for (text,) in HIDDEN.values()), *run.settings.probes)]
    found = held_out_of(run, "compare-blind")
    if found is None:
        return None
    names = found.label_names
    truths = [names[int(label)] if names else "" for label in found.labels]
    seconds: Sequence[str | None] = found.seconds or [None] * len(found)
    return list(zip(found.texts, seconds, truths, strict=True))


def _show_typed(run: RunToCompare) -> None:
    with st.expander("Ask about a sentence of your own"):
        keys = (TYPED, f"{TYPED}-second") if run.kind == "pairs" else (TYPED,)
        labels = ("First text", "Second text") if run.kind == "pairs" else ("A sentence",)
        for key, label in zip(keys, labels, strict=True):
            hint = "with a [MASK] for the hidden word" if run.kind == "words" else None
            st.text_input(label, key=key, placeholder=hint, max_chars=1000)
        st.button("Ask this", key="compare-blind-ask", on_click=_ask_typed, args=(run, keys))


def _ask_typed(run: RunToCompare, keys: tuple[str, ...]) -> None:
    typed = [st.session_state[key] for key in keys]
    lines = read_pair(*typed) if len(keys) > 1 else read_lines(" ".join(typed[0].split()))
    if len(lines.sentences) == len(keys):
        st.session_state[ROUND] = new_round(run, lines.sentences[0], lines.sentences[1] if len(keys) > 1 else None)


def _next(run: RunToCompare, texts: list[Asked]) -> None:
    before = st.session_state.get(ROUND)
    others = [each for each in texts if before is None or each[0] != before.text] or texts
    # Of hidden words a long example can lie beyond what the models read: then another one.
    for text, second, truth in secrets.SystemRandom().sample(others, min(5, len(others))):
        st.session_state[ROUND] = new_round(run, text, second, truth)
        if st.session_state[ROUND].answers:
            return


def new_round(run: RunToCompare, text: str, second: str | None, truth: str = "") -> Round:
    """A question with both answers, on sides drawn by lot."""
    models, longest = model_folders(runs.run_folder(run.run_id)), run.settings.data.max_tokens
    if run.kind == "words":
        (guessed,) = asking(models, 1, lambda: guesses(models, [text], longest))
        replies: Mapping[str, Reply] = guessed.answers
    else:
        (answered,) = asking(models, 1, lambda: answers(models, [text], longest, None if second is None else [second]))
        replies = answered.answers
    teacher = SIDES[secrets.randbelow(2)]
    student = SIDES[1 - SIDES.index(teacher)]
    given = {teacher: replies["teacher"], student: replies["student"]} if replies else {}
    # Sorted by side: the order of a dictionary would tell.
    return Round(run.run_id, text, second, {side: given[side] for side in sorted(given)}, teacher, truth=truth)


def _show_round(current: Round) -> None:
    with st.container(border=True):
        show_text(clean(current.text[:1500]))
        if current.second is not None:
            show_text(clean(current.second[:1500]))
    if not current.answers:
        st.info("There is no [MASK] in the part that the models read, so there is no word to guess. Ask another one.")
        return
    drawn = {side: _said(current, side) for side in SIDES}
    for column, (side, said) in zip(st.columns(2), drawn.items(), strict=True):
        with column.container(border=True, height="stretch"):
            st.metric(f"Answer {side}", as_label(said.words))
            if said.picture:
                st.image(said.picture, width="stretch", alt=f"Answer {side}: {said.alt}")
            if current.guess:
                who = "The large model (teacher)" if side == current.teacher else "The small model (student)"
                st.caption(f"{who}{_verdict_of(current, side)}")
            else:
                st.button(
                    f"{side} is the large model",
                    key=f"compare-blind-{side}",
                    width="stretch",
                    on_click=_guess,
                    args=(side,),
                )
    if current.guess:
        show = st.success if current.is_right else st.warning
        show(f"{'Right' if current.is_right else 'Wrong'}: the large model was answer {current.teacher}.")
        if current.truth:
            st.caption(as_label(f"True label of this text: {current.truth}.", 200))


def _verdict_of(current: Round, side: str) -> str:
    """What a model's answer is worth, once the audience has guessed; empty where nobody knows what is true."""
    answer = current.answers[side]
    if not current.truth or not isinstance(answer, Answer):
        return ""
    return f": {'right' if answer.label == current.truth else 'wrong'} about this text"


def _said(current: Round, side: str) -> Said:
    answer = current.answers[side]
    if isinstance(answer, Guesses):
        words = answer.places[0]
        tops = [each.places[0][0].probability for each in current.answers.values() if isinstance(each, Guesses)]
        spoken = ", ".join(f"{clean(word.text)} {numbers.percent(word.probability)}" for word in words)
        return Said(words[0].text, word_bars(words, [], max(tops), NEUTRAL), spoken)
    if isinstance(answer, Score):
        return Said(marks.value(answer.value), "", "")
    spoken = ", ".join(f"{clean(label)} {numbers.percent(share)}" for label, share in answer.probabilities.items())
    kept = dict(sorted(answer.probabilities.items(), key=lambda each: -each[1])[:6])
    shares = {label: share for label, share in answer.probabilities.items() if label in kept}
    return Said(answer.label, bars(shares, answer.label, NEUTRAL), spoken)


def _guess(side: str) -> None:
    current: Round = st.session_state[ROUND]
    if current.guess:
        # A second click on the same picture counts once.
        return
    st.session_state[ROUND] = current = replace(current, guess=side)
    scores = st.session_state.setdefault(SCORE, {})
    hits, count = scores.get(current.run_id, (0, 0))
    scores[current.run_id] = (hits + current.is_right, count + 1)


def _score(run: RunToCompare) -> tuple[int, int]:
    return st.session_state.get(SCORE, {}).get(run.run_id, (0, 0))
