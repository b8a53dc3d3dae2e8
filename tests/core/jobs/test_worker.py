"""The worker: one run at a time, in order, and alive whatever happens inside a run."""

from __future__ import annotations

import errno
import gc
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from core.runs.execute import execute
from core.runs.worker import Worker

from core import storage
from core.config import Settings
from core.distill import job, labels
from core.errors import DistilleryError
from core.jobs.owner import this_process
from core.jobs.reporter import StopRequested
from core.runs import execute as execution
from core.runs import folder as runs
from core.runs import worker as worker_module
from tests.fixtures.small_runs import settings_of

LIMIT_S = 60.0
STEP_S = 0.005

pytestmark = pytest.mark.usefixtures("home")


class Panic(BaseException):
    """As a tokenizer's PanicException: not an Exception."""


class Jobs:
    """Stands in for run_job: trains nothing, one step every few milliseconds, until it is told to finish."""

    def __init__(self) -> None:
        self.began: queue.Queue[str] = queue.Queue()
        self.order: list[str] = []
        self.finish = threading.Event()
        self.at_once, self.most_at_once = 0, 0
        self.raises: dict[str, BaseException] = {}
        self.deaf = False

    def __call__(self, settings: Settings, student: Path, teachers: Path, recorder: Any, *_: Any) -> dict[str, Any]:
        name = student.parent.name
        self.order.append(name)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            self.began.put(name)
            recorder.stage("student", 1000)
            if name in self.raises:
                recorder.step(1, {"loss": torch.tensor(0.5)}, 1e-4, 32)
                raise self.raises[name]
            self._train(student, recorder)
        finally:
            self.at_once -= 1
        return {"elapsed_s": 1.0}

    def _train(self, student: Path, recorder: Any) -> None:
        step = 0
        while not self.finish.wait(STEP_S):
            step += 1
            recorder.step(step, {"loss": torch.tensor(0.5)}, 1e-4, 32 * step)
            try:
                self.deaf or recorder.check_stop()
            except StopRequested:
                student.mkdir()
                raise


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Jobs]:
    stand_in = Jobs()
    monkeypatch.setattr(job, "run_job", stand_in)
    # There is nothing to give back, and looking for it takes longer than the rest of such a run.
    monkeypatch.setattr(execution, "_give_memory_back", lambda: None)
    yield stand_in
    stand_in.finish.set()


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> Callable[[], tuple[str, str]]:
    """Wait for the next run that the worker is done with; gives its name and state."""
    done: queue.Queue[tuple[str, str]] = queue.Queue()

    def and_tell(folder: Path, leaving: Callable[[], bool]) -> str:
        state = execute(folder, leaving)
        done.put((folder.name, state))
        return state

    monkeypatch.setattr(worker_module, "execute", and_tell)
    monkeypatch.setattr(worker_module, "RETRY_S", 0.02)
    return lambda: done.get(timeout=LIMIT_S)


@pytest.fixture
def new_worker(jobs: Jobs) -> Iterator[Callable[[], Worker]]:
    """Make workers; all of them end with the test."""
    made: list[Worker] = []

    def make() -> Worker:
        made.append(Worker())
        return made[-1]

    yield make
    jobs.finish.set()
    for worker in made:
        worker.shutdown(LIMIT_S)


@pytest.fixture
def worker(new_worker: Callable[[], Worker]) -> Worker:
    return new_worker()


def thread_of(worker: Worker) -> threading.Thread:
    assert worker._thread is not None
    return worker._thread


def log_of(folder: Path) -> str:
    return (folder / "log.txt").read_text(encoding="utf-8")


# Whatever happens inside a run

NO_MEMORY = "There was not enough memory at step 1. Choose a smaller batch or shorter inputs and start again."
FULL = "The disk was full at step 1. Make room, for example by deleting old runs, and start again."
BROKEN = "The disk could not be read or written at step 1: input/output error. Check the disk and start again."
UNEXPECTED = "Something unexpected went wrong at step 1 ({}). The run's log has the details."

FAULTS: list[tuple[BaseException, str]] = [
    (ValueError("a bad value"), UNEXPECTED.format("ValueError")),
    (DistilleryError("The teacher has nothing to teach."), "The teacher has nothing to teach."),
    (MemoryError(), NO_MEMORY),
    (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), NO_MEMORY),
    (OSError(errno.ENOSPC, "No space left on device"), FULL),
    (OSError(errno.EIO, "Input/output error"), BROKEN),
    (RecursionError("too deep"), UNEXPECTED.format("RecursionError")),
    (SystemExit(3), UNEXPECTED.format("SystemExit")),
    (KeyboardInterrupt(), UNEXPECTED.format("KeyboardInterrupt")),
    (Panic("a regular expression"), UNEXPECTED.format("Panic")),
]


