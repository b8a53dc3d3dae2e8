"""Before anything is allocated: whether a GLUE job can be done, and what there is to do. Loads no torch."""

from __future__ import annotations

from collections.abc import Sequence

from core.estimate import FLOPS_PER_S, SECONDS_PER_PARAMETER
from core.glue.cells import Way
from core.glue.entrants import Entrant, entrants
from core.glue.plan import Plan, PlannedCell, in_order
from core.glue.rates import held_out_count
from core.glue.settings import RATES, GlueSettings
from core.glue.tasks import TaskTexts, check_tasks, pieces_of, read_task

Work = tuple[float | None, int, float]
"""A learning rate that is tried, None where it is not for that; updates; and seconds on the reference machine."""


def check_job(settings: GlueSettings) -> None:
    """Raise DistilleryError if a task or a model of the job is missing or cannot be used; opens only headers.

    A model that has to be fetched from the Hub is fetched, and checked, when the job begins.
    """
    check_tasks(settings)
    entrants(settings, fetch=False)


def plan_of(settings: GlueSettings, models: Sequence[Entrant]) -> Plan:
    """Every score of the job, in order: with one seed all tasks, in each task every model; then with the next seed.

    Reads all files, so that a fault in the last of them is found before the first model learns. Raises DataError.
    """
    cells: dict[str, list[PlannedCell]] = {}
    for task in settings.tasks:
        texts = read_task(settings, task)
        cells[task] = [cell for model in models for cell in _planned(settings, model, texts)]
    seeds = range(1 if settings.way == "zero-shot" else settings.seeds)
    return in_order([cell.with_seed(seed) for seed in seeds for task in settings.tasks for cell in cells[task]])


def works_of(settings: GlueSettings, model: Entrant, task: str, train: int, scored: int) -> list[Work]:
    """What a model does for one score: the trials of learning rates, if any, then what they were for."""
    whole = (None, *_work(settings, model, task, train, scored))
    if not settings.choose_rate:
        return [whole]
    drawn = min(settings.max_examples or train, train)
    judged = held_out_count(drawn)
    return [*((rate, *_work(settings, model, task, drawn - judged, judged)) for rate in RATES), whole]


def _work(settings: GlueSettings, model: Entrant, task: str, train: int, scored: int) -> tuple[int, float]:
    """Updates in which a model learns so many of `train` examples as the settings say, and about how many seconds that
    and scoring `scored` ones take on the reference machine of `core/estimate.py`.
    """
    epochs = 0 if settings.way == "zero-shot" else settings.epochs
    drawn = min(settings.max_examples or train, train)
    read = drawn * settings.readings(model.role)
    updates = epochs * -(-read // settings.batch_size)
    pieces = pieces_of(task, settings.max_tokens)
    # A backward pass costs two forward passes; then every parameter is updated.
    seconds = 2 * model.shape.encoder_parameters * pieces * (3 * epochs * read + scored) / FLOPS_PER_S
    return updates, seconds + updates * model.shape.parameters * SECONDS_PER_PARAMETER


def _planned(settings: GlueSettings, model: Entrant, texts: TaskTexts) -> list[PlannedCell]:
    scored, way = len(texts.dev) + len(texts.mismatched or ()), _way(settings, model)
    what = (model.key, model.role, model.title, texts.name, 0, way, 0)
    return [
        PlannedCell(*what, max(1, updates), float(f"{seconds:.4g}"), rate)
        for rate, updates, seconds in works_of(settings, model, texts.name, len(texts.train), scored)
    ]


def _way(settings: GlueSettings, model: Entrant) -> Way:
    if settings.way == "zero-shot":
        return "zero-shot"
    # A control that learned from a teacher would be none.
    return "distilled again" if settings.second_distillation and model.role == "student" else "fine-tuned"
