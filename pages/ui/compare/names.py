"""What the models on the Compare page are called, and their colours: "teacher", "student", "second student"."""

from __future__ import annotations

from typing import Literal

from pages.ui.theme import CONTROL, STUDENT, TEACHER

Role = Literal["teacher", "student", "control"]

ORDINALS = ("", "second ", "third ")

COLOURS: dict[str, tuple[str, str, str]] = {
    "teacher": (TEACHER, "#67B5DE", "#A9D6EE"),
    "student": (STUDENT, "#F2A66B", "#F7CDAA"),
    "control": (CONTROL, "#A6A6A6", "#C9C9C9"),
}
"""Hex of the first, second and third model of a role: paler, so the meaning stays and they can be told apart."""


def title_of(name: str) -> str:
    """A model's name at the beginning of a line: "Second student"."""
    return name[:1].upper() + name[1:]


def colour_of(name: str) -> str:
    """Hex by a model's name."""
    ordinal, _, role = name.rpartition(" ")
    return COLOURS[role][ORDINALS.index(f"{ordinal} " if ordinal else "")]


def all_of(count: int) -> str:
    """How a sentence speaks of so many models: "Both", "All three"."""
    return {2: "Both", 3: "All three"}.get(count, "It")
