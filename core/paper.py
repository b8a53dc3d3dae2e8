"""Numbers reported by Sanh et al. 2019 (arXiv:1910.01108), with what has to be said beside them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Promise:
    """One of the paper's three headline claims."""

    title: str
    value: str
    meaning: str


KEPT = Promise(
    "Quality kept",
    "97 %",
    "GLUE macro score 77.0 of BERT-base's 79.5: 96.9 %, on the development sets, median of 5 seeds.",
)
SMALLER = Promise("Smaller", "40 %", "66 million parameters against BERT-base's 110 million.")
FASTER = Promise(
    "Faster",
    "60 %",
    "668 s against 410 s for a full pass over STS-B on a processor, one sentence at a time: 1.63 times the speed, "
    "or 39 % less time.",
)
PROMISES = (KEPT, SMALLER, FASTER)
