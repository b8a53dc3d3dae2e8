"""A run's ONNX files: which are there and may be used, and a model that answers with one of them.

Reads only; `make_forms` writes. Importing this file loads neither torch nor onnxruntime.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal, NotRequired, get_args

import numpy as np
from numpy.typing import NDArray

# Until Python 3.12 pydantic takes only these.
from typing_extensions import TypedDict

from core.models.folder import WEIGHTS, file_sha256
from core.persisted import Amount, Count, Moment, Positive, Score, Some, Text, read_as
from core.storage import BrokenRun

Form = Literal["onnx", "int8"]
"""The student as an ONNX file in 32-bit numbers, and with the weights of its layers in 8-bit ones."""

FORMS: tuple[Form, ...] = get_args(Form)
FILES: dict[Form, str] = {"onnx": "model.onnx", "int8": "model_int8.onnx"}
FOLDER = "export"
MANIFEST = "manifest.json"


class StudentMeasured(TypedDict):
    """The student itself, asked beside its exported forms; timed only where one of them passed its check."""

    score: Score | None
    ms_per_text: NotRequired[Positive]
    times_as_fast: NotRequired[dict[Text, Positive]]


class FormMeasured(TypedDict):
    """One exported form. `times_as_fast` is by other form; `faster` is said of 8-bit weights alone."""

    score: Score | None
    largest_difference: Amount
    agreement: Score | None
    answers: Some
    size_mb: Amount
    ms_per_text: Positive
    times_as_fast: dict[Text, Positive]
    faster: NotRequired[bool]


class MeasuredOn(TypedDict):
    """On which texts the forms were measured, and with what.

    `load` is how many processes wanted one of the `cores`, averaged over the minute before anything was made.
    """

    metric: Text
    counted: Text
    split: Text
    texts: Count
    all_texts: Count
    timed_threads: Count
    device: NotRequired[Text]
    load: NotRequired[Amount]
    cores: NotRequired[Some]
    versions: NotRequired[dict[Text, Text]]


class Made(TypedDict):
    """export/manifest.json: the files by name with their SHA-256, what was measured, and why a form was refused."""

    student_sha256: Text
    files: dict[Text, Text]
    forms: dict[Form, FormMeasured]
    student: StudentMeasured
    refused: dict[Form, Text]
    measured_on: MeasuredOn
    made_at: NotRequired[Moment]


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

    def logits(
        self,
        input_ids: NDArray[np.int64],
        attention_mask: NDArray[np.int64],
        token_type_ids: NDArray[np.int64] | None = None,
    ) -> NDArray[np.float32]:
        """Logits of word pieces (B, L): (B, C) for labels, (B, 1) for a score, (B, L, V) for hidden words.

        Token types are zeros where none are given, and not used by a model that has none.
        """
        types = np.zeros_like(input_ids) if token_type_ids is None else token_type_ids
        given = {"input_ids": input_ids, "attention_mask": attention_mask, "token_type_ids": types}
        taken = [each.name for each in self._session.get_inputs()]
        return self._session.run(["logits"], {name: np.asarray(given[name], np.int64) for name in taken})[0]


def onnx_files(folder: Path) -> dict[Form, Path]:
    """The ONNX files of a run that may be used: checked against the student as it is now, and unchanged since.

    Empty if none were made, if the student has changed since, or if there is no student.
    """
    made = read_forms(folder)
    return {form: folder / FOLDER / FILES[form] for form in FORMS if made and form in made["forms"]}


def read_forms(folder: Path) -> Made | None:
    """What export/manifest.json says of the files that are there; None where they do not belong to this student.

    `forms` has an entry for each that passed its check: `largest_difference` from the student's logits, `agreement`,
    `score`, `ms_per_text`, `size_mb` and, by form, `times_as_fast`. `refused` says of the others why, in a sentence.
    """
    path = folder / FOLDER / MANIFEST
    try:
        made = read_as(Made, path, "a list of exported files")
        if made["student_sha256"] != content_sha256(folder / "student" / WEIGHTS):
            return None
        if any(content_sha256(path.parent / FILES[form]) != made["files"][FILES[form]] for form in made["forms"]):
            return None
    except (BrokenRun, OSError, KeyError):
        return None
    return made if _is_whole(made) else None


def _is_whole(made: Made) -> bool:
    """True if every form was timed beside those that its sentences name."""
    if not made["forms"]:
        return True
    beside: dict[Form, set[str]] = {"onnx": {"torch"}, "int8": {"torch", "onnx"}}
    timed = all(beside[form] <= set(measured["times_as_fast"]) for form, measured in made["forms"].items())
    return timed and made["student"].keys() >= {"ms_per_text", "times_as_fast"}


def content_sha256(path: Path) -> str:
    """The SHA-256 of a file, computed once as long as its size and time of change stay the same. Raises OSError."""
    stat = path.stat()
    return _sha256(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=256)
def _sha256(path: Path, _size: int, _changed_ns: int) -> str:
    return file_sha256(path)
