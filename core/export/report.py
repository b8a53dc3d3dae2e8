"""One run as one HTML file that opens anywhere: no script, no request, nothing that is not in the file.

Its policy forbids what it does not need, so that even a text that got through unescaped could neither run nor load
anything. Every number has its exact value in `data-value`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from core import paper
from core.config import is_control
from core.export.card import CITATION, TITLES, on_what, speed_in_words
from core.export.curves import LOOKS, charts
from core.export.facts import Facts, licences, limits, recipe, summary
from core.export.foreign import in_html
from core.export.measured import Number, measured_on, result_rows
from core.export.onnx_forms import Made
from core.export.watched import watched_sentences
from core.numbers import score, unit, whole
from core.runs.results import Results

STYLE = Path(__file__).with_name("report.css")
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def report(facts: Facts) -> str:
    """The whole file. It depends on the run's folder alone, so the same run gives the same bytes."""
    name = in_html(facts.name)
    body = [
        f"<header><h1>{name}</h1><p>{in_html(summary(facts))}</p>",
        f'<p class="quiet">Run {in_html(facts.folder.name)}, finished on {facts.date}.</p></header>',
        _cards(facts),
        f'<p class="quiet"><span class="origin">measured here</span>{in_html(measured_on(facts.results))}</p>',
        f'<p class="quiet"><span class="origin paper">paper</span>{in_html(paper.KEPT.meaning)} '
        f"{in_html(paper.SMALLER.meaning)} {in_html(paper.FASTER.meaning)}</p>",
        _section("How it learned", charts(facts)),
        _section("What was measured", _results(facts.results)),
        _section("The exported files", _forms(facts.forms)),
        _section("The sentences it was watched with", _watched(facts)),
        _section("The recipe", _recipe(facts)),
        _section("Notes", "".join(f"<p>{in_html(line)}</p>" for line in facts.notes.splitlines() if line.strip())),
        _section("What not to expect", _list(limits(facts))),
        _section("How it was made", _made(facts)),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><meta name="referrer" content="no-referrer">'
        f"<title>{name}</title><style>{STYLE.read_text(encoding='utf-8')}{LOOKS}</style></head><body>\n"
        + "\n".join(filter(None, body))
        + "\n</body></html>\n"
    )


def _cards(facts: Facts) -> str:
    """The numbers that are read first."""
    results = facts.results
    rows = {row.label: row for row in result_rows(results)}
    who = "Control is right" if is_control(facts.settings.loss) else "Student is right"
    if results["metric"] == "correlation":
        who = "Correlation"
    first = next(iter(rows.values()))
    shown = [
        (who, first.student, f"teacher {first.teacher.text if first.teacher else ''}"),
        ("Kept", rows["Kept of the teacher's score"].both, f"paper: {paper.KEPT.value}"),
        ("Agreement", rows["Agreement with the teacher"].both, "with its teacher"),
        ("Smaller", rows["Smaller than the teacher"].both, f"paper: {paper.SMALLER.value}"),
        ("Faster", rows["Times as fast as the teacher"].both, f"paper: {paper.FASTER.value}"),
    ]
    cards = (
        f'<div class="card"><h3>{in_html(title)}</h3><strong{_exact(number)}>{_text(number)}</strong>'
        f'<span class="quiet">{in_html(below)}</span></div>'
        for title, number, below in shown
    )
    return f'<div class="cards">{"".join(cards)}</div>'


def _results(results: Results) -> str:
    head = ("", "teacher", "student", "paper")
    lines = []
    for row in result_rows(results):
        cells = "".join(map(_number_cell, (row.teacher, row.student or row.both)))
        lines.append(
            f'<tr><th scope="row">{in_html(row.label)}</th>{cells}<td class="number">{in_html(row.paper)}</td></tr>'
        )
    return _table_of(head, lines, numbers_from=1)


