"""Masked words for real: the bundled teacher adapted to the bundled reviews, a student of 3 layers distilled from it.

    python -m benchmarks.masked_words [SETTING=VALUE …]

Takes the settings that the form starts with for masked words. Writes masked_words.md beside this file: held-out
accuracy of both models, their agreement, and what both say to sentences with a hidden word. Under an hour on two cores.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from core.cli.kinds import carry_out
from core.config import Settings, starting_point
from core.runs import folder as runs
from core.runs.comparable import model_folders
from core.scoring.hidden_words import HiddenWords, guesses
from core.settings_file import override

TABLE = Path(__file__).with_suffix(".md")
SENTENCES = (
    "The movie was absolutely [MASK].",
    "I have never been so [MASK] in my life.",
    "The [MASK] was great, but the story was weak.",
    "She goes to the [MASK] to watch a film.",
)


def main(assignments: list[str]) -> None:
    """Train, measure and keep the page."""
    settings = override(starting_point("masked_words"), assignments)
    with tempfile.TemporaryDirectory() as home:
        os.environ.setdefault("DISTILLERY_HOME", home)
        folder = runs.create_run(settings, runs.new_run_id())
        carry_out(folder)
        results = runs.read_results(folder)
        if results is None:
            raise SystemExit(runs.read_status(folder).sentence)
        text = _page(settings, results, _answers(folder))
    print(text)
    TABLE.write_text(text, encoding="utf-8")


def _answers(folder: Path) -> list[str]:
    rows = []
    for answer in guesses(model_folders(folder), SENTENCES, max_tokens=128):
        teacher, student = (_words(answer, role) for role in ("teacher", "student"))
        rows.append(f"| {answer.sentence} | {teacher} | {student} |")
    return rows


def _words(answer: HiddenWords, role: str) -> str:
    return ", ".join(f"{word.text} {word.probability:.0%}" for word in answer.answers[role].places[0])


def _page(settings: Settings, results: dict[str, Any], answers: list[str]) -> str:
    compute, versions = results["compute"], results["versions"]
    loss, data = settings.loss, settings.data
    teacher, student, blind = results["teacher"]["score"], results["student"]["score"], results["majority"]
    return f"""# Masked words on the bundled reviews, measured

Written by `python -m benchmarks.masked_words`. {data.max_examples} IMDb reviews in blocks of {data.max_tokens} word
pieces; the bundled MiniLM of 6 layers, which has no head for words, adapted for {settings.teacher.epochs} epoch;
student of {settings.student.layers} layers, {settings.training.epochs} epoch, weights
{loss.soft:g}/{loss.hard:g}/{loss.cosine:g}, T {loss.temperature:g}, seed {results["seed"]}. {compute["device"]},
{compute["precision"]}, {compute["threads"]} threads, torch {versions["torch"]}. Demo scale: the released DistilBERT
read Wikipedia and a book corpus for 90 hours on eight GPUs.

| {results["examples"]} hidden words of held-out reviews | teacher | student | always the most frequent word |
|---|---|---|---|
| guessed | {teacher:.1%} | {student:.1%} | {blind:.1%} |

The student keeps {results["kept"]:.1%}; both name the same word first for {results["agreement"]:.1%} of them.
Neither is done after one epoch. The student learns from the hidden words too, and not from its teacher alone, so it can
pass a teacher that is itself still learning.

| sentence | teacher | student |
|---|---|---|
{chr(10).join(answers)}
"""


if __name__ == "__main__":
    main(sys.argv[1:])
