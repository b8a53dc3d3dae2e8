"""The recipe: what somebody chooses before a student learns."""

from __future__ import annotations

import re

import streamlit as st

from core import estimate
from core.config import DEPTH_OF_TEACHER, WEIGHT_PRESETS, Settings, is_control, spread_layers
from core.models.size import student_shape, teacher_shape
from pages.ui import form, numbers
from pages.ui.stacks import show_layer_map
from pages.ui.text import as_label

WEIGHTS = ("soft", "hard", "cosine")
PRESET = "form-preset"


def show_recipe() -> tuple[Settings | None, dict[str, str]]:
    """Draw the form; returns its settings, or None and the problems by field."""
    form.begin()
    settings, problems = form.settings_of_form()
    how, who = st.columns(2, gap="large")
    with how:
        _show_loss(problems)
    with who:
        _show_student(problems)
    with st.expander("Data and teacher"):
        _fields_in_columns("data", ("source", "max_examples", "max_tokens", "split_seed"), first_width=1.7)
        _fields_in_columns("teacher", ("epochs", "batch_size", "learning_rate", "seed"))
        st.caption("The teacher is trained once for these choices and then kept: later runs start with the student.")
    with st.expander("Training"):
        _fields_in_columns("training", ("epochs", "batch_size", "learning_rate", "seed"))
        _fields_in_columns("training", ("device", "precision", "threads"))
        _fields_in_columns("training", ("warmup", "checkpoint_every"))
    with st.expander("Sentences to watch, and a name for the run", expanded=_has_been_wrong(problems, "probes")):
        _show_probes(problems)
    return settings, problems


PLAN = {
    "Student against teacher": "Parameters, and megabytes on disk. Half of this teacher is its word list, which the "
    "student keeps whole.",
    "Steps": "Updates of the student. Each reads one batch: that is the effective batch.",
    "Time on this machine": "An estimate. It gets better with every run; a machine that does other things meanwhile "
    "takes longer.",
}
"""The three numbers of a run that has not begun, with what they mean."""


def show_plan(settings: Settings | None) -> None:
    """What the run is going to be: sizes, steps and time, before anything is loaded.

    Dashes while the settings cannot be used: a mistake must not move the form under the mouse.
    """
    figures = _plan_of(settings) if settings else [(numbers.UNKNOWN, "once the settings are right")] * len(PLAN)
    for column, (title, meaning), (value, detail) in zip(st.columns([3, 3, 2]), PLAN.items(), figures, strict=True):
        column.metric(title, value, detail, delta_color="off", delta_arrow="off", help=meaning)


def _plan_of(settings: Settings) -> list[tuple[str, str]]:
    """The three numbers, each with its detail."""
    teacher, student = teacher_shape(), student_shape(settings.student.layers)
    plan = estimate.plan(settings)
    smaller = 1 - student.parameters / teacher.parameters
    teacher_steps = numbers.whole(plan.teacher_steps) if plan.teacher_steps else "trained already"
    return [
        (
            f"{numbers.millions(student.parameters)} of {numbers.millions(teacher.parameters)}",
            f"{numbers.percent(smaller, 0)} smaller, {numbers.megabytes(student.size_mb)} of "
            f"{numbers.megabytes(teacher.size_mb)}",
        ),
        (
            numbers.whole(plan.student_steps),
            f"of {settings.training.batch_size} sentences each; teacher: {teacher_steps}",
        ),
        (
            numbers.duration(plan.seconds).removeprefix("about "),
            "from its earlier runs" if plan.pace_measured else "a first guess",
        ),
    ]


def _show_loss(problems: dict[str, str]) -> None:
    st.subheader("How it learns")
    weights = tuple(st.session_state[form.key_of("loss", name)] for name in WEIGHTS)
    matching = next((name for name, preset in WEIGHT_PRESETS.items() if preset == weights), None)
    st.session_state[PRESET] = matching
    st.pills(
        "Recipe",
        list(WEIGHT_PRESETS),
        key=PRESET,
        on_change=_use_preset,
        wrap=True,
        help="Mixtures of the three ways of learning. The released DistilBERT was trained with 5/2/1. Leaving one out "
        "shows what it is good for; the control learns from labels alone, as if there were no teacher.",
    )
    left, right = st.columns(2)
    with left:
        form.field("loss", "soft")
        form.field("loss", "cosine")
    with right:
        form.field("loss", "hard")
        form.field("loss", "temperature", disabled=not st.session_state[form.key_of("loss", "soft")])
    _show_problems(problems, "loss")


