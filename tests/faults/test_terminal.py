"""What trains goes on, whoever looks: a server beside a terminal is killed, a page is reloaded again and again.

Real processes, real training on tiny models, a real browser.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from core.jobs.events import read_events
from core.jobs.queue import MACHINE, lane_lock
from core.runs import folder as runs
from tests.app.test_main_path import made, press, run_of, state
from tests.conftest import StartServer
from tests.faults.leaving import LONG, wrong_with
from tests.faults.leaving import _until as until
from tests.fixtures.browser import collect_problems, open_page
from tests.fixtures.serving import ROOT, STOP_LIMIT_S, server_environment
from tests.fixtures.small_runs import settings_of

RELOADS = 10
QUICK = ("training.epochs=1", "training.batch_size=64")
STOPPED = 3
"""What `python -m core` ends with after a stop."""

# The student's step that the page shows, in thousands as people write them; 0 while there is none.
STEP = """() => {
  const stage = document.querySelector('.live-stage[aria-current=step]')?.dataset.stage;
  const shown = document.querySelector('.live-where')?.innerText.match(/Step (.+?) of/)?.[1];
  return stage === 'student' && shown ? Number(shown.replace(/\\D/g, '')) : 0;
}"""

# Comes before everything else in a server, and writes a line for each training thread that is started there.
NOTES_THREADS = """
import threading

start = threading.Thread.start

def noted(thread):
    if thread.name == "jobs-training":
        with open({log!r}, "a") as file:
            file.write("started\\n")
    start(thread)

threading.Thread.start = noted
"""


@contextmanager
def terminal(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m core distill` on a long run, as a person types it, until the block ends."""
    config = home / "mine.json"
    config.write_text(json.dumps(settings_of(*LONG).model_dump(mode="json")), encoding="utf-8")
    with (home / "terminal.log").open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "core", "distill", "--config", str(config)],
            cwd=ROOT, env=server_environment(home), stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait(STOP_LIMIT_S)


def belongs_to(process: subprocess.Popen[bytes], folder: Path) -> bool:
    """True if the run's own file names this process, which lives."""
    owner = json.loads((folder / "status.json").read_bytes())["owner"]
    return process.poll() is None and owner is not None and owner["pid"] == process.pid


def goes_on(folder: Path) -> None:
    """Wait until the student has learned more than it has now; fails if the run ends or begins anew instead."""
    step = runs.read_status(folder).step
    until(lambda: runs.read_status(folder).step != step)
    status = runs.read_status(folder)
    assert status.step > step and (status.state, status.stage) == ("running", "student"), status


def beyond(page: Page, step: int) -> int:
    """Wait until the page shows that the run trains and its student is further than `step`; returns where it is."""
    is_further = f"before => {{ const now = ({STEP})(); return now > before && now }}"
    now = page.wait_for_function(is_further, arg=step).json_value()
    state(page, "running")
    return now


def end_of(folder: Path) -> runs.State:
    """Wait until the run has ended; returns how."""
    until(lambda: runs.read_status(folder).state in runs.ENDED)
    return runs.read_status(folder).state


def learned_once(folder: Path) -> bool:
    """True if the student made each update once: what a second trainer does is written between."""
    events, _ = read_events(folder / "metrics.jsonl")
    steps = [event["step"] for event in events if event["event"] == "step" and event["stage"] == "student"]
    return len(steps) > 1 and steps == list(range(1, len(steps) + 1))


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot freeze a process")
def test_a_terminals_run_is_not_taken_outlives_its_server_and_is_stopped_from_the_next(
    home: Path, start_server: StartServer, browser: Browser
) -> None:
    with terminal(home) as process, open_page(browser, []) as page:
        with lane_lock(MACHINE):
            first = start_server(home=home)
            until(lambda: any(belongs_to(process, folder) for folder in runs.list_runs()))
            (folder,) = runs.list_runs()
            # Asleep when the machine becomes free, the terminal cannot be first; its run has waited longest.
            process.send_signal(signal.SIGSTOP)
            taken = runs.create_run(settings_of(*QUICK), "taken")
            page.goto(f"{first.url}/distill?run={folder.name}")
            expect(page.get_by_text("Waiting for its turn")).to_be_visible()
        until(lambda: runs.read_status(taken).state in runs.ENDED or not belongs_to(process, folder))
        assert belongs_to(process, folder) and runs.read_status(folder).state == "queued"
        assert runs.read_status(taken).state == "finished"

        process.send_signal(signal.SIGCONT)
        step = beyond(page, 1)
        left = runs.create_run(settings_of(*QUICK), "waits-for-the-machine")
        first.end(signal.SIGKILL)
        goes_on(folder)
        assert belongs_to(process, folder)

        again = start_server(home=home)
        page.goto(f"{again.url}/distill?run={folder.name}")
        beyond(page, beyond(page, step))
        assert belongs_to(process, folder) and runs.read_status(left).state == "queued"
        press(page, "Stop")
        assert process.wait(STOP_LIMIT_S) == STOPPED
        state(page, "stopped")
    assert wrong_with(folder) == "" and learned_once(folder)
    # The second server was ready to train all the while.
    assert end_of(left) == "finished"
    again.close()


def test_reloads_do_not_touch_a_run_and_a_second_tab_stops_it(
    home: Path, tmp_path: Path, start_server: StartServer, browser: Browser, problems: list[str]
) -> None:
    threads = tmp_path / "threads.log"
    (tmp_path / "sitecustomize.py").write_text(NOTES_THREADS.format(log=str(threads)), encoding="utf-8")
    folder = runs.create_run(settings_of(*LONG), "reloaded")
    server = start_server(home=home, environment={"PYTHONPATH": str(tmp_path)})
    with open_page(browser, problems) as page:
        page.goto(f"{server.url}/distill")
        assert run_of(page) == folder.name
        step = beyond(page, 1)
        for _ in range(RELOADS):
            page.reload()
            step = beyond(page, step)
    goes_on(folder)  # while nobody looks
    with open_page(browser, problems) as page:
        page.goto(f"{server.url}/distill")
        assert run_of(page) == folder.name
        beyond(page, step)
        assert made(server) == {folder.name} and threads.read_text() == "started\n"

        other = page.context.new_page()
        collect_problems(other, problems)
        other.goto(f"{server.url}/distill?run={folder.name}")
        press(other, "Stop")
        state(other, "stopped")
        state(page, "stopped")
    assert wrong_with(folder) == "" and learned_once(folder) and problems == []
    server.close()
