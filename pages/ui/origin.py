"""Where a number comes from, said beside it: from the paper, or measured on this machine."""

from __future__ import annotations

from typing import Any

import streamlit as st


def paper_badge() -> None:
    """Marks numbers reported in the paper (Sanh et al. 2019)."""
    st.badge("paper", color="gray", help="Reported by Sanh et al. 2019, arXiv:1910.01108. Not measured here.")


def measured_badge(results: dict[str, Any]) -> None:
    """Marks numbers measured on this machine; the tooltip says on which device, split and seed."""
    compute = results["compute"]
    st.badge(
        "measured here",
        color="blue",
        help=f"On this machine: {compute['device']}, {compute['precision']}, {compute['threads']} threads; "
        f"{results['split']} split, {results['examples']} sentences, seed {results['seed']}.",
    )


def demo_scale_badge() -> None:
    """Marks results whose model and data are smaller than the paper's."""
    st.badge(
        "demo scale",
        color="orange",
        help="A 6-layer teacher of 22.7 million parameters and a few thousand sentences. The paper's teacher has "
        "12 layers and 110 million parameters, and its student read Wikipedia and a library of books.",
    )
