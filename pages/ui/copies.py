"""What changed copies of the chosen texts look like, before anything is learned of them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd
import streamlit as st

from core.config import Settings
from core.data.copies import with_copies
from core.data.fingerprint import data_fingerprint
from core.data.labelled import load_labelled
from core.errors import DistilleryError
from core.sections import DataSettings
from pages.ui.text import as_label

SHOWN = 3
WANTED = "form-show-copies"


def show_copies(settings: Settings | None) -> None:
    """A switch, and below it some training texts, each beside its first copy as the student will read it."""
    if settings is None or not settings.training.copies or not settings.loss.asks_teacher():
        return
    if not st.toggle("Show some of the copies", key=WANTED):
        return
    try:
        rows = _some(settings.data, data_fingerprint(settings.data), settings.training.seed)
    except DistilleryError as error:
        st.warning(as_label(str(error), 500))
        return
    lines = [tuple(as_label(text, 300) for text in row) for row in rows]
    st.table(pd.DataFrame(lines, columns=["A text", "Its first copy"]).set_index("A text"))


@lru_cache(maxsize=4)
def _some(data: DataSettings, fingerprint: str, seed: int) -> list[tuple[str, str]]:
    """The first training texts and their copies. Raises DistilleryError as `load_labelled`."""
    train = load_labelled(data).train
    both = with_copies(train, 1, seed)
    first = np.arange(min(len(train), SHOWN))
    text, copy = (
        [" / ".join(columns) for columns in zip(*both.take(places).columns(), strict=True)]
        for places in (first, first + len(train))
    )
    return list(zip(text, copy, strict=True))