@pytest.mark.parametrize(("fault", "sentence"), FAULTS, ids=lambda value: type(value).__name__)
def test_a_fault_inside_a_run_fails_that_run_and_no_other(worker, jobs, ended, fault, sentence: str) -> None:
    jobs.raises["bad"] = fault
    bad = worker.submit(Settings(), "bad")
    assert ended() == ("bad", "failed")
    status = runs.read_status(bad)
    assert (status.state, status.sentence, status.step) == ("failed", sentence, 1)
    assert "Traceback (most recent call last)" in log_of(bad) and type(fault).__name__ in log_of(bad)
    assert runs.read_results(bad) is None
    thread = thread_of(worker)
    jobs.finish.set()
    good = worker.submit(Settings(), "good")
    assert ended() == ("good", "finished")
    assert thread.is_alive() and thread_of(worker) is thread
    assert runs.read_results(good) == {"elapsed_s": 1.0}


def test_values_that_cannot_be_fetched_any_more_do_not_hide_the_failure(worker, jobs, ended, monkeypatch) -> None:
    """As after a broken GPU: what was waiting on the device fails a second time when the run is closed."""

    def broken(settings: Settings, student: Path, teachers: Path, recorder: Any, *_: Any) -> dict[str, Any]:
        recorder.stage("student", 10)
        recorder.step(1, {"loss": torch.tensor(0.5)}, 1e-4, 32)
        for terms in ({"loss": torch.tensor(0.5)}, {"loss": torch.tensor(0.5), "soft": torch.tensor(0.5)}):
            recorder.step(2, terms, 1e-4, 64)
        raise RuntimeError("device-side assert triggered")

    monkeypatch.setattr(job, "run_job", broken)
    folder = worker.submit(Settings(), "bad")
    assert ended() == ("bad", "failed")
    assert "RuntimeError" in runs.read_status(folder).sentence and "device-side assert" in log_of(folder)
    assert thread_of(worker).is_alive()


def test_a_run_whose_folder_is_removed_ends_and_is_not_made_again(worker, jobs, ended) -> None:
    folder = worker.submit(Settings(), "removed")
    assert jobs.began.get(timeout=LIMIT_S) == "removed"
    # Renamed first: deleting file by file would race with the run that writes them.
    shutil.rmtree(folder.rename(storage.home() / "rubbish"))
    assert ended() == ("removed", "failed")
    assert not folder.exists() and thread_of(worker).is_alive()


def test_a_run_that_cannot_even_begin_fails_and_the_next_one_starts(worker, jobs, ended) -> None:
    blocked = runs.create_run(Settings(), "blocked")
    (blocked / "metrics.jsonl").mkdir()
    jobs.finish.set()
    worker.start()
    assert ended() == ("blocked", "failed")
    assert runs.read_status(blocked).state == "failed" and "IsADirectoryError" in log_of(blocked)
    worker.submit(Settings(), "next")
    assert ended() == ("next", "finished")


def test_a_run_that_cannot_be_written_at_all_stays_in_the_queue(worker, jobs, ended, monkeypatch) -> None:
    """A disk that is full to the last byte: looked at again later, not in a busy loop."""
    folder = runs.create_run(Settings(), "later")
    waits: list[float] = []
    really = worker._leaving.wait

    def wait(timeout: float) -> bool:
        waits.append(timeout)
        if len(waits) == 3:
            monkeypatch.setattr(runs, "write_status", write_status)
        return really(0)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    write_status = runs.write_status
    monkeypatch.setattr(runs, "write_status", full)
    monkeypatch.setattr(worker._leaving, "wait", wait)
    jobs.finish.set()
    worker.start()
    assert [ended() for _ in range(4)] == [("later", "failed")] * 3 + [("later", "finished")]
    assert waits == [worker_module.RETRY_S] * 3 and runs.read_status(folder).state == "finished"


def test_a_folder_that_is_gone_before_the_run_begins_is_no_error(jobs) -> None:
    assert execute(runs.runs_root() / "nothing") == "failed"
    assert not jobs.order and not any(runs.runs_root().iterdir())


def test_broken_settings_fail_the_run_with_a_sentence(worker, jobs, ended) -> None:
    folder = runs.create_run(Settings(), "broken")
    (folder / "config.json").write_text('{"loss": {"soft": -1}}')
    worker.start()
    assert ended() == ("broken", "failed")
    assert "loss.soft is -1; expected a number from 0 to 100" in runs.read_status(folder).sentence


# One at a time, in order


