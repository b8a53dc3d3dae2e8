"""timing.json of a GLUE job: the size of every model, and its seconds for a task's development set. Loads no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NotRequired

from pydantic import Field

# Until Python 3.12 pydantic takes only these.
from typing_extensions import TypedDict

from core.glue.cells import FileName, Role
from core.persisted import Amount, Count, Positive, Some, Text, is_there, read_as

TIMING = "timing.json"


class TimedModel(TypedDict):
    """One model: parameters in all, in its layers and in its embeddings; seconds of one pass over all `pairs`."""

    model: FileName
    role: Role
    title: Text
    seconds: Positive
    parameters: Some
    encoder_parameters: Some
    embedding_parameters: NotRequired[Count]
    size_mb: Amount
    pairs: Some
    device: Text
    precision: Text
    threads: Count


class Timing(TypedDict):
    """What was timed together."""

    models: Annotated[list[TimedModel], Field(max_length=10_000)]
    task: NotRequired[Text]
    split: NotRequired[Text]
    versions: NotRequired[dict[Text, Text]]


def read_timing(job: Path) -> Timing | None:
    """What a job has timed, None if nothing. Raises BrokenRun, naming the file, if it cannot be read."""
    return read_as(Timing, job / TIMING, "a timing") if is_there(job / TIMING) else None