def _use_preset() -> None:
    weights = WEIGHT_PRESETS.get(st.session_state[PRESET])
    for name, weight in zip(WEIGHTS, weights or (), strict=False):
        st.session_state[form.key_of("loss", name)] = weight


def _show_student(problems: dict[str, str]) -> None:
    st.subheader("What it is made of")
    depth = DEPTH_OF_TEACHER[st.session_state[form.key_of("teacher", "source")]]
    layers_key, map_key = form.key_of("student", "layers"), form.key_of("student", "teacher_layers")
    title = "Student layers"
    st.slider(
        title,
        1,
        depth,
        key=layers_key,
        on_change=_spread,
        help="Fewer layers: smaller, faster, and more is lost.",
        **form.KEPT,
    )
    form.field("student", "initial_weights")
    copied = st.session_state[form.key_of("student", "initial_weights")] == "copied"
    st.pills(
        "Copied from teacher layers",
        range(depth),
        selection_mode="multi",
        key=map_key,
        disabled=not copied,
        help="Which teacher layers the student starts from, counted from 0 at the bottom. "
        "Moving the slider spreads them evenly, first and last included, as the paper's authors did.",
        **form.KEPT,
    )
    chosen = tuple(sorted(st.session_state[map_key]))
    layers = st.session_state[layers_key]
    show_layer_map(depth, chosen if copied else spread_layers(layers, depth), copied)
    _show_problems(problems, "student")


def _spread() -> None:
    layers = st.session_state[form.key_of("student", "layers")]
    depth = DEPTH_OF_TEACHER[st.session_state[form.key_of("teacher", "source")]]
    st.session_state[form.key_of("student", "teacher_layers")] = list(spread_layers(layers, depth))


def _show_probes(problems: dict[str, str]) -> None:
    fields = Settings.model_fields
    st.text_area(fields["probes"].title, key="form.probes", help=fields["probes"].description, height=160, **form.KEPT)
    _show_problems(problems, "probes")
    st.text_input(fields["name"].title, key="form.name", max_chars=80, help=fields["name"].description, **form.KEPT)


def _fields_in_columns(section: str, names: tuple[str, ...], first_width: float = 1) -> None:
    columns = st.columns([first_width, *[1] * (len(names) - 1)])
    for column, name in zip(columns, names, strict=True):
        with column:
            form.field(section, name)


def _show_problems(problems: dict[str, str], section: str) -> None:
    """Say, right below the fields, what is wrong with a section."""
    for sentence in _problems_of(problems, section):
        st.error(as_label(_with_titles(sentence), 300))


def _problems_of(problems: dict[str, str], section: str) -> list[str]:
    return [
        sentence
        for path, sentence in problems.items()
        if path.startswith(section) or (not path and sentence.lower().startswith(section))
    ]


def _has_been_wrong(problems: dict[str, str], section: str) -> bool:
    """For a lid that opens over a mistake and does not fall shut while somebody corrects it."""
    key = f"{section}-has-been-wrong"
    st.session_state[key] = st.session_state.get(key, False) or bool(_problems_of(problems, section))
    return st.session_state[key]


def _with_titles(sentence: str) -> str:
    """The sentence with a field's title, as it stands on the screen, in place of its path."""
    for section, model in form.SECTIONS.items():
        for name, info in model.model_fields.items():
            sentence = re.sub(rf"\b{section}\.{name}\b", f"“{info.title}”", sentence)
    return sentence


def describe(settings: Settings) -> str:
    """The recipe in one line, for lists and titles."""
    loss, student = settings.loss, settings.student
    teaching = (
        "no teacher (control)"
        if is_control(loss)
        else f"{loss.soft:g}/{loss.hard:g}/{loss.cosine:g}, T {loss.temperature:g}"
    )
    start = (
        "random weights"
        if student.initial_weights == "random"
        else f"from {_plural('layer', student.layers)} {', '.join(map(str, settings.layer_map))}"
    )
    epochs = settings.training.epochs
    return (
        f"{student.layers} {_plural('layer', student.layers)} {start}; {teaching}; {epochs} {_plural('epoch', epochs)}"
    )


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else f"{noun}s"