def test_runs_never_overlap_and_start_in_the_order_in_which_they_were_sent(worker, jobs, ended) -> None:
    """Their names sort the other way round, as when a form was drawn long before it was sent."""
    names = ["c-first", "b-second", "a-third"]
    for name in names:
        worker.submit(Settings(), name)
    assert jobs.began.get(timeout=LIMIT_S) == "c-first"
    assert [folder.name for folder in worker_module.queue()] == names[1:]
    assert worker_module.active_run().name == "c-first"
    assert runs.read_status(runs.run_folder("a-third")).state == "queued"
    jobs.finish.set()
    assert [ended() for _ in names] == [(name, "finished") for name in names]
    assert jobs.order == names and jobs.most_at_once == 1
    assert worker_module.active_run() is None and worker_module.queue() == []


def test_five_clicks_with_one_id_make_one_run(worker, jobs, ended) -> None:
    with ThreadPoolExecutor(5) as pool:
        folders = set(pool.map(lambda _: worker.submit(Settings(), "one"), range(5)))
    assert len(folders) == 1
    jobs.finish.set()
    assert ended() == ("one", "finished")
    worker.submit(Settings(), "one")
    worker.submit(Settings(), "last")
    assert ended() == ("last", "finished")
    assert jobs.order == ["one", "last"]


