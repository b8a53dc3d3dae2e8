"""The Compare page and a run's page without a browser, and finished runs of every kind to show on them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from streamlit.testing.v1 import AppTest

from core.models.saved import save_model
from core.models.student import student_for_labels
from core.runs import folder as runs
from core.runs.comparable import model_folders
from core.settings_file import parse_settings
from tests.serving import ROOT
from tests.tiny import KEY, finished_run, tiny_teacher, tiny_tokenizer

WITH_WORDS = ("title", "header", "subheader", "markdown", "text", "caption", "info", "success", "warning", "error")


def open_page(page: str = "../compare.py", **query: str) -> AppTest:
    """The shell with one page in it, as an address with `query` opens it."""
    at = AppTest.from_file(str(ROOT / "pages/ui/shell.py"), default_timeout=60).run()
    at.switch_page(page)
    for name, value in query.items():
        at.query_params[name] = value
    return at.run()


def words(at: AppTest) -> str:
    """All that the page says in words of its own or of others, without the signs that keep them from being markdown."""
    return "\n".join(element.value.replace("\\", "") for kind in WITH_WORDS for element in at.get(kind))


def spoken(at: AppTest) -> list[str]:
    """What the page's pictures say to somebody who cannot see them."""
    return [alt for element in at.get("image") if (alt := element.proto.imgs[0].alt)]


def drawings(at: AppTest) -> list[str]:
    """The page's pictures as SVG."""
    urls = (element.proto.imgs[0].url for element in at.get("image"))
    return [base64.b64decode(url.partition("base64,")[2]).decode() for url in urls]


def type_text(at: AppTest, text: str, key: str = "compare-text") -> AppTest:
    """Fill a field of the Compare page and leave it."""
    at.text_area(key=key).set_value(text).run()
    assert not at.exception
    return at


def labelled_run(home: Path, data: dict[str, Any], labels: int, run_id: str = "20261122-120000-ab12") -> Path:
    """A finished run of these data settings whose models have so many labels; with one, that is a score."""
    key = f"{labels:016x}" if labels != 2 else KEY
    folder = finished_run(home, run_id, key=key)
    change_settings(folder, data=data)
    teacher, tokenizer = tiny_teacher(labels), tiny_tokenizer()
    student = student_for_labels(teacher, runs.read_settings(folder).student, seed=0)
    for model, place in zip((teacher, student), model_folders(folder).values(), strict=True):
        save_model(model, tokenizer, place)
    return folder


def change_settings(folder: Path, **changes: Any) -> None:
    """Put other settings into a run's config.json."""
    raw = runs.read_settings(folder).model_dump(mode="json") | changes
    runs.write_json(folder / "config.json", parse_settings(raw).model_dump(mode="json"))


def record_answers(folder: Path, *frames: tuple[int, Any, Any]) -> None:
    """Replace what a run recorded by answers: (step, the student's rows, the teacher's rows)."""
    lines = (
        json.dumps({"event": "probe", "stage": "student", "step": step, "student": student, "teacher": teacher})
        for step, student, teacher in frames
    )
    (folder / "metrics.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
