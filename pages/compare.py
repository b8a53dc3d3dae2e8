"""Type a sentence, choose a run: what do its teacher and its student say? `?run=<id>` opens with that run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TypeVar

import streamlit as st

from core.errors import DistilleryError
from core.runs import folder as runs
from core.runs.comparable import Kind, RunToCompare, comparable_runs, model_folders
from core.scoring.answers import FEW, Lines, ScoreComparison, answers, is_loaded, read_lines, read_pair
from core.scoring.hidden_words import guesses
from pages.ui import numbers
from pages.ui.answers import show_answers, show_scores
from pages.ui.examples import Example, examples_for, known_ends
from pages.ui.form import KEPT
from pages.ui.hidden_words import show_hidden_words
from pages.ui.replay import read_frames, recorded_ends
from pages.ui.text import as_label, clean, show_text
from pages.ui.watch import started

RUN, EXAMPLE = "compare-run", "compare-example"
# Where the session keeps what is typed: for each kind of run its own, so that changing the run loses nothing.
TEXTS: dict[Kind, tuple[str, ...]] = {
    "texts": ("compare-text",),
    "words": ("compare-words",),
    "pairs": ("compare-first", "compare-second"),
}

ASKED = {
    "texts": "Type a sentence, or click an example.",
    "words": "Type a sentence with [MASK] for the hidden word, or click an example.",
    "pairs": "Type both texts, or click an example.",
}
KIND = {"texts": "", "words": "masked words", "pairs": "pairs"}

Found = TypeVar("Found")


def take_example(kind: Kind, examples: dict[str, Example]) -> None:
    """Put the chosen example where the viewer would type; it can be chosen again after that."""
    name = st.session_state[EXAMPLE]
    if name is not None:
        every = ("\n".join(text for (text,) in examples.values()),) if name not in examples else examples[name]
        st.session_state.update(zip(TEXTS[kind], every, strict=True))
    st.session_state[EXAMPLE] = None


def show_empty(unusable: list[RunToCompare]) -> None:
    """No student yet: what to do next, and why the runs that exist do not help."""
    with st.container(border=True):
        st.subheader("There is no student to talk to yet", anchor=False)
        st.write("Distil one first. With the settings as they are, that takes a few minutes.")
        if st.button("Go to Distil", type="primary", key="compare-distil"):
            st.switch_page("../distill.py")
    show_unusable(unusable, expanded=True)


def show_unusable(unusable: list[RunToCompare], expanded: bool = False) -> None:
    """The runs that cannot be compared, each with the reason."""
    if unusable:
        with st.expander(f"Runs that cannot be compared ({len(unusable)})", expanded=expanded):
            for run in unusable:
                show_text(f"{run.name or started(run.run_id)}: {run.reason}")


def choose(usable: list[RunToCompare], unusable: list[RunToCompare]) -> RunToCompare:
    """The run in the address, or the newest finished one, until another is chosen."""
    by_id = {run.run_id: run for run in usable}
    asked = st.query_params.get("run")
    if st.session_state.get(RUN) not in by_id:
        st.session_state[RUN] = asked if asked in by_id else usable[0].run_id
    chosen = st.selectbox("Run", list(by_id), format_func=lambda run_id: describe(by_id[run_id]), key=RUN)
    if asked is not None and asked not in by_id:
        st.warning(as_label(f"{why_not(asked, unusable)} The newest run is shown instead.", 300))
    st.query_params["run"] = chosen
    if by_id[chosen].state != "finished":
        st.caption("This run ended early, so its student has not learned all it could.")
    return by_id[chosen]


def why_not(run_id: str, unusable: list[RunToCompare]) -> str:
    """Why the run in the address cannot be shown."""
    for run in unusable:
        if run.run_id == run_id:
            return f"{run.name or started(run_id)} cannot be compared. {run.reason}"
    return f"There is no run called {run_id[:80]!r}. It may have been deleted or renamed."


def describe(run: RunToCompare) -> str:
    """A run in the chooser: its name, what it is about, what it kept, and how it ended unless it finished."""
    parts = [clean(run.name) or started(run.run_id)]
    if KIND[run.kind]:
        parts.append(KIND[run.kind])
    if run.state != "finished":
        parts.append("stopped early" if run.state == "stopped" else str(run.state))
    if run.kept is not None:
        parts.append(f"{numbers.percent(run.kept)} kept")
    return " · ".join(parts)


def show_question(usable: list[RunToCompare], unusable: list[RunToCompare]) -> tuple[RunToCompare, Lines]:
    """The run, what is typed and the examples; returns the first two as they are now."""
    which, words = st.columns([1, 2])
    with which:
        run = choose(usable, unusable)
    examples = examples_for(run.settings)
    with words:
        lines = show_fields(run.kind, next(iter(examples.values())))
    with st.container(horizontal=True, vertical_alignment="center"):
        # Leaving the text field already asks; the button is for those who look for one.
        st.button("Compare", type="primary", key="compare-ask")
        several = [] if run.kind == "pairs" else ["All of them"]
        st.pills(
            "Examples",
            [*examples, *several],
            key=EXAMPLE,
            on_change=take_example,
            args=(run.kind, examples),
            label_visibility="collapsed",
            wrap=True,
        )
    return run, lines


def show_fields(kind: Kind, first: Example) -> Lines:
    """The fields for what is asked, filled with an example at first; returns what they hold."""
    for key, text in zip(TEXTS[kind], first, strict=True):
        st.session_state.setdefault(key, text)
    if kind == "pairs":
        fields = zip(TEXTS[kind], ("First text", "Second text"), st.columns(2), strict=True)
        return read_pair(*(field.text_area(label, key=key, height=108, **KEPT) for key, label, field in fields))
    label = "Your sentence, or one a line" if kind == "texts" else "Your sentence with a [MASK], or one a line"
    return read_lines(st.text_area(label, key=TEXTS[kind][0], height=108, **KEPT))


def show_answer(run: RunToCompare, lines: Lines) -> None:
    """Both models' answers; a sentence that says what went wrong where there are none."""
    if len(lines.sentences) < len(TEXTS[run.kind]):
        st.info(ASKED[run.kind])
        return
    for note in lines.notes:
        st.caption(note)
    try:
        show_both(run, lines.sentences)
    except DistilleryError as error:
        st.error(as_label(str(error), 500))


