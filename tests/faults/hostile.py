"""Hostile texts in every place where foreign text appears, on every page, in a real browser.

Each text stands at once in a run's name, notes, sentence, log, labels, watched sentences, columns, paths, results, in
folder names and file names, in the address, and in every field of every page that takes typing or a file. What a page
did is asked of the browser: programs that ran, addresses that were called, things larger than the window, forms.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlparse

from playwright.sync_api import Browser, Page
from playwright.sync_api import Error as BrowserError

from core.config import starting_point
from core.runs import folder as runs
from core.sections import DataSettings
from core.storage import write_json
from tests.fixtures.browser import open_page, settled
from tests.fixtures.made_runs import make_run
from tests.fixtures.tiny_models import finished_run

EVIL = "evil.example"
PAYLOADS: list[str] = [
    "<script>window.hit=1</script>",
    "<img src=x onerror=window.hit=1>",
    "<svg onload=window.hit=1>",
    "<iframe src=http://evil.example/></iframe>",
    "<style>*{display:none!important}</style>",
    "<form action=http://evil.example/><input><button>OK</button></form>",
    "<meta http-equiv=refresh content=0;url=http://evil.example/>",
    "<link rel=stylesheet href=http://evil.example/a.css>",
    "<a href=javascript:window.hit=1>click</a>",
    "<body onload=window.hit=1>",
    "<details open ontoggle=window.hit=1>",
    "</textarea><script>window.hit=1</script>",
    "![x](http://evil.example/a.png)",
    "[x](http://evil.example/)",
    "[x](javascript:window.hit=1)",
    "http://evil.example/bare",
    "![x][1]\n\n[1]: http://evil.example/b.png",
    "$\\rule{100000px}{100000px}$",
    "$$\\rule{100000px}{100000px}$$",
    "$\\href{http://evil.example/}{x}$ $\\url{http://evil.example/}$",
    "# " + "huge " * 12,
    "| a | b |\n|---|---|\n| ![x](http://evil.example/c.png) | 2 |",
    ":material/home: :red[x] :streamlit: :rainbow[y]",
    "\u202etxt.exe\u202c \u2066x\u2069",
    "e" + "\u0301" * 60,
    "W" * 79,
    "a\x1b[31m\x07\x00b",
    "`</code><script>window.hit=1</script>`",
    "javascript:window.hit=1",
    "*__proto__*' onmouseover=window.hit=1 x='",
]
"""At most 80 characters each: a run's name takes no more."""

# What the browser says of a page: programs that ran, sizes, forms and addresses that came out of a text.
LOOK = """() => {
  const found = [];
  if (window.hit) found.push('a program ran');
  const width = innerWidth, root = document.documentElement;
  if (root.scrollWidth > width + 2) found.push(`the page is ${root.scrollWidth} wide in a window of ${width}`);
  for (const node of document.querySelectorAll('[data-testid=stApp] *')) {
    const box = node.getBoundingClientRect();
    if (box.width > 3 * width) found.push(`${node.tagName} is ${box.width} wide`);
    for (const name of ['src', 'href', 'action', 'formaction', 'poster', 'data', 'srcset', 'content'])
      if (/evil\\.example|javascript:/i.test(node.getAttribute?.(name) ?? ''))
        found.push(`${node.tagName} ${name}=${node.getAttribute(name).slice(0, 60)}`);
    if (['SCRIPT', 'IFRAME', 'FORM', 'STYLE', 'META', 'LINK', 'EMBED', 'OBJECT'].includes(node.tagName)
        && /evil|window\\.hit|display:none!important/.test(node.outerHTML.slice(0, 2000)))
      found.push(`${node.tagName} out of a text`);
  }
  const rules = document.querySelectorAll('[data-testid=stApp] .katex').length;
  if (rules) found.push(`${rules} formulas`);
  if (!document.querySelector('[data-testid=stApp]')?.getBoundingClientRect().height) found.push('nothing is seen');
  return found;
}"""


ADDRESSED = ("/distill", "/compare", "/speed")
"""Pages that say something about a run in their address which does not exist."""


@dataclass
class Report:
    """So many pages looked at with so many texts, and what was wrong."""

    looks: int = 0
    pages: set[str] = field(default_factory=set)
    bad: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Case:
    """One finished run with several texts in every long place: `text` is all, `first` the one in short places."""

    run_id: str
    failed_id: str
    first: str
    text: str
    table: Path


def prepare(home: Path, payloads: list[str], together: int = 6) -> list[Case]:
    """Run folders that hold the texts wherever a text can be: `together` of them in each of the long places.

    Besides, every text is the name of a run of its own.
    """
    cases = []
    for start in range(0, len(payloads), together):
        texts = [payload.encode("utf-8", "replace").decode() for payload in payloads[start : start + together]]
        run_id, key = f"20261122-12{start:02}00-ab12", f"{start:016x}"
        folder = finished_run(home, run_id, texts[0], key=key)
        text = "\n\n".join(texts)
        _spoil(home, folder, text, key)
        failed = home / "runs" / f"20261122-11{start:02}00-ab12"
        failed.mkdir()
        for file in ("config.json", "metrics.jsonl"):
            (failed / file).write_bytes((folder / file).read_bytes())
        (failed / "log.txt").write_text(f"Traceback: {text}\n", encoding="utf-8")
        runs.write_status(failed, runs.Status("failed", text, stage="student", step=2, total_steps=2))
        table = home / f"{start}.csv"
        table.write_bytes(_table(text))
        cases.append(Case(run_id, failed.name, texts[0], text, table))
    for number, payload in enumerate(payloads):
        name = payload.encode("utf-8", "replace").decode()
        make_run(
            home, f"20261122-10{number:02}00-ab12", settings=starting_point("labels").model_copy(update={"name": name})
        )
        broken = home / "runs" / ("broken " + re.sub("[/\0]", "_", name))[:80].strip()
        broken.mkdir(exist_ok=True)
        (broken / "status.json").write_text(json.dumps({"state": name, "sentence": name}), encoding="utf-8")
    return cases