def _forms(forms: Made | None) -> str:
    if not forms or not forms["forms"]:
        return ""
    metric = forms["measured_on"]["metric"]
    head = ("", "largest difference of a logit", "agreement", metric, "size", "a text", "speed")
    lines = []
    for form, found in forms["forms"].items():
        furthest = Number(found["largest_difference"], f"{found['largest_difference']:.2g}")
        agreement = Number(found["agreement"], score(found["agreement"], metric))
        cells = [
            furthest,
            agreement,
            Number(found["score"], score(found["score"], metric)),
            Number(found["size_mb"], unit(found["size_mb"], "MB")),
            Number(found["ms_per_text"], unit(found["ms_per_text"], "ms")),
        ]
        speed = f"<td>{in_html(speed_in_words(found))}</td>"
        lines.append(f'<tr><th scope="row">{TITLES[form]}</th>{"".join(map(_number_cell, cells))}{speed}</tr>')
    return f'<p class="quiet">{in_html(on_what(forms))}</p>' + _table_of(head, lines, numbers_from=1, numbers_to=6)


def _watched(facts: Facts) -> str:
    rows = watched_sentences(facts)
    if not rows:
        return ""
    lines = [
        f"<tr><td>{in_html(row.sentence)}</td>"
        + "".join(f'<td class="said">{in_html(said)}</td>' for said in (row.teacher, row.before, row.after))
        + "</tr>"
        for row in rows
    ]
    return _table_of(("sentence", "teacher", "student at first", "student at the end"), lines)


def _recipe(facts: Facts) -> str:
    groups = []
    for title, rows in recipe(facts.settings):
        lines = (f"<tr><td>{in_html(name)}</td><td>{in_html(value)}</td></tr>" for name, value in rows)
        groups.append(f"<div><h3>{in_html(title)}</h3><table><tbody>{''.join(lines)}</tbody></table></div>")
    return f'<div class="groups">{"".join(groups)}</div>'


def _made(facts: Facts) -> str:
    results, compute = facts.results, facts.results["compute"]
    versions = results.get("versions")
    rows = [
        ("Device, precision, threads", f"{compute['device']}, {compute['precision']}, {compute['threads']}"),
        ("Seed", str(results["seed"])),
        ("Training and scoring", f"{whole(results['elapsed_s'])} s"),
        ("Teacher", "was kept from an earlier run" if results["teacher_from_cache"] else "was trained in this run"),
        *((str(name), str(version)) for name, version in (versions.items() if isinstance(versions, dict) else ())),
        *((f"Licence of the {what}", licence) for what, licence in licences(facts.settings).items()),
    ]
    lines = [f"<tr><td>{in_html(name)}</td><td>{in_html(value)}</td></tr>" for name, value in rows]
    return (
        _table_of((), lines)
        + "<p></p><p>The method is that of Sanh et al. 2019 (arXiv:1910.01108):</p>"
        + f"<pre tabindex=0>{CITATION}</pre>"
    )


def _section(title: str, content: str) -> str:
    """A heading and what belongs to it; nothing where there is nothing to show."""
    return f"<section><h2>{title}</h2>{content}</section>" if content else ""


def _list(sentences: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{in_html(sentence)}</li>' for sentence in sentences)}</ul>"


def _table_of(head: tuple[str, ...], lines: list[str], numbers_from: int = 99, numbers_to: int = 99) -> str:
    """A table of ready lines; the heads of columns with numbers stand at the right, as those do."""
    cells = "".join(
        f'<th scope="col"{" class=number" if numbers_from <= place < numbers_to else ""}>{in_html(title)}</th>'
        for place, title in enumerate(head)
    )
    top = f"<thead><tr>{cells}</tr></thead>" if head else ""
    look = ' class="broad"' if len(head) > 4 or (head and numbers_from > len(head)) else ""
    table = f"<table{look}>{top}<tbody>{''.join(lines)}</tbody></table>"
    # It can be scrolled where it is too broad, with the keyboard too.
    return f'<div class="wide" tabindex="0" role="region" aria-label="table">{table}</div>'


def _number_cell(number: Number | None) -> str:
    return f'<td class="number"{_exact(number)}>{_text(number)}</td>'


def _exact(number: Number | None) -> str:
    return "" if number is None or number.value is None else f' data-value="{number.value!r}"'


def _text(number: Number | None) -> str:
    return "" if number is None else in_html(number.text)
