"""A whole run from the terminal, killed or out of disk at any call by which it changes a file, and then gone on with.

The run is `python -m core distill` on tiny models with nothing kept yet, and `python -m core export` of its student: it
teaches a teacher, keeps it, keeps word pieces and the teacher's answers, teaches a student with checkpoints, scores
both, writes results and a report. A kernel disturbs it (strace injects); afterwards it is resumed, undisturbed, and has
to end as if nothing had happened.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch

from core.__main__ import main as terminal
from core.distill import checkpoint
from core.jobs.events import read_events
from core.runs import folder as runs
from core.runs import recorder
from core.storage import read_json
from core.whole_folder import hashes_of, sha256_of
from tests.faults.saves import Report
from tests.fixtures.small_runs import settings_of

CHANGES = ("openat", "mkdir", "write", "fsync", "rename", "renameat", "ftruncate", "unlink", "unlinkat", "rmdir")
"""Every call by which a run changes files. Of `openat` those count that create one."""

FILL = ("openat", "mkdir", "write", "fsync", "rename", "renameat")
"""Those of them that a full disk can refuse."""

PLACES = {
    "word pieces": r"cache/tokens/",
    "checkpoints": r"checkpoints/",
    "the teacher": r"cache/teachers/\w+/\.model",
    "curves": r"metrics\.jsonl",
    "the teacher's answers": r"cache/teachers/\w+/answers",
    "the student": r"/\.student",
    "results": r"results\.json",
    "the pace": r"pace\.json",
    "what is exported": r"^out/",
    "the status": r"status\.json",
}
"""What a run writes, and what its files are called."""

SMALLER = (
    "teacher.batch_size=32", "training.batch_size=32", "training.epochs=1", "training.checkpoint_every=5",
)  # fmt: skip
"""30 updates of the teacher, 6 of the student, 7 checkpoints."""

KILLED, ESCAPED = -signal.SIGKILL, 70
TIMES = ("elapsed_s", "ms_per_sentence")


@dataclass(frozen=True)
class Moment:
    """The `number`-th `call` of a run, which changes the file `name`."""

    call: str
    number: int
    name: str


class Trial:
    """One home in which a run is disturbed, made anew from `before` each time."""

    def __init__(self, folder: Path) -> None:
        self.before, self.home = folder / "before", folder / "tried"
        self.config, self.optimiser, self.said = folder / "settings.json", folder / "optimiser", folder / "said"
        with _at_home(self.home):
            self.config.write_text(json.dumps(settings_of(*SMALLER).model_dump(mode="json")))
        self.home.rename(self.before)

    def renew(self) -> None:
        """As it was before the run."""
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.copytree(self.before, self.home)
        self.optimiser.unlink(missing_ok=True)

    def run(self, options: list[str] | None = None, log: Path = Path("/dev/null")) -> int:
        """Carry out what is not done yet, traced if there are options; how it ended, as waitpid tells."""
        child = os.fork()
        if child == 0:
            os._exit(self._carry_out(is_traced=options is not None))
        if options is not None:
            os.waitpid(child, os.WUNTRACED)
            command = ["strace", "-y", "-p", str(child), "-o", str(log), *options]
            with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
                assert tracer.stderr is not None and "attached" in tracer.stderr.readline()
                os.kill(child, signal.SIGCONT)
                _, status = os.waitpid(child, 0)
        else:
            _, status = os.waitpid(child, 0)
        return KILLED if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)

    def _carry_out(self, is_traced: bool) -> int:
        try:
            with _at_home(self.home), self.said.open("w") as said, pytest.MonkeyPatch.context() as patch:
                patch.setattr(checkpoint, "commit", self._noting(checkpoint.commit))
                # Otherwise the clock would say how often something is written.
                patch.setattr(recorder, "FLUSH_EVERY_S", 0.0)
                with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                    if is_traced:
                        os.kill(os.getpid(), signal.SIGSTOP)
                    return self._commands()
        except BaseException as error:  # noqa: BLE001  a fork ends here, whatever happens
            self.said.write_text(f"{type(error).__name__}: {error}")
            return ESCAPED

    def _commands(self) -> int:
        found = runs.list_runs()
        command = ["resume", found[0].name] if found else ["distill", "--config", str(self.config)]
        code = terminal(command)
        if code == 0:
            code = terminal(["export", runs.list_runs()[0].name, "--report", "--to", str(self.home / "out")])
        return code

    def _noting(self, commit: Any) -> Any:
        def noting(root: Path, name: str, files: Any) -> None:
            commit(root, name, files)
            if name.startswith("student"):
                self.optimiser.write_text(f"{name} {hashes_of(root / name)['optimiser.safetensors']}")

        return noting

    def end(self) -> dict[str, Any]:
        """All that a run ends with and that must not depend on what came between."""
        with _at_home(self.home):
            (folder,) = runs.list_runs()
            events, _ = read_events(folder / "metrics.jsonl")
            status = runs.read_status(folder)
            return {
                "status": [status.state, status.sentence, status.stage, status.step, status.total_steps],
                "events": [{name: value for name, value in one.items() if name not in TIMES} for one in events],
                "results": _without_times(read_json(folder / "results.json")),
                "optimiser": self.optimiser.read_text(),
                "teacher": read_json(folder / "teacher.json"),
                "student": _contents(folder / "student"),
                # A failure leaves its log, and a kill a status that nobody gave its name.
                "files": sorted({path.name for path in folder.iterdir()} - {"log.txt", *_unnamed(folder)}),
                "kept teachers": _contents(self.home / "cache" / "teachers"),
                "exported": _exported(self.home / "out"),
            }

    def moments(self, log: Path) -> list[Moment]:
        """Every call by which an undisturbed run changes a file of its home, in order; the run is made for it."""
        self.renew()
        status = self.run(["-e", "trace=" + ",".join(CHANGES)], log)
        if status != 0:
            raise AssertionError(f"a run under strace ended with {status}: {self.said.read_text()[-500:]}")
        return list(_changes(log.read_text(), self.home))


def every_one(moments: list[Moment]) -> list[tuple[Moment, str]]:
    """Every moment with every fault that can come there."""
    faults = ("KILL", "ENOSPC")
    return [(one, fault) for one in moments for fault in faults if fault == "KILL" or one.call in FILL]


def one_in_each_place(moments: list[Moment]) -> list[tuple[Moment, str]]:
    """For each thing that a run writes one moment with one fault, in turns."""
    chosen = []
    for number, (place, pattern) in enumerate(PLACES.items()):
        fault = ("ENOSPC", "KILL")[number % 2]
        there = [one for one in moments if re.search(pattern, one.name) and (fault == "KILL" or one.call in FILL)]
        if not there:
            raise AssertionError(f"nothing is written to {place}")
        chosen.append((there[len(there) // 2], fault))
    return chosen


def disturb(folder: Path, choose: Callable[[list[Moment]], list[tuple[Moment, str]]] = every_one) -> Report:
    """Disturb a run at the chosen moments, one a try; each is resumed and compared with one that nobody disturbed."""
    trial, report = Trial(folder), Report()
    trial.renew()
    if trial.run() != 0:
        raise AssertionError(f"a run that nobody disturbs failed: {trial.said.read_text()[-500:]}")
    expected = trial.end()
    for moment, fault in choose(trial.moments(folder / "calls")):
        report.tried += 1
        report.by_fault[fault] = report.by_fault.get(fault, 0) + 1
        problem = _wrong(trial, moment, fault, expected)
        print(f"{fault} at {moment.call} {moment.number} ({moment.name}): {problem or 'as if nothing had happened'}")
        if problem:
            report.bad.append(f"{fault} at {moment.call} {moment.number} ({moment.name}): {problem}")
    return report


def _wrong(trial: Trial, moment: Moment, fault: str, expected: dict[str, Any]) -> str:
    """What a fault spoiled; empty if nothing."""
    trial.renew()
    action = "signal=SIGKILL" if fault == "KILL" else f"error={fault}"
    what = ["-e", f"trace={moment.call}", "-e", f"inject={moment.call}:{action}:when={moment.number}"]
    status = trial.run(what)
    if status == ESCAPED:
        return f"something escaped: {trial.said.read_text()[-300:]}"
    with _at_home(trial.home):
        left = runs.list_runs()
        after = runs.read_status(left[0]) if left else None
        if after and after.state == "failed" and not after.sentence.startswith("The disk was full"):
            return f"it says: {after.sentence}"
    if status != 0 and trial.run() != 0:
        return f"it cannot be gone on with: {trial.said.read_text()[-300:]}"
    found = trial.end()
    return "; ".join(f"{part} is {_short(found[part])}" for part in expected if found[part] != expected[part])


def _changes(log: str, home: Path) -> Iterator[Moment]:
    counted: dict[str, int] = {}
    for line in log.splitlines():
        if not (found := re.match(r"(\w+)\(", line)):
            continue
        call = found[1]
        counted[call] = counted.get(call, 0) + 1
        is_descriptor = call in ("write", "fsync", "ftruncate")
        # Of a write what is written may hold a path too.
        where = line.partition(",")[0] if is_descriptor else line
        names = re.findall(rf"{re.escape(str(home))}/([^\"<>]*)", where)
        changes = (call != "openat" or "O_CREAT" in line) and " = -1 " not in line
        if names and changes:
            yield Moment(call, counted[call], names[-1])


@contextlib.contextmanager
def _at_home(home: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DISTILLERY_HOME", str(home))
        yield


def _unnamed(folder: Path) -> list[str]:
    return [path.name for path in folder.glob(".*.json.*")]


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_times(one) for name, one in value.items() if name not in TIMES}
    return value


def _contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): sha256_of(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def _exported(folder: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix == ".zip":
            with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
                names = [name for name in archive.namelist() if not name.endswith("README.md")]
                found |= {f"{path.suffix} {name}": sha256(archive.read(name)).hexdigest() for name in names}
        else:
            found[path.name] = "a page, which tells the time"
    # Their names hold the run's, and so the time of day.
    return {re.sub(r"\d{8}-\d{6}-\w{4}", "ID", name): what for name, what in found.items()}


def _short(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 300 else f"{text[:150]} … {text[-150:]}"


if __name__ == "__main__":
    torch.set_num_threads(1)
    first, last = (int(number) for number in sys.argv[2:4]) if sys.argv[3:] else (0, None)
    found = disturb(Path(sys.argv[1]), lambda moments: every_one(moments)[first:last])
    print(json.dumps({"tried": found.tried, "by_fault": found.by_fault, "bad": found.bad}))
