"""The server's workers: one job of a lane at a time, in order, and alive whatever happens in a job's process."""

from __future__ import annotations

import errno
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from core import storage
from core.cli import kinds
from core.jobs import folder as jobs
from core.jobs import owner as owners
from core.jobs import process as processes
from core.jobs import queue as queues
from core.jobs.process import JobProcess
from core.jobs.queue import MACHINE
from core.jobs.worker import Worker
from tests.core.jobs.conftest import LIMIT_S, Ended, Until
from tests.fixtures import job_stand_in as stand_in
from tests.fixtures.job_stand_in import BESIDE, begun, finish, most_at_once, new_job, new_queue

pytestmark = pytest.mark.usefixtures("home")


def submit(worker: Worker, name: str, **script: Any) -> Path:
    """Queue a job and see to it that somebody works."""
    folder = new_job(name, **script)
    worker.start()
    return folder


def thread_of(worker: Worker) -> threading.Thread:
    return worker._threads[MACHINE]


def pid_of(folder: Path) -> int:
    owner = jobs.written_status(folder).owner
    assert owner is not None
    return owner["pid"]


def lives(pid: int) -> bool:
    return owners.process_start(pid) != ""


def log_of(folder: Path) -> str:
    return (folder / "log.txt").read_text(encoding="utf-8")


# Whatever happens inside a job


def test_a_fault_inside_a_job_fails_that_job_and_no_other(worker: Worker, ended: Ended) -> None:
    """What is said of each fault: test_carry_out.py."""
    bad = [new_job(f"bad-{place}", fault=name) for place, name in enumerate(stand_in.FAULTS)]
    worker.start()
    thread = thread_of(worker)
    assert [ended() for _ in bad] == [(folder.name, "failed") for folder in bad]
    for folder, fault in zip(bad, stand_in.FAULTS.values(), strict=True):
        assert jobs.read_status(folder).step == 1 and not (folder / "results.json").exists()
        assert "Traceback (most recent call last)" in log_of(folder) and type(fault).__name__ in log_of(folder)
    finish()
    good = submit(worker, "good")
    assert ended() == ("good", "finished")
    assert thread.is_alive() and thread_of(worker) is thread
    assert (good / "results.json").exists()


CRASHED = "The process crashed at step 1 ({}). What it had saved is kept."
UNREADABLE = "could no longer be read (a full or failing disk) at step 1 (SIGBUS)"
SAID = "code 7 and without a word. The log may have the details."

ENDS: list[tuple[dict[str, Any], jobs.State, str, str]] = [
    (
        {"signal": "SIGKILL"},
        "interrupted",
        "or the system for want of memory, ended the process at step 1 (SIGKILL)",
        "",
    ),
    ({"signal": "SIGSEGV"}, "interrupted", CRASHED.format("SIGSEGV"), "Fatal Python error: Segmentation fault"),
    ({"signal": "SIGABRT"}, "interrupted", CRASHED.format("SIGABRT"), "Fatal Python error: Aborted"),
    ({"signal": "SIGBUS"}, "interrupted", UNREADABLE, "Fatal Python error: Bus error"),
    ({"signal": "SIGUSR1"}, "interrupted", "The process was ended at step 1 (SIGUSR1). What it had saved is kept.", ""),
    ({"exit": 7}, "failed", f"The process ended at step 1 with {SAID}", "the last words of a library"),
]


@pytest.mark.parametrize(("script", "state", "sentence", "words"), ENDS, ids=lambda value: str(value)[:24])
def test_a_process_that_ends_without_a_word_is_spoken_for_and_the_next_job_begins(
    worker: Worker,
    ended: Ended,
    monkeypatch: pytest.MonkeyPatch,
    script: dict[str, Any],
    state: jobs.State,
    sentence: str,
    words: str,
) -> None:
    # Another test may let the system kill for memory at this very moment.
    monkeypatch.setattr(processes, "killed_for_memory", lambda: 0)
    folder, next_one = new_job("a-dies", **script), new_job("b-next")
    finish()
    worker.start()
    assert [ended(), ended()] == [("a-dies", state), ("b-next", "finished")]
    status = jobs.written_status(folder)
    assert status.state == state and sentence in status.sentence and status.step == 1
    assert words in (log_of(folder) if words else "") and jobs.read_status(next_one).state == "finished"
    assert not lives(pid_of(folder)) and not lives(pid_of(next_one)), "the memory of a job goes with its process"