def test_starting_from_many_pages_at_once_makes_one_thread(worker, jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[threading.Thread] = []

    class SlowToMake(threading.Thread):
        """Leaves the other pages time to start a thread of their own."""

        def __init__(self, **options: Any) -> None:
            jobs.finish.wait(STEP_S)
            super().__init__(**options)
            made.append(self)

    pages = [threading.Thread(target=worker.start) for _ in range(8)]
    monkeypatch.setattr(threading, "Thread", SlowToMake)
    for page in pages:
        page.start()
    for page in pages:
        page.join(LIMIT_S)
    worker.start()
    assert made == [thread_of(worker)] and made[0].daemon


def test_two_servers_on_one_folder_train_each_run_once(new_worker, jobs, ended) -> None:
    names = [f"run-{number}" for number in range(4)]
    servers = new_worker(), new_worker()
    for number, name in enumerate(names):
        servers[number % 2].submit(Settings(), name)
    jobs.finish.set()
    assert sorted(ended() for _ in names) == [(name, "finished") for name in names]
    assert sorted(jobs.order) == names and jobs.most_at_once == 1


@pytest.mark.parametrize("state", ["stopped", "finished"])
def test_a_run_that_is_over_by_the_time_the_lock_is_reached_is_not_trained(jobs, state: runs.State) -> None:
    """Another server had it, or somebody stopped it, since it was found in the queue."""
    folder = runs.create_run(Settings(), "one")
    runs.write_status(folder, runs.Status(state, "Over."))
    jobs.finish.set()
    assert worker_module.train_alone(folder, threading.Event())
    assert runs.read_status(folder).state == state and not jobs.order


def test_a_run_that_another_process_made_for_itself_is_left_alone(worker, jobs, ended) -> None:
    reserved = runs.create_run(Settings(), "a-terminal", owner=this_process())
    jobs.finish.set()
    worker.submit(Settings(), "mine")
    assert ended() == ("mine", "finished")
    assert runs.read_status(reserved).state == "queued" and worker_module.queue() == []


def test_broken_and_foreign_folders_do_not_stop_the_queue(worker, jobs, ended) -> None:
    (runs.runs_root() / "foreign").mkdir()
    broken = runs.create_run(Settings(), "broken")
    (broken / "status.json").write_text("{")
    jobs.finish.set()
    worker.submit(Settings(), "good")
    assert ended() == ("good", "finished")
    assert jobs.order == ["good"]


HOLDER = """
import sys
from core.runs.worker import machine_lock
with machine_lock():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("end", ["release", "kill"])
def test_while_another_process_trains_the_worker_waits(worker, jobs, ended, monkeypatch, end: str) -> None:
    """A real process holds the lock; when it lets go, or is killed, the run begins."""
    tried: queue.Queue[bool] = queue.Queue()
    train_alone = worker_module.train_alone

    def and_tell(folder: Path, leaving: threading.Event) -> bool:
        tried.put(result := train_alone(folder, leaving))
        return result

    monkeypatch.setattr(worker_module, "train_alone", and_tell)
    command = [sys.executable, "-c", HOLDER]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=storage.PROJECT, env=dict(os.environ), **pipes) as holder:
        try:
            assert holder.stdout.readline() == b"held\n"
            jobs.finish.set()
            folder = worker.submit(Settings(), "waits")
            assert [tried.get(timeout=LIMIT_S) for _ in range(3)] == [False] * 3
            assert runs.read_status(folder).state == "queued" and not jobs.order
            holder.send_signal(signal.SIGKILL) if end == "kill" else holder.stdin.close()
            assert ended() == ("waits", "finished")
        finally:
            holder.kill()


# Stopping


def test_a_stop_ends_the_run_that_trains_and_keeps_what_it_learned(worker, jobs, ended) -> None:
    folder = worker.submit(Settings(), "one")
    jobs.began.get(timeout=LIMIT_S)
    runs.request_stop(folder)
    assert ended() == ("one", "stopped")
    status = runs.read_status(folder)
    assert status.state == "stopped" and status.sentence.startswith("Stopped by you at step ")
    assert "of 1000. What the student had learned is kept" in status.sentence
    assert status.step >= 1 and not (folder / "log.txt").exists()


def test_a_stopped_run_in_the_queue_never_begins(worker, jobs, ended) -> None:
    worker.submit(Settings(), "first")
    jobs.began.get(timeout=LIMIT_S)
    waiting = worker.submit(Settings(), "second")
    worker.submit(Settings(), "third")
    runs.request_stop(waiting)
    assert runs.read_status(waiting).state == "stopped"
    jobs.finish.set()
    assert [ended(), ended()] == [("first", "finished"), ("third", "finished")]
    assert jobs.order == ["first", "third"] and runs.read_status(waiting).state == "stopped"


def test_leaving_keeps_what_was_learned_and_the_queue_for_the_next_server(worker, new_worker, jobs, ended) -> None:
    folder = worker.submit(Settings(), "first")
    jobs.began.get(timeout=LIMIT_S)
    waiting = worker.submit(Settings(), "second")
    worker.shutdown(LIMIT_S)
    assert not thread_of(worker).is_alive()
    status = runs.read_status(folder)
    assert status.state == "stopped" and (folder / "student").is_dir()
    assert status.sentence.startswith("Stopped because the program was closed at step ")
    assert runs.read_status(waiting).state == "queued" and jobs.order == ["first"]
    worker.submit(Settings(), "too-late")
    assert not thread_of(worker).is_alive(), "a server that leaves begins nothing"
    jobs.finish.set()
    new_worker().start()
    assert [ended() for _ in range(3)] == [("first", "stopped"), ("second", "finished"), ("too-late", "finished")]


def test_leaving_does_not_wait_for_ever(worker, jobs, ended) -> None:
    """A step that hangs: the server goes after its time, and the daemon thread goes with it."""
    jobs.deaf = True
    worker.submit(Settings(), "hangs")
    jobs.began.get(timeout=LIMIT_S)
    worker.shutdown(0.05)
    assert thread_of(worker).is_alive() and thread_of(worker).daemon
    jobs.finish.set()
    assert ended() == ("hangs", "finished")


def test_leaving_without_ever_having_trained_is_quick() -> None:
    Worker().shutdown(LIMIT_S)


def test_an_idle_worker_leaves_at_once(worker, jobs, ended) -> None:
    jobs.finish.set()
    worker.submit(Settings(), "one")
    ended()
    worker.shutdown(LIMIT_S)
    assert not thread_of(worker).is_alive()


# Memory


def tensors() -> int:
    gc.collect()
    # By type, since isinstance would ask strange objects what they are, and some answer with a warning.
    return sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())


@pytest.mark.parametrize("end", ["finished", "failed", "stopped"])
def test_no_model_and_no_tensor_outlives_its_run(monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    """Real tiny models: an exception that was kept would keep its frames, and they everything that was computed."""
    kept: list[weakref.ref] = []
    build_student, cosine = labels.student_for_labels, labels.hidden_cosine_loss

    def build(teacher: torch.nn.Module, *rest: Any) -> torch.nn.Module:
        student = build_student(teacher, *rest)
        kept.extend(weakref.ref(thing) for thing in (teacher, student, *student.parameters()))
        return student

    def fail(student: torch.Tensor, *_: Any) -> torch.Tensor:
        kept.append(weakref.ref(student))
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(labels, "student_for_labels", build)
    monkeypatch.setattr(labels, "hidden_cosine_loss", fail if end == "failed" else cosine)
    before = tensors()
    folder = runs.create_run(settings_of(), "one")
    metrics = folder / "metrics.jsonl"
    execute(folder, lambda: end == "stopped" and b'"cosine"' in metrics.read_bytes())
    alive = [reference for reference in kept if reference() is not None]
    assert runs.read_status(folder).state == end, log_of(folder)
    assert len(kept) > 20 and not alive
    assert tensors() == before


def test_memory_is_given_back_after_every_end(jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[str] = []
    monkeypatch.setattr(execution, "_give_memory_back", lambda: given.append("back"))
    jobs.raises["bad"] = MemoryError()
    jobs.finish.set()
    for name in ("good", "bad"):
        execute(runs.create_run(Settings(), name))
    assert given == ["back", "back"]
