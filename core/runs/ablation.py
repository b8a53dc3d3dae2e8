"""The paper's Table 4 on this machine: runs that differ in one thing each, through the queue like any other run.

They are six, and one more for each term of the recipe that the paper does not have. An ablation is a group of runs
whose ids share a beginning, "<group>.1-full" to "<group>.6-no-teacher". There is no
file besides: what is known about the group is read from its runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core import estimate, paper
from core.config import CONTROL as NO_TEACHER
from core.config import WEIGHT_PRESETS, Settings
from core.errors import DistilleryError
from core.intervals import half_width_of_difference
from core.numbers import is_share
from core.runs import folder as runs
from core.runs.results import Results, read_result
from core.runs.resume import RESUMABLE, request_resume
from core.sections import LossSettings
from core.settings_file import parse_settings
from core.storage import runs_root
from core.terms import TERMS

FULL, CONTROL = "full", "no-teacher"


@dataclass(frozen=True)
class Variant:
    """One row: what is changed in the full recipe, and by how much that moved the paper's macro score."""

    key: str
    title: str
    change: dict[str, dict[str, Any]]
    paper_delta: float | None


def variants(loss: LossSettings | None = None) -> tuple[Variant, ...]:
    """The rows of the table: the paper's, and one more for each further term that a recipe uses."""
    left_out = [term for term in TERMS if term.paper_weight or (loss is not None and term in loss.in_use())]
    return (
        Variant(FULL, "Full loss", {}, None),
        *(
            Variant(
                f"no-{term.name}",
                f"Without {term.label.lower()}",
                {"loss": {term.name: 0.0}},
                paper.ABLATION.get(term.name),
            )
            for term in left_out
        ),
        Variant(
            "random",
            "Random initial weights",
            {"student": {"initial_weights": "random", "teacher_layers": None}},
            paper.ABLATION["random"],
        ),
        # The paper has no such row. Without it nobody could say what the teacher is good for at all.
        Variant(CONTROL, NO_TEACHER, {"loss": WEIGHT_PRESETS[NO_TEACHER]}, None),
    )


VARIANTS = variants()
"""The rows that the paper has, and the control."""

_KEYS = "|".join(("random", CONTROL, *(f"no-{term.name}" for term in TERMS)))
_MEMBER = re.compile(rf"(.+)\.(?:1-{FULL}|[2-9]-(?:{_KEYS})|[1-9][0-9]-(?:{_KEYS}))")


@dataclass(frozen=True)
class AblationRun:
    """One run of an ablation as it stands. Scores are shares or correlations, `delta` is in the same measure.

    `delta` is this score minus the full recipe's and `sure` half the width of its 95 % interval, by the number of
    test examples alone: both scores are taken on the same examples, so the true interval is narrower, and another
    seed may move them by more. None where there is nothing to compare yet, or, of correlations, no interval.
    `state` is None for a run that has been deleted or cannot be read; `sentence` then says so.
    """

    variant: Variant
    run_id: str
    state: runs.State | None
    sentence: str
    step: int = 0
    total_steps: int = 0
    score: float | None = None
    delta: float | None = None
    sure: float | None = None
    results: Results | None = None


def ablation_settings(base: Settings) -> dict[str, Settings]:
    """The recipes by the variant's key: the same seed, data and budget, and one thing changed in each.

    All terms of the full recipe are in use: a base that leaves one out gets the paper's weights. Raises
    DistilleryError for a student whose shape is its own, because the full recipe copies its weights.
    """
    if base.student.width or base.student.heads:
        raise DistilleryError(
            "The full recipe starts from copied weights, which do not fit a student of its own width or number of "
            "heads. Take a run whose student has its teacher's shape, or the demo's settings."
        )
    whole = _with_every_term(base)
    return {variant.key: _changed(whole, variant.change, _name(variant)) for variant in variants(whole.loss)}


def expected_seconds(base: Settings) -> float:
    """How long all will take here, the teacher trained once. Raises DistilleryError if data or teacher are gone."""
    first, *rest = ablation_settings(base).values()
    untrained = {"teacher": {"epochs": 0}}
    others = (estimate.plan(_changed(settings, untrained, "")).seconds for settings in rest)
    return estimate.plan(first).seconds + sum(others)


def queue_ablation(base: Settings, group: str) -> str:
    """Queue the runs of an ablation for the server's worker; returns the group. The same group is queued once.

    Raises DistilleryError if the settings cannot be used for it, OSError if a folder cannot be written.
    """
    for run_id, settings in _members(base, group):
        runs.create_run(settings, run_id)
    return group


def reserve_ablation(base: Settings, owner: dict[str, Any]) -> tuple[str, list[Path]]:
    """Make the runs of a new ablation, for the process `owner` to train; returns the group and their folders."""
    group = runs.new_run_id()
    return group, [runs.create_run(settings, run_id, owner) for run_id, settings in _members(base, group)]


