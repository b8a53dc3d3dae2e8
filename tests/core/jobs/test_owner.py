"""Who works on a job, and whether that process still lives."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from core.jobs import folder as jobs
from core.jobs import owner as owners
from core.jobs.owner import HEARTBEAT, SILENCE_S, Owner, Pulse, is_alive, of_folder, this_process
from core.jobs.reporter import Reporter
from core.storage import PROJECT
from tests.core.jobs.conftest import Until
from tests.fixtures.job_stand_in import new_job

pytestmark = pytest.mark.usefixtures("home")

A_DAY_S = 86_400.0


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock by which this process counts the silence of others."""
    made = Clock()
    monkeypatch.setattr(owners, "_pulse", Pulse(made))
    return made


@pytest.fixture
def folder(home: Path) -> Path:
    return new_job("one")


@pytest.fixture(scope="module")
def dead() -> Owner:
    """A process of this machine that has ended."""
    code = "import json; from core.jobs.owner import this_process; print(json.dumps(this_process()))"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def running(folder: Path, owner: Owner) -> None:
    jobs.write_status(folder, jobs.Status("running", "The student learns.", "student", 12, 40, owner=owner))


def beat(folder: Path, at: float) -> None:
    (folder / HEARTBEAT).touch()
    os.utime(folder / HEARTBEAT, (at, at))


# The same boot: process id and start time decide


def test_process_number_and_start_time_decide_where_they_can_be_seen(folder: Path, dead: Owner) -> None:
    me = of_folder(this_process(), folder)
    assert is_alive(me, folder)
    assert not is_alive(None, folder) and not is_alive(dead, folder)
    assert not is_alive({**me, "started": str(int(me["started"]) - 1)}, folder), "the number was given to me again"
    assert not is_alive({**dead, "pid": os.getpid()}, folder)


def test_a_laptop_that_slept_is_alive(folder: Path, clock: Clock) -> None:
    """Its heartbeat is as old as its sleep, and by the reader's clock too; but its process is there."""
    running(folder, of_folder(this_process(), folder))
    beat(folder, at=1.0)
    assert jobs.read_status(folder).state == "running"
    clock.now += A_DAY_S
    assert jobs.read_status(folder).state == "running"


def test_a_process_that_was_killed_is_dead_whatever_its_heartbeat(folder: Path, dead: Owner, clock: Clock) -> None:
    running(folder, of_folder(dead, folder))
    beat(folder, at=clock.now)
    status = jobs.read_status(folder)
    assert (status.state, status.sentence) == (
        "interrupted", "The process that worked on it ended at step 12 without saying why.",
    )  # fmt: skip


def test_a_container_with_another_name_sees_its_own_processes(folder: Path, dead: Owner) -> None:
    """The boot and the numbers are the same; only the host has changed its name."""
    assert is_alive(of_folder(this_process() | {"host": "renamed"}, folder), folder)
    assert not is_alive(of_folder(dead | {"host": "renamed"}, folder), folder)


def test_a_system_without_boots_and_start_times_goes_by_the_number(folder: Path, dead: Owner, monkeypatch) -> None:
    """As on macOS."""
    monkeypatch.setattr(owners, "boot_id", lambda: "")
    without = {"boot": "", "started": ""}
    assert is_alive(this_process() | without, folder)
    assert not is_alive(dead | without, folder)


# Elsewhere: as long as its heartbeat changes

ELSEWHERE = {
    "another boot": {"boot": "another boot"},
    "another host and boot": {"host": "another-host", "boot": "another boot", "pid": 1},
    "another set of process numbers": {"namespace": "pid:[1]"},
    "a host that has no boots": {"host": "another-host", "boot": "", "started": ""},
}


@pytest.mark.parametrize("changes", ELSEWHERE.values(), ids=ELSEWHERE)
def test_elsewhere_a_job_lives_until_a_minute_of_silence(folder: Path, clock: Clock, changes: dict[str, str]) -> None:
    running(folder, of_folder(this_process() | changes, folder))
    beat(folder, at=5.0)
    assert jobs.read_status(folder).state == "running", "seen for the first time: who knows"
    clock.now += SILENCE_S - 1
    assert jobs.read_status(folder).state == "running"
    clock.now += 1
    assert jobs.read_status(folder).state == "interrupted"
    assert SILENCE_S == 60


@pytest.mark.parametrize("sign", ["heartbeat", "status"])
def test_each_sign_of_life_counts_by_the_readers_own_clock(folder: Path, clock: Clock, sign: str) -> None:
    """The other machine's clock may be years behind: only that the times change matters."""
    owner = of_folder(this_process() | {"boot": "another boot"}, folder)
    running(folder, owner)
    for year in range(3):
        assert jobs.read_status(folder).state == "running"
        clock.now += SILENCE_S - 1
        beat(folder, at=year * 1000.0) if sign == "heartbeat" else running(folder, owner)
    clock.now += SILENCE_S - 1
    assert jobs.read_status(folder).state == "running"


def test_a_job_that_was_declared_dead_lives_again_with_its_heartbeat(folder: Path, clock: Clock) -> None:
    """A network that was away, a container that was frozen."""
    running(folder, of_folder(this_process() | {"boot": "another boot"}, folder))
    assert jobs.read_status(folder).state == "running"
    clock.now += A_DAY_S
    assert jobs.read_status(folder).state == "interrupted"
    beat(folder, at=6.0)
    assert jobs.read_status(folder).state == "running"


def test_a_job_at_work_beats_and_its_end_ends_that(folder: Path, until: Until, monkeypatch) -> None:
    from core.jobs import reporter as reporting

    monkeypatch.setattr(reporting, "BEAT_S", 0.001)
    reporter = Reporter(folder)
    reporter.begin("Getting ready.")
    until((folder / HEARTBEAT).exists)
    (folder / HEARTBEAT).unlink()
    until((folder / HEARTBEAT).exists)
    reporter.end("finished", "Done.")
    assert jobs.read_status(folder).state == "finished"


# Copies


def test_a_copy_of_a_folder_at_work_is_interrupted_here_and_elsewhere(folder: Path, clock: Clock) -> None:
    for owner in (this_process(), this_process() | {"boot": "another boot"}):
        running(folder, of_folder(owner, folder))
        copy = Path(shutil.copytree(folder, folder.with_name("copy")))
        assert jobs.read_status(folder).state == "running" and jobs.read_status(copy).state == "interrupted"
        jobs.remove(copy)


def test_a_renamed_folder_keeps_its_process(folder: Path) -> None:
    running(folder, of_folder(this_process(), folder))
    assert jobs.read_status(folder.rename(folder.with_name("renamed"))).state == "running"


def test_an_owner_of_an_earlier_version_is_judged_by_what_it_has(folder: Path, dead: Owner) -> None:
    earlier = {name: value for name, value in this_process().items() if name != "namespace"}
    running(folder, earlier)
    assert jobs.read_status(folder).state == "running"
    running(folder, {name: dead[name] for name in earlier})
    assert jobs.read_status(folder).state == "interrupted"