def test_a_job_whose_folder_is_removed_ends_and_is_not_made_again(worker: Worker, ended: Ended, until: Until) -> None:
    folder = submit(worker, "removed")
    until(lambda: begun() == ["removed"])
    # Renamed first: deleting file by file would race with the job that writes them.
    shutil.rmtree(folder.rename(storage.home() / "rubbish"))
    assert ended() == ("removed", None)
    assert not folder.exists() and thread_of(worker).is_alive()


def test_a_job_that_cannot_even_begin_fails_and_the_next_one_starts(worker: Worker, ended: Ended) -> None:
    blocked = new_job("blocked")
    (blocked / "metrics.jsonl").mkdir()
    finish()
    worker.start()
    assert ended() == ("blocked", "failed")
    assert jobs.read_status(blocked).state == "failed" and "IsADirectoryError" in log_of(blocked)
    submit(worker, "next")
    assert ended() == ("next", "finished")


def test_a_job_that_cannot_be_written_at_all_stays_in_the_queue(worker, ended: Ended, monkeypatch) -> None:
    """A disk that is full to the last byte: looked at again later, not in a busy loop, and no process is left."""
    folder = new_job("later")
    waits: list[float] = []
    states: list[str | None] = []
    made: list[int] = []
    really, start = worker._leaving.wait, JobProcess.start

    def wait(timeout: float) -> bool:
        waits.append(timeout)
        states.append(jobs.state_of(folder))
        if len(waits) == 3:
            monkeypatch.setattr(jobs, "write_status", write_status)
        return really(0)

    def started(command: list[str]) -> JobProcess:
        process = start(command)
        made.append(process.popen.pid)
        return process

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    write_status = jobs.write_status
    monkeypatch.setattr(JobProcess, "start", started)
    monkeypatch.setattr(jobs, "write_status", full)
    monkeypatch.setattr(worker._leaving, "wait", wait)
    finish()
    worker.start()
    assert ended() == ("later", "finished")
    assert waits == [queues.RETRY_S] * 3 and states == ["queued"] * 3 and jobs.read_status(folder).state == "finished"
    assert len(made) == 4 and not any(map(lives, made)) and begun() == ["later"]


# One at a time, in order


def test_jobs_never_overlap_and_start_in_the_order_in_which_they_were_sent(worker, ended: Ended, until: Until) -> None:
    """Their names sort the other way round, as when a form was drawn long before it was sent."""
    names = ["c-first", "b-second", "a-third"]
    for name in names:
        submit(worker, name)
    until(lambda: begun() == ["c-first"])
    assert [folder.name for folder in kinds.waiting_runs()] == names[1:]
    active = kinds.active_run()
    assert active and active.name == "c-first"
    assert jobs.read_status(storage.runs_root() / "a-third").state == "queued"
    finish()
    assert [ended() for _ in names] == [(name, "finished") for name in names]
    assert begun() == names and most_at_once() == 1
    assert kinds.active_run() is None and kinds.waiting_runs() == []


def test_five_clicks_with_one_id_make_one_job(worker: Worker, ended: Ended) -> None:
    with ThreadPoolExecutor(5) as pool:
        folders = set(pool.map(lambda _: submit(worker, "one"), range(5)))
    assert len(folders) == 1
    finish()
    assert ended() == ("one", "finished")
    submit(worker, "one")
    submit(worker, "last")
    assert ended() == ("last", "finished")
    assert begun() == ["one", "last"]


