"""Who answers: the teacher and the student of a run, and up to one more that can be asked the same question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from core.config import Settings, is_control
from core.errors import DistilleryError
from core.runs import folder as runs
from core.runs.comparable import RunToCompare, UnusableRun, model_folders
from core.storage import read_json
from pages.ui.compare.names import ORDINALS, Role
from pages.ui.text import as_label, clean
from pages.ui.watch import started

MOST = 3


@dataclass(frozen=True)
class Choice:
    """A model that can be asked: what it is, whose it is, and where it lies. `key` is the same at every rerun."""

    key: str
    role: Role
    run: RunToCompare
    folder: Path
    is_own: bool

    @property
    def settings(self) -> Settings:
        """The settings of its run."""
        return self.run.settings

    def has_teacher(self, teacher: Choice) -> bool:
        """True for a student of this very teacher."""
        return model_folders(runs.run_folder(self.run.run_id))["teacher"] == teacher.folder


def choose_models(run: RunToCompare, others: Sequence[RunToCompare]) -> dict[str, Choice]:
    """The widget, and the chosen models by the name they go by on this page: "teacher", "second student".

    Raises DistilleryError if the run's own models are not there.
    """
    choices = {choice.key: choice for choice in choices_for(run, others)}
    key = f"compare-models-{run.run_id}"
    own = [each for each, choice in choices.items() if choice.is_own]
    # What was chosen may have been deleted since.
    kept = [each for each in st.session_state.get(key, own) if each in choices]
    st.session_state[key] = kept
    chosen = st.multiselect(
        "Who answers (two or three)",
        list(choices),
        format_func=lambda each: describe(choices[each]),
        key=key,
        max_selections=MOST,
        select_all=False,
        placeholder="Choose two or three models",
        persist_state="session",
        help="The teacher and the student of this run, and models of other runs that answer the same kind of "
        "question. A control is a student that learned without a teacher.",
    )
    return named([choices[each] for each in chosen])


def choices_for(run: RunToCompare, others: Sequence[RunToCompare]) -> list[Choice]:
    """The run's own teacher and student, then what else can be asked the same, each model once."""
    found = {choice.folder: choice for choice in _models_of(run, is_own=True)}
    asked = question_of(run)
    for other in others:
        if other.run_id != run.run_id and other.kind == run.kind and question_of(other) == asked:
            for choice in _models_of(other, is_own=False):
                found.setdefault(choice.folder, choice)
    # Students before teachers: a second student is what people look for.
    return sorted(
        found.values(), key=lambda choice: (not choice.is_own, not choice.is_own and choice.role == "teacher")
    )


def question_of(run: RunToCompare) -> tuple[str, ...]:
    """What a run's models are asked: equal for runs whose models can be compared. Their kind is compared besides."""
    if run.kind == "words":
        return ()
    try:
        names = read_json(runs.run_folder(run.run_id) / "student" / "config.json").get("id2label")
    except DistilleryError:
        return (run.run_id,)
    if not isinstance(names, dict) or len(names) != 1:
        return tuple(str(name) for name in names.values()) if isinstance(names, dict) else (run.run_id,)
    data = run.settings.data
    # A score says nothing of its scale, so only those of the same data are alike.
    return data.source, data.path, data.task, data.label_column


def named(chosen: Sequence[Choice]) -> dict[str, Choice]:
    """Each model under a name of its own: its role, with "second" before it where there are two."""
    found: dict[str, Choice] = {}
    for choice in chosen:
        before = sum(other.role == choice.role for other in found.values())
        found[f"{ORDINALS[before]}{choice.role}"] = choice
    return found


def folders_of(chosen: Mapping[str, Choice]) -> dict[str, Path]:
    """Where the models lie, by name."""
    return {name: choice.folder for name, choice in chosen.items()}


def describe(choice: Choice) -> str:
    """A model in the chooser: "Student", "Student of Run of 22 Nov, 12:00"."""
    title = {"teacher": "Teacher", "student": "Student", "control": "Control"}[choice.role]
    return title if choice.is_own else f"{title} of {run_name(choice.run)}"


def run_name(run: RunToCompare | UnusableRun) -> str:
    """What a person calls a run."""
    return clean(run.name) or started(run.run_id)


def whose(choice: Choice) -> str:
    """Below a model's name: of which run it is, and what it is made of. Safe as a label."""
    settings = choice.settings
    if choice.role == "teacher":
        what = "the large model"
    else:
        layers = settings.student.layers
        what = f"{layers} {'layer' if layers == 1 else 'layers'}"
        what += ", learned from labels alone" if choice.role == "control" else ", learned from its teacher"
    return as_label(what if choice.is_own else f"{what}; {run_name(choice.run)}", 90)


def _models_of(run: RunToCompare, is_own: bool) -> list[Choice]:
    folders = model_folders(runs.run_folder(run.run_id))
    role: Role = "control" if is_control(run.settings.loss) else "student"
    teacher = Choice(f"teacher-{folders['teacher'].parent.name}", "teacher", run, folders["teacher"], is_own)
    return [teacher, Choice(f"student-{run.run_id}", role, run, folders["student"], is_own)]
