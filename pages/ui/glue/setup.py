"""Setting up a GLUE job: one line that says what would be measured, the start button, and the choices below a lid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from core import numbers
from core.config import title
from core.errors import DistilleryError
from core.glue.planning import check_job
from core.glue.seen import seen_by_run
from core.glue.settings import GlueSettings
from core.runs import folder as runs
from core.settings_file import SettingsError
from pages.ui.form import KEPT
from pages.ui.glue import choices, fields
from pages.ui.glue.expected import expected_seconds
from pages.ui.glue.reading import Job, read_jobs
from pages.ui.text import as_label

NEXT_JOB = "next-job-id"


@dataclass(frozen=True)
class Draft:
    """The form's settings, or None with the reason why they cannot be started; seconds is None while unknown."""

    settings: GlueSettings | None
    reason: str = ""
    seconds: float | None = None
    pace_measured: bool = False


def read_draft() -> Draft:
    """The form as it is, checked as far as can be without loading a model."""
    try:
        settings = fields.settings_of_form()
        check_job(settings)
        return Draft(settings, "", *expected_seconds(settings))
    except SettingsError as error:
        return Draft(None, fields.in_words(DistilleryError(next(iter(error.problems.values())))))
    except DistilleryError as error:
        return Draft(None, fields.in_words(error))


def show_start(jobs: Sequence[Job], busy: bool, found: dict[str, str]) -> Draft:
    """The start button with what it would do; returns the form's settings. `found` are the students to choose from."""
    fields.begin(jobs, list(found))
    _prune(found)
    job_id = st.session_state.setdefault(NEXT_JOB, runs.new_run_id())
    draft = read_draft()
    twin = draft.settings and _twin(jobs, draft.settings)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Add to the queue" if busy else "Start",
            key=f"glue-start-{job_id}",
            type="primary",
            icon=":material/play_arrow:",
            disabled=draft.settings is None or twin is not None,
            on_click=_start,
            args=(job_id,),
        )
        st.caption(_of_twin(twin) if twin else _announced(draft, found), width="stretch")
    if draft.settings and not twin and (seen := _seen(draft.settings, found)):
        st.caption(as_label(seen, 600))
    return draft


def show_form(draft: Draft, found: dict[str, str]) -> None:
    """The choices below a lid, open over a mistake."""
    with st.expander("What is measured, and how", expanded=_stays_open(draft)):
        _show_source()
        _show_models(found)
        _show_recipe()


def _twin(jobs: Sequence[Job], settings: GlueSettings) -> Job | None:
    """The job that measures just this now or is going to: a second one could only say the same once more."""
    wanted = settings.model_copy(update={"name": ""})
    same = (job for job in jobs if not job.is_over and job.settings)
    return next((job for job in same if job.settings and job.settings.model_copy(update={"name": ""}) == wanted), None)


def _of_twin(job: Job) -> str:
    now = "waits already" if job.state == "queued" else "is being measured now"
    return f"Just this {now}. Change something in the form, and that can be added behind it."


def _seen(settings: GlueSettings, found: dict[str, str]) -> str:
    """Whose scores are going to be compared with nothing, since the run has learned the task already."""
    seen = [
        f"{found.get(model.run, model.run)} has learned from {_listed(tasks)} already, so its score there will be "
        "marked “seen before” and compared with nothing."
        for model in settings.models
        if model.kind == "student" and (tasks := [task for task in settings.tasks if seen_by_run(model.run, task)])
    ]
    return " ".join(seen)


def announced(settings: GlueSettings, names: dict[str, str]) -> str:
    """What a job measures, in one sentence without foreign text except names."""
    models = [
        choices.TEACHERS[model.teacher.source] if model.kind == "teacher" else names.get(model.run, model.run)
        for model in settings.models
    ]
    seeds = "" if settings.way == "zero-shot" else f", {settings.seeds} {numbers.plural('seed', settings.seeds)}"
    how = "asks, without training," if settings.way == "zero-shot" else "fine-tunes and scores"
    return f"{how} {_listed(models)} on {_listed(settings.tasks)}{seeds}"


def _announced(draft: Draft, found: dict[str, str]) -> str:
    if draft.settings is None:
        return as_label(draft.reason, 400)
    time = ""
    if draft.seconds is not None:
        guess = "from its earlier runs" if draft.pace_measured else "a first guess"
        time = f": {numbers.duration(draft.seconds)} on this machine, {guess}"
    return as_label(f"{_capital(announced(draft.settings, found))}{time}.", 500)


