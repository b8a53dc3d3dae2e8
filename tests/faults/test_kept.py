"""What is kept between runs: after power cuts and with damaged files, never a wrong number without a word."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.data import token_cache
from tests.faults import kept, saves
from tests.fixtures.small_runs import world_of


def test_no_power_cut_loses_what_was_kept_or_lets_something_damaged_in(tmp_path: Path) -> None:
    with world_of(tmp_path):
        report = kept.power_cuts(kept.log_of_keeping(), limit=1_000)
    assert report.tried >= 1_000
    assert report.bad == []


def test_the_same_cuts_find_a_keeper_that_never_syncs(tmp_path: Path) -> None:
    with world_of(tmp_path):
        log = saves.without_fsync(kept.log_of_keeping())
        bad = kept.power_cuts(log, limit=200, first=log.returned[2]).bad
    assert any("teacher lost" in line for line in bad)


def test_the_same_look_finds_a_reader_that_checks_no_hashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with world_of(tmp_path):
        kept.log_of_keeping()
        expected = kept.looked_at()
        (ids,) = (tmp_path / "cache" / "tokens").glob("*/ids.npy")
        content = ids.read_bytes()
        ids.write_bytes(content[: len(content) // 2] + bytes(len(content) - len(content) // 2))
        assert kept.what_is_wrong(expected, {1, 2}) == ""
        monkeypatch.setattr(token_cache, "damage", lambda folder: "")
        assert kept.what_is_wrong(expected, {1, 2}) == "tokens accepted though damaged"


def test_a_run_with_a_damaged_file_in_its_cache_ends_with_the_same_bits_or_says_what_to_do(tmp_path: Path) -> None:
    with world_of(tmp_path):
        report = kept.damage_every_file(every=19)
    assert report.tried >= 7 and len(report.by_fault) >= 5
    assert report.bad == []
