"""The run folder: made once and whole, replaced in one piece, read truthfully whoever wrote it and whoever died."""

from __future__ import annotations

import errno
import json
import math
import os
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, get_args

import pytest

from core import storage
from core.config import Settings
from core.jobs import folder as jobs
from core.jobs.events import EventWriter, read_events
from core.jobs.owner import this_process
from core.runs import folder as runs
from core.runs.folder import BrokenRun, State, Status
from core.settings_file import override
from core.storage import read_json, write_json

pytestmark = pytest.mark.usefixtures("home")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def run() -> Path:
    """A queued run."""
    return runs.create_run(Settings(), "one")


@pytest.fixture
def dead() -> dict[str, str | int]:
    """The owner that a process of this machine was, which has ended since."""
    code = "import json; from core.jobs.owner import this_process; print(json.dumps(this_process()))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=storage.PROJECT, capture_output=True, check=True, timeout=300
    )
    return json.loads(done.stdout)


# Made once and whole


def test_a_new_run_holds_its_settings_and_waits(run: Path) -> None:
    assert names(run) == {"config.json", "status.json"}
    assert runs.read_settings(run) == Settings()
    status = runs.read_status(run)
    assert (status.state, status.sentence, status.owner, status.step) == ("queued", "Waiting for its turn.", None, 0)
    assert runs.list_runs() == [run] and runs.run_folder("one") == run
    assert runs.read_results(run) is None


def test_only_the_user_can_read_a_run(run: Path) -> None:
    with EventWriterOf(run) as writer:
        writer.append({"event": "step"})
    runs.request_stop(run)
    assert [mode(folder) for folder in (runs.runs_root(), storage.cache_root(), run)] == [0o700] * 3
    assert {mode(path) for path in run.iterdir()} == {0o600} and len(names(run)) == 4


def test_asking_twice_gives_the_same_run_unchanged(run: Path) -> None:
    runs.write_status(run, Status("finished", "Finished.", step=7))
    again = runs.create_run(override(Settings(), ["loss.soft=1"]), "one")
    assert again == run and runs.read_status(run).step == 7
    assert runs.read_settings(run) == Settings()
    assert names(runs.runs_root()) == {"one"}


def test_twelve_threads_with_one_id_make_one_run_and_nobody_sees_half_of_it() -> None:
    threads, rounds = 12, 8
    together, over = threading.Barrier(threads), threading.Event()
    half: list[str] = []

    def look() -> None:
        while not over.is_set():
            for folder in runs.list_runs():
                try:
                    runs.read_settings(folder), runs.read_status(folder)
                except BrokenRun as error:
                    half.append(str(error))

    def make(round_number: int) -> Path:
        together.wait(20)
        return runs.create_run(Settings(), f"round-{round_number}")

    reader = threading.Thread(target=look)
    reader.start()
    with ThreadPoolExecutor(threads) as pool:
        made = [set(pool.map(make, [number] * threads)) for number in range(rounds)]
    over.set()
    reader.join(20)
    assert [len(folders) for folders in made] == [1] * rounds
    assert names(runs.runs_root()) == {f"round-{number}" for number in range(rounds)}
    assert not half


def test_a_full_disk_leaves_no_half_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "write_status", full_disk)
    with pytest.raises(OSError, match="No space left"):
        runs.create_run(Settings(), "one")
    assert names(runs.runs_root()) == set()


@pytest.mark.parametrize(
    "run_id", ["", ".", "..", "../other", "a/b", "/etc", ".hidden", "-\n", "a b", "x" * 300, "é", "\0"]
)
def test_an_id_that_is_no_plain_name_is_not_made(run_id: str) -> None:
    with pytest.raises(BrokenRun, match="A run cannot be called"):
        runs.create_run(Settings(), run_id)
    assert names(storage.home()) <= {"runs"} and not any(runs.runs_root().iterdir())


@pytest.mark.parametrize(
    "run_id",
    ["", ".", "..", "../home", "../runs/one", "one/", "./one", "one/../one", "a/b", "/", "/etc", ".hidden", "none",
     "x" * 300, "x" * 10_000, "one\0", "\ud800", "one\n", "status.json"],
    ids=lambda run_id: ascii(run_id)[:20],
)  # fmt: skip
def test_only_the_name_of_a_folder_below_runs_is_a_run(run: Path, run_id: str) -> None:
    (runs.runs_root() / ".hidden").mkdir()
    (runs.runs_root() / "status.json").touch()
    with pytest.raises(BrokenRun, match="There is no run called") as caught:
        runs.run_folder(run_id)
    assert len(str(caught.value)) < 700