def groups() -> list[str]:
    """The ablations of this machine, the newest first."""
    found = (_MEMBER.fullmatch(folder.name) for folder in runs.list_runs())
    return list(dict.fromkeys(match[1] for match in found if match))


def read_ablation(group: str) -> list[AblationRun]:
    """The rows of a group as they stand, in the table's order; a run that cannot be read says why in its row."""
    rows = [_read_row(variant, run_id) for run_id, variant in _run_ids(group, _variants_of(group)).items()]
    full = rows[0]
    return [full, *(_compared(row, full) for row in rows[1:])]


def stop_ablation(group: str) -> None:
    """Ask every run of the group that has not ended to stop; those that wait never begin."""
    for row in read_ablation(group):
        if row.state is not None and row.state not in runs.ENDED:
            runs.request_stop(runs.run_folder(row.run_id))


def resume_ablation(group: str) -> None:
    """Go on with every run of the group that was stopped, interrupted or failed, and queue those that are missing.

    Raises DistilleryError if one is missing and the run of the full recipe is too, from which it would be made.
    """
    rows = read_ablation(group)
    for row in rows:
        if row.state in RESUMABLE:
            request_resume(runs.run_folder(row.run_id))
    if any(not (runs_root() / row.run_id).exists() for row in rows):
        queue_ablation(runs.read_settings(runs.run_folder(rows[0].run_id)), group)


def is_over(rows: Iterable[AblationRun]) -> bool:
    """True if nothing of the group trains or waits."""
    return all(row.state is None or row.state in runs.ENDED for row in rows)


def notes_on(rows: list[AblationRun]) -> list[str]:
    """On what the scores of a group were taken, and how far a difference can be trusted; empty while none is there."""
    results = next((row.results for row in rows if row.results), None)
    if results is None:
        return []
    sure = next((row.sure for row in rows if row.sure is not None), None)
    by_chance = "" if sure is None else f" Chance alone moves a change by up to about {100 * sure:.1f} points."
    return [
        f"Here: {results['metric']} on the {results['split']} split, {results['examples']:,} {results['counted']}, "
        f"one seed ({results['seed']}).{by_chance}",
        "Paper: macro score over nine GLUE tasks, each the median of 5 seeds, of a student that had read Wikipedia "
        "and a library of books. Compare the order of the rows, not the numbers.",
    ]


def _members(base: Settings, group: str) -> list[tuple[str, Settings]]:
    settings = ablation_settings(base)
    return [(run_id, settings[each.key]) for run_id, each in _run_ids(group, variants(settings[FULL].loss)).items()]


def _run_ids(group: str, rows: Iterable[Variant]) -> dict[str, Variant]:
    return {f"{group}.{number}-{variant.key}": variant for number, variant in enumerate(rows, 1)}


def _variants_of(group: str) -> tuple[Variant, ...]:
    """Those of the recipe that the group takes apart; the paper's where that run is gone."""
    try:
        return variants(runs.read_settings(runs.run_folder(f"{group}.1-{FULL}")).loss)
    except DistilleryError:
        return VARIANTS


def _name(variant: Variant) -> str:
    return f"Table 4: {variant.title[0].lower()}{variant.title[1:]}"


def _with_every_term(base: Settings) -> Settings:
    weights = {term.name: term.paper_weight for term in TERMS if term.paper_weight}
    if not all(base.loss.weights()[name] for name in weights):
        base = _changed(base, {"loss": weights}, base.name)
    return _changed(base, {"student": {"initial_weights": "copied"}}, base.name)


def _changed(settings: Settings, change: dict[str, dict[str, Any]], name: str) -> Settings:
    raw = settings.model_dump(mode="json")
    return parse_settings(raw | {section: raw[section] | fields for section, fields in change.items()} | {"name": name})


def _read_row(variant: Variant, run_id: str) -> AblationRun:
    try:
        folder = runs.run_folder(run_id)
        status = runs.read_status(folder)
        results = read_result(folder) if status.state == "finished" else None
    except DistilleryError as error:
        return AblationRun(variant, run_id, None, str(error))
    score = results["student"]["score"] if results else None
    return AblationRun(
        variant, run_id, status.state, status.sentence, status.step, status.total_steps, score, results=results
    )


def _compared(row: AblationRun, full: AblationRun) -> AblationRun:
    if row.score is None or full.score is None or row.results is None or full.results is None:
        return row
    mine, other = row.results, full.results
    if any((mine["metric"] != other["metric"], mine["split"] != other["split"], mine["examples"] != other["examples"])):
        return row
    sure = half_width_of_difference(row.score, full.score, mine["examples"]) if is_share(mine["metric"]) else None
    return replace(row, delta=row.score - full.score, sure=sure)
