"""A job in this process: whatever happens in its work, its folder says how it ended."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from core.jobs import folder as jobs
from core.jobs import queue as queues
from core.jobs.carry_out import RESERVE, carry_out, wait_and_carry_out
from core.jobs.interrupt import Interrupted, interrupting
from core.jobs.kind import Kind
from core.jobs.owner import HEARTBEAT, this_process
from core.jobs.queue import MACHINE, lane_lock
from core.jobs.reporter import Reporter
from core.persisted import read_kept
from core.storage import jobs_root, runs_root
from tests.fixtures import job_stand_in as stand_in
from tests.fixtures.job_stand_in import FAULTS, begun, finish, new_job, new_queue

pytestmark = pytest.mark.usefixtures("home")

TRAIN, HANG, _ = stand_in.KINDS

NO_MEMORY = "There was not enough memory at step 1. Choose a smaller batch or shorter inputs and start again."
FULL = "The disk was full at step 1. Make room, for example by deleting old runs, and start again."
BROKEN = "The disk could not be read or written at step 1: input/output error. Check the disk and start again."
UNEXPECTED = "Something unexpected went wrong at step 1 ({}). The run's log has the details."

SENTENCES = {
    "bad value": UNEXPECTED.format("ValueError"),
    "ours": "The teacher has nothing to teach.",
    "memory": NO_MEMORY,
    "memory of a GPU": NO_MEMORY,
    "full": FULL,
    "broken": BROKEN,
    "too deep": UNEXPECTED.format("RecursionError"),
    "exit": UNEXPECTED.format("SystemExit"),
    "Ctrl-C": UNEXPECTED.format("KeyboardInterrupt"),
    "panic": UNEXPECTED.format("Panic"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_becomes_one_sentence_and_a_traceback(fault: str) -> None:
    folder = new_job("bad", fault=fault)
    assert carry_out(folder, TRAIN) == "failed"
    status = jobs.read_status(folder)
    assert (status.state, status.sentence, status.step) == ("failed", SENTENCES[fault], 1)
    log = (folder / "log.txt").read_text(encoding="utf-8")
    assert "Traceback (most recent call last)" in log and type(FAULTS[fault]).__name__ in log
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "log.txt", "metrics.jsonl", "status.json"]


def test_a_finished_job_says_so_and_leaves_nothing_of_its_own() -> None:
    folder = new_job("good")
    finish()
    assert carry_out(folder, TRAIN) == "finished"
    status = jobs.read_status(folder)
    assert (status.state, status.sentence) == ("finished", "Finished.")
    assert read_kept(folder / "results.json") == {"elapsed_s": 1.0}
    assert not (folder / RESERVE).exists() and not (folder / HEARTBEAT).exists()


def test_a_folder_that_is_gone_before_the_job_begins_is_no_error() -> None:
    assert carry_out(runs_root() / "nothing", TRAIN) == "failed"
    assert not begun() and not any(runs_root().iterdir())


@pytest.mark.parametrize("state", ["stopped", "finished"])
def test_a_job_that_is_over_by_the_time_the_lock_is_reached_is_not_carried_out(state: jobs.State) -> None:
    """Another process had it, or somebody stopped it, since its process was started."""
    folder = new_job("one")
    jobs.write_status(folder, jobs.Status(state, "Over."))
    finish()
    assert wait_and_carry_out(new_queue(), folder, threading.Event()) is None
    assert jobs.read_status(folder).state == state and not begun()


def test_a_job_of_another_process_is_not_carried_out() -> None:
    folder = new_job("one", owner=this_process() | {"pid": os.getppid()})
    assert wait_and_carry_out(new_queue(), folder, threading.Event()) is None
    assert not begun()


def test_a_process_that_is_to_leave_while_it_waits_for_its_turn_stops_its_job(monkeypatch: pytest.MonkeyPatch) -> None:
    folder, leaving = new_job("waits", owner=this_process()), threading.Event()
    leaving.set()
    monkeypatch.setattr(queues, "POLL_S", 0.001)
    waiting = threading.Event()
    with lane_lock(MACHINE):
        thread = threading.Thread(target=lambda: (wait_and_carry_out(new_queue(), folder, leaving), waiting.set()))
        thread.start()
        assert waiting.wait(30)
        thread.join()
    assert jobs.read_status(folder).sentence == "Stopped before it began." and not begun()


@pytest.mark.parametrize(("is_leaving", "why"), [(False, "by you"), (True, "because the program was closed")])
def test_the_sentence_of_a_stop_says_who_stopped_it(is_leaving: bool, why: str) -> None:
    folder = new_job("one")
    is_leaving or (folder / "stop").touch()
    assert carry_out(folder, TRAIN, lambda: is_leaving) == "stopped"
    assert jobs.read_status(folder).sentence == f"Stopped {why} at step 1 of 1000. What was learned is kept."


# In the middle of a step


def test_an_interruptible_job_ends_in_the_middle_of_its_work() -> None:
    folder = new_job("hang-1", jobs_root())
    (folder / "stop").touch()
    assert carry_out(folder, HANG) == "stopped"


def test_on_another_thread_the_work_itself_has_to_look() -> None:
    """No signal arrives there; the block is entered and left all the same."""
    passed: list[str] = []

    def work() -> None:
        with interrupting(lambda: True):
            passed.append("through")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert passed == ["through"]


def test_an_interrupt_passes_what_catches_every_exception() -> None:
    """A library that goes on after each Exception does not go on after a Stop."""
    with pytest.raises(Interrupted), interrupting(lambda: True):
        for _ in range(1000):
            try:
                threading.Event().wait(0.01)
            except Exception:  # noqa: BLE001  as a library would
                continue


def test_work_that_is_over_before_anybody_asks_is_not_interrupted() -> None:
    def quick(_folder: Path, _reporter: Reporter) -> str:
        return "Done."

    folder = new_job("hang-1", jobs_root())
    kind = Kind("quick", jobs_root, MACHINE, quick, stand_in.stopped, is_interruptible=True)
    assert carry_out(folder, kind) == "finished"
    assert jobs.read_status(folder).sentence == "Done."
