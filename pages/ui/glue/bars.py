"""How much of its teacher's score each model kept, task by task: bars that end at, before or behind the teacher.

Drawn as SVG like the other pictures that need no zoom: nothing is loaded for it, and the words keep their size.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from html import escape

from core import numbers
from core.glue.tables import Retained
from core.paper import GLUE_TASKS
from pages.ui.marks import fit, short, style, svg
from pages.ui.stacks import theme_type
from pages.ui.theme import COLOURS, TEACHER, grid_colour, text_colour

LEFT, WIDTH = 13, 70
"""Per cent of the picture before the bars, and their own width."""

BAR, GAP, LEGEND = 16, 14, 26
"""Pixels: a bar's height, the room between two tasks, a line of the legend."""

HEADING = "How much of its teacher's score each model kept"

MOST_MODELS = 4
SHADES = (1.0, 0.62, 0.38, 0.24)
"""Opacity of the first, second … student."""

Model = tuple[str, str]


def bars_html(bars: Sequence[Retained]) -> str:
    """The picture below its heading, and what it leaves out. All text is escaped."""
    models = measured_models(bars)
    drawn, rest = models[:MOST_MODELS], models[MOST_MODELS:]
    shown = [bar for bar in bars if bar.origin == "paper" or (bar.model, bar.way) in drawn]
    # As an image: what Streamlit shows of HTML has no SVG of its own.
    source = f"data:image/svg+xml;base64,{b64encode(picture(shown).encode()).decode()}"
    left_out = f"The newest {MOST_MODELS} models are drawn; {len(rest)} more are in the table." if rest else ""
    return (
        f'<h3 style="padding:1.5rem 0 1rem">{HEADING}</h3>'
        f'<img style="width:100%" src="{source}" alt="{escape(finding(shown), quote=True)}">'
        f"<p><small>{left_out}</small></p>"
    )


def measured_models(bars: Sequence[Retained]) -> list[Model]:
    """The models measured here, each once."""
    return list(dict.fromkeys((bar.model, bar.way) for bar in bars if bar.origin != "paper"))


def finding(bars: Sequence[Retained]) -> str:
    """What the picture says, in words."""
    said = []
    for model in ["paper", *measured_models(bars)]:
        own = [bar for bar in bars if (bar.origin == "paper" if model == "paper" else (bar.model, bar.way) == model)]
        if own:
            least, most = min(own, key=lambda bar: bar.kept), max(own, key=lambda bar: bar.kept)
            name = "The paper's DistilBERT" if model == "paper" else short(own[0].title, 60)
            ends = f"from {least.kept:.1f} % on {least.task} to {most.kept:.1f} % on {most.task}"
            said.append(f"{name} kept {ends if len(own) > 1 else f'{least.kept:.1f} % on {least.task}'}")
    return f"{'; '.join(said)} of its teacher's score." if said else "Nothing to compare yet."


def picture(bars: Sequence[Retained]) -> str:
    """The legend, then for each task the paper's diamond and a bar for each model."""
    end = max([105.0, *(bar.kept + 3 for bar in bars)])
    models = measured_models(bars)
    drawing, y = _legend(bars, models)
    top = y
    for task in GLUE_TASKS:
        own = [bar for bar in bars if bar.task == task]
        if own:
            part, y = _task(task, own, models, end, y)
            drawing += part
    x = f"{LEFT + WIDTH * 100 / end:.2f}%"
    line = f'<line x1="{x}" x2="{x}" y1="{top}" y2="{y}" stroke="{TEACHER}" stroke-width="2" stroke-dasharray="6 4"/>'
    return svg(y + 8, drawing + line)


def _legend(bars: Sequence[Retained], models: list[Model]) -> tuple[str, int]:
    text, look = text_colour(theme_type()), style("legend", size=15, narrow=13)
    names = ["The paper's DistilBERT"]
    marks = [_diamond("8", LEGEND // 2)]
    for model in models:
        bar = next(bar for bar in bars if (bar.model, bar.way) == model)
        again = ", distilled again" if bar.way == "distilled again" else ""
        marks.append(_block(_fill(bar, models), LEGEND // 2))
        names.append(f"{short(bar.title, 44)}{again}")
    names.append("its teacher: 100 %")
    marks.append(f'<line x1="8" x2="8" y1="4" y2="{LEGEND - 4}" stroke="{TEACHER}" stroke-width="2" {_dashes()}/>')
    drawing = look
    for place, (mark, name) in enumerate(zip(marks, names, strict=True)):
        y = place * LEGEND
        words = f'<text class="legend" x="24" y="{LEGEND // 2 + 5}" fill="{text}" {fit(name, 70, 44)}>'
        drawing += f'<svg y="{y}" overflow="visible">{mark}{words}{escape(name)}</text></svg>'
    return drawing, len(names) * LEGEND + 8


def _task(task: str, bars: Sequence[Retained], models: list[Model], end: float, y: int) -> tuple[str, int]:
    own = sorted((bar for bar in bars if bar.origin != "paper"), key=lambda bar: models.index((bar.model, bar.way)))
    height = max(1, len(own)) * BAR
    text, middle = text_colour(theme_type()), y + GAP // 2 + height / 2
    drawing = f'<text x="0" y="{middle + 5}" font-size="14" fill="{text}">{escape(task)}</text>'
    track = f'stroke="{grid_colour(theme_type())}" stroke-width="1"'
    drawing += f'<line x1="{LEFT}%" x2="{LEFT + WIDTH}%" y1="{middle}" y2="{middle}" {track}/>'
    for place, bar in enumerate(own):
        at = y + GAP // 2 + place * BAR
        width = f"{WIDTH * max(0.0, bar.kept) / end:.2f}%"
        drawing += f'<rect x="{LEFT}%" width="{width}" y="{at + 1}" height="{BAR - 2}" rx="2" {_fill(bar, models)}/>'
        drawing += _number(bar.kept, at + BAR / 2)
    for bar in (bar for bar in bars if bar.origin == "paper"):
        drawing += _diamond(f"{LEFT + WIDTH * bar.kept / end:.2f}%", middle)
        drawing += "" if own else _number(bar.kept, middle)
    return drawing, y + GAP + height


def _number(kept: float, middle: float) -> str:
    look = f'text-anchor="end" font-size="14" fill="{text_colour(theme_type())}"'
    return f'<text x="100%" y="{middle + 5:g}" {look}>{numbers.percent(kept / 100).replace("-", "−")}</text>'


def _fill(bar: Retained, models: list[Model]) -> str:
    place = min(models.index((bar.model, bar.way)), len(SHADES) - 1)
    opacity = 0.8 if bar.kind == "control" else SHADES[place]
    return f'fill="{COLOURS.get(bar.kind, COLOURS["student"])}" fill-opacity="{opacity}"'


def _block(fill: str, middle: float) -> str:
    return f'<rect x="1" y="{middle - 6}" width="14" height="12" rx="2" {fill}/>'


def _dashes() -> str:
    return 'stroke-dasharray="6 4"'


def _diamond(x: str, y: float) -> str:
    """The paper's mark: outlined, never filled with a colour that means a model."""
    kind = theme_type()
    page = "#13161c" if kind == "dark" else "#ffffff"
    path = f'<path d="M0,-8 l8,8 l-8,8 l-8,-8 Z" fill="{page}" stroke="{text_colour(kind)}" stroke-width="1.8"/>'
    return f'<svg x="{x}" y="{y:g}" overflow="visible">{path}</svg>'
