"""A real server whose jobs' processes are killed, and jobs whose server is: nothing else may suffer.

Every death comes at a moment of the work, not of a clock: when the process opens its nth file. See
`tests/fixtures/mortal/`.
"""

from __future__ import annotations

import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from core.cli import kinds
from core.export.onnx_forms import FOLDER
from core.jobs import folder as jobs
from core.jobs.process import end_in_words
from core.runs import folder as runs
from core.runs.comparable import model_folders
from core.runs.resume import request_resume
from core.scoring.job import UPLOAD
from core.storage import jobs_root, runs_root, write_json
from tests.faults.leaving import session
from tests.fixtures.broken_runs import new_run, outcome
from tests.fixtures.serving import Server, launch
from tests.fixtures.small_glue_jobs import job as glue_job
from tests.fixtures.small_glue_jobs import write_learnable
from tests.fixtures.small_runs import run_once

PATIENCE_S = 600.0
LOOK_S = 0.05
LOOKS = 60
"""So many at a server that must start no second job: a few times as long as it waits between two tries."""

MORTAL = Path(__file__).resolve().parents[1] / "fixtures" / "mortal"
MOMENT, OPENED, GO_ON = "moment.json", "opened", "go-on"

KINDS = ("distil", "glue", "export", "measure", "held-out", "file")
SIGNALS = ("SIGKILL", "SIGSEGV", "SIGBUS")

TRAINED = "one"


@dataclass
class Report:
    """What was killed, how often the server was asked meanwhile whether it is well, and what was wrong."""

    killed: list[str] = field(default_factory=list)
    answers: int = 0
    bad: list[str] = field(default_factory=list)


def prepare(home: Path) -> None:
    """In the home of the moment: a finished run to export, measure and ask, and a GLUE folder."""
    run_once(TRAINED, "training.epochs=1")
    write_learnable(home / "learnable")


def new_job(kind: str, name: str) -> Path:
    """A queued job of one kind, as its page or the terminal makes it."""
    if kind == "distil":
        return new_run(name)
    if kind == "glue":
        return glue_job(name, tasks=("MRPC",), epochs=1)
    return jobs.create(jobs_root(), {"job": kind, **_settings(kind)}, f"{kind}-{name}", files=_files(kind))


def try_all(home: Path, moments: int, servers: int) -> tuple[Report, Report]:
    """End jobs of all kinds by each signal at so many moments, and so many servers: what became of the two."""
    killed, adopted = Report(), Report()
    prepare(home)
    server = launch_mortal(home)
    try:
        files = _count(server)
        deaths = _spread_over_all_kinds(files, moments)
        for begin in range(0, len(deaths), len(KINDS)):
            kill_jobs(server, deaths[begin : begin + len(KINDS)], killed)
        at = [_at(files["distil"], place, servers) for place in range(servers)]
        server = kill_servers(server, home, at, adopted)
    finally:
        server.close()
    return killed, adopted


def _spread_over_all_kinds(files: dict[str, int], moments: int) -> list[tuple[str, str, int]]:
    """For each signal so many moments, from the beginning of the work to its end, the kinds in turn."""
    kind_of = [KINDS[place % len(KINDS)] for place in range(moments)]
    return [(kind, name, _at(files[kind], place, moments)) for name in SIGNALS for place, kind in enumerate(kind_of)]


def _at(files: int, place: int, places: int) -> int:
    """The moment at one of so many places, spread evenly over the files that a job opens."""
    return max(1, min(files - 1, round(files * (place + 0.5) / places)))


def kill_jobs(server: Server, deaths: list[tuple[str, str, int]], report: Report) -> None:
    """Queue a job for each (kind, signal, moment), and one more; see what is left of each, and of the server."""
    before = len(report.killed)
    folders = [_doomed(before + place, *death) for place, death in enumerate(deaths)]
    last = new_job("distil", f"after-{before:02}")
    with _asked_for_its_health(server, report):
        with session(server):
            _until(lambda: _have_ended(*folders, last))
    for folder, (kind, name, at) in zip(folders, deaths, strict=True):
        report.killed.append(f"{kind} by {name} at {at}")
        report.bad += [f"{report.killed[-1]}: {problem}" for problem in _wrong_with(folder, name)]
    if jobs.read_status(last).state != "finished":
        report.bad.append(f"the job after these deaths: {jobs.read_status(last)}")
    if server.process.poll() is not None:
        report.bad.append(f"the server ended with {server.process.returncode}")


def kill_servers(server: Server, home: Path, moments: list[int], report: Report) -> Server:
    """Let a run kill its server at each moment; the next one adopts it, follows it and, every other time, stops it.

    Returns the server that is left.
    """
    unbroken = new_job("distil", "unbroken")
    _carry_out(server, unbroken)
    expected = _what_counts(unbroken)
    for place, at in enumerate(moments):
        adopted, behind = new_job("distil", f"adopted-{place}"), new_job("distil", f"behind-{place}")
        write_json(adopted / MOMENT, {"at": at, "do": "kill the server"})
        with session(server):
            _until(lambda server=server: server.process.poll() is not None)
        report.killed.append(f"server at {at}")
        server = launch_mortal(home)
        try:
            problems = _adopt(server, adopted, behind, is_stopped=place % 2 == 1)
        except BaseException:
            server.close()
            raise
        if _what_counts(adopted) != expected:
            problems.append(f"it does not end as an unbroken one: {jobs.read_status(adopted)}")
        report.bad += [f"{report.killed[-1]}: {problem}" for problem in problems]
    return server


