"""A real save of a checkpoint, disturbed at every system call, and cut short by every power cut that a disk allows.

The save is `Keeper.save` on a tiny model: it writes a checkpoint and deletes the oldest. A kernel disturbs it (strace
injects signals and errors), and `power_cuts` is a model of a disk that keeps nothing it was not told to keep.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from core.distill.checkpoint import Keeper, Progress, newest_checkpoint

FAULTS = ("KILL", "ENOSPC", "EIO", "EROFS")
CALLS = (
    *("openat", "mkdir", "write", "fsync", "rename", "close"),
    *("unlinkat", "rmdir", "getdents64", "read", "newfstatat"),
)
"""Every call by which a save touches the disk."""

LIMIT_S = 60
Hashes = dict[int, str]


class Silent:
    """A recorder with nothing to write before a checkpoint."""

    def settle(self) -> None:
        """Nothing waits."""


def keeper(root: Path) -> Keeper:
    """A keeper that saves at every step."""
    return Keeper(root, 1, {"frozen": {"settings": {}}, "compute": {}}, Silent())


def progress(step: int) -> Progress:
    """A tiny model whose weights and moments follow from the step."""
    torch.manual_seed(step)
    model = torch.nn.Linear(8, 8)
    optimiser = torch.optim.AdamW(model.parameters())
    model(torch.ones(8)).sum().backward()
    optimiser.step()
    return Progress("student", model, optimiser, torch.amp.GradScaler(enabled=False))


def save(root: Path, step: int) -> None:
    """Save the checkpoint of one step."""
    keeper(root).save(progress(step), step)


def content_of(folder: Path) -> str:
    """SHA-256 over everything in a checkpoint."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def intact(folder: Path, steps: int) -> Hashes:
    """What each checkpoint holds that was saved with nothing in its way."""
    hashes = {}
    for step in range(1, steps + 1):
        save(folder, step)
        hashes[step] = content_of(folder / f"student-{step:08d}")
    return hashes


# --- every system call --------------------------------------------------------------------------------------------


def may_trace() -> str:
    """Empty where strace can follow a process of ours; otherwise the reason why not."""
    if sys.platform != "linux" or shutil.which("strace") is None:
        return "strace is not installed (apt-get install strace)"
    done = subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, text=True, timeout=LIMIT_S)
    return "" if done.returncode == 0 else f"this system lets nobody trace: {done.stderr.strip()[:100]}"


@dataclass
class Report:
    """How many faults were tried, where, and what was lost."""

    tried: int = 0
    by_fault: dict[str, int] = field(default_factory=dict)
    bad: list[str] = field(default_factory=list)


def disturb_every_call(home: Path, every: int = 1) -> Report:
    """Disturb the saving of step 3 over 1 and 2 at every `every`-th call, by every fault; what follows must stand.

    Afterwards the newest checkpoint is 2 or 3, and 3 if the save said so; it is whole, to the bit; and the next save
    works.
    """
    before, expected = home / "before", intact(home / "intact", 4)
    intact(before, 2)
    report = Report()
    calls = _counted(before, home / "counted")
    places = [(call, number) for call in CALLS for number in range(1, calls.get(call, 0) + 1)]
    for (call, number), fault in itertools.islice(itertools.product(places, FAULTS), 0, None, every):
        root = home / "tried"
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(before, root)
        action = "signal=SIGKILL" if fault == "KILL" else f"error={fault}"
        status = _save_traced(root, ["-e", f"trace={call}", "-e", f"inject={call}:{action}:when={number}"])
        report.tried += 1
        report.by_fault[fault] = report.by_fault.get(fault, 0) + 1
        if problem := _lost(root, expected, said_saved=status == 0):
            report.bad.append(f"{fault} at {call} {number}: {problem}")
    return report


def _lost(root: Path, expected: Hashes, said_saved: bool) -> str:
    found = newest_checkpoint(root)
    if found is None or found.step < 2 or (said_saved and found.step != 3):
        return f"the newest is {found and found.step}, the save {'returned' if said_saved else 'failed'}"
    if content_of(found.folder) != expected[found.step]:
        return f"checkpoint {found.step} is not what was saved"
    save(root, 4)
    after = newest_checkpoint(root)
    return "" if after and after.step == 4 and content_of(after.folder) == expected[4] else "the next save is lost"


def _counted(before: Path, root: Path) -> dict[str, int]:
    """How often each call is made in one save."""
    shutil.copytree(before, root)
    log = root.with_suffix(".calls")
    status = _save_traced(root, ["-e", "trace=" + ",".join(CALLS)], log)
    if status != 0:
        raise AssertionError(f"a save under strace ended with {status}")
    found: dict[str, int] = {}
    for name in re.findall(r"^(\w+)\(", log.read_text(), re.MULTILINE):
        found[name] = found.get(name, 0) + 1
    return found


