"""Bad and mutated input of every kind: a result or a sentence, soon, and nothing else."""

from __future__ import annotations

from pathlib import Path

from tests.faults import inputs

ENOUGH = {"CSV files": 60, "texts": 40, "settings": 60, "model folders": 40}


def test_no_input_is_answered_by_anything_but_a_result_or_a_sentence(home: Path) -> None:
    found = inputs.try_all(home, csvs=1_000, weights=300, tokenizers=100, configs=200)
    tallies = {tally.kind: tally for tally in found}
    assert {kind: tally.escapes for kind, tally in tallies.items() if tally.escapes} == {}
    assert all(tallies[kind].tried >= least for kind, least in ENOUGH.items())
    assert all(tally.refused > tally.tried / 20 for kind, tally in tallies.items() if kind != "texts")
    # What hangs never ends. That nothing takes a second, `python -m benchmarks.faults inputs` measures.
    assert {kind: tally.slowest_s for kind, tally in tallies.items() if tally.slowest_s > 10 * inputs.LIMIT_S} == {}


class Panic(BaseException):
    """Not an Exception."""


def test_the_tally_finds_an_escape_of_any_kind() -> None:
    def panic() -> None:
        raise Panic("a regular expression")

    tally = inputs.Tally("anything")
    tally.take("one", panic)
    tally.take("two", lambda: 1 / 0)
    assert tally.tried == 2 and len(tally.escapes) == 2
