"""The sentences that a run watched: what both models said to them at the first and at the last step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.export.facts import Facts
from core.jobs.events import read_events
from core.numbers import percent
from core.runs.comparable import label_names
from core.scoring.hidden_words import shown
from core.storage import is_number

WORDS = 3


@dataclass(frozen=True)
class Watched:
    """One sentence and what was said to it, in words. All of it is foreign text."""

    sentence: str
    teacher: str
    before: str
    after: str


def watched_sentences(facts: Facts) -> list[Watched]:
    """Each watched sentence, in the order of the settings; none if no answers to just these were recorded."""
    sentences = facts.settings.probes
    events = [
        event
        for event in read_events(facts.folder / "metrics.jsonl", kind="probe")[0]
        if _is_whole(event, len(sentences))
    ]
    if not events:
        return []
    first, last = min(events, key=_step), max(reversed(events), key=_step)
    names: tuple[str, ...] = ()
    if facts.settings.objective == "labels":
        names = label_names(facts.folder, len(last["teacher"][0]))

    def said(event: dict[str, Any], model: str, number: int) -> str:
        return _in_words(event[model][number], names)

    return [
        Watched(sentence, said(last, "teacher", i), said(first, "student", i), said(last, "student", i))
        for i, sentence in enumerate(sentences)
    ]


def _is_whole(event: dict[str, Any], sentences: int) -> bool:
    if event.get("event") != "probe" or type(event.get("step")) is not int:
        return False
    rows = [event.get(model) for model in ("teacher", "student")]
    return all(isinstance(row, list) and len(row) == sentences > 0 and all(map(_is_answer, row)) for row in rows)


def _is_answer(row: Any) -> bool:
    """True for shares of labels, a score, or pairs of a word and its share."""
    if not isinstance(row, list):
        return False
    if row and all(is_number(value) for value in row):
        return True
    return all(
        isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) and is_number(pair[1]) for pair in row
    )


def _in_words(row: list[Any], names: tuple[str, ...]) -> str:
    if not row:
        return "–"
    if isinstance(row[0], list):
        return ", ".join(f"{shown(word)} {percent(share, 0)}" for word, share in row[:WORDS])
    if len(row) == 1:
        return f"{row[0]:.3g}".replace("-", "−")
    best = max(range(len(row)), key=lambda place: row[place])
    return f"{names[best] if best < len(names) else f'class {best}'} {percent(row[best], 0)}"


def _step(event: dict[str, Any]) -> int:
    return event["step"]