def test_starting_from_many_pages_at_once_makes_one_thread_a_lane(worker, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[threading.Thread] = []
    pause = threading.Event()

    class SlowToMake(threading.Thread):
        """Leaves the other pages time to start a thread of their own."""

        def __init__(self, **options: Any) -> None:
            pause.wait(0.005)
            super().__init__(**options)
            made.append(self)

    pages = [threading.Thread(target=worker.start) for _ in range(8)]
    monkeypatch.setattr(threading, "Thread", SlowToMake)
    for page in pages:
        page.start()
    for page in pages:
        page.join(LIMIT_S)
    worker.start()
    assert made == [worker._threads[MACHINE], worker._threads[BESIDE]] and all(thread.daemon for thread in made)


def test_two_servers_on_one_folder_carry_out_each_job_once(new_worker: Callable[[], Worker], ended: Ended) -> None:
    names = [f"run-{number}" for number in range(4)]
    servers = new_worker(), new_worker()
    for number, name in enumerate(names):
        submit(servers[number % 2], name)
    finish()
    assert sorted(ended() for _ in names) == [(name, "finished") for name in names]
    assert sorted(begun()) == names and most_at_once() == 1


def test_a_job_that_is_over_by_the_time_the_lock_is_reached_is_not_begun(worker: Worker, monkeypatch) -> None:
    """Another server had it, or somebody stopped it, since it was found in the queue."""
    folder, looked = new_job("one"), queue.Queue[str]()
    jobs.write_status(folder, jobs.Status("finished", "Over."))
    waiting = iter([[folder]])
    monkeypatch.setattr(worker._queue, "waiting", lambda lane: next(waiting, []) if lane == MACHINE else [])
    monkeypatch.setattr(worker._leaving, "wait", lambda _: looked.put("again"))
    worker.start()
    assert looked.get(timeout=LIMIT_S) == "again"
    assert jobs.read_status(folder).sentence == "Over." and not begun()


def test_a_job_that_another_process_made_for_itself_is_left_alone(worker: Worker, ended: Ended) -> None:
    reserved = new_job("a-terminal", owner=owners.this_process())
    finish()
    submit(worker, "mine")
    assert ended() == ("mine", "finished")
    assert jobs.read_status(reserved).state == "queued" and new_queue().waiting(MACHINE) == []


def test_broken_and_foreign_folders_do_not_stop_the_queue(worker: Worker, ended: Ended) -> None:
    (storage.runs_root() / "foreign").mkdir()
    (new_job("broken") / "status.json").write_text("{")
    finish()
    submit(worker, "good")
    assert ended() == ("good", "finished")
    assert begun() == ["good"]


def test_a_resumed_job_goes_to_the_end_of_the_queue(worker: Worker, ended: Ended, until: Until) -> None:
    resumed = submit(worker, "a-resumed")
    until(lambda: begun() == ["a-resumed"])
    new_job("b-waits")
    new_job("c-waits")
    jobs.request_stop(resumed)
    until(lambda: jobs.read_status(resumed).state == "stopped")
    jobs.queue_again(resumed, jobs.WAITING)
    finish()
    order = ["a-resumed", "b-waits", "c-waits", "a-resumed"]
    until(lambda: jobs.read_status(resumed).state == "finished")
    assert begun() == order and most_at_once() == 1


HOLDER = """
import sys
from core.jobs.queue import MACHINE, lane_lock
with lane_lock(MACHINE):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("end", ["release", "kill"])
def test_while_another_process_works_the_worker_waits(worker, ended: Ended, monkeypatch, end: str) -> None:
    """A real process holds the lock; when it lets go, or is killed, the job begins."""
    tried: queue.Queue[bool] = queue.Queue()
    begin = worker._begin

    def and_tell(folder: Path) -> JobProcess | None:
        process = begin(folder)
        tried.put(process is not None)
        return process

    monkeypatch.setattr(worker, "_begin", and_tell)
    command = [sys.executable, "-c", HOLDER]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=storage.PROJECT, env=dict(os.environ), **pipes) as holder:
        try:
            assert holder.stdout.readline() == b"held\n"
            finish()
            folder = submit(worker, "waits")
            assert [tried.get(timeout=LIMIT_S) for _ in range(3)] == [False] * 3
            assert jobs.read_status(folder).state == "queued" and not begun()
            holder.send_signal(signal.SIGKILL) if end == "kill" else holder.stdin.close()
            assert ended() == ("waits", "finished")
        finally:
            holder.kill()


def test_a_deleted_lock_lets_no_second_job_begin(worker: Worker, new_worker, ended: Ended, until: Until) -> None:
    submit(worker, "first")
    until(lambda: begun() == ["first"])
    (storage.runs_root() / f".{MACHINE}.lock").unlink()
    second, other = new_job("second"), new_worker()
    tried = threading.Semaphore(0)
    begin = other._begin
    other._begin = lambda folder: (begin(folder), tried.release())[0]
    other.start()
    assert all(tried.acquire(timeout=LIMIT_S) for _ in range(5))
    assert begun() == ["first"] and jobs.read_status(second).state == "queued"
    finish()
    assert sorted([ended(), ended()]) == [("first", "finished"), ("second", "finished")]
    assert most_at_once() == 1


def test_two_lanes_work_side_by_side(worker: Worker, ended: Ended, until: Until) -> None:
    submit(worker, "trains")
    new_job("waits")
    new_job("file-1", storage.jobs_root())
    until(lambda: sorted(begun()) == ["file-1", "trains"])
    new_job("file-2", storage.jobs_root())
    assert [folder.name for folder in new_queue().waiting(BESIDE)] == ["file-2"]
    assert most_at_once() == 2
    finish()
    assert sorted(ended() for _ in range(4)) == [(name, "finished") for name in ("file-1", "file-2", "trains", "waits")]


def test_a_copy_of_the_folder_of_a_job_at_work_belongs_to_nobody(worker: Worker, ended: Ended, until: Until) -> None:
    folder = submit(worker, "one")
    until(lambda: jobs.read_status(folder).state == "running")
    copy = Path(shutil.copytree(folder, folder.with_name("copy")))
    assert jobs.read_status(folder).state == "running" and jobs.read_status(copy).state == "interrupted"
    assert new_queue().active(MACHINE) == [folder]
    jobs.remove(copy)
    assert not copy.exists() and jobs.read_status(folder).state == "running"
    finish()
    assert ended() == ("one", "finished")


# Stopping


def test_a_stop_ends_the_job_at_work_and_keeps_what_it_learned(worker: Worker, ended: Ended, until: Until) -> None:
    folder = submit(worker, "one")
    until(lambda: jobs.read_status(folder).step >= 1)
    jobs.request_stop(folder)
    assert ended() == ("one", "stopped")
    status = jobs.read_status(folder)
    assert status.state == "stopped" and status.sentence.startswith("Stopped by you at step ")
    assert "of 1000. What was learned is kept" in status.sentence
    assert status.step >= 1 and not (folder / "log.txt").exists()


def test_a_stopped_job_in_the_queue_never_begins(worker: Worker, ended: Ended, until: Until) -> None:
    submit(worker, "first")
    until(lambda: begun() == ["first"])
    waiting = submit(worker, "second")
    submit(worker, "third")
    jobs.request_stop(waiting)
    assert jobs.read_status(waiting).state == "stopped"
    finish()
    assert [ended(), ended()] == [("first", "finished"), ("third", "finished")]
    assert begun() == ["first", "third"] and jobs.read_status(waiting).state == "stopped"


def test_a_stop_reaches_an_interruptible_kind_in_the_middle_of_its_work(worker, ended: Ended, until: Until) -> None:
    folder = new_job("hang-1", storage.jobs_root())
    worker.start()
    until(lambda: begun() == ["hang-1"])
    jobs.request_stop(folder)
    assert ended() == ("hang-1", "stopped")
    assert jobs.read_status(folder).sentence == "Stopped by you at step 0 of 0."


def test_leaving_keeps_what_was_learned_and_the_queue_for_the_next_server(
    worker: Worker, new_worker: Callable[[], Worker], ended: Ended, until: Until
) -> None:
    folder = submit(worker, "first")
    until(lambda: jobs.read_status(folder).step >= 1)
    waiting = submit(worker, "second")
    worker.shutdown(LIMIT_S)
    assert not worker.is_working and not lives(pid_of(folder))
    status = jobs.read_status(folder)
    assert status.state == "stopped" and (folder / "student").is_dir()
    assert status.sentence.startswith("Stopped because the program was closed at step ")
    assert jobs.read_status(waiting).state == "queued" and begun() == ["first"]
    submit(worker, "too-late")
    assert not worker.is_working, "a server that leaves begins nothing"
    finish()
    new_worker().start()
    assert [ended() for _ in range(3)] == [("first", "stopped"), ("second", "finished"), ("too-late", "finished")]


def test_leaving_does_not_wait_for_ever(worker: Worker, ended: Ended, until: Until) -> None:
    """A step that hangs: the server goes after its time; the job's process goes on until it looks up."""
    folder = submit(worker, "hangs", is_deaf=True)
    until(lambda: begun() == ["hangs"])
    worker.shutdown(0.05)
    assert thread_of(worker).is_alive() and thread_of(worker).daemon
    assert lives(pid_of(folder)) and jobs.read_status(folder).state in jobs.ACTIVE
    finish()
    assert ended() == ("hangs", "finished")


def test_leaving_without_ever_having_worked_is_quick(worker: Worker) -> None:
    worker.shutdown(LIMIT_S)
    assert not worker.is_working


def test_an_idle_worker_leaves_at_once(worker: Worker, ended: Ended) -> None:
    finish()
    submit(worker, "one")
    ended()
    worker.shutdown(LIMIT_S)
    assert not worker.is_working


def test_a_terminals_job_outlives_a_server_that_leaves(worker: Worker, ended: Ended, until: Until) -> None:
    folder = new_job("a-terminals", owner=owners.this_process())
    with subprocess.Popen(stand_in.command(str(folder)), cwd=storage.PROJECT) as terminal:
        status = jobs.queued(jobs.WAITING, owners.of_folder(owners.process(terminal.pid), folder))
        jobs.write_status(folder, status)
        until(lambda: jobs.read_status(folder).step >= 1)
        worker.start()
        worker.shutdown(LIMIT_S)
        assert jobs.read_status(folder).state == "running" and lives(terminal.pid)
        finish()
        assert terminal.wait(LIMIT_S) == 0
    assert jobs.read_status(folder).state == "finished"


# A server that was killed

SERVER = """
from core.jobs.worker import Worker
from tests.fixtures.job_stand_in import new_launcher, new_queue
Worker(new_queue(), new_launcher()).start()
input()
"""


@pytest.fixture
def orphan(until: Until) -> Iterator[Path]:
    """A job at work whose server was killed with SIGKILL, and with it whatever a Ctrl-C in its terminal would reach."""
    folder, code = new_job("orphan"), [sys.executable, "-c", SERVER]
    with subprocess.Popen(code, cwd=storage.PROJECT, stdin=subprocess.PIPE, start_new_session=True) as server:
        until(lambda: jobs.read_status(folder).step >= 1)
        os.killpg(server.pid, signal.SIGKILL)
    yield folder
    finish()
    until(lambda: not lives(pid_of(folder)))


def test_a_job_outlives_its_killed_server_and_the_next_one_waits_for_it(
    orphan: Path, worker: Worker, ended: Ended, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting, tried = new_job("waits"), queue.Queue[JobProcess | None]()
    begin = worker._begin
    monkeypatch.setattr(worker, "_begin", lambda folder: (process := begin(folder), tried.put(process))[0])
    step = jobs.read_status(orphan).step
    worker.start()
    assert [tried.get(timeout=LIMIT_S) for _ in range(5)] == [None] * 5
    until(lambda: jobs.read_status(orphan).step > step)
    assert kinds.active_run() == orphan and jobs.read_status(waiting).state == "queued"
    finish()
    assert ended() == ("waits", "finished")
    assert jobs.read_status(orphan).state == "finished"
    assert begun() == ["orphan", "waits"] and most_at_once() == 1


def test_an_adopted_job_can_be_stopped_and_the_next_one_begins(orphan: Path, worker: Worker, until: Until) -> None:
    waiting = new_job("waits")
    worker.start()
    jobs.request_stop(orphan)
    until(lambda: jobs.read_status(orphan).state == "stopped" and jobs.read_status(waiting).state == "running")
    assert jobs.read_status(orphan).sentence.startswith("Stopped by you at step ") and begun() == ["orphan", "waits"]


def test_an_adopted_job_that_dies_is_interrupted_and_the_next_one_begins(orphan, worker, ended: Ended) -> None:
    new_job("waits")
    worker.start()
    os.kill(pid_of(orphan), signal.SIGKILL)
    finish()
    assert ended() == ("waits", "finished")
    assert jobs.read_status(orphan).state == "interrupted"


def test_a_server_that_leaves_lets_an_adopted_job_save_too(orphan: Path, worker: Worker) -> None:
    worker.start()
    worker.shutdown(LIMIT_S)
    status = jobs.read_status(orphan)
    assert status.state == "stopped" and status.sentence.startswith("Stopped because the program was closed at step ")


@pytest.mark.parametrize("how", ["deleted", "garbled"])
def test_a_job_that_goes_as_it_is_begun_does_not_end_the_worker(worker, ended: Ended, monkeypatch, how: str) -> None:
    gone, launch = new_job("a-goes"), worker._launcher.launch

    def go_first(folder: Path, announce: Callable[[int], None]) -> JobProcess:
        if folder == gone:
            jobs.remove(folder) if how == "deleted" else (folder / "status.json").write_text("{")
        return launch(folder, announce)

    monkeypatch.setattr(worker._launcher, "launch", go_first)
    finish()
    worker.start()
    thread = thread_of(worker)
    new_job("b-next")
    assert ended() == ("b-next", "finished")
    assert thread_of(worker) is thread and thread.is_alive() and begun() == ["b-next"]
