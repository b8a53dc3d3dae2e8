"""`python -m core ablation`: the six runs of the paper's Table 4 one after the other, and the table they make."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from core.cli import STOPPED
from core.cli.carry_out import carry_out
from core.config import Settings
from core.jobs.owner import this_process
from core.runs.ablation import AblationRun, notes_on, read_ablation, reserve_ablation, stop_ablation


def carry_out_all(base: Settings, leaving: threading.Event) -> int:
    """Train all six and print the table; returns the worst exit code, a stop's if `leaving` was set on the way."""
    group, folders = reserve_ablation(base, this_process())
    codes = [STOPPED if leaving.is_set() else carry_out(folder, leaving) for folder in folders]
    stop_ablation(group)
    for line in in_lines(read_ablation(group)):
        print(line)
    return max(codes)


def in_lines(rows: list[AblationRun]) -> Iterator[str]:
    """The table as plain text, and what has to be said about it."""
    yield f"{'':24}{'here':>9}{'change':>9}{'paper':>9}"
    for row in rows:
        here = row.state or "missing" if row.score is None else f"{100 * row.score:.1f}"
        change = "" if row.delta is None else f"{100 * row.delta:+.1f}"
        reported = "" if row.variant.paper_delta is None else f"{row.variant.paper_delta:+.2f}"
        yield f"{row.variant.title:24}{here:>9}{change:>9}{reported:>9}"
    yield from notes_on(rows)
