"""The models of a GLUE job: found, checked and named before anything is loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core import network
from core.config import is_control
from core.errors import DistilleryError
from core.glue.cells import Role
from core.glue.seen import OF_RUN, seen_before
from core.glue.settings import GlueSettings, ScoredModel, StudentModel
from core.models import hub
from core.models.description import read_description
from core.models.folder import CONFIG, ModelFolder
from core.models.layout import head_of
from core.models.outline import teacher_fingerprint, teacher_outline
from core.models.shape import Shape
from core.models.size import teacher_shape
from core.models.weights import ModelError
from core.runs import folder as runs
from core.runs.about import run_name
from core.runs.comparable import model_folders
from core.sections import DataSettings, TeacherSettings

ANSWERS = 2
"""Outputs of a model that can be asked a task of two classes without learning it."""


@dataclass(frozen=True)
class Entrant:
    """One model to score: a teacher as it comes (`teacher`), or a model saved in a folder.

    `key` names it by content or origin. `learned_from` is the data that it has learned, None where it is not known.
    `label_names` are those of its own head, empty where it has none for labels.
    """

    key: str
    role: Role
    title: str
    shape: Shape
    label_names: tuple[str, ...]
    teacher: TeacherSettings | None = None
    folder: Path | None = None
    learned_from: DataSettings | None = None

    def leaks(self, task: str) -> tuple[str, ...]:
        """Why its score on a task is compared with nothing: a sentence if its run learned from the task's texts."""
        return seen_before(self.learned_from, task) if self.learned_from else ()


def entrants(settings: GlueSettings, fetch: bool = True) -> list[Entrant]:
    """The models of a job, teachers first; for zero-shot also the trained teachers of the runs.

    A model of the Hub that is not here is fetched, or, without `fetch`, left out. Raises DistilleryError, naming the
    model, for one that cannot be used.
    """
    models = settings.models if fetch else [model for model in settings.models if not _has_to_be_fetched(model)]
    found = [entrant for model in models for entrant in _entrants_of(model, settings.way == "zero-shot")]
    distinct = {entrant.key: entrant for entrant in found}
    if settings.way == "zero-shot":
        for entrant in distinct.values():
            _check_answers(entrant)
    elif len(distinct) < len(found):
        twice = next(entrant for entrant in found if distinct[entrant.key] is not entrant)
        raise DistilleryError(f"models holds {twice.title} twice; choose each once.")
    for entrant in distinct.values():
        if settings.max_tokens > entrant.shape.longest:
            raise DistilleryError(
                f"max_tokens is {settings.max_tokens}, but {entrant.title} reads at most {entrant.shape.longest} "
                f"word pieces; choose up to {entrant.shape.longest}."
            )
    return sorted(distinct.values(), key=lambda entrant: entrant.role != "teacher")


def _has_to_be_fetched(model: ScoredModel) -> bool:
    """True for a model of the Hub that is not here. Raises ModelError if the network is off, too."""
    if isinstance(model, StudentModel) or model.teacher.source != "hub" or hub.cached_model(model.teacher.hub_id):
        return False
    if not network.is_on():
        raise ModelError(hub.why_not_here(model.teacher.hub_id))
    return True


def _entrants_of(model: ScoredModel, with_teacher: bool) -> Sequence[Entrant]:
    return _of_run(model, with_teacher) if isinstance(model, StudentModel) else [_of_teacher(model.teacher)]


def _of_teacher(teacher: TeacherSettings) -> Entrant:
    if teacher.source == "hub":
        hub.fetch_model(teacher.hub_id)
    outline = teacher_outline(teacher)
    title = {
        "minilm": f"Bundled teacher (MiniLM, {outline.depth} layers)",
        "folder": f"Teacher in {Path(teacher.path.strip()).name or teacher.path}/ ({outline.depth} layers)",
        "hub": f"{teacher.hub_id} ({outline.depth} layers)",
    }[teacher.source]
    key = f"teacher-{teacher_fingerprint(teacher)[:12]}"
    return Entrant(key, "teacher", title, teacher_shape(outline), outline.label_names, teacher=teacher)


def _of_run(model: StudentModel, with_teacher: bool) -> list[Entrant]:
    folder = runs.run_folder(model.run)
    settings = runs.read_settings(folder)
    title = run_name(folder, settings)
    state = runs.read_status(folder).state
    if state != "finished":
        raise DistilleryError(f"{title} is {state}, not finished, so its student is not scored. Resume it first.")
    try:
        folders = model_folders(folder) if with_teacher else {"student": folder / "student"}
        if not folders["student"].is_dir():
            raise DistilleryError("Its student is no longer in its folder.")
    except DistilleryError as error:
        raise DistilleryError(f"{title} cannot be scored: {error}") from error
    role: Role = "control" if is_control(settings.loss) else "student"
    found = [_saved(_run_key(model.run), role, title, folders["student"], settings.data)]
    if with_teacher:
        lies = folders["teacher"]
        found.insert(0, _saved(f"teacher-{lies.parent.name}", "teacher", f"Teacher of {title}", lies, settings.data))
    return found


def _saved(key: str, role: Role, title: str, folder: Path, data: DataSettings) -> Entrant:
    opened = ModelFolder(folder)
    description = read_description(opened)
    head = head_of(description, opened.where(CONFIG))
    names = description.label_names if head == "labels" else ()
    return Entrant(key, role, title, description.shape("labels"), names, folder=folder, learned_from=data)


def _run_key(run: str) -> str:
    """Part of a file name, which a renamed run's own name might not fit into."""
    plain = runs.NAME.fullmatch(run) and run.isascii()
    return f"{OF_RUN}{run if plain else hashlib.sha256(run.encode()).hexdigest()[:12]}"


def _check_answers(entrant: Entrant) -> None:
    if len(entrant.label_names) == ANSWERS:
        return
    has = f"tells {len(entrant.label_names)} labels apart" if entrant.label_names else "has not learned any labels"
    if len(entrant.label_names) == 1:
        has = "gives a score and no label"
    raise DistilleryError(
        f"{entrant.title} {has}, so it cannot be asked zero-shot: that takes a model with two answers. "
        "Take it out of the models, or fine-tune it."
    )
