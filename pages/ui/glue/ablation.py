"""Table 4 with one button: what each part of the loss is good for, row by row as the runs finish."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import streamlit as st

from core import numbers
from core.config import Settings
from core.errors import DistilleryError
from core.glue.table import Value
from core.glue.tables import AblationRow, ablation_table
from core.runs import ablation
from core.runs import folder as runs
from core.runs.about import started
from pages.ui.glue import choices
from pages.ui.glue.drawn import show_table
from pages.ui.text import as_label

NEXT, GROUP, BASE = "next-ablation-id", "glue-ablation", "glue-ablation-base"
DEMO = "demo"


def ablation_rows(group: str | None = None) -> tuple[list[AblationRow], str]:
    """The rows of a group, or of the newest, and their metric; without any the paper's alone."""
    group = group or next(iter(ablation.groups()), None)
    made = ablation.read_ablation(group) if group else []
    by_key = {run.variant.key: run for run in made}
    other = [run.variant.key for run in made[1:] if run.delta is None and None not in (run.score, made[0].score)]
    shown = [run.variant for run in made] or ablation.VARIANTS
    rows = [_row(variant, by_key.get(variant.key), variant.key in other) for variant in shown]
    metric = next((run.results["metric"] for run in made if run.results), "accuracy")
    return rows, metric


def is_busy() -> bool:
    """True while a run of an ablation trains or waits."""
    return any(not ablation.is_over(ablation.read_ablation(group)) for group in ablation.groups()[:3])


def show_ablation() -> None:
    """The table of one ablation, how it stands, and the button that starts another."""
    group = _chosen()
    rows, metric = ablation_rows(group)
    st.write(
        "What is each part of the loss good for? The paper left one out at a time. Here a run for each does so with "
        "one recipe: same data, same seed, same number of steps."
    )
    show_table(ablation_table(rows, metric), _nothing)
    made = ablation.read_ablation(group) if group else []
    for note in ablation.notes_on(made):
        st.caption(as_label(note, 500))
    if group:
        _show_state(group, made)
    _show_start()


def _nothing(value: Value) -> Iterable[str]:
    """Below a change there is only what the value itself says: how sure it is."""
    return ()


def _row(variant: ablation.Variant, run: ablation.AblationRun | None, is_other: bool) -> AblationRow:
    row = AblationRow(variant.title, variant.paper_delta, is_control=variant.key == ablation.CONTROL)
    if run is None:
        return row
    if is_other:
        return replace(row, state="scored on other examples, so not compared")
    return replace(row, score=run.score, state=run.state or "missing", sure=run.sure)


def _chosen() -> str | None:
    """The newest ablation until another is chosen."""
    groups = ablation.groups()
    if len(groups) < 2:
        return next(iter(groups), None)
    return st.selectbox("Ablation", groups, format_func=_title, key=GROUP)


def _title(group: str) -> str:
    return started(group).replace("Run", "Ablation", 1)


def _show_state(group: str, made: Sequence[ablation.AblationRun]) -> None:
    for run in made:
        if run.state in (None, "failed", "interrupted"):
            st.warning(as_label(f"{run.variant.title}: {run.sentence}", 400))
    done = sum(run.state == "finished" for run in made)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"{done} of {len(made)} runs are finished.{_now(made)}")
        st.space("stretch")
        if not ablation.is_over(made):
            st.button(
                "Stop all",
                key="ablation-stop",
                icon=":material/stop:",
                on_click=_try,
                args=(ablation.stop_ablation, group),
            )
        if any(run.state != "finished" and (run.state is None or run.state in runs.ENDED) for run in made):
            st.button(
                "Resume", key="ablation-resume", icon=":material/play_arrow:", on_click=_try,
                args=(ablation.resume_ablation, group),
                help="Goes on with the runs that were cut off, and queues those that are missing.",
            )  # fmt: skip


def _now(made: Sequence[ablation.AblationRun]) -> str:
    for run in made:
        if run.state in runs.ACTIVE:
            steps = f", step {run.step} of {run.total_steps}" if run.total_steps else ""
            return f" Now: {run.variant.title[0].lower()}{run.variant.title[1:]}{steps}. You can close this tab."
    return ""


def _show_start() -> None:
    found = choices.students()
    names = {DEMO: "The demo's settings"} | found
    if st.session_state.get(BASE) not in names:
        st.session_state[BASE] = DEMO
    group = st.session_state.setdefault(NEXT, runs.new_run_id())
    base, button = st.columns([2, 1], vertical_alignment="bottom")
    with base:
        st.selectbox("Recipe to take apart", list(names), format_func=names.__getitem__, key=BASE)
    try:
        seconds, reason = ablation.expected_seconds(_settings(st.session_state[BASE])), ""
    except DistilleryError as error:
        seconds, reason = None, str(error)
    with button:
        st.button(
            "Queue these runs",
            key=f"ablation-start-{group}",
            icon=":material/playlist_add:",
            disabled=seconds is None,
            on_click=_start,
            args=(group,),
        )
    time = f"All of them: {numbers.duration(seconds)} on this machine." if seconds is not None else reason
    st.caption(as_label(time, 400))


def _settings(chosen: str) -> Settings:
    return Settings() if chosen == DEMO else runs.read_settings(runs.run_folder(chosen))


def _start(group: str) -> None:
    try:
        ablation.queue_ablation(_settings(st.session_state[BASE]), group)
    except (DistilleryError, OSError) as error:
        st.toast(as_label(str(error), 300))
        return
    st.session_state[NEXT] = runs.new_run_id()
    st.session_state.pop(GROUP, None)


def _try(action: Callable[[str], object], group: str) -> None:
    try:
        action(group)
    except (DistilleryError, OSError) as error:
        st.toast(as_label(str(error), 300))
