"""What the widget of a numeric setting lets somebody type: bounds, step and format from the field itself."""

from __future__ import annotations

import math
from types import NoneType
from typing import Any, get_args

from pydantic import BaseModel

from core.config import bounds, extra


def limits(model: type[BaseModel], name: str, step: float, empty: str) -> dict[str, Any]:
    """Keyword arguments of `st.number_input`, all whole numbers where the field is one.

    `step` counts for a field of fractions that names none; `empty` stands where nothing is filled in, if that may be.
    """
    annotation, more = model.model_fields[name].annotation, extra(model, name)
    kinds = get_args(annotation) or (annotation,)
    optional, whole = NoneType in kinds, int in kinds
    kind = int if whole else float
    low, high = bounds(model, name)
    return {
        "value": None if optional else "min",
        "min_value": kind(low) if math.isfinite(low) else None,
        "max_value": kind(high) if math.isfinite(high) else None,
        "step": kind(more.get("step", 1 if whole else step)),
        "format": more.get("format") or ("%d" if whole else "%.2f"),
        "placeholder": empty if optional else None,
    }
