"""How much memory a model needs, in a process that does nothing else: `python -m core.speed.memory FILE RUNTIME …`.

Within a process that has held other models, or a parent's pages, the peak would be theirs.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args

from core import libraries
from core.errors import DistilleryError
from core.models.shape import MB
from core.speed.forms import Form
from core.speed.measurement import BATCHES, LENGTHS, Cell, Runtime
from core.storage import PROJECT

LOOK_S = 0.2
"""How often the process is asked whether it is done, and the person whether it should be."""

FORGET_PEAK = "5"
"""What the kernel takes, in clear_refs, for "the peak begins again here" (man 5 proc)."""


def peak_mb(form: Form, threads: int, stopped: Callable[[], bool]) -> float | None:
    """Megabytes that a fresh process needed, above its libraries, to open this form and answer the largest batch.

    None where the system does not tell. Raises DistilleryError if the process fails; when `stopped` says so it is
    ended and the number is None.
    """
    longest = max(length for length in LENGTHS if length <= form.shape.longest or length == LENGTHS[0])
    what = [
        str(form.file),
        form.runtime,
        str(threads),
        str(min(longest, form.shape.longest)),
        str(form.shape.vocabulary),
    ]
    with subprocess.Popen(
        [sys.executable, "-m", "core.speed.memory", *what], cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        while True:
            try:
                printed, errors = process.communicate(timeout=LOOK_S)
                break
            except subprocess.TimeoutExpired:
                if stopped():
                    process.kill()
    if stopped():
        return None
    if process.returncode:
        raise DistilleryError(_why_failed(form, process.returncode, errors.decode(errors="replace")))
    return json.loads(printed)["memory_mb"]


def _why_failed(form: Form, code: int, errors: str) -> str:
    name = form.name[0].upper() + form.name[1:]
    if code == 1:
        return f"{name} could not be opened to measure its memory. {errors.strip().splitlines()[-1][:300]}"
    killed = (
        "it was ended from outside, which the system does when memory runs out" if code < 0 else f"exit code {code}"
    )
    return f"{name} could not be measured: the process that held it ended early ({killed})."


def main(arguments: list[str] | None = None) -> int:
    """Print {"memory_mb": …} for one form; returns the exit code."""
    options = _parser().parse_args(arguments)
    _load_libraries(options.runtime)
    from core.speed.opened import open_form, random_texts

    before = _begin_peak()
    try:
        model = open_form(options.file, options.runtime, options.threads)
    except DistilleryError as error:
        print(error, file=sys.stderr)
        return 1
    texts = random_texts(Cell(batch=max(BATCHES), tokens=options.tokens), options.vocabulary)
    answer = model.passes(texts, "cpu")
    for _ in range(2):
        answer()
    peak = _peak()
    print(json.dumps({"memory_mb": None if peak is None else round(max(0, peak - before) / MB, 1)}))
    return 0


def _load_libraries(runtime: Runtime) -> None:
    """Their own memory is not the model's."""
    if runtime == "torch":
        libraries.load()
        import core.models.saved  # noqa: F401
    else:
        import onnxruntime  # noqa: F401


def _begin_peak() -> int:
    """Bytes that this process holds now. Its peak counts from here, where the system can forget the earlier one."""
    try:
        Path("/proc/self/clear_refs").write_text(FORGET_PEAK)
    except OSError:
        return _peak() or 0
    return _of_status("VmRSS") or 0


def _peak() -> int | None:
    """The most bytes that this process has held at once."""
    found = _of_status("VmHWM")
    if found is None and sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return found


def _of_status(name: str) -> int | None:
    # Not ru_maxrss on Linux: it begins with the memory of the process that started this one.
    try:
        found = re.search(rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found.group(1)) * 1024 if found else None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m core.speed.memory", description="Measure a model's memory.")
    parser.add_argument("file", type=Path)
    parser.add_argument("runtime", choices=get_args(Runtime))
    for name in ("threads", "tokens", "vocabulary"):
        parser.add_argument(name, type=int)
    return parser


if __name__ == "__main__":
    from core.cli.terminal import leave

    leave(main())
