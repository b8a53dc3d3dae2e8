"""The pictures of a report: how close the student came, and what its loss was made of."""

from __future__ import annotations

from functools import partial
from typing import Any

from core.config import is_control
from core.export.chart import Curve, Level, line_chart
from core.export.facts import Facts
from core.export.foreign import in_html
from core.numbers import percent, score
from core.runs.feed import LIMIT, bucket_means, feed
from core.storage import is_number
from core.terms import TERMS, colour_of

CURVES = {"loss": ("loss", "total")} | {term.name: (term.label.lower(), f"term-{term.name}") for term in TERMS}
"""What the loss and its terms are called at the end of their lines, and the class of their colour."""

LOOKS = "".join(f".term-{term.name} {{ color: {colour_of(term.name)}; }}\n" for term in TERMS)
"""The style of these classes."""

SMOOTH_POINTS = 60
"""Points of a smoothed line; the raw one stands faint behind it."""


def charts(facts: Facts) -> str:
    """Both pictures side by side, as HTML; empty if nothing was recorded."""
    stage = feed(facts.folder, 0)["stages"].get("student", {})
    drawn = (
        ("On texts held out for watching, while it learned", _scores(facts, stage)),
        ("Loss and what it is made of", _losses(stage)),
    )
    figures = (f"<figure><figcaption>{in_html(title)}</figcaption>{svg}</figure>" for title, svg in drawn if svg)
    together = "".join(figures)
    return f'<div class="charts">{together}</div>' if together else ""


def _scores(facts: Facts, stage: dict[str, Any]) -> str:
    metric, table, told = facts.results["metric"], stage.get("scores"), stage.get("facts", {})
    if not table:
        return ""
    say = partial(score, metric=metric)
    look = "control" if is_control(facts.settings.loss) else "student"
    known = [
        (name, title, how) for name, title, how in (("score", "student", look), ("agreement", "agreement", "total"))
    ]
    curves = [Curve(title, how, table["step"], table[name], marks=True) for name, title, how in known if name in table]
    levels = [
        Level(title, how, float(told[name]))
        for name, title, how in (("teacher_score", "teacher", "teacher"), ("majority", "guessing", "control"))
        if is_number(told.get(name))
    ]
    last = next((value for value in reversed(table.get("score", [])) if value is not None), None)
    theirs = next((level.value for level in levels if level.label == "teacher"), None)
    finding = f"The student's {metric} ended at {say(last)}; its teacher has {say(theirs)}."
    tick = "{:.2g}".format if metric == "correlation" else partial(percent, digits=0)
    return line_chart(curves, levels, say, finding, f"{metric} by optimiser step", tick)


def _losses(stage: dict[str, Any]) -> str:
    table = stage.get("steps")
    if not table:
        return ""
    names = [name for name in CURVES if name in table]
    means = stage.get("means") or bucket_means(table, names, SMOOTH_POINTS * 2 * len(names))
    curves = []
    for name in names:
        title, look = CURVES[name]
        curves += [Curve(title, look, table["step"], table[name], faint=True)] if len(table["step"]) <= LIMIT else []
        curves.append(Curve(title, look, [step for step in means["step"] if step is not None], means[name]))
    first, last = (next((v for v in values if v is not None), 0.0) for values in (means["loss"], means["loss"][::-1]))
    finding = f"The loss went from {first:.3g} to {last:.3g}."
    return line_chart(curves, [], lambda value: f"{value:g}", finding, "loss by optimiser step")
