"""Type a sentence, choose a run: what do its teacher and its student say? `?run=<id>` opens with that run."""

from __future__ import annotations

import streamlit as st

from core.errors import DistilleryError
from core.runs import folder as runs
from core.runs.comparable import RunToCompare, comparable_runs, model_folders
from core.scoring.answers import answers, is_loaded, read_lines
from pages.ui import numbers
from pages.ui.answers import show_answers
from pages.ui.text import as_label, clean, show_text
from pages.ui.watch import started

TEXT, RUN, EXAMPLE = "compare-text", "compare-run", "compare-example"

EXAMPLES = {
    "Clear praise": "A warm, funny and deeply moving film.",
    "Clear complaint": "A dull, lifeless mess from start to finish.",
    "Negation": "It is not without charm, and I was never bored.",
    "Irony": "Two hours of my life that I would love to have back.",
    "Mixed": "The acting is superb, but the story goes nowhere.",
}
ALL = "All five"


def take_example() -> None:
    """Put the chosen example where the viewer would type; it can be chosen again after that."""
    name = st.session_state[EXAMPLE]
    if name is not None:
        st.session_state[TEXT] = EXAMPLES.get(name) or "\n".join(EXAMPLES.values())
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
    """A run in the chooser: its name, what it kept, and how it ended unless it finished."""
    parts = [clean(run.name) or started(run.run_id)]
    if run.state != "finished":
        parts.append("stopped early" if run.state == "stopped" else str(run.state))
    if run.kept is not None:
        parts.append(f"{numbers.percent(run.kept)} kept")
    return " · ".join(parts)


def show_question(usable: list[RunToCompare], unusable: list[RunToCompare]) -> tuple[RunToCompare, str]:
    """The run, the text and the examples; returns the first two as they are now."""
    st.session_state.setdefault(TEXT, next(iter(EXAMPLES.values())))
    which, words = st.columns([1, 2])
    with which:
        run = choose(usable, unusable)
    with words:
        text = st.text_area("Your sentence, or one a line", key=TEXT, height=108)
    with st.container(horizontal=True, vertical_alignment="center"):
        # Leaving the text field already asks; the button is for those who look for one.
        st.button("Compare", type="primary", key="compare-ask")
        st.pills(
            "Examples",
            [*EXAMPLES, ALL],
            key=EXAMPLE,
            on_change=take_example,
            label_visibility="collapsed",
            wrap=True,
        )
    return run, text


def show_answer(run: RunToCompare, text: str) -> None:
    """Both models' answers; a sentence that says what went wrong where there are none."""
    lines = read_lines(text)
    if not lines.sentences:
        st.info("Type a sentence, or click an example.")
        return
    for note in lines.notes:
        st.caption(note)
    try:
        folder = runs.run_folder(run.run_id)
        models, max_tokens = model_folders(folder), runs.read_settings(folder).data.max_tokens
        if is_loaded(models):
            comparisons = answers(models, lines.sentences, max_tokens)
        else:
            with st.spinner("Opening both models. This takes a few seconds, once."), st.skeleton(height=240):
                comparisons = answers(models, lines.sentences, max_tokens)
    except DistilleryError as error:
        st.error(as_label(str(error), 500))
        return
    show_answers(comparisons)


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
