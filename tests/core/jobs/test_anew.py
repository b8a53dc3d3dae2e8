"""A job begun again in place of one that has ended, by several tabs at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.jobs import folder as jobs
from core.storage import jobs_root

NAME = "measure"
PATIENCE_S = 0.3


class TwoTabs:
    """Lets both tabs look before either goes on, and the second only once the first is done, where nothing prevents it.

    `made` has the settings in the folder that each tab was given.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[str] = []
        self._both_have_looked = threading.Barrier(2)
        self._first_is_done = threading.Event()
        self._removals = 0
        self._look, self._remove, self._create = jobs.state_of, jobs.remove, jobs.create
        for name in ("state_of", "remove", "create"):
            monkeypatch.setattr(jobs, name, getattr(self, name))

    def state_of(self, folder: Path) -> jobs.State | None:
        found = self._look(folder)
        try:
            self._both_have_looked.wait(timeout=PATIENCE_S)
        except threading.BrokenBarrierError:
            pass  # something keeps the other from looking
        return found

    def remove(self, folder: Path) -> None:
        self._removals += 1
        if self._removals == 2:
            self._first_is_done.wait(timeout=PATIENCE_S)
        self._remove(folder)

    def create(self, *arguments, **options) -> Path:
        folder = self._create(*arguments, **options)
        self.made.append((folder / "config.json").read_text())
        self._first_is_done.set()
        return folder


@pytest.mark.parametrize("before", [None, "finished"])
def test_of_two_who_begin_at_once_the_second_finds_what_the_first_has_queued(home, monkeypatch, before):
    if before:
        old = jobs.create(jobs_root(), {}, NAME)
        jobs.write_status(old, jobs.Status(before, "Measured."))
    both = TwoTabs(monkeypatch)
    with ThreadPoolExecutor(2) as tabs:
        list(tabs.map(lambda tab: jobs.create_anew(jobs_root(), {"tab": tab}, NAME), range(2)))
    assert both.made == 2 * [(jobs_root() / NAME / "config.json").read_text()]
    assert jobs.folders_in(jobs_root()) == [jobs_root() / NAME] and not list(jobs_root().glob(".deleted-*"))
