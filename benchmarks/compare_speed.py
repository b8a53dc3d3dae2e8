"""How quickly the Compare page answers: one sentence by two loaded models, and a file in batches against one by one.

    python -m benchmarks.compare_speed [SENTENCES]

The models are the bundled teacher and a student of three of its layers; what they have learned does not matter for
the time. The ways of answering a file take turns, part by part, so that a machine that slows down slows all alike.
Goals: one sentence in 300 ms or less on two cores; the file, as the page answers it, at least three times as many
sentences a second.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from core.config import Settings
from core.data.bundled import read_bundled
from core.distill.device import choose_compute
from core.models.saved import save_model
from core.models.student import student_for_labels
from core.models.teacher import teacher_for_labels, teacher_tokenizer
from core.scoring.answers import MAX_LINES, answers
from core.scoring.file_answers import FileQuestion, answer_file, on_the_processor, usable_cores
from core.sections import StudentSettings, TeacherSettings, TrainingSettings

PARTS = 5
MAX_TOKENS = 128
LABELS = ("negative", "positive")


class Unheard:
    """Progress that nobody looks at, of work that nobody stops."""

    def report(self, done: int, total: int) -> None:
        """So much of it is done."""

    def check_stop(self) -> None:
        """Called between two parts of it."""


def main(count: int = 5_000) -> None:
    """Print both measurements as a table."""
    texts = read_bundled("rotten_tomatoes").texts[:count]
    with tempfile.TemporaryDirectory() as folder:
        folders = _models(Path(folder))
        answers(folders, texts[:1], MAX_TOKENS)
        print(f"{usable_cores()} cores, load {os.getloadavg()[0]:.1f}; {len(texts):,} sentences in {PARTS} parts\n")
        single = _one_sentence(folders, texts)
        print("| what | measured | goal |")
        print("|---|---|---|")
        print(
            f"| one sentence, both models, {len(single)} sentences: median | {statistics.median(single):.0f} ms | 300 |"
        )
        print(f"| the slowest of them | {max(single):.0f} ms | |")
        seconds = _all_ways(folders, texts)
        for name, spent in seconds.items():
            print(f"| {name} | {len(texts) / spent:.0f} sentences/s | |")
        by_one, *files = seconds.values()
        for name, spent, goal in zip(list(seconds)[1:], files, ("3", ""), strict=True):
            print(f"| {name}, against one by one | {by_one / spent:.2f} times | {goal} |")


def _models(folder: Path) -> dict[str, Path]:
    teacher = teacher_for_labels(TeacherSettings(), LABELS)
    student = student_for_labels(teacher, StudentSettings(layers=3), Settings().training.seed)
    folders = {"teacher": folder / "teacher", "student": folder / "student"}
    for name, model in (("teacher", teacher), ("student", student)):
        save_model(model, teacher_tokenizer(TeacherSettings()), folders[name])
    return folders


def _one_sentence(folders: Mapping[str, Path], texts: list[str], times: int = 30) -> list[float]:
    """Milliseconds of whole questions, as the page asks them."""
    found = []
    for text in texts[:times]:
        begun = time.perf_counter()
        answers(folders, [text], MAX_TOKENS)
        found.append(1000 * (time.perf_counter() - begun))
    return found


def _all_ways(folders: Mapping[str, Path], texts: list[str]) -> dict[str, float]:
    """Seconds for all texts: one by one, as a file as the page does it, and as a file in fp32; part by part in turn."""
    ways = {"one by one, fp32": lambda part: _one_by_one(folders, part)}
    for precision in ("auto", "fp32"):
        training = on_the_processor(TrainingSettings(precision=precision), usable_cores())
        ways[f"as a file, {choose_compute(training).precision}"] = partial(_as_a_file, folders, training)
    seconds = dict.fromkeys(ways, 0.0)
    for place in range(PARTS):
        for name, way in ways.items():
            begun = time.perf_counter()
            way(texts[place::PARTS])
            seconds[name] += time.perf_counter() - begun
    return seconds


def _one_by_one(folders: Mapping[str, Path], texts: list[str]) -> None:
    for start in range(0, len(texts), MAX_LINES):
        # As many at once as the page takes: each is still asked by itself.
        answers(folders, texts[start : start + MAX_LINES], MAX_TOKENS)


def _as_a_file(folders: Mapping[str, Path], training: TrainingSettings, texts: list[str]) -> None:
    answer_file(folders, FileQuestion(texts, None, None, list(range(len(texts))), ()), MAX_TOKENS, training, Unheard())


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:2]))
