"""The recipe: what somebody chooses before a student learns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from core.config import (
    DEPTH_OF_TEACHER,
    EVERY_LAYER,
    TASK_TRAINING,
    TASK_WEIGHTS,
    WEIGHT_PRESETS,
    Objective,
    Settings,
    extra,
    is_control,
    starting_point,
    title,
)
from core.models.outline import TeacherOutline, why_not
from core.numbers import plural, rate
from core.sections import DataSettings, LossSettings, TeacherSettings, spread_layers
from core.terms import TERMS
from core.terms.declaration import Term
from pages.ui import form
from pages.ui.complaints import has_been_wrong, show_problems
from pages.ui.copies import show_copies
from pages.ui.draft import Draft
from pages.ui.materials import show_data, show_teacher
from pages.ui.stacks import show_layer_map

PRESET = "form-preset"
PRESETS = WEIGHT_PRESETS | {EVERY_LAYER: TASK_WEIGHTS}
MADE_RANDOM = "form-width-made-random"
CHOICE_PX = 220
"""Of both buttons; said beforehand, so that what stands beside them keeps its place while they are fetched."""

OBJECTIVES: dict[Objective, str] = {
    "labels": "To sort texts as the teacher does, for instance good reviews from bad ones.",
    "masked_words": "To fill in hidden words, as DistilBERT itself learned. It takes longer, and needs no labels.",
}
"""What each choice of what is learned means."""


def show_objective(teacher: TeacherOutline | None) -> None:
    """The first choice: it fills the rest of the form with what works for it.

    What the teacher cannot teach is not offered, and why is said, unless it is chosen: then the teacher is the mistake.
    """
    options, chosen = extra(Settings, "objective")["options"], st.session_state[form.OBJECTIVE]
    missing = {name: why_not(teacher, name) for name in OBJECTIVES if teacher and name != chosen}
    missing = {name: why for name, why in missing.items() if why}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.segmented_control(
            title(Settings, "objective"),
            [name for name in options if name not in missing],
            format_func=options.__getitem__,
            key=form.OBJECTIVE,
            required=True,
            on_change=_start_over,
            help="Switching fills the form with settings that work for the choice.",
            width=CHOICE_PX,
            **form.KEPT,
        )
        st.caption(" ".join([OBJECTIVES[chosen], *(_not_offered(options[name], why) for name, why in missing.items())]))


def _not_offered(label: str, why: str) -> str:
    return f"“{label}” is not offered with this teacher: {why}."


def show_recipe(draft: Draft) -> None:
    """Draw the form, each complaint where it belongs."""
    how, who = st.columns(2, gap="large")
    with how:
        _show_loss(draft)
    with who:
        _show_student(draft)
    with st.expander("A narrower student", expanded=form.value_of("student", "width") is not None):
        _show_width(draft.teacher)
    with st.expander("Data and teacher", expanded=has_been_wrong(draft, "data", "teacher")):
        show_data(draft)
        show_teacher(draft)
    with st.expander("Training", expanded=has_been_wrong(draft, "training")):
        form.fields_in_columns("training", ("epochs", "batch_size", "learning_rate", "seed"))
        form.fields_in_columns("training", ("device", "precision", "threads", "compile"))
        copies = ("copies",) if form.matters("training", "copies") else ()
        form.fields_in_columns("training", ("warmup", "checkpoint_every", "accumulation", *copies))
        show_problems(draft, "training")
        show_copies(draft.settings)
    with st.expander("Sentences to watch, and a name for the run", expanded=has_been_wrong(draft, "probes", "name")):
        _show_probes(draft)


def _start_over() -> None:
    name = st.session_state[form.NAME]
    form.fill(starting_point(st.session_state[form.OBJECTIVE]))
    st.session_state[form.NAME] = name


def _show_loss(draft: Draft) -> None:
    st.subheader("How it learns")
    weights = {term.name: form.value_of("loss", term.name) for term in TERMS}
    st.session_state[PRESET] = next((name for name, preset in PRESETS.items() if preset == weights), None)
    st.pills(
        "Recipe",
        list(PRESETS),
        key=PRESET,
        on_change=_use_preset,
        wrap=True,
        help="Mixtures of the ways of learning. The released DistilBERT was trained with 5/2/1. Leaving one out "
        "shows what it is good for; the control learns without any teacher. “Every layer” compares each layer of the "
        "student with the teacher's, which keeps most where the texts are few.",
    )
    if st.session_state[PRESET] == EVERY_LAYER:
        _offer_task_training()
    _show_terms([term for term in TERMS if term.paper_weight])
    if further := [term for term in TERMS if not term.paper_weight]:
        in_use = any(form.value_of("loss", term.name) for term in further)
        with st.expander("Further ways of learning", expanded=in_use):
            _show_terms(further)
    if form.matters("masking", "share"):
        with st.expander("Which words are hidden", expanded=has_been_wrong(draft, "masking")):
            _show_masking()
            show_problems(draft, "masking")
    show_problems(draft, "loss")


def _show_terms(terms: Sequence[Term]) -> None:
    """The weights, then what else can be chosen, two in a row: the order of reading is that of the Tab key."""
    shut = {term.name: not term.suits(st.session_state[form.OBJECTIVE]) for term in terms}
    for term in terms:
        shut |= dict.fromkeys(_options_of(term, None), not form.value_of("loss", term.name))
    fields = list(shut.items())
    for first in range(0, len(fields), 2):
        for column, (name, is_shut) in zip(st.columns(2), fields[first : first + 2], strict=False):
            with column:
                form.field("loss", name, disabled=is_shut)


def _options_of(term: Term, objective: Objective | None) -> list[str]:
    """A term's options for every objective, or for one alone, that mean something now; of no use without its weight."""
    names = [name for name in term.options if extra(LossSettings, name).get("objective") == objective]
    return [name for name in names if form.matters("loss", name)]