def test_a_run_that_a_person_renamed_is_still_a_run(run: Path) -> None:
    run.rename(run.with_name("mein bester Läufer"))
    assert runs.read_status(runs.run_folder("mein bester Läufer")).state == "queued"


def test_ids_sort_by_time_and_are_plain_names() -> None:
    first = runs.new_run_id()
    assert runs.NAME.fullmatch(first) and len(first) == 20
    assert len({runs.new_run_id() for _ in range(20)}) > 15
    for run_id in ("20260102-030405-aaaa", "20251231-235959-ffff", first):
        runs.create_run(Settings(), run_id)
    assert [folder.name for folder in runs.list_runs()] == [first, "20260102-030405-aaaa", "20251231-235959-ffff"]


# Replaced in one piece


def test_writing_replaces_the_file_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for value in ({"n": 1}, {"n": 2, "text": "Läufer 🎬"}):
        write_json(path, value)
        assert read_json(path) == value
    assert names(tmp_path) == {"a.json", "home"} and mode(path) == 0o600


def full_disk(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("call", ["os.fsync", "os.replace", "json.dump"])
def test_a_failing_write_keeps_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"old": True})
    module, name = call.split(".")
    monkeypatch.setattr({"os": os, "json": json}[module], name, full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_json(path, {"new": True})
    monkeypatch.undo()
    assert read_json(path) == {"old": True}
    assert names(tmp_path) == {"a.json", "home"}


def test_a_value_that_json_does_not_have_keeps_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"old": True})
    for value in ({"new": object()}, {"new": "half a pair: \ud800"}):
        with pytest.raises((TypeError, ValueError)):
            write_json(path, value)
    assert read_json(path) == {"old": True} and names(tmp_path) == {"a.json", "home"}


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    """Ten readers' worth of looks while the file is rewritten: always one of the two whole contents."""
    path, over = tmp_path / "a.json", threading.Event()
    contents = [{"value": letter * 5_000} for letter in "ab"]
    write_json(path, contents[0])

    def write() -> None:
        for turn in range(400):
            write_json(path, contents[turn % 2], durable=False)
        over.set()

    writer = threading.Thread(target=write)
    writer.start()
    looks = 0
    while not over.is_set():
        assert read_json(path) in contents
        looks += 1
    writer.join(20)
    assert looks > 20


# Read truthfully


@pytest.mark.parametrize("state", get_args(State))
def test_a_status_reads_as_it_was_written(run: Path, state: State) -> None:
    written = Status(state, "One sentence.", "student", 3, 10, owner=this_process())
    runs.write_status(run, written)
    status = runs.read_status(run)
    assert replace(status, updated_at=0.0) == written and status.updated_at > 1e9


@pytest.mark.parametrize("state", runs.ACTIVE + ("queued",))
def test_a_run_whose_process_has_gone_reads_as_interrupted(run: Path, dead, state: State) -> None:
    runs.write_status(run, Status(state, "The student learns.", "student", 12, 40, owner=dead))
    status = runs.read_status(run)
    assert status.state == "interrupted" and "at step 12" in status.sentence
    assert (status.stage, status.step, status.total_steps) == ("student", 12, 40)


@pytest.mark.parametrize("state", runs.ENDED)
def test_an_ended_run_stays_what_it_was_when_its_process_goes(run: Path, dead, state: State) -> None:
    runs.write_status(run, Status(state, "Over.", owner=dead))
    assert runs.read_status(run).state == state


def test_a_run_that_waits_for_nobody_in_particular_goes_on_waiting(run: Path) -> None:
    """It was queued by a server that has ended since: the next one takes it."""
    assert runs.read_status(run).state == "queued"


def test_an_active_run_without_an_owner_is_interrupted(run: Path) -> None:
    runs.write_status(run, Status("running", "The student learns.", step=5))
    assert runs.read_status(run).state == "interrupted"


@pytest.mark.parametrize("state", ["preparing", "running"])
def test_a_stop_makes_a_live_run_read_as_stopping(run: Path, state: State) -> None:
    runs.write_status(run, Status(state, "The student learns.", "student", 3, 10, owner=this_process()))
    runs.request_stop(run)
    status = runs.read_status(run)
    assert (status.state, status.step) == ("stopping", 3) and runs.stop_requested(run)
    assert json.loads((run / "status.json").read_text())["state"] == state, "only who trains writes the status then"


