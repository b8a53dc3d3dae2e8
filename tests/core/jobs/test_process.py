"""A job's process: the one that stands ready, and what an end without a word means."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.jobs import folder as jobs
from core.jobs import owner as owners
from core.jobs import process as processes
from core.jobs.process import JobProcess, Launcher, end_in_words, killed_for_memory, say_how_it_ended
from core.jobs.worker import Worker
from core.storage import PROJECT
from tests.core.jobs.conftest import LIMIT_S, Ended, Until
from tests.fixtures import job_stand_in as stand_in
from tests.fixtures.job_stand_in import begun, finish, journal, new_job, new_queue

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def launcher() -> Iterator[Launcher]:
    made = stand_in.new_launcher()
    yield made
    made.close()


def ready(launcher: Launcher) -> JobProcess:
    launcher.stand_ready()
    assert launcher._ready is not None
    return launcher._ready


def launched(launcher: Launcher, folder: Path) -> JobProcess:
    """Begin a job as a worker does, and wait for its end."""

    def announce(pid: int) -> None:
        jobs.write_status(folder, jobs.Status("preparing", "Begins.", owner=owners.process(pid)))

    process = launcher.launch(folder, announce)
    process.popen.wait(LIMIT_S)
    return process


# The process that stands ready


def test_the_next_job_begins_in_the_process_that_stood_ready(launcher: Launcher) -> None:
    stood, first, second = ready(launcher), new_job("first"), new_job("second")
    assert ready(launcher) is stood, "at most one stands ready"
    finish()
    process = launched(launcher, first)
    assert process.popen is stood.popen and ("begin", "first", stood.popen.pid) in journal()
    assert jobs.read_status(first).state == "finished"
    assert launched(launcher, second).popen.pid != stood.popen.pid
    assert jobs.read_status(second).state == "finished" and begun() == ["first", "second"]


def test_one_that_died_while_it_stood_ready_is_replaced(launcher: Launcher) -> None:
    stood, folder = ready(launcher), new_job("one")
    stood.popen.kill()
    stood.popen.wait(LIMIT_S)
    finish()
    process = launched(launcher, folder)
    assert process.popen.pid != stood.popen.pid and jobs.read_status(folder).state == "finished"
    assert ready(launcher).popen.poll() is None, "and another stands ready"


def test_one_that_dies_as_it_is_told_what_to_do_leaves_the_job_in_the_queue(launcher: Launcher) -> None:
    """Found out while the job is handed over: the worker tries again, with another process."""
    stood, folder = ready(launcher), new_job("one")

    def announce(_pid: int) -> None:
        stood.popen.kill()
        stood.popen.wait(LIMIT_S)

    finish()
    with pytest.raises(OSError, match="stood ready has ended"):
        launcher.launch(folder, announce)
    assert jobs.read_status(folder).state == "queued"
    assert launched(launcher, folder).popen.returncode == 0 and begun() == ["one"]


def test_a_job_that_cannot_be_announced_leaves_no_process_behind(launcher: Launcher) -> None:
    stood, folder = ready(launcher), new_job("one")

    def announce(_pid: int) -> None:
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"):
        launcher.launch(folder, announce)
    assert stood.popen.poll() == -signal.SIGKILL and not begun()


def test_closing_ends_the_process_that_stands_ready(launcher: Launcher) -> None:
    stood = ready(launcher)
    launcher.close()
    assert stood.popen.poll() is not None


def test_a_server_that_is_killed_takes_the_process_that_stands_ready_with_it() -> None:
    """Its standard input ends with the server."""
    code = (
        "from tests.fixtures.job_stand_in import new_launcher\n"
        "launcher = new_launcher()\n"
        "launcher.stand_ready()\n"
        "print(launcher._ready.popen.pid, flush=True)\n"
        "input()\n"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        stood = int(server.stdout.readline())
        watched = os.pidfd_open(stood)
        server.kill()
    with open(watched) as end:
        assert _ends(end.fileno())


def _ends(pidfd: int) -> bool:
    """True once the process has ended."""
    import select

    return bool(select.select([pidfd], [], [], LIMIT_S)[0])


def test_a_worker_lets_another_process_stand_ready_after_each_job(home: Path, until: Until) -> None:
    worker = Worker(new_queue(), stand_in.new_launcher())
    try:
        worker.stand_ready()
        stood = worker._launcher._ready
        first = new_job("first")
        finish()
        worker.start()
        until(lambda: jobs.read_status(first).state == "finished" and worker._launcher._ready is not None)
        assert stood and ("begin", "first", stood.popen.pid) in journal()
        next_one = worker._launcher._ready
        assert next_one and next_one.popen.pid != stood.popen.pid
    finally:
        worker.shutdown(LIMIT_S)
    assert next_one.popen.poll() is not None and not worker.is_working
    worker.stand_ready()
    assert worker._launcher._ready is None, "a server that leaves lets nobody stand ready"


# What its end says


UNREADABLE = "The process ended because a file or memory could no longer be read (a full or failing disk) at step 7"

WORDS = [
    (-signal.SIGKILL, False, "Somebody, or the system for want of memory, ended the process at step 7 (SIGKILL). "),
    (-signal.SIGSEGV, False, "The process crashed at step 7 (SIGSEGV). "),
    (-signal.SIGABRT, True, "The process crashed at step 7 (SIGABRT). "),
    (-signal.SIGBUS, True, f"{UNREADABLE} (SIGBUS). "),
    (-signal.SIGTERM, False, "The process was ended at step 7 (SIGTERM). "),
    (-99, False, "The process was ended at step 7 (signal 99). "),
]


@pytest.mark.parametrize(("code", "for_memory", "begins"), WORDS)
def test_a_signal_is_said_in_words(code: int, for_memory: bool, begins: str) -> None:
    assert end_in_words(code, 7, for_memory) == begins + "What it had saved is kept."
    assert end_in_words(code, None, for_memory) == begins.replace(" at step 7", "") + "Nothing was kept."


def test_memory_that_ran_out_says_so_and_what_to_do() -> None:
    assert end_in_words(-signal.SIGKILL, 7, True) == (
        "Memory ran out at step 7, and the system ended the process. "
        "Close other programs or choose a smaller batch or shorter inputs; then resume it."
    )
    assert end_in_words(-signal.SIGKILL, None, True).endswith("shorter inputs; then start it again.")


def test_an_exit_code_without_a_word_is_said() -> None:
    assert end_in_words(7, 3, False) == (
        "The process ended at step 3 with code 7 and without a word. The log may have the details."
    )


def test_only_a_kill_that_the_system_counted_is_one_for_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = new_job("one")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as popen:
        popen.kill()
    printed = open(os.devnull, "rb")
    for counted, said in ((3, "Somebody, or the system"), (4, "Memory ran out")):
        jobs.write_status(folder, jobs.Status("running", "Works.", owner=owners.process(popen.pid)))
        monkeypatch.setattr(processes, "killed_for_memory", lambda counted=counted: counted)
        say_how_it_ended(folder, JobProcess(popen, printed, killed_for_memory=3))
        assert jobs.written_status(folder).sentence.startswith(said)
    printed.close()


def test_a_process_that_said_how_it_ended_has_the_last_word() -> None:
    folder = new_job("one")
    with subprocess.Popen([sys.executable, "-c", "exit(1)"]) as popen:
        popen.wait(LIMIT_S)
    with open(os.devnull, "rb") as printed:
        process = JobProcess(popen, printed, 0)
        ended = jobs.Status("failed", "The disk was full.", owner=owners.process(popen.pid))
        jobs.write_status(folder, ended)
        say_how_it_ended(folder, process)
        assert jobs.written_status(folder).sentence == "The disk was full."
        # Taken up by another process in the meantime: that one speaks for it.
        jobs.write_status(folder, jobs.Status("running", "Works.", owner=owners.this_process()))
        say_how_it_ended(folder, process)
        assert jobs.written_status(folder).state == "running"


def test_a_server_that_leaves_while_a_jobs_process_still_loads_has_stopped_that_job(home: Path, until: Until) -> None:
    """No signal is listened to yet: the process of a job that has done nothing ends at once."""
    folder = new_job("one")
    worker = Worker(new_queue(), Launcher(lambda _: [sys.executable, "-c", "input()"]))
    worker.start()
    until(lambda: jobs.read_status(folder).state == "preparing")
    worker.shutdown(LIMIT_S)
    status = jobs.written_status(folder)
    assert (status.state, status.sentence) == ("stopped", "Stopped because the program was closed before it began.")


@pytest.mark.parametrize(("text", "count"), [("pgfault 3\noom_kill 12\nother 4\n", 12), ("pgfault 3\n", 0), (None, 0)])
def test_the_system_tells_how_many_it_has_killed_for_memory(monkeypatch, text: str | None, count: int) -> None:
    def read(_path: Path) -> str:
        if text is None:
            raise FileNotFoundError
        return text

    monkeypatch.setattr(Path, "read_text", read)
    assert killed_for_memory() == count


# Memory that really runs out

CGROUP = Path("/sys/fs/cgroup/memory")


@pytest.fixture
def small_group() -> Iterator[Path]:
    """A control group that may have 100 MB, where one can be had."""
    group = CGROUP / f"distillery-{uuid.uuid4().hex}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(100 * 2**20))
    except OSError as error:
        pytest.skip(f"no control group for memory can be had here: {error}")
    yield group
    group.rmdir()


def test_a_job_that_the_system_kills_for_memory_says_so_and_the_next_begins(
    small_group: Path, ended: Ended, new_worker: Callable[[], Worker], until: Until
) -> None:
    def command(argument: str) -> list[str]:
        within = f'echo $$ > {small_group}/cgroup.procs; exec "$@"' if "eats" in argument else 'exec "$@"'
        return ["sh", "-c", within, "sh", *stand_in.command(argument)]

    eats, after = new_job("a-eats", eat_mb=400), new_job("b-next")
    finish()
    worker = new_worker()
    worker._launcher._command = command
    worker.start()
    assert [ended(), ended()] == [("a-eats", "interrupted"), ("b-next", "finished")]
    assert jobs.written_status(eats).sentence == end_in_words(-signal.SIGKILL, 1, True)
    assert jobs.read_status(after).state == "finished"
    until(lambda: (small_group / "cgroup.procs").read_text() == "")


def test_memory_that_the_system_refuses_fails_the_job_in_words(ended: Ended, worker: Worker) -> None:
    folder = new_job("eats", eat_mb=4000, limit_mb=1000)
    finish()
    worker.start()
    assert ended() == ("eats", "failed")
    assert jobs.read_status(folder).sentence == (
        "There was not enough memory at step 1. Choose a smaller batch or shorter inputs and start again."
    )