def launch_mortal(home: Path) -> Server:
    """A server whose jobs may die at a moment of their own choice."""
    return launch(home, environment={"PYTHONPATH": str(MORTAL)})


def _adopt(server: Server, adopted: Path, behind: Path, is_stopped: bool) -> list[str]:
    """What goes wrong while a new server finds one run at work and another one that waits behind it."""
    with session(server):
        problems = _second_one(adopted, behind)
        if is_stopped:
            jobs.request_stop(adopted)
        (adopted / GO_ON).touch()
        _until(lambda: _have_ended(adopted, behind))
        if jobs.read_status(adopted).state != ("stopped" if is_stopped else "finished"):
            problems.append(f"it ended as {jobs.read_status(adopted)}")
        if jobs.read_status(behind).state != "finished":
            problems.append(f"the next one ended as {jobs.read_status(behind)}")
    if is_stopped:
        (adopted / MOMENT).unlink()
        request_resume(adopted)
        _carry_out(server, adopted)
    return problems


def _second_one(adopted: Path, behind: Path) -> list[str]:
    """Look for a while at a run that a server has adopted, and at the one that must not begin beside it."""
    for _ in range(LOOKS):
        states = jobs.read_status(adopted).state, jobs.read_status(behind).state
        if states[0] not in jobs.ACTIVE or states[1] != "queued" or kinds.active_run() != adopted:
            return [f"not adopted: the two are {states}"]
        time.sleep(LOOK_S)
    return []


def _carry_out(server: Server, *folders: Path) -> None:
    with session(server):
        _until(lambda: _have_ended(*folders))


def _have_ended(*folders: Path) -> bool:
    """True once each has said so, or its server for it."""
    return all(jobs.written_status(folder).state in jobs.ENDED for folder in folders)


def _count(server: Server) -> dict[str, int]:
    """How many files a job of each kind opens that nobody disturbs: so many moments it has."""
    # Before them one that leaves the texts of its task in the cache, as all later ones find them.
    first = new_job("glue", "first")
    folders = {kind: new_job(kind, "counted") for kind in KINDS}
    _carry_out(server, first, *folders.values())
    for folder in folders.values():
        if jobs.read_status(folder).state != "finished":
            raise AssertionError(f"undisturbed, {folder.name} ended so: {jobs.read_status(folder)}")
    # What is made already would not be made again.
    shutil.rmtree(runs_root() / TRAINED / FOLDER)
    return {kind: int((folder / OPENED).read_text()) for kind, folder in folders.items()}


def _doomed(place: int, kind: str, name: str, at: int) -> Path:
    folder = new_job(kind, f"doomed-{place:02}")
    write_json(folder / MOMENT, {"at": at, "do": name})
    return folder


def _wrong_with(folder: Path, name: str) -> Iterator[str]:
    """What is wrong with a job whose process a signal has ended."""
    status, number = jobs.read_status(folder), signal.Signals[name]
    step = status.step if kinds.queue.kind_of(folder).resumes else None
    # The system may have killed for memory meanwhile, whatever else runs on this machine.
    said = [end_in_words(-number, step, for_memory) for for_memory in (False, True)]
    if status.state != "interrupted" or status.sentence not in said:
        yield f"it reads as {status.state}: {status.sentence}"
    if jobs.written_status(folder).state != "interrupted":
        yield "its own file does not say so"
    log = (folder / "log.txt").read_text(encoding="utf-8") if (folder / "log.txt").exists() else ""
    if name != "SIGKILL" and "Fatal Python error" not in log:
        yield f"its log has no last words: {log[-300:]}"


def _what_counts(folder: Path) -> dict[str, Any]:
    """A run's outcome, but for the files of these trials."""
    ours = (MOMENT, OPENED, GO_ON)
    found = outcome(folder)
    return found | {"files": [name for name in found["files"] if name not in ours]}


def _settings(kind: str) -> dict[str, Any]:
    run = runs_root() / TRAINED
    training = runs.read_settings(run).training.model_dump(mode="json")
    if kind == "held-out":
        return {"run": TRAINED, "training": training}
    if kind == "file":
        models = {name: str(folder) for name, folder in model_folders(run).items()}
        names = ["negative", "positive"]
        columns = ["text", "", "label"]
        return {"columns": columns, "label_names": names, "models": models, "max_tokens": 32, "training": training}
    return {"run": TRAINED, "threads": 1}


def _files(kind: str) -> dict[str, bytes]:
    rows = "".join(f"the film number {number} is warm,positive\n" for number in range(64))
    return {UPLOAD: f"text,label\n{rows}".encode()} if kind == "file" else {}


@contextmanager
def _asked_for_its_health(server: Server, report: Report) -> Iterator[None]:
    """Ask the server throughout the block, many times a second, whether it is well."""
    over = threading.Event()

    def ask() -> None:
        while not over.wait(LOOK_S):
            report.answers += 1
            if problem := _is_well(server):
                report.bad.append(f"the server: {problem}")

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _is_well(server: Server) -> str:
    try:
        with urlopen(f"{server.url}/_stcore/health", timeout=20) as answer:
            return "" if answer.status == 200 else f"it answers {answer.status}"
    except (URLError, ConnectionError, TimeoutError) as error:
        return f"it does not answer: {error}"


def _until(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_true():
        if time.monotonic() > deadline:
            raise AssertionError(f"nothing happened for {PATIENCE_S:g} s")
        time.sleep(LOOK_S)
