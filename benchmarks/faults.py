"""Every fault, tried at length: how often, and how often nothing was lost.

    python -m benchmarks.faults [PART ...] [--keep FILE]

Parts: kills, calls, everywhere, cuts, kept, lines, leaving, starts, inputs, edits, texts, hosts, network, phases (all
unless told). Prints one table in Markdown and ends with status 1 if anything did not survive. `--keep` adds the rows to
a JSON file and prints all that it holds, so that the parts can be run one at a time. The short forms of the same are in
`tests/faults/`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

ROOT = Path(__file__).resolve().parents[1]
LIMIT_S = 14_400


@dataclass(frozen=True)
class Row:
    """One fault: how often it was tried and survived, what else was measured, and what others do."""

    fault: str
    tries: int
    survived: int
    notes: str
    others: str


@contextmanager
def home_of(folder: Path) -> Iterator[Path]:
    """A home for runs below a folder, for the block."""
    before = os.environ.get("DISTILLERY_HOME")
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["DISTILLERY_HOME"] = str(folder)
    try:
        yield folder
    finally:
        del os.environ["DISTILLERY_HOME"]
        if before is not None:
            os.environ["DISTILLERY_HOME"] = before


@contextmanager
def nothing_trains() -> Iterator[None]:
    """Pages drawn in the block begin nothing."""
    from core import warm_up
    from core.runs import worker

    with patch.object(worker, "start", lambda: None), patch.object(warm_up, "begin", lambda: None):
        yield


def module(name: str, *arguments: str, before: tuple[str, ...] = ()) -> dict[str, Any]:
    """Run one of the scripts of `tests/` and return the JSON on its last line."""
    command = [*before, sys.executable, "-m", name, *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=LIMIT_S)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command[-4:])} ended with {done.returncode}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def kills(folder: Path) -> list[Row]:
    """SIGKILL at random moments of training."""
    found = module("tests.fixtures.killed_runs", str(folder), "100")
    even = found["equal"] == found["runs"] and found["resumes"] == found["kills"]
    notes = (
        f"{found['inside_save']} inside a save; {found['equal']} of {found['runs']} runs end with the weights, "
        "optimiser and metrics of an unbroken one"
    )
    survived = found["resumes"] if even else found["equal"]
    others = "HF Trainer: 44 of 51 resumed, 24 of 44 with a wrong loss line"
    return [Row("SIGKILL in training", found["kills"], survived, notes, others)]


def calls(folder: Path) -> list[Row]:
    """Every system call of a save, by four faults."""
    from tests.faults import saves

    if reason := saves.may_trace():
        return [Row("fault at each system call of a save", 0, 0, f"not tried: {reason}", "none known to test it")]
    report = saves.disturb_every_call(folder)
    each = ", ".join(f"{fault} {count}" for fault, count in report.by_fault.items())
    survived = report.tried - len(report.bad)
    return [Row("fault at each system call of a save", report.tried, survived, each, "none known to test it")]


def everywhere(folder: Path) -> list[Row]:
    """SIGKILL and a full disk at every call by which a whole run changes a file."""
    from tests.faults.saves import may_trace

    name, others = "fault at each call of a whole run that changes a file", "none known to test it"
    if reason := may_trace():
        return [Row(name, 0, 0, f"not tried: {reason}", others)]
    found = module("tests.faults.whole_run", str(folder))
    for line in found["bad"]:
        print(line, file=sys.stderr)
    each = ", ".join(f"{fault} {count}" for fault, count in found["by_fault"].items())
    notes = f"{each}; weights, optimiser, metrics, results and what is kept equal an unbroken run's"
    return [Row(name, found["tried"], found["tried"] - len(found["bad"]), notes, others)]


def cuts(folder: Path) -> list[Row]:
    """Power cuts, and the same cuts of a save that never syncs."""
    from tests.faults import saves

    log = saves.log_of_saves(folder / "root", 12)
    report, ablation = saves.power_cuts(log, folder), saves.power_cuts(saves.without_fsync(log), folder)
    notes = f"the same save without fsync: {len(ablation.bad)} of {ablation.tried} lost, as the test must find"
    if not ablation.bad:
        raise SystemExit("the save without fsync lost nothing: the power cuts prove nothing")
    others = "Orbax: 1 state, mocked; HF Trainer and torch.save: no fsync"
    return [Row("power cut, disk states", report.tried, report.tried - len(report.bad), notes, others)]


def kept(folder: Path) -> list[Row]:
    """Power cuts and damaged files of what is kept between runs."""
    import torch

    from tests.faults import kept as trials
    from tests.fixtures.small_runs import world_of

    torch.set_num_threads(1)
    with world_of(folder / "cuts"):
        report = trials.power_cuts(trials.log_of_keeping())
    with world_of(folder / "damaged"):
        damaged = trials.damage_every_file()
    for line in (*report.bad, *damaged.bad):
        print(line, file=sys.stderr)
    each = ", ".join(f"{how} {count}" for how, count in damaged.by_fault.items())
    return [
        Row(
            "power cut, states of the cache",
            report.tried,
            report.tried - len(report.bad),
            "teacher, answers, word pieces, pace",
            "–",
        ),
        Row("damaged file in the cache", damaged.tried, damaged.tried - len(damaged.bad), each, "–"),
    ]


def lines(folder: Path) -> list[Row]:
    """metrics.jsonl cut at every byte, and its writers killed."""
    from tests.faults import lines as trials

    with home_of(folder / "home"):
        cut = trials.cut_everywhere(folder / "home", 200)
    lost, buffered = trials.kill_writers(folder, 50_000), trials.kill_writers(folder, 20_000, trials.Buffered)
    notes = f"{lost.kills} kills; a writer with a buffer loses lines: {buffered.bad} of {buffered.tried}"
    return [
        Row("metrics.jsonl cut at each byte", cut.tried, cut.tried - cut.bad, "200 lines", "TensorBoard: 1 cut tested"),
        Row("acknowledged lines under SIGKILL", lost.tried, lost.tried - lost.bad, notes, "trackio: not tested"),
    ]


def leaving(folder: Path) -> list[Row]:
    """Signals and stops of servers that really train."""
    from tests.faults import leaving as trials
    from tests.fixtures.small_runs import world_of

    report = trials.Report()
    with world_of(folder / "home") as home:
        home.mkdir(exist_ok=True)
        trials.prepare(home)
        trials.stop_runs(home, 20, report)
        trials.signal_servers(home, 20, report)
    others = {"Stop": "–", "SIGHUP": "plain Streamlit: killed, nothing saved (0 of 2)"}
    rows = []
    for how, seconds in report.seconds.items():
        bad = sum(line.startswith(f"{how}:") for line in report.bad)
        notes = f"saved, status right; slowest {max(seconds):.1f} s"
        said = others.get(how, "plain Streamlit: 0 of 4 clean")
        rows.append(Row(how, len(seconds), len(seconds) - bad, notes, said))
    for line in report.bad:
        print(line, file=sys.stderr)
    return rows


def starts(folder: Path) -> list[Row]:
    """Twelve starts at one moment, a hundred times."""
    found = module("tests.faults.starts", str(folder), "100")
    notes = (
        f"8 tabs on 2 servers and 4 processes each; a killed owner replaced in {max(found['takeovers']):.1f} s at most"
    )
    others = "plain Streamlit: 5 clicks made 5 runs, 3 tabs made 3"
    return [Row("12 simultaneous starts: one run", found["rounds"], found["once"], notes, others)]


def inputs(folder: Path) -> list[Row]:
    """Bad and mutated input."""
    from tests.faults import inputs as trials

    with home_of(folder / "home") as home:
        tallies = trials.try_all(home, csvs=10_000, weights=10_000, tokenizers=3_000, configs=3_000)
    rows = []
    for tally in tallies:
        slow = " TOO SLOW" if tally.slowest_s > trials.LIMIT_S else ""
        notes = f"{tally.refused} refused in words, slowest {tally.slowest_s:.2f} s{slow}"
        others = "safetensors: panics and hangs 0 of 50,000" if "safetensors" in tally.kind else "none found"
        rows.append(Row(tally.kind, tally.tried, tally.tried - len(tally.escapes), notes, others))
        print("\n".join(tally.escapes), file=sys.stderr, end="")
    return rows


def edits(folder: Path) -> list[Row]:
    """Every field of every kept file with hostile values, before every reader and on every page."""
    from tests.faults import edited_files, edited_pages, edited_readers

    tallies = []
    for words in (False, True):
        with home_of(folder / f"home-{words}") as home, nothing_trains():
            run, job = edited_files.run_and_job(home, words)
            of_run, of_job = list(edited_files.edits(run)), list(edited_files.edits(job))
            tallies += [edited_readers.try_run(run, of_run), edited_readers.try_job(job, of_job)]
            tallies += [edited_pages.try_lists(run, job, of_run, of_job), edited_pages.try_each(run, of_run[::40])]
    rows = []
    for kind in dict.fromkeys(tally.kind for tally in tallies):
        mine = [tally for tally in tallies if tally.kind == kind]
        tried, escapes = sum(tally.tried for tally in mine), [each for tally in mine for each in tally.escapes]
        notes = f"{sum(tally.refused for tally in mine)} refused in words"
        rows.append(Row(kind, tried, tried - len(escapes), notes, "none found"))
        print("\n".join(escapes), file=sys.stderr, end="")
    return rows


def texts(folder: Path) -> list[Row]:
    """Hostile texts on every page, in a browser."""
    from tests.faults import hostile
    from tests.fixtures.browser import chromium, find_chromium
    from tests.fixtures.serving import launch

    home = folder / "home"
    with home_of(home):
        cases = hostile.prepare(home, hostile.PAYLOADS)
    server = launch(home)
    try:
        with chromium(find_chromium() or "") as browser:
            report = hostile.look_everywhere(browser, server.url, cases)
    finally:
        server.close()
    for line in report.bad:
        print(line, file=sys.stderr)
    notes = f"{len(hostile.PAYLOADS)} texts on {', '.join(sorted(report.pages))}; {len(report.bad)} effects"
    others = "plain Streamlit: 28 addresses called, a box 194,332 px high"
    bad = len({line.partition(":")[0] for line in report.bad})
    return [Row("hostile texts: looks at a page", report.looks, report.looks - bad, notes, others)]


def hosts(_: Path) -> list[Row]:
    """The Host and Origin matrix on a real server, and a name that is bound to another address."""
    chosen = "test_a_real_server_keeps_to_the_whole_matrix or rebound or second_host"
    passed, failed = _pytest("tests/app/test_guard.py", chosen)
    notes = "each case over HTTP and as a WebSocket, and a rebound name in Chromium"
    others = "plain Streamlit: 6 of 16 refused, rebinding starts a training"
    return [Row("Host and Origin", passed + failed, passed, notes, others)]


def _pytest(file: str, chosen: str) -> tuple[int, int]:
    import re

    command = [sys.executable, "-m", "pytest", "-q", "--no-header", file, "-k", chosen]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S)
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|error)", done.stdout)}
    return counts.get("passed", 0), counts.get("failed", 0) + counts.get("error", 0)


def network(folder: Path) -> list[Row]:
    """A session without a network."""
    from tests.faults.session import may_leave_network

    others = "plain Streamlit: 1 address of the browser and 1 of the server"
    if reason := may_leave_network():
        return [Row("a whole session without a network", 0, 0, f"not tried: {reason}", others)]
    found = module("tests.faults.session", str(folder), "--onnx", before=("unshare", "-n"))
    bad = [*found["outside"], *found["browser"], *found["pickles"]]
    for line in bad:
        print(line, file=sys.stderr)
    notes = (
        f"{', '.join(found['done'])}; {found['connects']} connects, {len(found['outside'])} of them outside; 0 pickles"
    )
    return [Row("a whole session without a network", 1, int(not bad), notes, others)]


def phases(folder: Path) -> list[Row]:
    """Disk full, out of memory, NaN and a panic at every moment of a run."""
    import torch

    from tests.faults import phases as trials
    from tests.fixtures.small_runs import world_of

    torch.set_num_threads(1)
    with world_of(folder / "home") as home:
        home.mkdir(exist_ok=True)
        tries = trials.try_all()
    rows = []
    for fault in trials.FAULTS:
        mine = [one for one in tries if one.fault == fault]
        for one in mine:
            print(f"{fault} at {one.phase}: {one.problem}" if one.problem else "", file=sys.stderr, end="")
        notes = f"at {', '.join(trials.PHASES)}: checkpoint kept, the next run ends with the right bits"
        rows.append(Row(fault, len(mine), sum(not one.problem for one in mine), notes, "–"))
    return rows


PARTS: dict[str, Callable[[Path], list[Row]]] = {
    part.__name__: part
    for part in (
        *(kills, calls, everywhere, cuts, kept, lines),
        *(leaving, starts, inputs, edits, texts, hosts, network, phases),
    )
}


def main(arguments: list[str] | None = None) -> int:
    """Try the parts and print the table; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", choices=[*PARTS, []], help=", ".join(PARTS))
    parser.add_argument("--keep", type=Path, metavar="FILE", help="add the rows to this file and print all of it")
    options = parser.parse_args(arguments)
    kept = json.loads(options.keep.read_text()) if options.keep and options.keep.exists() else {}
    for name in options.parts or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            kept[name] = [asdict(row) for row in PARTS[name](Path(folder))]
        print(f"{name}: done", file=sys.stderr, flush=True)
        if options.keep:
            options.keep.write_text(json.dumps(kept, indent=2))
    rows = [Row(**row) for name in PARTS for row in kept.get(name, [])]
    print(as_table(rows))
    return int(any(row.survived < row.tries for row in rows))


def as_table(rows: list[Row]) -> str:
    """The rows as a table in Markdown."""
    head = "| fault | tries | survived | measured | the best other system |\n|---|---:|---:|---|---|"
    body = (f"| {row.fault} | {row.tries:,} | {row.survived:,} | {row.notes} | {row.others} |" for row in rows)
    return "\n".join([head, *body])


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
