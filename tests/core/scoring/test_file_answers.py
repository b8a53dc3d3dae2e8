"""A CSV file that both models answer: what is read, what is said, what is written, and that nothing is done twice."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from core.data.csv_file import parse_csv
from core.data.files import DataError
from core.errors import DistilleryError
from core.models import shelf
from core.runs.comparable import model_folders
from core.scoring import file_answers as scoring
from core.scoring.answers import answers
from core.scoring.background import Stopped, Task
from core.scoring.file_answers import FileAnswers, answer_file, neutral, read_question, to_csv
from core.sections import TrainingSettings
from pages.ui.compare.file import file_table
from tests.fixtures.compare_page import labelled_run
from tests.fixtures.small_runs import MASKED, run_once, world_of

PLAIN = TrainingSettings(device="cpu", precision="fp32", threads=1)
NAMES = ("negative", "positive")
ROWS = (
    ("the film is warm and funny .", "positive"),
    ("the story is dull and bad .", "Negative "),
    ("=1+1", "negative"),
    ("", "positive"),
    ("a [MASK] film [SEP]", "maybe"),
    ("x" * 10_050, ""),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, teachers: Path) -> Iterator[Path]:
    """A real finished run of labels; its home is the home of the module."""
    with world_of(tmp_path_factory.mktemp("home"), teachers):
        yield run_once("20261122-120000-aaaa", "student.layers=1")
        shelf.unload_all()


def file_of(*rows: tuple[str, ...], head: tuple[str, ...] = ("text", "label")) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows([head, *rows])
    return out.getvalue().encode()


def ask(run: Path, content: bytes, label: str = "label", task: Task | None = None) -> FileAnswers:
    table = parse_csv(content, "mine.csv")
    question = read_question(table, "text", "", label, NAMES)
    return answer_file(model_folders(run), question, 32, PLAIN, task or Task())


def test_every_row_is_answered_as_side_by_side(run):
    found = ask(run, file_of(*ROWS))
    assert found.answered.all() and found.label_names == NAMES
    for row, (text, _) in enumerate(ROWS):
        (said,) = answers(model_folders(run), [text], 32)
        for name, answer in said.answers.items():
            label, sure = found.said(name, row)
            assert label == answer.label and sure == pytest.approx(answer.confidence, abs=1e-5)
        assert found.gaps()[row] == pytest.approx(said.apart, abs=1e-5)
        assert bool(found.agree()[row]) is said.agree


def test_rows_come_back_with_the_largest_gap_first(run):
    found = ask(run, file_of(*ROWS))
    gaps = found.gaps()[found.rows]
    assert sorted(found.rows.tolist()) == list(range(len(ROWS))) and (np.diff(gaps) <= 0).all()
    shown = file_table(found, found.rows.tolist())
    assert shown["Gap"].is_monotonic_decreasing and shown["Line"].tolist() == [int(row) + 2 for row in found.rows]


def test_accuracy_counts_the_rows_whose_label_is_known(run):
    found = ask(run, file_of(*ROWS))
    assert found.question.labels[:4].tolist() == [1, 0, 0, 1] and np.isnan(found.question.labels[4:]).all()
    hits, known = found.right("teacher")
    assert known == 4 and hits == sum(found.said("teacher", row)[0] == found.label_of(row) for row in range(4))
    (note,) = [note for note in found.question.notes if "do not know" in note]
    assert "2 of 6 rows" in note and "line 6: 'maybe'" in note
    assert ask(run, file_of(*ROWS), label="").right("teacher") == (0, 0)


@pytest.mark.parametrize("written", [("1", "0"), ("1.0", "0.0"), (" 1", "0 ")])
def test_labels_that_are_numbers_are_read_by_their_place_and_that_is_said(written):
    table = parse_csv(file_of(("good", written[0]), ("bad", written[1])), "mine.csv")
    question = read_question(table, "text", "", "label", NAMES)
    assert question.labels.tolist() == [1, 0]
    assert any("0 is 'negative', 1 is 'positive'" in note for note in question.notes)


def test_long_texts_are_cut_and_counted_and_foreign_columns_are_named():
    table = parse_csv(file_of(*ROWS), "mine.csv")
    question = read_question(table, "text", "", "", NAMES)
    assert max(map(len, question.texts)) == 10_000 and "1 texts have more than 10,000" in " ".join(question.notes)
    with pytest.raises(DataError, match="has no column 'sentence'"):
        read_question(table, "sentence", "", "", NAMES)


def test_pairs_and_scores(home):
    pairs = labelled_run(home, {"source": "glue_folder", "path": "glue", "task": "MRPC"}, labels=2, run_id="1")
    scores = labelled_run(home, {"source": "csv", "path": "a.csv", "label_kind": "score"}, labels=1, run_id="2")
    table = parse_csv(file_of(("warm", "good", "1"), ("dull", "bad", "x"), head=("a", "b", "label")), "mine.csv")
    found = answer_file(model_folders(pairs), read_question(table, "a", "b", "", NAMES), 32, PLAIN, Task())
    (said,) = answers(model_folders(pairs), ["warm"], 32, ["good"])
    assert found.said("teacher", 0)[1] == pytest.approx(said.answers["teacher"].confidence, abs=1e-5)
    question = read_question(table, "a", "", "label", ())
    found = answer_file(model_folders(scores), question, 32, PLAIN, Task())
    (said,) = answers(model_folders(scores), ["warm"], 32)
    assert found.label_names == () and found.said("student", 0)[1] == pytest.approx(
        said.answers["student"].value, abs=1e-4
    )
    assert found.gaps()[0] == pytest.approx(said.apart, abs=1e-4) and found.label_of(0) == "1" and not found.label_of(1)
    assert not found.agree().any() and found.right("teacher") == (0, 0)


def test_models_of_hidden_words_are_refused_in_words(run):
    words = run_once("20261122-123000-dddd", *MASKED, "student.layers=1")
    with pytest.raises(DistilleryError, match="guesses words and knows no labels"):
        ask(words, file_of(*ROWS))


def test_stop_keeps_what_was_answered(run, monkeypatch):
    monkeypatch.setattr(scoring, "WINDOW", 2)

    class Impatient(Task):
        def report(self, done: int, total: int) -> None:
            if done >= 4:
                self.stop()
            super().report(done, total)

    found = ask(run, file_of(*ROWS), task=Impatient())
    assert int(found.answered.sum()) == 4 and len(found.rows) == 4
    assert len(list(csv.reader(io.StringIO(to_csv(found, parse_csv(file_of(*ROWS), "a")).decode("utf-8-sig"))))) == 5
    early = Task()
    early.stop()
    with pytest.raises(Stopped):
        ask(run, file_of(*ROWS), task=early)


def test_a_run_of_a_gpu_is_asked_on_the_processor():
    training = scoring.on_the_processor(TrainingSettings(device="cuda", precision="fp16", threads=8), 1)
    assert (training.device, training.precision, training.threads) == ("cpu", "auto", 1)


def test_bf16_answers_are_near_those_of_fp32(run):
    table = parse_csv(file_of(*ROWS), "mine.csv")
    question = read_question(table, "text", "", "", NAMES)
    half = TrainingSettings(device="cpu", precision="bf16", threads=1)
    rough = answer_file(model_folders(run), question, 32, half, Task())
    assert rough.precision == "bf16"
    fine = ask(run, file_of(*ROWS), label="")
    for name in fine.answers:
        assert rough.answers[name] == pytest.approx(fine.answers[name], abs=0.15)


def test_progress_only_grows_and_ends_at_all_rows(run):
    class Watched(Task):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[int] = []

        def report(self, done: int, total: int) -> None:
            self.seen.append(done)
            super().report(done, total)

    task = Watched()
    ask(run, file_of(*[(f"film {number}", "") for number in range(300)]), task=task)
    assert task.seen == sorted(task.seen) and task.seen[-1] == 300 and len(set(task.seen)) > 5


# The download


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@a", "\t=1", "\r=1", "\n=1", "\0"])
def test_a_cell_that_begins_like_a_formula_is_made_harmless(cell):
    assert neutral(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "a=1", "1", " -", "'"])
def test_any_other_cell_stays_as_it_is(cell):
    assert neutral(cell) == cell


def test_the_download_holds_the_file_and_every_answer(run):
    content = file_of(*ROWS, ("@evil", "negative"), head=("text", "label"))
    found, table = ask(run, content), parse_csv(content, "mine.csv")
    head, *rows = csv.reader(io.StringIO(to_csv(found, table).decode("utf-8-sig"), newline=""))
    assert head == ["text", "label", "teacher says", "teacher sure", "student says", "student sure", "agree", "gap"]
    assert len(rows) == len(ROWS) + 1
    texts = {row[0] for row in rows}
    assert {"'=1+1", "'@evil", ROWS[0][0]} <= texts
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row)
    first = found.rows[0]
    assert rows[0][2] == found.said("teacher", first)[0] and float(rows[0][7]) == pytest.approx(
        found.gaps()[first], abs=1e-5
    )