def _spoil(home: Path, folder: Path, text: str, key: str) -> None:
    """Put the text into a finished run's settings, labels, notes and results."""
    labels = {"0": text, "1": f"{text} too"}
    for model in (folder / "student", home / "cache" / "teachers" / key / "model"):
        config = json.loads((model / "config.json").read_bytes())
        config |= {"id2label": labels, "label2id": {name: int(number) for number, name in labels.items()}}
        (model / "config.json").write_text(json.dumps(config), encoding="utf-8")
        (model / "manifest.json").unlink()  # as a folder that came from elsewhere
    settings = runs.read_settings(folder)
    column = text[:200].replace("\x00", "") or "text"
    data = DataSettings(source="csv", path=f"/nowhere/{text}.csv".replace("\x00", ""), text_column=column)
    probes = (text[:300], "a warm film")
    changed = settings.model_copy(update={"data": data, "probes": probes})
    write_json(folder / "config.json", changed.model_dump(mode="json"))
    results = json.loads((folder / "results.json").read_bytes())
    results |= {"notes": [text], "compute": {"device": text, "precision": text, "threads": 1}, "split": text}
    write_json(folder / "results.json", results)
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    events = [json.loads(line) for line in lines]
    for event in (event for event in events if event["event"] == "probe"):
        event |= {role: event[role][: len(probes)] for role in ("student", "teacher")}
    (folder / "metrics.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")
    write_json(folder / "about.json", {"name": text[:80].replace("\n", " "), "notes": text[:2000]})
    (folder / "log.txt").write_text(text, encoding="utf-8", errors="replace")
    runs.write_status(folder, runs.Status("finished", text, stage="student", step=2, total_steps=2))


def _table(text: str) -> bytes:
    """A CSV whose columns, texts and labels are the text."""
    cell = '"' + text.replace('"', '""').replace("\x00", "") + '"'
    rows = "".join(f"{cell},{cell}\n" for _ in range(3))
    return f'{cell},"label of {cell[1:]}\n{rows}'.encode("utf-8", "replace")


def addresses(page: Page, url: str) -> list[str]:
    """The paths of all pages, as the navigation names them."""
    page.goto(url)
    settled(page)
    links = page.locator("[data-testid=stTopNavLink], [data-testid=stSidebarNavLink]")
    found = links.evaluate_all("links => links.map(link => new URL(link.href).pathname)")
    return sorted({"/" if path == "/home" else path for path in found})


def look_everywhere(browser: Browser, url: str, cases: list[Case]) -> Report:
    """Every page with every case, and its texts in the page's address, its fields and its file choosers."""
    report = Report()
    outside: list[str] = []
    with open_page(browser, []) as page:
        page.on("request", lambda request: _note_outside(request.url, outside))
        page.on("dialog", lambda dialog: (report.bad.append("a dialog opened"), dialog.dismiss()))
        paths = addresses(page, url)
        report.pages.update(paths)
        for case in cases:
            quoted = quote(case.text, safe="")
            for path in paths:
                _look(page, f"{url}{path}?run={case.run_id}", outside, report, case.first)
                _type_everywhere(page, case, outside, report)
            for address in (
                "/distill?new=1",
                f"/distill?run={case.failed_id}",
                *(f"{p}?run={quoted}" for p in ADDRESSED),
            ):
                _look(page, f"{url}{address}", outside, report, case.first)
    return report


def _note_outside(url: str, outside: list[str]) -> None:
    address = urlparse(url)
    if address.scheme in ("http", "https", "ws", "wss") and address.hostname not in ("127.0.0.1", "localhost"):
        outside.append(url)


def _look(page: Page, url: str, outside: list[str], report: Report, first: str, is_open: bool = False) -> None:
    if not is_open:
        page.goto(url)
    try:
        settled(page)
        page.evaluate("document.querySelectorAll('details:not([open]) > summary').forEach(lid => lid.click())")
        settled(page)
    except BrowserError:
        pass  # a page with a live view never rests; what is on it is looked at all the same
    found = [*page.evaluate(LOOK), *(f"called {address}" for address in outside)]
    outside.clear()
    report.looks += 1
    report.bad += [f"{urlparse(url).path} with {first[:40]!r}: {what}" for what in found]


def _type_everywhere(page: Page, case: Case, outside: list[str], report: Report) -> None:
    """Type the texts into every field of the page that is open, send the table to its file choosers, and look again."""
    typed = 0
    for box in page.locator("[data-testid=stTextInput] input, textarea").all():
        try:
            if box.is_visible() and box.is_editable():
                box.fill(case.text.replace("\x00", ""), timeout=2_000)
                box.press("Control+Enter" if box.evaluate("node => node.tagName") == "TEXTAREA" else "Enter")
                settled(page)
                typed += 1
        except BrowserError:
            continue  # a rerun has put another field in its place
    chooser = page.locator("input[type=file]")
    if chooser.count():
        file = {"name": f"{case.first[:40]}.csv", "mimeType": "text/csv", "buffer": case.table.read_bytes()}
        chooser.first.set_input_files(file)
        settled(page)
        typed += 1
    if typed:
        _look(page, page.url, outside, report, case.first, is_open=True)
