"""Numbers reported by Sanh et al. 2019 (arXiv:1910.01108), with what has to be said beside them."""

from __future__ import annotations

from dataclasses import dataclass

CITATION = "Sanh, Debut, Chaumond and Wolf (2019): DistilBERT, a distilled version of BERT. arXiv:1910.01108"


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

GLUE_MACRO = {"BERT-base": 79.5, "DistilBERT": 77.0, "ELMo": 68.7}
PARAMETERS = {"BERT-base": 110e6, "DistilBERT": 66e6, "ELMo": 180e6}
STSB_PASS_S = {"BERT-base": 668.0, "DistilBERT": 410.0, "ELMo": 895.0}
"""Seconds for a full pass over the STS-B development set, processor, batch of 1 (Table 3)."""

ABLATION = {
    "Without soft targets": -2.96,
    "Without cosine": -1.46,
    "Without hard targets": -0.31,
    "Random initial weights": -3.69,
}
"""Change of the GLUE macro score, in points, against the full loss with copied weights (Table 4)."""
