"""Make a run's ONNX files, hold each against the student, and keep what passed, with what was measured, in export/.

Called where nothing else is at work on this machine: it would take a training's processor, and its own times would say
nothing.
"""

from __future__ import annotations

import math
import os
import platform
import secrets
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import libraries
from core.errors import DistilleryError
from core.export.onnx_forms import FILES, FOLDER, FORMS, MANIFEST, Form, Made, MeasuredOn, content_sha256, read_forms
from core.models.folder import WEIGHTS
from core.persisted import write_kept
from core.runs import folder as runs

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from core.export.held_out import HeldOut

Tell = Callable[[str], None]


def make_forms(folder: Path, tell: Tell = lambda sentence: None) -> Made:
    """The forms of a finished run's student, made if they are not there; returns what `read_forms` gives.

    `tell` is called with a sentence about what is being done; what it raises ends the work and leaves nothing behind.
    Raises DistilleryError if the run has no finished student, or its texts are no longer there to check the files on.
    """
    check_finished(folder)
    return read_forms(folder) or _make(folder, tell)


def check_finished(folder: Path) -> None:
    """Raise DistilleryError if the run has no finished student."""
    status = runs.read_status(folder)
    if status.state != "finished" or not (folder / "student" / WEIGHTS).exists():
        raise DistilleryError(f"The run is {status.state}; only the student of a finished run can be exported.")


def _make(folder: Path, tell: Tell) -> Made:
    for left_behind in folder.glob(f".{FOLDER}.*/"):
        shutil.rmtree(left_behind, ignore_errors=True)
    building = folder / f".{FOLDER}.{secrets.token_hex(4)}"
    try:
        building.mkdir(mode=0o700)
        made = _build(folder, building, tell)
        write_kept(building / MANIFEST, dict(made))
        # No student changes here, so nothing is lost where somebody looks between these two lines.
        shutil.rmtree(folder / FOLDER, ignore_errors=True)
        building.rename(folder / FOLDER)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return made


def _build(folder: Path, building: Path, tell: Tell) -> Made:
    # Later it is this work's own.
    load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    tell("Loading the student.")
    libraries.load()
    from core.export.convert import write_int8, write_onnx
    from core.export.held_out import held_out
    from core.models.saved import load_model

    settings = runs.read_settings(folder)
    weights = content_sha256(folder / "student" / WEIGHTS)
    model, tokenizer = load_model(folder / "student")
    tell("Reading the test texts, to check the files on.")
    texts = held_out(settings, tokenizer)
    tell("Writing the ONNX file.")
    write_onnx(model, building / FILES["onnx"])
    tell("Rounding its weights to 8 bits.")
    write_int8(building / FILES["onnx"], building / FILES["int8"])
    forms, refused = _checked(model, building, texts, tell)
    return {
        "student_sha256": weights,
        "made_at": round(time.time()),
        "files": {FILES[form]: content_sha256(building / FILES[form]) for form in FORMS if form in forms},
        "forms": {form: forms[form] for form in FORMS if form in forms},
        "student": forms["torch"],
        "refused": refused,
        "measured_on": _circumstances(texts, load),
    }


def _checked(
    model: PreTrainedModel, building: Path, texts: HeldOut, tell: Tell
) -> tuple[dict[str, Any], dict[Form, str]]:
    """What was measured, by form, of the student and of those that may be offered; and why the others may not."""
    from core.export.check import LARGEST_DIFFERENCE, compare, is_faster, time_forms

    files: dict[str, Path] = {form: building / name for form, name in FILES.items()}
    refused: dict[Form, str] = {}
    tell("Asking the student and both files the same test texts.")
    compared = compare(model, files, texts)
    furthest = compared["onnx"]["largest_difference"]
    if furthest > LARGEST_DIFFERENCE:
        for path in files.values():
            path.unlink()
        sentence = (
            f"Its logits differ from the student's by up to {furthest:.2g}; at most {LARGEST_DIFFERENCE:g} is allowed."
        )
        return {"torch": compared["torch"]}, {"onnx": sentence, "int8": "It is made of the ONNX file, which failed."}
    if not math.isfinite(compared["int8"]["largest_difference"]):
        files.pop("int8").unlink()
        refused["int8"] = "Rounded to 8 bits, the student gives answers that are no numbers."
    tell("Measuring how fast they answer.")
    timed = time_forms(model, files, texts)
    measured = {form: compared[form] | timed[form] for form in timed}
    if "int8" in measured:
        measured["int8"]["faster"] = is_faster(measured["int8"])
    return measured, refused


def _circumstances(texts: HeldOut, load: float | None) -> MeasuredOn:
    """On what texts and with what the forms were measured, and how busy the machine was before."""
    import onnx
    import onnxruntime
    import torch
    import transformers

    from core.export.check import TIMED_THREADS

    libraries_used = {"torch": torch, "transformers": transformers, "onnx": onnx, "onnxruntime": onnxruntime}
    versions = {name: library.__version__ for name, library in libraries_used.items()}
    found: MeasuredOn = {
        "metric": texts.metric,
        "counted": texts.counted,
        "split": texts.split,
        "texts": texts.texts,
        "all_texts": texts.all_texts,
        "device": "cpu",
        "timed_threads": TIMED_THREADS,
        "versions": {"python": platform.python_version(), **versions},
    }
    if load is not None:
        found |= {"load": load, "cores": os.cpu_count() or 1}
    return found
