"""The jobs that let models answer many texts: a run's held-out set, or a file that was sent.

What names a job is all that its answers follow from, so the same question is asked once. The answers about a held-out
set are kept in the run's folder; those about a file in the job's, beside the file, and both are deleted together.

Every page reads the table of all work, and with it this file: what needs numpy is imported where it is used.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.jobs import folder as jobs
from core.jobs.folder import Status
from core.jobs.reporter import Reporter
from core.persisted import read_kept
from core.runs import folder as runs
from core.sections import TrainingSettings
from core.storage import BrokenRun, jobs_root

if TYPE_CHECKING:
    from core.scoring.file_answers import FileAnswers, FileQuestion

HELD_OUT, FILE = "held-out-", "file-"
UPLOAD, ANSWERS = "upload.csv", "answers.npz"

BROKEN = "The answers to this file cannot be read any more. Ask again."

KEPT = 6
"""So many answered files are kept; those asked longest ago go first."""


def held_out_job(run_id: str, weights: Mapping[str, str]) -> Path:
    """Where the job is, or would be, that asks these very weights about a run's held-out set."""
    return jobs_root() / (HELD_OUT + _digest(run_id, weights))


def start_held_out(job: Path, run_id: str, training: TrainingSettings) -> None:
    """Queue it; does nothing while it waits or is under way."""
    settings = {"job": "held-out", "run": run_id, "training": training.model_dump(mode="json")}
    jobs.create_anew(jobs_root(), settings, job.name)


def file_job(upload_digest: str, columns: Iterable[str], weights: Mapping[str, str], max_tokens: int) -> Path:
    """Where the job is, or would be, that asks these very weights about these columns of a file."""
    return jobs_root() / (FILE + _digest(upload_digest, list(columns), weights, max_tokens))


def start_file(
    job: Path,
    content: bytes,
    columns: tuple[str, str, str],
    label_names: Iterable[str],
    models: Mapping[str, Path],
    max_tokens: int,
    training: TrainingSettings,
) -> None:
    """Queue the answers to a file; does nothing while it waits or is under way. The oldest answered files go."""
    settings = {
        "job": "file",
        "columns": list(columns),
        "label_names": list(label_names),
        "models": {name: str(folder) for name, folder in models.items()},
        "max_tokens": max_tokens,
        "training": training.model_dump(mode="json"),
    }
    forget_files(KEPT - 1)
    jobs.create_anew(jobs_root(), settings, job.name, files={UPLOAD: content})


def forget_files(kept: int = 0, waiting_too: bool = False) -> None:
    """Delete the files that were sent and have been answered, and their answers, but for the newest `kept`.

    With `waiting_too` also those whose turn has not come.
    """
    states = (None, *jobs.ENDED, *(("queued",) if waiting_too else ()))
    files = [folder for folder in jobs.folders_in(jobs_root()) if folder.name.startswith(FILE)]
    over = [folder for folder in files if jobs.state_of(folder) in states]
    for folder in sorted(over, key=_asked_at, reverse=True)[kept:]:
        jobs.remove(folder)


def read_file_answers(job: Path, question: FileQuestion) -> FileAnswers | None:
    """What was answered; None if nothing was. Raises BrokenRun if the answers cannot be read."""
    import numpy as np

    from core.scoring.file_answers import FileAnswers

    try:
        with np.load(job / ANSWERS, allow_pickle=False) as kept:
            answers = {name: kept[f"answers-{place}"] for place, name in enumerate(kept["models"].tolist())}
            names, answered = tuple(kept["label_names"].tolist()), kept["answered"]
            elapsed_s, precision = float(kept["elapsed_s"]), str(kept["precision"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise BrokenRun(BROKEN) from error
    shape = (len(question), len(names) or 1)
    if answered.shape != shape[:1] or not answers or any(rows.shape != shape for rows in answers.values()):
        raise BrokenRun(BROKEN)
    return FileAnswers(question, names, answers, answered, elapsed_s, precision)


def ask_about_held_out(folder: Path, reporter: Reporter) -> str:
    """The work: both models answer the run's held-out set. Raises DistilleryError if they cannot be asked."""
    from core.runs.comparable import kind_of, model_folders
    from core.scoring.held_out import ask_held_out
    from core.scoring.held_out_words import ask_held_out_words

    settings = read_kept(folder / "config.json")
    run = runs.run_folder(str(settings["run"]))
    of_run = runs.read_settings(run)
    ask = ask_held_out_words if kind_of(of_run) == "words" else ask_held_out
    ask(of_run, run, model_folders(run), TrainingSettings(**settings["training"]), reporter)
    return "Both models have answered the held-out texts."


def answer_upload(folder: Path, reporter: Reporter) -> str:
    """The work: the models answer the file in the job's folder. What was answered before a Stop is kept."""
    from core.data.csv_file import parse_csv
    from core.scoring.file_answers import answer_file, read_question

    settings: dict[str, Any] = read_kept(folder / "config.json", most_bytes=10_000_000)
    table = parse_csv((folder / UPLOAD).read_bytes(), "the file")
    text, second, label = settings["columns"]
    question = read_question(table, text, second, label, settings["label_names"])
    models = {name: Path(path) for name, path in settings["models"].items()}
    training = TrainingSettings(**settings["training"])
    found = answer_file(models, question, settings["max_tokens"], training, reporter)
    _write(folder / ANSWERS, found)
    return f"{int(found.answered.sum()):,} of {len(question):,} rows are answered."


def stopped(_folder: Path, _status: Status, why: str) -> str:
    """What is said of a job that was stopped before anything was answered."""
    return f"Stopped {why} before anything was answered."


def _write(path: Path, found: FileAnswers) -> None:
    import numpy as np

    part = path.with_name(f".{path.name}")
    arrays: dict[str, Any] = {f"answers-{place}": rows for place, rows in enumerate(found.answers.values())}
    arrays |= {"models": np.array(list(found.answers)), "label_names": np.array(found.label_names, dtype=str)}
    arrays |= {"answered": found.answered, "elapsed_s": found.elapsed_s, "precision": found.precision}
    try:
        with part.open("wb") as file:
            np.savez(file, **arrays)
        part.replace(path)
    except BaseException:
        # Half an answer is none, and a full disk needs its room.
        with contextlib.suppress(OSError):
            part.unlink()
        raise


def _digest(*made_of: Any) -> str:
    # The order of the models counts: it is the order in which their answers are shown.
    text = json.dumps([list(part.items()) if isinstance(part, Mapping) else part for part in made_of])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _asked_at(folder: Path) -> float:
    try:
        return jobs.written_status(folder).queued_at
    except BrokenRun:
        return 0.0
