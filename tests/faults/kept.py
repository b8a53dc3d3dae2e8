"""What is kept between runs, after every power cut that a disk allows, and with every one of its files damaged.

Kept are word pieces, a teacher, its answers, and the pace. Whatever happens to them, a run gets what was kept, makes it
anew, or says what is wrong: it never computes with something else.
"""

from __future__ import annotations

import itertools
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.data import token_cache
from core.data.labelled import Part
from core.data.token_cache import kept_tokens
from core.data.tokens import Tokens, tokenise
from core.distill.device import Compute
from core.distill.silence import Silence
from core.distill.teacher_outputs import Asked, teacher_outputs
from core.distill.teacher_stage import load_or_make
from core.models.folder import saved_sha256
from core.models.saved import load_model
from core.models.weights import ModelError
from core.pace import Here, pace_here, remember_pace
from core.runs import folder as runs
from core.sections import TrainingSettings
from core.storage import cache_root, home
from core.whole_folder import damage
from tests.faults.saves import Log, Report, State, recorded, states
from tests.fixtures.small_runs import digest, run_once
from tests.fixtures.tiny_models import tiny_teacher, tiny_tokenizer

COMPUTE = Compute(torch.device("cpu"), "fp32", 1)
PROCESSOR = TrainingSettings(device="cpu", precision="fp32")
KEY = "0123456789abcdef"


# --- power cuts ---------------------------------------------------------------------------------------------------


def log_of_keeping() -> Log:
    """What a run asks of the disk when nothing is kept yet; `returned` tells what was kept by which operation.

    1 is the teacher, 2 are its answers. Word pieces and the pace are not pushed to the disk, so they may be lost.
    """
    log, root = Log(), cache_root()
    with recorded(root, log):
        tokens = kept_tokens(["key"], _tokens)
        folder = root / "teachers" / KEY
        teacher = load_or_make(folder / "model", tiny_tokenizer(), tiny_teacher)
        log.returned[1] = len(log.operations)
        teacher_outputs(Asked(teacher, saved_sha256(folder / "model"), tokens, True, COMPUTE), folder, Silence())
        log.returned[2] = len(log.operations)
        for times in (2.0, 3.0):
            remember_pace(PROCESSOR, "labels", Here("cpu", "fp32"), times)
    _complete(log, root)
    return log


def _tokens() -> Tokens:
    texts = [f"a film {'moving ' * (i % 5)}" for i in range(20)]
    return tokenise(Part(texts, np.arange(20) % 2), tiny_tokenizer(), 16)


def _complete(log: Log, root: Path) -> None:
    """Add what the log did not see: files that a library of Rust creates, and what files hold that nobody synced."""
    seen = {operation[1] for operation in log.operations if operation[0] == "create"}
    operations: list[tuple[str, ...]] = []
    moved: dict[int, int] = {}
    for number, operation in enumerate(log.operations):
        moved[number] = len(operations)
        if operation[0] == "sync" and operation[1] in log.content and operation[1] not in seen:
            operations.append(("create", operation[1]))
            seen.add(operation[1])
        operations.append(operation)
    moved[len(log.operations)] = len(operations)
    log.returned = {what: moved[end] for what, end in log.returned.items()}
    log.operations = operations
    for name in seen - log.content.keys():
        final = _final_name(name, operations)
        if (root / final).is_file():
            log.content[name] = (root / final).read_bytes()


def _final_name(name: str, operations: list[tuple[str, ...]]) -> str:
    for operation in operations:
        if operation[0] == "rename" and (name == operation[1] or name.startswith(f"{operation[1]}/")):
            name = operation[2] + name[len(operation[1]) :]
    return name


def power_cuts(log: Log, limit: int = 10**9, first: int = 0) -> Report:
    """Put every state in which a power cut can leave the cache on a disk, and look at all that is kept in it.

    The cuts come behind `first` operations or more.
    """
    expected = looked_at()
    report, chance, seen = Report(), random.Random(0), set()
    for end in range(first, len(log.operations) + 1):
        done = {what for what, at in log.returned.items() if at <= end}
        for state in states(log, end, chance):
            key = (len(done), tuple(sorted(state.items(), key=lambda item: item[0])))
            if key in seen or report.tried >= limit:
                continue
            seen.add(key)
            report.tried += 1
            _put(state)
            if problem := what_is_wrong(expected, done):
                report.bad.append(f"after {end} operations: {problem}")
    return report