def _offer_task_training() -> None:
    """The rest of this recipe, which is no weight: in one click, and only where it is not chosen already."""
    fields = [name for name in TASK_TRAINING if form.matters("training", name)]
    if "copies" not in fields or all(form.value_of("training", name) == TASK_TRAINING[name] for name in fields):
        return
    copies, epochs, largest = (TASK_TRAINING[name] for name in ("copies", "epochs", "learning_rate"))
    st.button(
        f"Train for it: {copies} copies, {epochs} epochs, {rate(largest)}",
        on_click=_use_task_training,
        icon=":material/tune:",
        help="Changed copies of each text, epochs, the learning rate, and a longer warm-up. A copy has words left out "
        f"or moved, and the teacher says what it thinks of it; so an epoch reads {1 + copies} times as much, and "
        "takes as much longer.",
    )


def _use_task_training() -> None:
    for name, value in TASK_TRAINING.items():
        form.set_value("training", name, value)


def _use_preset() -> None:
    for name, weight in PRESETS.get(st.session_state[PRESET], {}).items():
        form.set_value("loss", name, weight)


def _show_masking() -> None:
    form.fields_in_columns("masking", ("share", "rarity"))
    form.field("masking", "whole_words")
    for term in TERMS:
        if names := _options_of(term, "masked_words"):
            for column, name in zip(st.columns(len(names)), names, strict=True):
                with column:
                    form.field("loss", name, disabled=not form.value_of("loss", term.name))


def _show_student(draft: Draft) -> None:
    st.subheader("What it is made of")
    layers = form.value_of("student", "layers")
    depth = max(st.session_state.get(form.DEPTH, DEPTH_OF_TEACHER["minilm"]), layers)
    unknown = draft.teacher is None
    how_many, begun_with = st.columns(2)
    with how_many:
        _show_depth(depth, unknown)
    with begun_with:
        form.field("student", "initial_weights", on_change=_choose_weights)
    copied = form.value_of("student", "initial_weights") == "copied"
    map_key = form.key_of("student", "teacher_layers")
    st.pills(
        "Copied from teacher layers",
        range(depth),
        selection_mode="multi",
        key=map_key,
        disabled=unknown or not copied,
        wrap=True,
        help="Which teacher layers the student starts from, counted from 0 at the bottom. "
        "Moving the slider spreads them evenly, first and last included, as the paper's authors did.",
        **form.KEPT,
    )
    show_problems(draft, "student")
    chosen = tuple(sorted(st.session_state[map_key])) if copied else spread_layers(layers, depth)
    show_layer_map(depth, chosen, copied, narrower=_share_of_width(draft.teacher))


def _show_depth(depth: int, unknown: bool) -> None:
    if depth == 1:
        st.caption("This teacher has one layer, and so has its student.")
        return
    st.slider(
        "Student layers",
        1,
        depth,
        key=form.key_of("student", "layers"),
        on_change=_spread,
        disabled=unknown,
        help="Fewer layers: smaller, faster, and more is lost.",
        **form.KEPT,
    )


