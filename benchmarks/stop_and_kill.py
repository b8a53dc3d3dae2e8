"""Stop at every update, kill at random moments, resume: do all runs end with the bits of an unbroken one?

    python -m benchmarks.stop_and_kill [KILLS]

For both objectives, each update computed at once and in 3 parts: 30 runs of 30 updates, each stopped after another
update and resumed; and KILLS (20 unless told) SIGKILLs, half of them aimed at a save. Weights, optimiser and metrics
are compared by SHA-256 and value. The models are tiny, the runs and files real. Ends with status 1 if one differs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main(kills: int) -> int:
    """Print a row for each variant; returns the exit status."""
    import torch

    from tests.fixtures.broken_runs import VARIANTS

    torch.set_num_threads(1)
    print("| run | stopped after each update | equal | kills | inside a save | resumed | ended equal |")
    print("|---|---|---|---|---|---|---|")
    is_good = True
    for variant in VARIANTS:
        stops, equal = _stops(variant)
        report = _kills(variant, kills)
        is_good &= stops == equal and report["equal"] == report["runs"] and report["resumes"] == report["kills"]
        row = (stops, equal, report["kills"], report["inside_save"], report["resumes"])
        print(f"| {variant} | {' | '.join(map(str, row))} | {report['equal']} of {report['runs']} |", flush=True)
    return 0 if is_good else 1


def _stops(variant: str) -> tuple[int, int]:
    """How many runs were stopped and resumed, and how many of them ended like the unbroken one."""
    from tests.fixtures.broken_runs import STEPS, stopped_and_resumed, unbroken_end

    with tempfile.TemporaryDirectory() as home:
        os.environ["DISTILLERY_HOME"] = home
        # The first run trains the teacher too; the others find it.
        unbroken_end("first", variant)
        expected = unbroken_end("unbroken", variant)
        ends = [stopped_and_resumed(f"stopped-{step}", variant, step) for step in range(1, STEPS + 1)]
    return len(ends), sum(end == expected for end in ends)


def _kills(variant: str, kills: int) -> dict[str, int]:
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            [sys.executable, "-m", "tests.fixtures.killed_runs", home, str(kills), variant],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            text=True,
            timeout=3600,
            check=True,
        )
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20))