def _listed(names: Sequence[str]) -> str:
    if len(names) > 4:
        names = [*names[:3], f"{len(names) - 3} more"]
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _capital(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]


def _start(job_id: str) -> None:
    """Queue the job that was announced; the same id is the same job, however often it is clicked."""
    # A value typed just before the click arrives together with it, so the form is read now.
    settings = read_draft().settings
    if settings is None or _twin(read_jobs(), settings):
        return
    try:
        runs.create_job(settings, job_id)
    except OSError as error:
        st.toast(as_label(f"The job could not be set up: {error.strerror}. Make room on the disk, then start again."))
        return
    st.session_state[NEXT_JOB] = runs.new_run_id()
    st.session_state["glue-lid"] = False


def _stays_open(draft: Draft) -> bool:
    """Open over a mistake; it does not fall shut while somebody corrects it."""
    st.session_state["glue-lid"] = st.session_state.get("glue-lid", False) or draft.settings is None
    return st.session_state["glue-lid"]


def _prune(found: dict[str, str]) -> None:
    """Take out of the form what is no longer there to be chosen."""
    options = choices.model_options(found)
    st.session_state[fields.MODELS] = [option for option in st.session_state[fields.MODELS] if option in options]


def _show_source() -> None:
    where, place = st.columns([1, 1.6], vertical_alignment="bottom")
    with where:
        source = fields.choice("source")
    with place:
        if source == "glue_folder":
            fields.text("path", empty="the folder with MRPC, SST-2 and so on inside")
    tasks = choices.available_tasks(source, fields.value_of("path"), fields.value_of("way"))
    key = fields.key_of("tasks")
    st.session_state[key] = [task for task in st.session_state[key] if task in tasks.offered]
    info = GlueSettings.model_fields["tasks"]
    label = title(GlueSettings, "tasks")
    st.pills(label, tasks.offered, selection_mode="multi", key=key, help=info.description, wrap=True, **KEPT)
    if tasks.problem:
        st.warning(as_label(tasks.problem, 400))
    elif source == "glue_folder" and not fields.value_of("path").strip():
        st.caption("Rotten Tomatoes and IMDb are bundled. Name a GLUE folder above to score on GLUE's own nine tasks.")
    elif tasks.missing:
        said = "; ".join(f"{name}/ with {files}" for name, files in tasks.missing.items())
        st.caption(as_label(f"Not there: {said}. Put the official files into this folder to score on them.", 900))


def _show_models(found: dict[str, str]) -> None:
    options = choices.model_options(found)
    st.multiselect(
        title(GlueSettings, "models"),
        list(options),
        format_func=options.__getitem__,
        key=fields.MODELS,
        help="Each is scored on each task. Take a teacher and its student, to see what the student kept; a control, "
        "to see what the teacher was good for.",
        **KEPT,
    )
    chosen = st.session_state[fields.MODELS]
    if choices.FOLDER in chosen:
        empty = "a folder with config.json, model.safetensors and the words"
        st.text_input("Teacher folder", key=fields.TEACHER_PATH, placeholder=empty, max_chars=1000, **KEPT)
    if choices.HUB in chosen:
        st.text_input("Hub id of the teacher", key=fields.TEACHER_HUB, max_chars=96, **KEPT)
    if not found:
        st.caption("There is no finished student yet. Distil one, and it can be chosen here.")


def _show_recipe() -> None:
    asks = fields.choice("way") == "zero-shot"
    if asks:
        st.caption(
            "Only models that have learned to sort texts in two can be asked, and only tasks of two classes. The "
            "teacher that a student learned from is asked along with it."
        )
    for names in (
        ("seeds", "epochs", "batch_size", "learning_rate"),
        ("warmup", "max_tokens", "max_examples", "threads"),
    ):
        for column, name in zip(st.columns(4, vertical_alignment="bottom"), names, strict=True):
            with column:
                shut = name == "learning_rate" and fields.value_of("choose_rate")
                fields.number(name, disabled=shut or (asks and name not in fields.MEANT_WHEN_ASKED))
    chosen, again, layers, copies = st.columns(4, vertical_alignment="bottom")
    with chosen:
        fields.tick("choose_rate", disabled=asks)
    with again:
        fields.tick("second_distillation", disabled=asks)
    alone = asks or not fields.value_of("second_distillation")
    with layers:
        fields.tick("every_layer", disabled=alone)
    with copies:
        fields.number("copies", disabled=alone)
    timing, named = st.columns([1, 3], vertical_alignment="bottom")
    with timing:
        fields.tick("timing")
    with named:
        fields.text("name")
