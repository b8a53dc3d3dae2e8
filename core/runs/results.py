"""results.json as the pages read it: complete, or refused with a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.runs.folder import BrokenRun, read_results
from core.storage import is_number

MODELS = ("teacher", "student")
FACTS = ("seed", "teacher_from_cache")
METRICS = ("accuracy", "masked-word accuracy", "correlation")
COUNTED = ("sentences", "pairs", "masked words")
COMPUTE = ("device", "precision", "threads")
DIVIDED_BY = ("parameters", "encoder_parameters", "ms_per_sentence")


def read_result(folder: Path) -> dict[str, Any]:
    """What a finished run measured. Raises BrokenRun if the file is missing or lacks what the pages show.

    `majority`, `kept`, `agreement` and the scores may be None: measured, but undefined.
    """
    results = read_results(folder)
    if results is None:
        raise BrokenRun(f"{folder.name}/results.json is missing, although the run has finished.")
    if not _is_complete(results):
        raise BrokenRun(f"{folder.name}/results.json does not look like the result of a run.")
    return results


def _is_complete(results: dict[str, Any]) -> bool:
    teacher, student = results.get("teacher"), results.get("student")
    if not (isinstance(teacher, dict) and isinstance(student, dict)):
        return False
    measured = [results.get("elapsed_s"), *(model.get("size_mb") for model in (teacher, student))]
    perhaps = [results.get(name, "missing") for name in ("majority", "kept", "agreement")]
    perhaps += [model.get("score", "missing") for model in (teacher, student)]
    positive = [results.get("examples"), *(model.get(name) for model in (teacher, student) for name in DIVIDED_BY)]
    notes, compute = results.get("notes", []), results.get("compute")
    return (
        all(name in results for name in FACTS)
        and (results.get("metric") in METRICS and results.get("counted") in COUNTED)
        and isinstance(results.get("split"), str)
        and isinstance(compute, dict)
        and all(name in compute for name in COMPUTE)
        and isinstance(notes, list)
        and all(isinstance(note, str) for note in notes)
        and all(is_number(value) for value in measured)
        and all(value is None or is_number(value) for value in perhaps)
        and all(is_number(value) and value > 0 for value in positive)
    )
