"""A job's process dies, or its server: the others go on. `python -m benchmarks.faults deaths` tries many moments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.faults import processes
from tests.fixtures.small_runs import world_of

# Nine jobs' processes one after the other, each with all libraries: a busy machine needs its time.
pytestmark = pytest.mark.timeout(1800)

# One moment for each kind of work, in the middle of it; the signals take turns.
DEATHS = [
    ("distil", "SIGKILL", 110),
    ("glue", "SIGSEGV", 100),
    ("export", "SIGBUS", 19),
    ("measure", "SIGKILL", 40),
    ("held-out", "SIGBUS", 24),
    ("file", "SIGSEGV", 10),
]


@dataclass
class Played:
    """What the killed jobs and the killed server have left."""

    jobs: processes.Report
    servers: processes.Report


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """All of it on one home, with as few servers as it takes."""
    killed, adopted = processes.Report(), processes.Report()
    with world_of(tmp_path_factory.mktemp("home")) as home:
        processes.prepare(home)
        server = processes.launch_mortal(home)
        try:
            processes.kill_jobs(server, DEATHS, killed)
            server = processes.kill_servers(server, home, [120], adopted)
        finally:
            server.close()
        yield Played(killed, adopted)


def test_whatever_kills_a_jobs_process_the_server_goes_on_says_it_and_begins_the_next(played: Played) -> None:
    assert played.jobs.bad == []
    assert len(played.jobs.killed) == len(DEATHS) and played.jobs.answers > len(DEATHS)


def test_a_job_outlives_its_killed_server_and_the_next_one_adopts_it(played: Played) -> None:
    assert played.servers.bad == [] and len(played.servers.killed) == 1
