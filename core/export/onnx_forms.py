"""A run's ONNX files: which are there and may be used, and a model that answers with one of them.

Reads only; `make_forms` writes. Importing this file loads neither torch nor onnxruntime.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from core.models.folder import WEIGHTS, file_sha256
from core.storage import BrokenRun, is_number, read_json

Form = Literal["onnx", "int8"]
"""The student as an ONNX file in 32-bit numbers, and with the weights of its layers in 8-bit ones."""

FORMS: tuple[Form, ...] = get_args(Form)
FILES: dict[Form, str] = {"onnx": "model.onnx", "int8": "model_int8.onnx"}
FOLDER = "export"
MANIFEST = "manifest.json"


class OnnxModel:
    """An open ONNX student that answers batches of word pieces, on the processor, with `threads` threads.

    May be called from several threads. Raises BrokenRun if the file is no model that onnxruntime can open.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        # Threads that spin while they wait would slow down whatever is measured in turn with this model.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise BrokenRun(f"{path.parent.name}/{path.name} cannot be opened. Make the ONNX files again.") from error

    def logits(self, input_ids: NDArray[np.int64], attention_mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """Logits of word pieces (B, L): (B, C) for labels, (B, 1) for a score, (B, L, V) for hidden words."""
        inputs = {"input_ids": np.asarray(input_ids, np.int64), "attention_mask": np.asarray(attention_mask, np.int64)}
        return self._session.run(["logits"], inputs)[0]


def onnx_files(folder: Path) -> dict[Form, Path]:
    """The ONNX files of a run that may be used: checked against the student as it is now, and unchanged since.

    Empty if none were made, if the student has changed since, or if there is no student.
    """
    made = read_forms(folder)
    return {form: folder / FOLDER / FILES[form] for form in FORMS if made and form in made["forms"]}


def read_forms(folder: Path) -> dict[str, Any] | None:
    """What export/manifest.json says of the files that are there; None where they do not belong to this student.

    `forms` has an entry for each that passed its check: `largest_difference` from the student's logits, `agreement`,
    `score`, `ms_per_text`, `size_mb` and, by form, `times_as_fast`. `refused` says of the others why, in a sentence.
    """
    try:
        made = read_json(folder / FOLDER / MANIFEST)
        if made.get("student_sha256") != content_sha256(folder / "student" / WEIGHTS):
            return None
        files = made["files"]
        if any(content_sha256(folder / FOLDER / FILES[form]) != files[FILES[form]] for form in made["forms"]):
            return None
        _check(made)
    except (BrokenRun, OSError, KeyError, TypeError, AttributeError, ValueError):
        return None
    return made


def _check(made: dict[str, Any]) -> None:
    """Raise KeyError, TypeError, AttributeError or ValueError for what `make_forms` never writes."""
    measured = [made["student"], *made["forms"].values()] if made["forms"] else []
    for each in measured:
        times = [each["ms_per_text"], *each["times_as_fast"].values()]
        known = [each["score"]] if each["score"] is not None else []
        if each is not made["student"]:
            known += [each["largest_difference"], each["size_mb"], each["answers"]]
            known += [each["agreement"]] if each["agreement"] is not None else []
        if not all(map(is_number, (*times, *known))):
            raise ValueError("numbers that are none")
    where = made["measured_on"]
    words = [where[name] for name in ("metric", "counted", "split")] + [*made["refused"].values()]
    counts = [where[name] for name in ("texts", "all_texts", "timed_threads")]
    if not all(isinstance(word, str) for word in words) or not all(type(count) is int for count in counts):
        raise ValueError("words or counts that are none")


def content_sha256(path: Path) -> str:
    """The SHA-256 of a file, computed once as long as its size and time of change stay the same. Raises OSError."""
    stat = path.stat()
    return _sha256(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=256)
def _sha256(path: Path, _size: int, _changed_ns: int) -> str:
    return file_sha256(path)
