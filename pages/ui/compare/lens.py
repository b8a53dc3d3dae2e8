"""The temperature lens: what soft targets are, on the viewer's own sentence."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from core import numbers
from core.runs.comparable import RunToCompare
from core.scoring.answers import Comparison, answers, softened
from core.scoring.hidden_words import guesses
from pages.ui.answers import bars
from pages.ui.compare.models import Choice, folders_of
from pages.ui.compare.names import colour_of, title_of
from pages.ui.compare.side_by_side import asking
from pages.ui.hidden_words import word_bars
from pages.ui.text import clean

TEMPERATURE = "compare-temperature"
MOST_LABELS = 6


def show_lens(run: RunToCompare, two: Mapping[str, Choice], text: str, second: str | None) -> None:
    """The slider, and both models' soft targets at the chosen temperature."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader("Temperature lens", anchor=False, width="content")
        st.badge("measured here", color="blue", help="Both answers, softened by this temperature. In fp32.")
    st.write(
        "A sure answer hides what else the model considered. Divided by a temperature, its doubts come to light: these "
        "soft targets are what the student learns to copy."
    )
    learned_at = run.settings.loss.temperature
    temperature = st.slider(
        "Temperature",
        min_value=1.0,
        max_value=10.0,
        value=1.0,
        step=0.5,
        format="%.1f",
        key=TEMPERATURE,
        help=f"1 leaves the answer as it is. The student of this run learned at {learned_at:g}.",
        persist_state="session",
    )
    models, longest = folders_of(two), run.settings.data.max_tokens
    if run.kind == "words":
        pictures = _words(models, text, longest, temperature)
    else:
        (found,) = asking(models, 1, lambda: answers(models, [text], longest, None if second is None else [second]))
        if not isinstance(found, Comparison):
            st.info("A score is one number, so it has no soft targets: the student learns to give the same number.")
            return
        pictures = labels_at(found, temperature)
    if not pictures:
        st.info("There is no [MASK] in the sentence, so there is no word to be sure or unsure about.")
        return
    for column, (name, (picture, spoken)) in zip(st.columns(len(pictures)), pictures.items(), strict=True):
        with column.container(border=True, height="stretch"):
            st.markdown(f"**{title_of(name)}** at temperature {temperature:g}")
            st.image(picture, width="stretch", alt=f"{title_of(name)} at temperature {temperature:g}: {spoken}")


def labels_at(found: Comparison, temperature: float) -> dict[str, tuple[str, str]]:
    """By model, the picture of its soft targets and what it says in words; the most probable labels of all models."""
    soft = {name: softened(answer.probabilities, temperature) for name, answer in found.answers.items()}
    labels = sorted(next(iter(soft.values())), key=lambda label: -max(given[label] for given in soft.values()))
    # In the order of the model, so that nothing moves while the slider does.
    kept = [label for label in next(iter(soft.values())) if label in labels[:MOST_LABELS]]
    drawn = {}
    for name, given in soft.items():
        shares = {label: given[label] for label in kept}
        spoken = ", ".join(f"{clean(label)} {numbers.percent(share)}" for label, share in shares.items())
        drawn[name] = bars(shares, found.answers[name].label, colour_of(name)), spoken
    return drawn


def _words(models: dict, text: str, longest: int, temperature: float) -> dict[str, tuple[str, str]]:
    """The same for the first hidden word of a sentence; empty if there is none."""
    (found,) = asking(models, 1, lambda: guesses(models, [text], longest, temperature=temperature))
    if not found.guessed:
        return {}
    top = max(guess.places[0][0].probability for guess in found.answers.values())
    drawn = {}
    for name, guess in found.answers.items():
        spoken = ", ".join(f"{clean(word.text)} {numbers.percent(word.probability)}" for word in guess.places[0])
        drawn[name] = word_bars(guess.places[0], found.shared(0), top, colour_of(name)), spoken
    return drawn
