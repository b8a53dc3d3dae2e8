"""The live view's routes behind the guard: whatever is asked, an answer with the headers, and never a traceback."""

from __future__ import annotations

import asyncio
import importlib
import random
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware

from pages.ui import live
from pages.ui.guard import HEADERS, Guard
from tests.fixtures.synthetic_curves import SyntheticRun, student_events

# Its name in the package is that of its function.
routes = importlib.import_module("pages.ui.live.routes")

NUMBERS = ("0", "1", "7", "400", "999999999999999", "000000000000001", "123456789012345")
REFUSED = (
    "", " ", "-1", "+1", "1e3", "1.0", "0x10", "1_000", "9" * 16, "9" * 40, "9" * 5_000, "²", "٣", "１２", "x", "NaN",
    "Infinity", "null", "[]", "1;2", "1,2", "1 2", "1\n", "\0", "\x85", "../1", "<script>", "%", "💥", "true", "1" * 17,
)  # fmt: skip
RUNS = (
    "..", ".", "%2e%2e", "..%2f..", "%00", "a%00b", "none", "x" * 300, "x" * 5_000, "%ff", "💥", "*", "C:", "con",
    "a%0d%0ab", "%252e", "-rf", " ", "made-up ", "made-up%2f", "made-up/../made-up",
)  # fmt: skip


@pytest.fixture
def run(home: Path) -> SyntheticRun:
    made = SyntheticRun(home)
    made.append(*student_events(40))
    return made


def ask(address: str) -> httpx.Response:
    """One request to the routes, as the launcher puts the guard in front of them."""
    app = Starlette(routes=live.routes(), middleware=[Middleware(Guard)])

    async def answer() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8501") as client:
            return await client.get(address)

    return asyncio.run(answer())


def is_guarded(answer: httpx.Response) -> bool:
    policy = "default-src 'none'" in answer.headers.get("content-security-policy", "")
    return policy and all(answer.headers.get(name) == value for name, value in HEADERS.items())


@pytest.mark.parametrize("since", NUMBERS)
def test_every_number_is_answered(run: SyntheticRun, since: str) -> None:
    answer = ask(f"/api/runs/made-up/live?since={since}")
    assert answer.status_code == 200 and is_guarded(answer)
    assert answer.json()["offset"] == run.metrics.stat().st_size
    assert answer.json()["reset"] == (int(since) not in (0,))


@pytest.mark.parametrize("since", REFUSED, ids=lambda since: ascii(since)[:20])
def test_what_is_no_number_is_refused_in_words(run: SyntheticRun, since: str) -> None:
    answer = ask(f"/api/runs/made-up/live?since={quote(since)}")
    assert answer.status_code == 400 and is_guarded(answer)
    assert answer.json() == {"sentence": routes.NO_NUMBER}


def hostile() -> Iterator[str]:
    """Addresses of every odd kind, the same ones each time."""
    chance = random.Random(9)
    for run_id in RUNS:
        yield f"/api/runs/{run_id}/live?since=0"
    for query in (
        "since",
        "since=1&since=x",
        "since=x&since=1",
        "SINCE=1",
        "since[]=1",
        "&&&=",
        "a" * 9_000,
        "since=0#x",
    ):
        yield f"/api/runs/made-up/live?{query}"
    for _ in range(200):
        signs = "".join(chance.choice("0123456789-+.e%/\\?&=;,'\"<> \t\0é٣²💥") for _ in range(chance.randrange(24)))
        yield f"/api/runs/made-up/live?since={quote(signs)}"
    for name in ("live.js", "none.js", "..%2froutes.py", "routes.py", "%00", "x" * 3_000):
        yield f"/live/{name}/{name}"


def test_whatever_is_asked_is_answered_with_the_headers(run: SyntheticRun) -> None:
    for address in hostile():
        answer = ask(address)
        assert answer.status_code in (200, 400, 404) and is_guarded(answer), address
        assert "Traceback" not in answer.text, address


@pytest.mark.parametrize(
    "fault", [OSError(5, "Input/output error"), RuntimeError("a bug"), MemoryError(), ValueError()]
)
def test_what_fails_all_the_same_has_the_headers_and_says_nothing_of_the_inside(
    run: SyntheticRun, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fault: Exception
) -> None:
    def fail(*_: object) -> None:
        raise fault

    monkeypatch.setattr(routes, "feed", fail)
    answer = ask("/api/runs/made-up/live?since=0")
    assert answer.status_code == 500 and is_guarded(answer)
    assert answer.text == "Something unexpected went wrong; the server's log has the details."
    assert type(fault).__name__ in caplog.text


def test_a_file_that_cannot_be_read_is_named(run: SyntheticRun) -> None:
    run.metrics.unlink()
    run.metrics.mkdir()
    answer = ask("/api/runs/made-up/live?since=0")
    assert answer.status_code == 404 and is_guarded(answer)
    assert answer.json()["sentence"].startswith("made-up/metrics.jsonl cannot be read: ")
