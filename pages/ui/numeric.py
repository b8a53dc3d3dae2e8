"""What the widget of a numeric setting lets somebody type: any number, with step and format from the field itself.

The widget has no bounds of its own: a browser keeps what is beyond them to itself and the old value stays in use, so a
click on Start would begin what nobody asked for. What is typed is judged here, by the field's own bounds.
"""

from __future__ import annotations

from types import NoneType
from typing import Any, get_args

from pydantic import BaseModel

from core.config import bounds, extra


def number_arguments(model: type[BaseModel], name: str, step: float, empty: str) -> dict[str, Any]:
    """Keyword arguments of `st.number_input`.

    `step` counts for a field of fractions that names none; `empty` stands where nothing is filled in, if that may be.
    """
    kinds, more = _kinds(model, name), extra(model, name)
    optional, whole = NoneType in kinds, int in kinds
    return {
        # A field that may not be empty is 0 once it is cleared: that is beyond its bounds or what it began with.
        "value": None if optional else "min",
        # Always a fraction: of whole numbers the browser would keep those to itself that a double cannot hold.
        "step": float(more.get("step", 1 if whole else step)),
        "format": more.get("format") or ("%g" if whole else "%.2f"),
        "placeholder": empty if optional else None,
    }


def as_setting(model: type[BaseModel], name: str, value: Any) -> Any:
    """What is in a field's widget, a whole number where the field is one and the widget's is whole."""
    if int in _kinds(model, name) and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def is_within_bounds(model: type[BaseModel], name: str, value: Any) -> bool:
    """True if a field takes this number; True for whatever is no number too."""
    low, high = bounds(model, name)
    return not isinstance(value, int | float) or low <= value <= high


def _kinds(model: type[BaseModel], name: str) -> tuple[Any, ...]:
    annotation = model.model_fields[name].annotation
    return get_args(annotation) or (annotation,)