def _put(state: State) -> None:
    root = cache_root()
    shutil.rmtree(root)
    root.mkdir()
    for path, content in sorted(state.items()):
        if content is None:
            (root / path).mkdir(parents=True, exist_ok=True)
        else:
            (root / path).write_bytes(content)


def looked_at() -> dict[str, Any]:
    """What is kept, as a run would read it; None for what it would make anew."""
    root = cache_root()
    tokens = token_cache._read(next((root / "tokens").glob("[!.]*"), root / "none"))
    answers = [path for path in (root / "teachers" / KEY / "answers").glob("[!.]*") if not damage(path)]
    try:
        teacher = load_model(root / "teachers" / KEY / "model")[0].state_dict()
    except ModelError:
        teacher = None
    return {
        "tokens": None if tokens is None else [tokens.ids.tobytes(), tokens.labels.tobytes(), tokens.padding_id],
        "teacher": None if teacher is None else {name: one.numpy().tobytes() for name, one in teacher.items()},
        "answers": [(path / name).read_bytes() for path in answers for name in ("hidden.npy", "logits.npy")] or None,
        "pace": pace_here(PROCESSOR, "labels").times,
    }


def what_is_wrong(expected: dict[str, Any], done: set[int]) -> str:
    found = looked_at()
    for what, number in (("teacher", 1), ("answers", 2)):
        if number in done and found[what] is None:
            return f"{what} lost"
    for what in ("tokens", "teacher", "answers"):
        if found[what] is not None and found[what] != expected[what]:
            return f"{what} accepted though damaged"
    return "" if found["pace"] in (1.0, 2.0, 3.0) else f"the pace is {found['pace']}"


# --- every file ---------------------------------------------------------------------------------------------------

DAMAGES: dict[str, Callable[[bytes], bytes | None]] = {
    "flipped at the beginning": lambda content: bytes([content[0] ^ 1]) + content[1:],
    "flipped in the middle": lambda content: _flipped(content, len(content) // 2),
    "flipped at the end": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    "zeros": lambda content: bytes(len(content)),
    "half": lambda content: content[: len(content) // 2],
    "a byte short": lambda content: content[:-1],
    "empty": lambda _: b"",
    "missing": lambda _: None,
}


def _flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 16]) + content[place + 1 :]


def damage_every_file(every: int = 1) -> Report:
    """Damage each file that a run keeps in each way, and run again: it ends with the same bits or says what to do."""
    first = run_once("first")
    expected = digest(first / "student" / "model.safetensors")
    sound = home() / "sound"
    shutil.copytree(cache_root(), sound)
    report = Report()
    files = sorted(path.relative_to(sound) for path in sound.rglob("*") if path.is_file())
    for number, (file, how) in enumerate(itertools.islice(itertools.product(files, DAMAGES), 0, None, every)):
        shutil.rmtree(cache_root())
        shutil.copytree(sound, home() / "cache")
        _damage(cache_root() / file, DAMAGES[how])
        report.tried += 1
        report.by_fault[how] = report.by_fault.get(how, 0) + 1
        if problem := _after(run_once(f"again-{number}"), expected):
            report.bad.append(f"{file} {how}: {problem}")
    return report


def _damage(path: Path, how: Callable[[bytes], bytes | None]) -> None:
    content = how(path.read_bytes())
    path.unlink()
    if content is not None:
        path.write_bytes(content)


def _after(run: Path, expected: str) -> str:
    status = runs.read_status(run)
    if status.state == "failed" and "the next run trains the teacher anew" in status.sentence:
        return ""
    if status.state != "finished":
        return f"{status.state}: {status.sentence}"
    return "" if digest(run / "student" / "model.safetensors") == expected else "other bits, and not a word"
