"""What a click does to a run that may have changed or gone since the button was drawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import streamlit as st

from core.errors import DistilleryError
from pages.ui.text import as_label


def attempt(action: Callable[[Path], None], folder: Path) -> None:
    """Do what was clicked; if the run has changed or gone since the button was drawn, say so instead."""
    try:
        action(folder)
    except FileNotFoundError:
        st.toast("This run has just been deleted.")
    except DistilleryError as error:
        st.toast(as_label(str(error), 300))