def _save_traced(root: Path, options: list[str], log: Path = Path("/dev/null")) -> int:
    """Save step 3 in a fork that strace follows from just before; returns how it ended, as waitpid tells."""
    child = os.fork()
    if child == 0:
        try:
            os.kill(os.getpid(), signal.SIGSTOP)
            save(root, 3)
        except OSError:
            os._exit(1)
        except BaseException:  # noqa: BLE001  a fork ends here, whatever happens
            os._exit(70)
        os._exit(0)
    os.waitpid(child, os.WUNTRACED)
    command = ["strace", "-p", str(child), "-o", str(log), *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        assert "attached" in tracer.stderr.readline()
        os.kill(child, signal.SIGCONT)
        _, status = os.waitpid(child, 0)
    ended = -signal.SIGKILL if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
    if ended == 70:
        raise AssertionError(f"a save under {options} ended in something that is no OSError")
    return ended


# --- power cuts ---------------------------------------------------------------------------------------------------


@dataclass
class Log:
    """What a sequence of saves asked of the disk, in order, and what every file held.

    An operation is ("mkdir" | "create" | "unlink" | "rmdir" | "sync", path) or ("rename", from, to), paths relative to
    the root; `returned` maps a step to the number of operations after which its save had returned.
    """

    operations: list[tuple[str, ...]] = field(default_factory=list)
    content: dict[str, bytes] = field(default_factory=dict)
    returned: dict[int, int] = field(default_factory=dict)


_listening: Callable[[str, tuple[Any, ...]], None] | None = None


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _listening is not None and (event == "open" or event.startswith("os.")):
        _listening(event, arguments)


@contextmanager
def recorded(root: Path, log: Log) -> Iterator[None]:
    """Write down every operation below `root` within the block, as Python's audit events and os.fsync tell them."""
    global _listening
    if not getattr(recorded, "is_hooked", False):
        sys.addaudithook(_hook)  # it can never be taken out again, so there is one, which mostly looks away
        recorded.is_hooked = True

    def inside(path: Any, folder: int = -1) -> str | None:
        text = os.fspath(path) if not isinstance(path, int) else os.readlink(f"/proc/self/fd/{path}")
        if isinstance(text, bytes):
            text = os.fsdecode(text)
        if folder not in (-1, None) and not os.path.isabs(text):
            text = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), text)
        return os.path.relpath(text, root) if os.path.abspath(text).startswith(f"{root}{os.sep}") else None

    def listen(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_CREAT:
            # Wrapping an open descriptor is told as an opening too.
            if not isinstance(arguments[0], int) and (name := inside(arguments[0])):
                log.operations.append(("create", name))
        elif event == "os.mkdir" and (name := inside(arguments[0])):
            log.operations.append(("mkdir", name))
        elif event == "os.rename" and (name := inside(arguments[0])):
            log.operations.append(("rename", name, str(inside(arguments[1]))))
        elif event in ("os.remove", "os.rmdir") and (name := inside(arguments[0], arguments[1])):
            log.operations.append(("unlink" if event == "os.remove" else "rmdir", name))

    real = os.fsync

    def fsync(descriptor: int) -> None:
        real(descriptor)
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        name = "." if path == root else inside(path)
        if name:
            log.operations.append(("sync", name))
            if path.is_file():
                log.content[name] = path.read_bytes()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        _listening = listen
        try:
            yield
        finally:
            _listening = None


def log_of_saves(root: Path, steps: int) -> Log:
    """The operations of so many saves, one after the other."""
    root.mkdir()
    log = Log()
    for step in range(1, steps + 1):
        with recorded(root, log):
            save(root, step)
        log.returned[step] = len(log.operations)
    return log


def without_fsync(log: Log) -> Log:
    """The same saves by a program that never asks the disk to keep anything."""
    kept = [number for number, operation in enumerate(log.operations) if operation[0] != "sync"]
    returned = {step: sum(number < end for number in kept) for step, end in log.returned.items()}
    return Log([log.operations[number] for number in kept], log.content, returned)


@dataclass
class Inode:
    """A file or folder in the model; `durable` and `entries` are what the disk surely has."""

    is_folder: bool
    content: bytes = b""
    is_synced: bool = False
    entries: dict[str, Inode] = field(default_factory=dict)


@dataclass
class Pending:
    """A change of a folder's names that is not on the disk for sure."""

    folder: Inode
    apply: Callable[[], None]


def power_cuts(log: Log, folder: Path, limit: int = 10**9) -> Report:
    """Put every state on a real disk in which a power cut can leave one, and look for the newest checkpoint in it.

    For every prefix of the operations: each change of names that no sync of its folder covers has happened or not, and
    each file that was not synced is full, empty, cut or garbage (or absent, where its name is not there). Where a
    prefix leaves more than 64 combinations open, 64 of them are drawn, the two extremes among them.
    """
    report, chance, seen = Report(), random.Random(0), set()
    for end in range(len(log.operations) + 1):
        committed = max((step for step, at in log.returned.items() if at <= end), default=0)
        for state in states(log, end, chance):
            key = (committed, tuple(sorted(state.items(), key=lambda item: item[0])))
            if key in seen or report.tried >= limit:
                continue
            seen.add(key)
            report.tried += 1
            if problem := _wrong(folder / "state", state, log, committed):
                report.bad.append(f"after {end} operations: {problem}")
    return report


State = dict[str, bytes | None]
"""Path to content, None for a folder."""

FILE_STATES = ("full", "empty", "first byte", "half", "all but the last byte", "zeros", "noise", "half, then zeros")


def states(log: Log, end: int, chance: random.Random) -> Iterator[State]:
    """Every state of the disk after a power cut behind `end` operations, or 64 of them."""
    open_names = _open_changes(log, end)
    synced = {log_name for kind, log_name in (o[:2] for o in log.operations[:end]) if kind == "sync"}
    loose = sorted({o[1] for o in log.operations[:end] if o[0] == "create" and o[1] not in synced})
    choices = [(True, False)] * len(open_names) + [FILE_STATES] * len(loose)
    size = 1
    for choice in choices:
        size *= len(choice)
    if size <= 64:
        drawn: Iterator[tuple[Any, ...]] = itertools.product(*choices)
    else:
        extremes = [tuple(choice[0] for choice in choices), tuple(choice[-1] for choice in choices)]
        drawn = iter([*extremes, *(tuple(chance.choice(choice) for choice in choices) for _ in range(62))])
    for chosen in drawn:
        done = dict(zip(open_names, chosen, strict=False))
        looks = dict(zip(loose, chosen[len(open_names) :], strict=True))
        yield _disk(log, end, done, looks)


def _open_changes(log: Log, end: int) -> list[int]:
    """Numbers of the operations whose names no later sync of their folder has pushed to the disk."""
    found: list[int] = []
    for number, operation in enumerate(log.operations[:end]):
        if operation[0] == "sync":
            found = [n for n in found if str(Path(log.operations[n][1]).parent) != operation[1]]
        else:
            found.append(number)
    return found


def _disk(log: Log, end: int, done: dict[int, bool], looks: dict[str, str]) -> State:
    """The disk after `end` operations, of which those that `done` denies never arrived."""
    state: State = {}
    for number, operation in enumerate(log.operations[:end]):
        kind, name = operation[0], operation[1]
        if kind == "sync" or not done.get(number, True):
            continue
        if kind in ("mkdir", "create"):
            state[name] = None if kind == "mkdir" else _content(log, name, looks.get(name, "full"))
        elif kind in ("unlink", "rmdir"):
            for path in [path for path in state if path == name or path.startswith(f"{name}/")]:
                del state[path]
        else:
            for path in [path for path in state if path == name or path.startswith(f"{name}/")]:
                state[operation[2] + path[len(name) :]] = state.pop(path)
    return {path: content for path, content in state.items() if _parents(path) <= state.keys()}


def _parents(path: str) -> set[str]:
    return {str(parent) for parent in Path(path).parents if str(parent) != "."}


def _content(log: Log, name: str, look: str) -> bytes:
    whole = log.content.get(name, b"")
    half = whole[: len(whole) // 2]
    make: dict[str, Callable[[], bytes]] = {
        "full": lambda: whole,
        "empty": lambda: b"",
        "first byte": lambda: whole[:1],
        "half": lambda: half,
        "all but the last byte": lambda: whole[:-1],
        "zeros": lambda: bytes(len(whole)),
        "noise": lambda: random.Random(name).randbytes(len(whole)),
        "half, then zeros": lambda: half + bytes(len(whole) - len(half)),
    }
    return make[look]()


def _wrong(folder: Path, state: State, log: Log, committed: int) -> str:
    """What is wrong with the newest checkpoint in this state; empty if nothing is."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path, content in sorted(state.items()):
        target = folder / path
        if content is None:
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.write_bytes(content)
    found = newest_checkpoint(folder)
    if found is None:
        return f"checkpoint {committed} was lost" if committed else ""
    if found.step < committed:
        return f"checkpoint {committed} was lost, the newest is {found.step}"
    built = next(o[1] for o in log.operations if o[0] == "rename" and o[2] == found.folder.name)
    expected = {Path(name).name: content for name, content in log.content.items() if name.startswith(f"{built}/")}
    there = {path.name: path.read_bytes() for path in found.folder.iterdir()}
    return "" if there == expected else f"checkpoint {found.step} was accepted though it is damaged"


def as_line(report: Report) -> str:
    """A report as one line of JSON."""
    return json.dumps({"tried": report.tried, "by_fault": report.by_fault, "bad": report.bad[:10]})