def test_a_stop_ends_a_queued_run_at_once(run: Path) -> None:
    before = (run / "status.json").read_bytes()
    runs.request_stop(run)
    assert (run / "status.json").read_bytes() == before, "a worker may be about to begin it"
    assert runs.read_status(run).state == "stopped"
    assert runs.read_status(run).sentence == "Stopped before it began."


@pytest.mark.parametrize("state", runs.ENDED)
def test_a_stop_does_not_change_a_run_that_is_over(run: Path, state: State) -> None:
    runs.write_status(run, Status(state, "Over.", owner=this_process()))
    runs.request_stop(run)
    runs.request_stop(run)
    assert runs.read_status(run).state == state


GOOD = asdict(Status("running", "The student learns.", "student", 3, 10, 1.0, this_process()))

BROKEN: dict[str, bytes | dict[str, Any]] = {
    "empty": b"",
    "half": b'{"state": "runn',
    "a list": b"[]",
    "null": b"null",
    "not UTF-8": b'{"state": "\xff"}',
    "UTF-16": json.dumps(GOOD).encode("utf-16"),
    "deep": b"[" * 10_000,
    "401 digits": b'{"state": "running", "sentence": "", "step": 1' + b"0" * 400 + b"}",
    "5000 digits": b'{"step": ' + b"1" * 5000 + b"}",
    "no state": {"sentence": "x"},
    "a foreign file": {"version": 3, "training": True},
    "one field more": {**GOOD, "colour": "red"},
    "an unknown state": {**GOOD, "state": "exploding"},
    "a state of another kind": {**GOOD, "state": ["running"]},
    "a step of another kind": {**GOOD, "step": "3"},
    "no step": {**GOOD, "step": None},
    "steps in pieces": {**GOOD, "total_steps": 2.5},
    "a time of another kind": {**GOOD, "updated_at": "yesterday"},
    "an owner of another kind": {**GOOD, "owner": "me"},
    "an owner without a process": {**GOOD, "owner": {"host": "here"}},
    "an owner whose number is none": {**GOOD, "owner": {**this_process(), "pid": "x", "started": ""}},
    "an owner whose number no system has": {**GOOD, "owner": {**this_process(), "pid": 2**31}},
    "an owner that is a group of processes": {**GOOD, "owner": {**this_process(), "pid": -1}},
    "an owner that is everybody": {**GOOD, "owner": {**this_process(), "pid": 0}},
    "an owner with a long name": {**GOOD, "owner": {**this_process(), "host": "x" * 1000}},
    "no sentence": {**GOOD, "sentence": None},
    "a sentence of another kind": {**GOOD, "sentence": ["The student learns."]},
    "a sentence without end": {**GOOD, "sentence": "x" * 100_000},
    "half a character": json.dumps({**GOOD, "sentence": "\ud800"}).encode(),
    "an unknown stage": {**GOOD, "stage": "juggling"},
    "a stage of another kind": {**GOOD, "stage": ["student"]},
    "steps below none": {**GOOD, "step": -1},
    "a time that is none": json.dumps({**GOOD, "updated_at": float("nan")}).encode(),
    "a later format": {**GOOD, "format": 2},
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_status_names_the_file(run: Path, kind: str) -> None:
    content = BROKEN[kind]
    (run / "status.json").write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    with pytest.raises(BrokenRun, match=r"one/status\.json"):
        runs.read_status(run)


def test_a_missing_status_and_a_folder_in_its_place_name_the_file(run: Path) -> None:
    (run / "status.json").unlink()
    with pytest.raises(BrokenRun, match=r"one/status\.json cannot be read: No such file or directory\.$"):
        runs.read_status(run)
    (run / "status.json").mkdir()
    with pytest.raises(BrokenRun, match=r"one/status\.json cannot be read"):
        runs.read_status(run)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"loss": {"soft": -1}}', b'{"lost": {}}', b"[" * 10_000, b"\xff", None]
)
def test_broken_settings_name_the_file(run: Path, content: bytes | None) -> None:
    if content is None:
        (run / "config.json").unlink()
    else:
        (run / "config.json").write_bytes(content)
    with pytest.raises(BrokenRun, match=r"one/config\.json"):
        runs.read_settings(run)


def test_broken_results_name_the_file(run: Path) -> None:
    (run / "results.json").write_text('{"kept": 0.')
    with pytest.raises(BrokenRun, match=r"one/results\.json"):
        runs.read_results(run)


