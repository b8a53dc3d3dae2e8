"""The paper's Tables 2, 3 and 4, with what was measured on this machine below: IMDb, size and speed, ablation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core import paper
from core.data.glue import TASKS
from core.glue.pooling import ROLES, Jobs, Pooled, Scores, number_beside, scores_of
from core.glue.table import Column, Footnotes, Row, Table, Value, against, with_best
from core.storage import is_number

IMDB = "IMDb"
OWN_IMDB_SPLIT = (
    "Scored on a part of the 25,000 bundled reviews that was held out here, not on the official test set of 25,000 "
    "reviews, and learned from fewer. Not to be compared with the paper's."
)
OTHER_MACHINE = (
    "Seconds depend on the machine and on what else it does: compare the measured ones with each other only."
)
OTHER_PAIRS = "Timed on {pairs:,} pairs; the official development set of STS-B has {official:,}."
WORD_LIST = "{share:.0f} % of the parameters are word list and positions, which a student keeps whole."
SEPARATE_SCALE = (
    "Measured deltas are differences in the score of one labelled or masked-word run on this machine, not in the "
    "GLUE macro score, and are not to be expected to be as large as the paper's."
)


@dataclass(frozen=True)
class AblationRow:
    """One row of the paper's Table 4. `paper_delta` is in points, None where the paper has no such row.

    `score` is the measured one as a share or correlation, None until the run of the row is finished; `state` is the
    run's state word, "" if there is no run. `sure` is half the width of the 95 % interval of the measured delta, in
    the measure of the score. The first row is the full loss, whose score the others are compared with.
    """

    name: str
    paper_delta: float | None
    score: float | None = None
    state: str = ""
    sure: float | None = None
    is_control: bool = False


def downstream_table(jobs: Jobs) -> Table:
    """Table 2: IMDb and SQuAD as reported, and IMDb measured here. Column keys "imdb", "squad_em", "squad_f1"."""
    scores, notes = scores_of(jobs), Footnotes()
    columns = (
        Column("imdb", IMDB, "accuracy", "test", decimals=2),
        Column("squad_em", "SQuAD 1.1", "exact match", "dev"),
        Column("squad_f1", "SQuAD 1.1", "F1", "dev"),
    )
    reported = tuple(_downstream_row(row, columns, notes) for row in paper.DOWNSTREAM_ROWS)
    pooled = {key: scores.get(key, IMDB) for key in scores.models((IMDB,))}
    measured = tuple(_imdb_row(scores, key, found, notes) for key, found in pooled.items() if found)
    return Table(
        "downstream",
        "IMDb and SQuAD",
        columns,
        with_best((*reported, *measured), columns),
        notes.texts(),
        (f"Reported rows: {paper.SOURCE}.", "SQuAD is reported only; it is not measured here."),
    )


def size_speed_table(timings: Sequence[Mapping[str, Any]]) -> Table:
    """Table 3: size and seconds for a full pass over STS-B's development set, on a processor, one pair at a time.

    `timings` are the contents of the jobs' timing.json, newest first; of each model the newest counts.
    Column keys: "parameters" (M), "encoder_parameters" (M), "size_mb", "seconds", "speed" (times the teacher's).
    """
    notes = Footnotes()
    columns = (
        Column("parameters", "Parameters", unit="M", decimals=None, better="lower"),
        Column("encoder_parameters", "of these, in the layers", unit="M", decimals=None, better="lower"),
        Column("size_mb", "On disk", unit="MB", decimals=None, better="lower"),
        Column("seconds", "STS-B dev", "one pair at a time", "dev", unit="s", decimals=None, better="lower"),
        Column("speed", "Speed", "times the teacher's", unit="times", decimals=2),
    )
    reported = tuple(_size_row(row, notes) for row in paper.SIZE_ROWS)
    measured = tuple(_timed_row(model, teacher, notes) for model, teacher in _newest_timings(timings))
    about = (f"Reported rows: {paper.SOURCE}; seconds on a processor, batch size 1.", OTHER_MACHINE)
    return Table("size", "Size and speed", columns, with_best((*reported, *measured), columns), notes.texts(), about)


def ablation_table(rows: Sequence[AblationRow], metric: str, demo_scale: bool = True) -> Table:
    """Table 4: what is lost when a term is left out. Column keys "paper" and "here", in points; "score" as measured.

    One row for each AblationRow; `state` of the row tells how far it is. Origin of "here" is "demo scale" unless told.
    """
    notes = Footnotes()
    columns = (
        Column("paper", "Paper", "change of the GLUE macro score", "dev", decimals=2, signed=True, better=""),
        Column("here", "Here", f"change of {metric}", "test", decimals=2, signed=True, better=""),
        Column("score", "Score", metric, "test"),
    )
    full = rows[0].score if rows else None
    origin = "demo scale" if demo_scale else "measured here"
    made = tuple(_ablation_row(row, full if place else None, origin, metric, notes) for place, row in enumerate(rows))
    about = (paper.ABLATION_MEANS, SEPARATE_SCALE)
    return Table("ablation", "What each part of the loss is good for", columns, made, notes.texts(), about)


def _downstream_row(row: paper.ReportedRow, columns: Sequence[Column], notes: Footnotes) -> Row:
    own = notes.letters(row.footnotes.get("", ()))
    values = {
        column.key: Value(
            row.scores[column.key],
            "paper",
            column.metric,
            column.split,
            footnotes=notes.letters(row.footnotes.get(column.key, ())),
        )
        for column in columns
        if column.key in row.scores
    }
    bert = paper.DOWNSTREAM_ROWS[0]
    if row is not bert:
        values = {key: against(value, bert.scores[key]) for key, value in values.items()}
    return Row(row.name, "paper", values, teacher="" if row is bert else bert.name, footnotes=own)


def _imdb_row(scores: Scores, key: tuple[str, str], pooled: Pooled, notes: Footnotes) -> Row:
    newest, teacher = scores.newest(key), scores.teacher_of(key)
    beside = scores.get(teacher, IMDB) if teacher else None
    value = replace(pooled.value, origin="demo scale", footnotes=notes.letters((OWN_IMDB_SPLIT, *pooled.first.notes)))
    value = against(value, number_beside(pooled, beside))
    title = scores.newest(teacher).title if teacher else ""
    return Row(newest.title, newest.role, {"imdb": value}, newest.model, newest.way, title)


def _size_row(row: paper.SizeAndSpeed, notes: Footnotes) -> Row:
    bert = next(each for each in paper.SIZE_ROWS if each.name == paper.BERT_BASE.name)
    own = notes.letters(row.footnotes.get("", ()))
    numbers = {"parameters": row.parameters / 1e6, "seconds": row.seconds, "speed": bert.seconds / row.seconds}
    values = {
        key: Value(number, "paper", footnotes=notes.letters(row.footnotes.get(key, ())))
        for key, number in numbers.items()
    }
    if row.name != paper.DISTILBERT.name:
        return Row(row.name, "paper", values, footnotes=own)
    values["parameters"] = against(values["parameters"], bert.parameters / 1e6)
    values["seconds"] = against(values["seconds"], bert.seconds)
    return Row(row.name, "paper", values, teacher=bert.name, footnotes=own)


def _newest_timings(timings: Sequence[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], Mapping[str, Any] | None]]:
    """Each model's newest timing, with that of the teacher timed in the same job, if there was one."""
    found: dict[str, tuple[Mapping[str, Any], Mapping[str, Any] | None]] = {}
    for timing in timings:
        models = timing.get("models") or []
        teacher = next((model for model in models if model.get("role") == "teacher"), None)
        for model in models:
            found.setdefault(str(model.get("model")), (model, teacher))
    return sorted(found.values(), key=lambda pair: ROLES.index(_role(pair[0])))


def _timed_row(model: Mapping[str, Any], teacher: Mapping[str, Any] | None, notes: Footnotes) -> Row:
    role = _role(model)
    values = {}
    for key, scale in (("parameters", 1e6), ("encoder_parameters", 1e6), ("size_mb", 1.0), ("seconds", 1.0)):
        number, of = _number(model, key, scale), _number(teacher or {}, key, scale)
        if number is not None:
            value = Value(number, "measured here", split="dev" if key == "seconds" else "")
            values[key] = against(value, of) if of is not None and role != "teacher" else value
    values |= _speed(model, teacher)
    return Row(
        str(model.get("title") or model.get("model")),
        role,
        values,
        str(model.get("model")),
        teacher=str(teacher["title"]) if teacher and role != "teacher" else "",
        footnotes=notes.letters(_said_of_timing(model)),
    )


def _speed(model: Mapping[str, Any], teacher: Mapping[str, Any] | None) -> dict[str, Value]:
    """How many times as fast as the teacher, where both read the same pairs on the same processor threads."""
    same = teacher is not None and all(model.get(key) == teacher.get(key) for key in ("pairs", "threads", "device"))
    own, of = _number(model, "seconds"), _number(teacher or {}, "seconds")
    return {"speed": Value(of / own, "measured here")} if same and own and of else {}


def _said_of_timing(model: Mapping[str, Any]) -> list[str]:
    said, official = [], TASKS["STS-B"].dev_size
    pairs, whole, words = (_number(model, key) for key in ("pairs", "parameters", "embedding_parameters"))
    if pairs is not None and pairs != official:
        said.append(OTHER_PAIRS.format(pairs=int(pairs), official=official))
    if whole and words:
        said.append(WORD_LIST.format(share=100 * words / whole))
    return said


def _role(model: Mapping[str, Any]) -> Any:
    return model.get("role") if model.get("role") in ROLES else "student"


def _number(model: Mapping[str, Any], key: str, scale: float = 1.0) -> float | None:
    value = model.get(key)
    return value / scale if is_number(value) else None


def _ablation_row(row: AblationRow, full: float | None, origin: Any, metric: str, notes: Footnotes) -> Row:
    values = {}
    if row.paper_delta is not None:
        values["paper"] = Value(row.paper_delta, "paper", "GLUE macro score", "dev")
    if row.score is not None:
        values["score"] = Value(100 * row.score, origin, metric)
        if full is not None:
            label = f"± {100 * row.sure:.1f}" if row.sure is not None else ""
            values["here"] = Value(100 * (row.score - full), origin, metric, label=label)
    return Row(row.name, "control" if row.is_control else "student", values, state=row.state)
