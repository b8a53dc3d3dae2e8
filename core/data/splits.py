"""Which examples are learned from, which are watched and which are scored: no text is ever in two of these parts."""

from __future__ import annotations

import numpy as np

from core.data.files import shown
from core.data.part import LabelledData, Part
from core.errors import DistilleryError

HELD_OUT_SHARE = 0.1
"""Share of the examples in validation, and again in test: 80/10/10."""

MOST_WATCHED = 1_000
"""Beside an official test set, at most this many of the training examples are held out for the live curves."""


def random_split(names: tuple[str, ...], part: Part, most: int | None, seed: int) -> LabelledData:
    """80/10/10 of at most `most` examples, without copies; classes in equal shares. No names: labels are scores.

    Raises DistilleryError if there is nothing to learn, or too little to split.
    """
    part, note = without_copies_noted(names, part)
    part = limited(names, part, most, seed)
    check_labels(names, part, note)
    train, held_out = _drawn(names, part, part, seed, test_size=2 * HELD_OUT_SHARE)
    validation, test = _drawn(names, held_out, part, seed, test_size=0.5)
    return LabelledData(names, train, validation, test, notes=note)


def official_split(names: tuple[str, ...], part: Part, test: Part, most: int | None, seed: int) -> LabelledData:
    """All of `test` as it is; of `part`, without copies of each other or of `test`, a tenth for validation."""
    part, notes = without_copies_noted(names, part)
    part, in_test = _without_texts_of(part, test)
    part = limited(names, part, most, seed)
    check_labels(names, part, notes)
    watched = min(round(HELD_OUT_SHARE * len(part)), MOST_WATCHED)
    train, validation = _drawn(names, part, part, seed, test_size=watched)
    if in_test:
        notes += (f"Examples of the training file that are also in the test set were left out: {in_test:,}.",)
    return LabelledData(names, train, validation, test, notes=notes)


def held_out(names: tuple[str, ...], part: Part, count: int, seed: int) -> tuple[Part, Part]:
    """The part but for `count` examples, and those, drawn at random with the classes in the same shares.

    Raises DistilleryError if a class has too few for both.
    """
    return _drawn(names, part, part, seed, test_size=count)


def without_copies(part: Part) -> tuple[Part, int]:
    """Each text (or pair) once, its first example kept, whatever the case and spacing; and how many were dropped."""
    keys = part.keys()
    first = {key: i for i, key in reversed(list(enumerate(keys)))}
    kept = np.array([i for i, key in enumerate(keys) if first[key] == i], dtype=np.int64)
    return (part, 0) if len(kept) == len(part) else (part.take(kept), len(part) - len(kept))


def without_copies_noted(names: tuple[str, ...], part: Part) -> tuple[Part, tuple[str, ...]]:
    """The same, and what has to be said about it: how many were left out, and which of them contradict the first."""
    kept, copies = without_copies(part)
    if not copies:
        return kept, ()
    note = f"Repeated texts were left out: {copies:,}."
    against = _contradictions(part)
    if against:
        kind = "label" if names else "score"
        first, repeats = against[0]
        where = f", for example {_where(names, part, repeats)} against {_where(names, part, first)}"
        few = "1 of them carries" if len(against) == 1 else f"{len(against):,} of them carry"
        note += f" {few} another {kind} than the first with this text{where}. Only the first counts."
    return kept, (note,)


def _contradictions(part: Part) -> list[tuple[int, int]]:
    """Each example whose text an earlier one has with another label, behind the first that has it."""
    first: dict[tuple[str, ...], int] = {}
    pairs = [(first.setdefault(key, i), i) for i, key in enumerate(part.keys())]
    return [(before, after) for before, after in pairs if part.labels[before] != part.labels[after]]


def _where(names: tuple[str, ...], part: Part, example: int) -> str:
    label = shown(names[int(part.labels[example])]) if names else f"{part.labels[example]:g}"
    return f"line {part.lines[example]:,} ({label})" if part.lines else f"{label} for {shown(part.texts[example], 40)}"


def limited(names: tuple[str, ...], part: Part, most: int | None, seed: int) -> Part:
    """At most `most` of the examples, drawn at random with the classes in the same shares."""
    if not most or most >= len(part):
        return part
    return _drawn(names, part, part, seed, train_size=most)[0]


def check_labels(names: tuple[str, ...], part: Part, notes: tuple[str, ...] = ()) -> None:
    """Raise DistilleryError if a class or every difference is missing; `notes` are what was left out, and why."""
    why = " ".join(("", *notes))
    if len(np.unique(part.labels)) < 2:
        left = " that are left" if notes else ""
        advice = "Correct the labels" if "another" in why else "Choose other data"
        raise DistilleryError(f"All examples{left} carry the same label, so there is nothing to learn.{why} {advice}.")
    if names and np.bincount(part.labels, minlength=len(names)).min() == 0:
        raise _cannot_split(names, part, why)


def _drawn(names: tuple[str, ...], part: Part, whole: Part, seed: int, **size: float) -> tuple[Part, Part]:
    """Two random parts, each with the classes in the same shares; scores as they come. Errors speak of `whole`."""
    # It takes seconds to load, and pages that only name tasks can do without.
    from sklearn.model_selection import train_test_split

    strata = part.labels if names else None
    try:
        first, second = train_test_split(np.arange(len(part)), stratify=strata, random_state=seed, **size)
    except ValueError as error:
        raise _cannot_split(names, whole) from error
    return part.take(first), part.take(second)


def learned_beside(part: Part, test: Part) -> Part:
    """The part without copies of each other or of the test set."""
    return _without_texts_of(without_copies(part)[0], test)[0]


def _without_texts_of(part: Part, other: Part) -> tuple[Part, int]:
    known = set(other.keys())
    kept = np.array([i for i, key in enumerate(part.keys()) if key not in known], dtype=np.int64)
    return (part, 0) if len(kept) == len(part) else (part.take(kept), len(part) - len(kept))


def _cannot_split(names: tuple[str, ...], part: Part, why: str = "") -> DistilleryError:
    if not names:
        return DistilleryError(f"{len(part)} examples, copies not counted, are too few to split. Add more.")
    counts = np.bincount(part.labels, minlength=len(names))
    rare = int(counts.argmin())
    label = shown(names[rare])
    return DistilleryError(
        f"Too few examples to split: of the label {label} there are {counts[rare]} among {len(part):,}, copies "
        f"not counted.{why} Add examples of it, or raise data.max_examples."
    )
