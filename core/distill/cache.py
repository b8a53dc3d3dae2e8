"""Names of what is kept between runs, worked out without torch, so that a page can look without loading."""

from __future__ import annotations

import hashlib
import json

from core.config import Settings
from core.data.fingerprint import data_fingerprint
from core.models.outline import teacher_fingerprint

RECIPE_VERSION = 2
"""Part of the key: raise it when the same settings would train a different teacher (new split, new loop)."""

WHERE = {"path", "hub_id"}
"""Settings that say where something lies. What counts is its content, which is part of the key by itself."""


def teacher_key(settings: Settings) -> str:
    """Names a trained teacher by all that made it: weights, texts, split, and how it was trained.

    Raises DistilleryError if data or teacher are not where the settings say.
    """
    made_of = {
        "recipe": RECIPE_VERSION,
        "objective": settings.objective,
        "weights": teacher_fingerprint(settings.teacher),
        "texts": data_fingerprint(settings.data),
        "data": settings.data.model_dump(mode="json", exclude=WHERE),
        "teacher": settings.teacher.model_dump(mode="json", exclude=WHERE),
        "masking": settings.masking.model_dump(mode="json") if settings.objective == "masked_words" else None,
    }
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:16]
