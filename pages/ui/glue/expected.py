"""How long a GLUE job will take here, before it begins: its plan's arithmetic, with sizes known without reading."""

from __future__ import annotations

from functools import lru_cache

from core.data.glue import TASKS
from core.data.outline import TextOutline, text_outline
from core.estimate import FLOPS_PER_S, START_S
from core.glue.entrants import Entrant, entrants
from core.glue.planning import works_of
from core.glue.settings import GlueSettings
from core.glue.tasks import BUNDLED, TIMED, pieces_of
from core.pace import pace_here
from core.sections import DataSettings, GlueSource, TrainingSettings

ONE_AT_A_TIME = 1.6
"""How much longer a processor takes for examples one at a time than in batches."""


def expected_seconds(settings: GlueSettings) -> tuple[float, bool]:
    """Seconds of the whole job, and whether a finished run of this machine says how quick it is.

    Raises DistilleryError if a task or a model is missing.
    """
    models = entrants(settings, fetch=False)
    # A job computes as a run does whose device and number format are chosen by themselves.
    pace, measured = pace_here(TrainingSettings(), "labels")
    learned = sum(_seconds(settings, model, task) for task in settings.tasks for model in models)
    seeds = 1 if settings.way == "zero-shot" else settings.seeds
    timed = sum(_timed(settings, model) for model in models) if settings.timing else 0.0
    return START_S + pace * (seeds * learned + timed), measured


def _seconds(settings: GlueSettings, model: Entrant, task: str) -> float:
    """Of one score on the reference machine."""
    texts = outline(settings.source, settings.path, task)
    scored = texts.test * (2 if task == "MNLI" else 1)
    works = works_of(settings, model, task, texts.train + texts.validation, scored)
    return sum(seconds for _, _, seconds in works)


def _timed(settings: GlueSettings, model: Entrant) -> float:
    texts = outline(settings.source, settings.path, TIMED)
    pieces = texts.test * pieces_of(TIMED, settings.max_tokens)
    return ONE_AT_A_TIME * 2 * model.shape.encoder_parameters * pieces / FLOPS_PER_S


@lru_cache(maxsize=64)
def outline(source: GlueSource, path: str, task: str) -> TextOutline:
    """How many examples a task has; looked at once, since it need not be exact. Raises DistilleryError."""
    if bundled := BUNDLED.get(task):
        return text_outline(DataSettings(source=bundled), "labels")
    return text_outline(DataSettings(source=source, path=path, task=TASKS[task].name, split="official"), "labels")