def show_both(run: RunToCompare, texts: Sequence[str]) -> None:
    """Ask both models and show what they say."""
    folder = runs.run_folder(run.run_id)
    models, longest = model_folders(folder), run.settings.data.max_tokens
    if run.kind == "words":
        show_hidden_words(asking(models, len(texts), lambda: guesses(models, texts, longest)))
        return
    first, second = (texts[:1], texts[1:]) if run.kind == "pairs" else (texts, None)
    found = asking(models, len(first), lambda: answers(models, first, longest, second))
    if isinstance(found[0], ScoreComparison):
        show_scores(found, ends_of(run, folder))
    else:
        show_answers(found)


def asking(models: dict[str, Path], count: int, ask: Callable[[], Found]) -> Found:
    """What `ask` returns; says so while the models have to be opened first, or are asked about many sentences."""
    if is_loaded(models):
        with st.spinner("Asking both models.") if count > FEW else nullcontext():
            return ask()
    with st.spinner("Opening both models. This takes a few seconds, once."), st.skeleton(height=240):
        return ask()


def ends_of(run: RunToCompare, folder: Path) -> tuple[float, float] | None:
    """The scale of a run whose labels are a score: the task's own, or as far as its watched sentences reached."""
    if (ends := known_ends(run.settings.data)) is not None:
        return ends
    frames = read_frames(folder, run.settings)
    return recorded_ends(frames) if frames else None


st.title("Compare", anchor=False)
st.write("Does the small student still say what its large teacher says? Type a sentence and see both answers.")
everything = comparable_runs()
usable = [run for run in everything if not run.reason]
unusable = [run for run in everything if run.reason]
if usable:
    show_answer(*show_question(usable, unusable))
    show_unusable(unusable)
else:
    show_empty(unusable)
