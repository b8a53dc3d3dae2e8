"""Where a number comes from, said beside it: from the paper, or measured on this machine."""

from __future__ import annotations

import streamlit as st

from core import numbers
from core.runs.results import Results
from pages.ui.text import as_label


def paper_badge() -> None:
    """Marks numbers reported in the paper (Sanh et al. 2019)."""
    st.badge("paper", color="gray", help="Reported by Sanh et al. 2019, arXiv:1910.01108. Not measured here.")


def measured_badge(results: Results) -> None:
    """Marks numbers measured on this machine; the tooltip says on which device, split and seed."""
    compute = results["compute"]
    st.badge(
        "measured here",
        color="blue",
        help=f"On this machine: {compute['device']}, {compute['precision']}, {compute['threads']} threads; "
        f"{as_label(results['split'])} split, {results['examples']} {results['counted']}, seed {results['seed']}.",
    )


def demo_scale_badge(results: Results) -> None:
    """Marks results whose data, and mostly whose teacher, are smaller than the paper's."""
    teacher = numbers.millions(results["teacher"]["parameters"])
    st.badge(
        "demo scale",
        color="orange",
        help=f"A teacher of {teacher} parameters, and texts that can be read here in minutes or hours. The paper's "
        f"teacher has 110{numbers.THIN}M parameters, and its student first read Wikipedia and a library of books.",
    )