def _spread() -> None:
    spread = spread_layers(form.value_of("student", "layers"), st.session_state[form.DEPTH])
    form.set_value("student", "teacher_layers", list(spread))


def _share_of_width(teacher: TeacherOutline | None) -> float:
    width = form.value_of("student", "width")
    return min(1.0, width / teacher.width) if width and teacher else 1.0


def _show_width(teacher: TeacherOutline | None) -> None:
    st.caption(
        "Another width or number of heads starts from random weights, because the teacher's numbers do not fit into it."
    )
    for column, name in zip(st.columns(2), ("width", "heads"), strict=True):
        with column:
            empty = f"as the teacher: {getattr(teacher, name)}" if teacher else "as the teacher"
            form.field("student", name, on_change=_take_random_weights, empty=empty)


def _choose_weights() -> None:
    st.session_state.pop(MADE_RANDOM, None)


def _take_random_weights() -> None:
    """Nothing can be copied into another shape; back in the teacher's own, the weights are again what they were."""
    if any(form.value_of("student", name) is not None for name in ("width", "heads")):
        if form.value_of("student", "initial_weights") == "copied":
            st.session_state[MADE_RANDOM] = True
            form.set_value("student", "initial_weights", "random")
    elif st.session_state.pop(MADE_RANDOM, False):
        form.set_value("student", "initial_weights", "copied")


def _show_probes(draft: Draft) -> None:
    fields = Settings.model_fields
    about = fields["probes"].description
    st.text_area(title(Settings, "probes"), key=form.PROBES, help=about, height=160, **form.KEPT)
    show_problems(draft, "probes")
    about = fields["name"].description
    st.text_input(title(Settings, "name"), key=form.NAME, max_chars=80, help=about, **form.KEPT)
    show_problems(draft, "name")


def describe(settings: Settings) -> str:
    """The recipe in one line, for lists and titles. It may hold file names: foreign text."""
    task = "Labels of" if settings.objective == "labels" else "Masked words of"
    return f"{task} {data_in_words(settings.data)}, {in_short(settings)}"


def in_short(settings: Settings) -> str:
    """The recipe without its data. It may hold the teacher's file name: foreign text."""
    layers, epochs = settings.student.layers, settings.training.epochs
    copies = settings.training.copies
    teaching = "no teacher (control)" if is_control(settings.loss) else _loss_in_words(settings.loss)
    return (
        f"teacher {_teacher_in_words(settings.teacher)}; {layers} {plural('layer', layers)}"
        f"{_start_in_words(settings)}; {teaching}; {epochs} {plural('epoch', epochs)}"
        f"{f' with {copies} changed ' + ('copy' if copies == 1 else 'copies') if copies else ''}"
    )


def _loss_in_words(loss: LossSettings) -> str:
    """The weights of the paper's terms, further terms in use, and the options that have a symbol: "5/2/1, T 2"."""
    weights = loss.weights()
    paper = "/".join(f"{weights[term.name]:g}" for term in TERMS if term.paper_weight)
    further = [f"{term.label.lower()} {weights[term.name]:g}" for term in loss.in_use() if not term.paper_weight]
    symbols = ((extra(LossSettings, name).get("symbol"), value) for name, value in loss.options().items())
    return ", ".join([paper, *further, *(f"{symbol} {value:g}" for symbol, value in symbols if symbol)])


def data_in_words(data: DataSettings) -> str:
    """What is read, in a word or two. It may be a file's name: foreign text."""
    if data.source in ("glue_folder", "glue_hub"):
        return data.task
    return {"rotten_tomatoes": "movie sentences", "imdb": "movie reviews"}.get(data.source, Path(data.path).name)


def _teacher_in_words(teacher: TeacherSettings) -> str:
    return {"minilm": "MiniLM", "hub": teacher.hub_id}.get(teacher.source, Path(teacher.path).name)


def _start_in_words(settings: Settings) -> str:
    width = f" of width {settings.student.width}" if settings.student.width else ""
    if settings.student.initial_weights == "random":
        return f"{width} with random weights"
    if settings.layer_map is None:
        return ", evenly spread"
    return f" from {plural('layer', settings.student.layers)} {', '.join(map(str, settings.layer_map))}"