def test_foreign_things_beside_the_runs_do_no_harm(run: Path) -> None:
    (runs.runs_root() / "notes.txt").touch()
    (runs.runs_root() / ".training.lock").touch()
    (runs.runs_root() / "loop").symlink_to("loop")
    (runs.runs_root() / "foreign").mkdir()
    assert {folder.name for folder in runs.list_runs()} == {"one", "foreign"}


# The event log


class EventWriterOf:
    """A writer of a run's metrics.jsonl, closed in the end."""

    def __init__(self, run: Path) -> None:
        self.writer = EventWriter(run / "metrics.jsonl")

    def __enter__(self) -> EventWriter:
        return self.writer

    def __exit__(self, *_: object) -> None:
        self.writer.close()


def test_numbers_that_json_does_not_have_become_null_and_zero_stays(run: Path) -> None:
    event = {"event": "step", "loss": math.nan, "soft": 0.0, "hard": -math.inf, "lr": 0, "probe": [[math.nan, 0.0]]}
    with EventWriterOf(run) as writer:
        writer.append(event)
    (read,), _ = read_events(run / "metrics.jsonl")
    assert read == {"event": "step", "loss": None, "soft": 0.0, "hard": None, "lr": 0, "probe": [[None, 0.0]]}
    assert (run / "metrics.jsonl").read_bytes().count(b"\n") == 1


def test_a_run_without_events_yet_has_none(run: Path) -> None:
    assert read_events(run / "metrics.jsonl") == ([], 0)
    assert read_events(run / "metrics.jsonl", since=40) == ([], 40)


def test_a_torn_last_line_is_not_there_yet_and_is_seen_once_it_is_whole(tmp_path: Path) -> None:
    """Cut at every byte: whole lines are read, each exactly once, whatever the reader has seen before."""
    lines = [json.dumps({"event": "step", "step": step, "loss": 0.0}) + "\n" for step in range(12)]
    content, path = "".join(lines).encode(), tmp_path / "metrics.jsonl"
    for cut in range(len(content) + 1):
        path.write_bytes(content[:cut])
        before, offset = read_events(path)
        assert len(before) == content[:cut].count(b"\n") and offset == content[:cut].rfind(b"\n") + 1
        path.write_bytes(content)
        after, end = read_events(path, offset)
        assert [event["step"] for event in before + after] == list(range(12)) and end == len(content)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\0" * 50,
        b"{half",
        b"[1]",
        b"null",
        b"\xff\xfe",
        b"[" * 10_000,
        b"",
        b"1" * 5000,
        b'{"step":1%s}' % (b"0" * 18),
    ],
)
def test_a_line_that_is_no_event_is_passed_over(run: Path, garbage: bytes) -> None:
    (run / "metrics.jsonl").write_bytes(b'{"step":1}\n' + garbage + b'\n{"step":2}\n')
    events, _ = read_events(run / "metrics.jsonl")
    assert [event["step"] for event in events] == [1, 2]


def test_one_kind_of_event_can_be_read_alone(run: Path) -> None:
    lines = [
        b'{"event":"step","step":1}',
        b'{"event": "probe", "step": 2}',
        b'{"event":"step","stage":"probe"}',
        b"probe",
    ]
    (run / "metrics.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    events, end = read_events(run / "metrics.jsonl", kind="probe")
    assert events == [{"event": "probe", "step": 2}] and end == (run / "metrics.jsonl").stat().st_size


def test_lines_of_two_writers_are_never_mixed(run: Path) -> None:
    def write(name: int) -> None:
        with EventWriterOf(run) as writer:
            for step in range(200):
                writer.append({"writer": name, "step": step, "text": "x" * 500})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    events, _ = read_events(run / "metrics.jsonl")
    assert len(events) == 800
    for name in range(4):
        assert [event["step"] for event in events if event["writer"] == name] == list(range(200))


def test_a_killed_writer_loses_nothing_it_has_written(run: Path, tmp_path: Path) -> None:
    """A real process that is killed without warning: no buffer holds lines back."""
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom core.jobs.events import EventWriter\n"
        "writer = EventWriter(Path(sys.argv[1]))\n"
        "for step in range(50): writer.append({'step': step})\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(run / "metrics.jsonl")], cwd=storage.PROJECT, timeout=300)
    assert done.returncode < 0
    assert len(read_events(run / "metrics.jsonl")[0]) == 50
