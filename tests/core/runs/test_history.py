"""What is read of a metrics.jsonl for a picture: everything of a short one, and never much of a long one."""

from __future__ import annotations

import json
import os
import random
import tracemalloc
from pathlib import Path

import pytest

from core.jobs.events import read_events
from core.runs import history
from core.runs.curves import read_curves
from core.runs.feed import LIMIT, feed
from core.runs.folder import BrokenRun
from core.runs.history import read_history
from tests.fixtures.counted_work import work
from tests.fixtures.synthetic_curves import SyntheticRun, student_events, teacher_events

MILLION = 1_000_000
SCORE_EVERY = 5_000


@pytest.fixture
def run(home: Path) -> SyntheticRun:
    return SyntheticRun(home)


def write_long(path: Path, steps: int) -> Path:
    """A history of so many steps, a fifth of them the teacher's, with a score now and then."""
    facts = '"metric":"accuracy","teacher_score":0.86,"weights":{"soft":5.0}'
    row = '{"event":"step","stage":"%s","step":%d,"lr":0.0001234,"sentences":%d,"elapsed_s":%d.5,"loss":3.%06d,'
    row += '"soft":0.%06d,"hard":0.712345,"cosine":0.951234}\n'
    with path.open("w", encoding="utf-8") as file:
        for stage, count in (("teacher", steps // 5), ("student", steps - steps // 5)):
            file.write(f'{{"event":"stage","stage":"{stage}","total_steps":{count},"elapsed_s":0.0,{facts}}}\n')
            for begin in range(1, count + 1, SCORE_EVERY):
                file.write(f'{{"event":"score","stage":"{stage}","step":{begin},"score":0.5,"elapsed_s":{begin}.5}}\n')
                file.writelines(
                    row % (stage, step, 32 * step, step, step * 7919 % 999_983, step * 104_729 % 999_983)
                    for step in range(begin, min(begin + SCORE_EVERY, count + 1))
                )
    return path


# --- a million steps --------------------------------------------------------------------------------------------


def test_the_first_look_at_a_million_steps_costs_what_one_at_fifty_thousand_does(run: SyntheticRun) -> None:
    write_long(run.metrics, 50_000)
    few = work(lambda: feed(run.folder, 0))
    write_long(run.metrics, MILLION)
    assert run.metrics.stat().st_size > 170e6
    tracemalloc.start()
    first = feed(run.folder, 0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40e6
    assert work(lambda: feed(run.folder, 0)) < 1.5 * few
    student, teacher = first["stages"]["student"], first["stages"]["teacher"]
    assert (teacher["facts"]["total_steps"], student["facts"]["total_steps"]) == (200_000, 800_000)
    assert student["facts"]["teacher_score"] == 0.86 and student["facts"]["weights"] == {"soft": 5.0}
    assert (teacher["steps"]["step"][0], student["steps"]["step"][-1]) == (1, 800_000)
    assert student["scores"]["step"] == list(range(1, 800_001, SCORE_EVERY))
    assert student["steps"]["step"][0] == 1 and 500 < len(student["steps"]["step"]) <= LIMIT
    gaps = [
        after - before for before, after in zip(student["steps"]["step"], student["steps"]["step"][1:], strict=False)
    ]
    assert max(gaps) < 800_000 / 100
    assert first["offset"] == run.metrics.stat().st_size and first["now"]["speed"] == 32
    assert len(json.dumps(first)) < 250_000
    assert work(lambda: feed(run.folder, first["offset"])) < few / 10
    assert work(lambda: read_curves(run.folder)) < 3 * few


def test_no_more_than_so_many_lines_are_parsed(run: SyntheticRun, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[bytes] = []
    parse = history.parse_event
    monkeypatch.setattr(history, "parse_event", lambda line: parsed.append(line) or parse(line))
    with run.metrics.open("w") as file:  # every line is a score, every line is short, or there is only one
        file.writelines(f'{{"event":"score","stage":"student","step":{step},"score":1}}\n' for step in range(80_000))
    assert len(feed(run.folder, 0)["stages"]["student"]["scores"]["step"]) <= LIMIT
    assert len(parsed) < 30_000
    for content in (b"{}\n" * 1_500_000, b"x" * 4_500_000, b"\n" * 4_500_000, b"\0" * 4_500_000 + b"\n"):
        parsed.clear()
        run.metrics.write_bytes(content)
        answer = feed(run.folder, 0)
        assert answer["offset"] == content.rfind(b"\n") + 1 and answer["stages"] == {}
        assert len(parsed) == 0 and not feed(run.folder, answer["offset"])["stages"]


# --- long and short are the same kind of answer -----------------------------------------------------------------


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that short files are long ones."""
    for name, value in {
        "WHOLE_BYTES": 6_000, "PLACES": 12, "PLACE_BYTES": 500, "END_BYTES": 900, "RECENT_BYTES": 700, "BLOCK": 1_111,
    }.items():  # fmt: skip
        monkeypatch.setattr(history, name, value)


def odd_lines(chance: random.Random) -> list[dict | str]:
    teacher, student = (
        list(teacher_events(chance.choice((1, 40, 200)))),
        list(student_events(chance.choice((1, 90, 300)))),
    )
    lines: list[dict | str] = [*teacher, *student][chance.choice((0, 0, 1)) :]
    for _ in range(chance.randrange(6)):
        odd = chance.choice(
            ("", "[1]", "\0" * 700, "{" * 50, '{"event":"score"}', "é影" * 300, '{"event":"stage"}', "x" * 3_000)
        )
        lines.insert(chance.randrange(1, len(lines) + 1), odd)
    return lines


def test_of_a_long_file_the_rows_are_real_and_in_order(tmp_path: Path, small_limits: None) -> None:
    chance, path, long = random.Random(4), tmp_path / "metrics.jsonl", 0
    for number in range(300):
        lines = [
            line if isinstance(line, str) else json.dumps(line, separators=(",", ":")) for line in odd_lines(chance)
        ]
        content = "".join(line + "\n" for line in lines).encode()
        torn = chance.choice((b"", b'{"event":"score","stage":"stu', b'{"event":"step"', b"\0\0"))
        path.write_bytes(content + torn)
        whole = [event for event in read_events(path)[0] if "event" in event]
        read = read_history(path)
        assert read.offset == len(content) and read.anew, number
        rows = iter(whole)
        assert all(any(row == event for row in rows) for event in read.events), (
            f"{number}: not in the order of the file"
        )
        assert all(event in whole for event in read.recent)
        for kind in ("stage", "score"):
            of_kind = [[event for event in events if event.get("event") == kind] for events in (whole, read.events)]
            fits = [event for event in of_kind[0] if kind == "score" or event.get("stage")]
            assert [event for event in fits if event not in of_kind[1]] == [], f"{number}: {kind}"
        long += len(content) > history.WHOLE_BYTES
        assert len(content) > history.WHOLE_BYTES or read.events == whole
    assert long > 150


def test_every_since_gives_what_follows_or_starts_over(tmp_path: Path, small_limits: None) -> None:
    path = tmp_path / "metrics.jsonl"
    content = "".join(json.dumps(event) + "\n" for event in student_events(45)).encode()
    path.write_bytes(content)
    assert len(content) > history.WHOLE_BYTES
    newlines = [at + 1 for at, sign in enumerate(content) if sign == 10]
    for since in (*range(-3, len(content) + 3, 7), *newlines, 2**31, 2**63 - 1, 2**63, 10**15 - 1, 10**30):
        read = read_history(path, since)
        follows = 0 < since <= len(content) and content[since - 1 : since] == b"\n"
        is_near = since + history.WHOLE_BYTES >= len(content)
        assert read.offset == len(content) and read.anew == (not (follows and is_near)), since
        if not read.anew:
            assert read.events == [json.loads(line) for line in content[since:].splitlines()]


def test_who_has_slept_too_long_starts_over(run: SyntheticRun, small_limits: None) -> None:
    run.append(*student_events(30))
    offset = feed(run.folder, 0)["offset"]
    run.append(
        *(
            {"event": "step", "stage": "student", "step": step, "loss": 1.0, "elapsed_s": step}
            for step in range(31, 300)
        )
    )
    answer = feed(run.folder, offset)
    assert answer["reset"] and answer["stages"]["student"]["steps"]["step"][0] == 1
    assert answer["stages"]["student"]["steps"]["step"][-1] == 299


@pytest.mark.parametrize("kind", ["folder", "pipe", "link", "device"])
def test_what_is_no_plain_file_is_named(run: SyntheticRun, tmp_path: Path, kind: str) -> None:
    run.metrics.unlink(missing_ok=True)
    make = {
        "folder": run.metrics.mkdir,
        "pipe": lambda: os.mkfifo(run.metrics),
        "link": lambda: run.metrics.symlink_to(tmp_path),
        "device": lambda: run.metrics.symlink_to("/dev/zero"),
    }
    make[kind]()
    for ask in (lambda: feed(run.folder, 0), lambda: feed(run.folder, 10), lambda: read_curves(run.folder)):
        with pytest.raises(BrokenRun, match=r"metrics.jsonl cannot be read: "):
            ask()
