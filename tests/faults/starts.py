"""Many starts at one moment: however many tabs and processes there are, a run is made once and trained once.

    python -m tests.faults.starts HOME ROUNDS

Prints one line of JSON. Each round has 12 contenders for the same run id, let go together: two servers of 4 tabs each
(threads that press Start beside one worker) and 4 processes that take what waits in the queue. All are forks made after
the libraries are loaded; the servers start processes of their own for what they train. The runs are real ones on tiny
models. Then a process that trains is killed, and the time counts until another has taken over.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.cli import kinds
from core.jobs import carry_out as carrying
from core.jobs.events import read_events
from core.jobs.process import Launcher
from core.jobs.queue import MACHINE
from core.jobs.worker import Worker
from core.runs import folder as runs
from tests.fixtures.broken_runs import new_run
from tests.fixtures.small_runs import settings_of

SERVERS, TABS, OTHERS = 2, 4, 4
LIMIT_S = 120.0
QUICK = ("training.batch_size=64", "training.epochs=1")


def main(home: str, rounds: int) -> None:
    """Play the rounds; exits with a sentence as soon as a run was trained twice or not at all."""
    os.environ["DISTILLERY_HOME"] = home
    new_run("teacher-first")
    _wait(_fork(_take_queue))
    report: dict[str, Any] = {"rounds": 0, "contenders": SERVERS * TABS + OTHERS, "once": 0, "takeovers": []}
    for number in range(rounds):
        report["rounds"] += 1
        report["once"] += _round(f"round-{number}")
    report["takeovers"] = [round(_takeover(f"killed-{number}"), 2) for number in range(max(1, rounds // 20))]
    print(json.dumps(report))


def _round(name: str) -> bool:
    """True if 12 simultaneous starts made one run, which was trained once and finished."""
    go, set_go = os.pipe()
    # Of two processes that train the same run, each begins here with its number in the file.
    log = runs.runs_root().parent / f"{name}.trained"
    servers = [_fork(lambda: _serve(name, go, log)) for _ in range(SERVERS)]
    others = [_fork(lambda: _take_queue(go, log, name)) for _ in range(OTHERS)]
    os.write(set_go, b"." * (SERVERS * TABS + OTHERS))
    for child in (*servers, *others):
        _wait(child)
    os.close(go)
    os.close(set_go)
    folder = runs.run_folder(name)
    steps = [event["step"] for event in read_events(folder / "metrics.jsonl")[0] if event["event"] == "step"]
    trained = log.read_text().splitlines()
    is_once = len(trained) == 1 and steps == list(range(1, len(steps) + 1)) and len(steps) > 1
    return is_once and runs.read_status(folder).state == "finished"


def _serve(name: str, go: int, log: Path) -> None:
    """A server whose tabs all press Start at once; it stays until the run has ended."""
    worker, settings = _server(log), settings_of(*QUICK)
    worker.start()

    def press() -> None:
        os.read(go, 1)
        runs.create_run(settings, name)

    tabs = [threading.Thread(target=press) for _ in range(TABS)]
    for tab in tabs:
        tab.start()
    for tab in tabs:
        tab.join()
    _until_over(name)
    worker.shutdown(LIMIT_S)


def _server(log: Path) -> Worker:
    program = [sys.executable, "-m", "tests.faults.starts", "--job", str(log)]
    return Worker(kinds.queue, Launcher(lambda argument: [*program, argument]))


def _take_queue(go: int | None = None, log: Path | None = None, name: str = "teacher-first") -> None:
    """A process that trains what waits, as soon as something does."""
    if log is not None and go is not None:
        os.read(go, 1)
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline and not _is_over(name):
        for folder in kinds.queue.waiting(MACHINE):
            _carry_out(folder, log)
        threading.Event().wait(0.005)


def _carry_out(folder: Path, log: Path | None) -> None:
    """Carry out a job in this process; if its turn comes, a line says so in the log."""
    work = carrying.carry_out

    def and_tell(folder: Path, *rest: Any) -> runs.State:
        if log is not None:
            with log.open("a", encoding="utf-8") as file:
                file.write(f"{os.getpid()} {folder.name}\n")
        return work(folder, *rest)

    carrying.carry_out = and_tell
    try:
        carrying.wait_and_carry_out(kinds.queue, folder, threading.Event())
    finally:
        carrying.carry_out = work


def _takeover(name: str) -> float:
    """Kill a process in training; the seconds until another one trains the run that waits."""
    first = runs.create_run(settings_of("training.epochs=100", "training.batch_size=4"), f"{name}-a")
    holder = _fork(lambda: _carry_out(first, None))
    _until(lambda: runs.read_status(first).step > 0)
    waiting = runs.create_run(settings_of(*QUICK), f"{name}-b")
    server = _fork(lambda: _serve_queue(waiting.name))
    threading.Event().wait(1.5)
    if runs.read_status(waiting).state != "queued":
        raise SystemExit("a second run was begun beside one that trains")
    os.kill(holder, signal.SIGKILL)
    begun = time.monotonic()
    os.waitpid(holder, 0)
    _until(lambda: runs.read_status(waiting).state != "queued")
    seconds = time.monotonic() - begun
    _wait(server)
    if runs.read_status(first).state != "interrupted":
        raise SystemExit("a killed run does not read as interrupted")
    return seconds


def _serve_queue(name: str) -> None:
    worker = _server(runs.runs_root().parent / f"{name}.trained")
    worker.start()
    _until_over(name)
    worker.shutdown(LIMIT_S)


def _is_over(name: str) -> bool:
    folder = runs.runs_root() / name
    return folder.exists() and runs.read_status(folder).state in runs.ENDED


def _until_over(name: str) -> None:
    _until(lambda: _is_over(name))


def _until(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not is_true():
        if time.monotonic() > deadline:
            raise SystemExit("nothing happened for a minute")
        threading.Event().wait(0.01)


def _fork(work: Callable[[], Any]) -> int:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException as error:  # noqa: BLE001  a fork ends here, whatever happens
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(status)
    return child


def _wait(child: int) -> None:
    if os.waitpid(child, 0)[1] != 0:
        raise SystemExit("a contender ended in an error")


if __name__ == "__main__":
    import torch

    torch.set_num_threads(1)
    if sys.argv[1] == "--job":
        _carry_out(Path(sys.argv[3]), Path(sys.argv[2]))
    else:
        main(sys.argv[1], int(sys.argv[2]))
