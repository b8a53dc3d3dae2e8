"""results.json as pages, card and terminal read it: complete and of the right types, or refused with a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, NotRequired

from pydantic import Field

# Until Python 3.12 pydantic takes only these.
from typing_extensions import TypedDict

from core.intervals import wilson
from core.numbers import is_share
from core.persisted import Amount, Count, Positive, Score, Some, Text, checked
from core.runs.folder import BrokenRun, read_results
from core.storage import where

Role = Literal["teacher", "student"]
MODELS: tuple[Role, ...] = ("teacher", "student")

FILE = "results.json"


class ModelResult(TypedDict):
    """What was measured of one model. `score` is None where it is undefined."""

    score: Score | None
    parameters: Some
    encoder_parameters: Some
    size_mb: Amount
    ms_per_sentence: Positive


class Compute(TypedDict):
    """What computed."""

    device: Text
    precision: Text
    threads: Count


class Results(TypedDict):
    """What a finished run measured. `majority`, `kept`, `agreement` and the scores are None where they are undefined.

    `majority` is the score of always giving the most frequent answer, `kept` the student's as a share of its teacher's.
    """

    teacher: ModelResult
    student: ModelResult
    metric: Literal["accuracy", "masked-word accuracy", "correlation"]
    counted: Literal["sentences", "pairs", "masked words"]
    split: Text
    examples: Some
    majority: Score | None
    kept: Annotated[float, Field(ge=-1e6, le=1e6)] | None
    agreement: Score | None
    seed: int
    teacher_from_cache: bool
    elapsed_s: Amount
    compute: Compute
    notes: NotRequired[Annotated[list[Text], Field(max_length=1_000)]]
    versions: NotRequired[dict[str, Text]]
    objective: NotRequired[Text]


def read_result(folder: Path) -> Results:
    """What a finished run measured. Raises BrokenRun if the file is missing or lacks what the pages show."""
    raw = read_results(folder)
    if raw is None:
        raise BrokenRun(f"{where(folder / FILE)} is missing, although the run has finished.")
    results = checked(Results, raw, folder / FILE, "the result of a run")
    if is_share(results["metric"]) and not _are_shares(results):
        raise BrokenRun(
            f"{where(folder / FILE)} does not look like the result of a run: a share is not between 0 and 1."
        )
    return results


def _are_shares(results: Results) -> bool:
    """True if what counts right answers lies between none and all of them."""
    shares = (results["majority"], results["agreement"], *(results[role]["score"] for role in MODELS))
    return all(share is None or 0 <= share <= 1 for share in shares)


def uncertainty(results: Results) -> float | None:
    """How far the 95 % interval of the student's score reaches, 0 to 1: chance alone moves it that much.

    Wilson's interval, whose longer side it is, so that all or nothing right is not called certain. None where the score
    is not a share.
    """
    share, count = results["student"]["score"], results["examples"]
    if share is None or not is_share(results["metric"]):
        return None
    low, high = wilson(round(share * count), count)
    return max(share - low, high - share)
