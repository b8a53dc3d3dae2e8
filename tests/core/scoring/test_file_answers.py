"""A CSV file that both models answer: what is read, what is said, what is written, and that nothing is done twice."""

from __future__ import annotations

import csv
import errno
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.cli import kinds
from core.data.csv_file import parse_csv
from core.data.files import DataError
from core.errors import DistilleryError
from core.jobs import folder as jobs
from core.jobs.owner import of_folder, this_process
from core.jobs.reporter import StopRequested
from core.models import shelf
from core.runs.comparable import model_folders
from core.scoring import file_answers as scoring
from core.scoring import job
from core.scoring.answers import answers
from core.scoring.file_answers import FileAnswers, answer_file, neutral, read_question, to_csv
from core.scoring.held_out import weights_of
from core.sections import TrainingSettings
from core.storage import BrokenRun, jobs_root
from pages.ui.compare.file import file_table
from pages.ui.compare.truth import right_or_wrong
from tests.fixtures.compare_page import labelled_run
from tests.fixtures.recorded_progress import Recorder
from tests.fixtures.small_runs import MASKED, listing, run_once, world_of

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


def ask(run: Path, content: bytes, label: str = "label", progress: Recorder | None = None) -> FileAnswers:
    table = parse_csv(content, "mine.csv")
    question = read_question(table, "text", "", label, NAMES)
    return answer_file(model_folders(run), question, 32, PLAIN, progress or Recorder())


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
    assert shown["Apart"].is_monotonic_decreasing and shown["Line"].tolist() == [int(row) + 2 for row in found.rows]


def test_accuracy_counts_the_rows_whose_label_is_known(run):
    found = ask(run, file_of(*ROWS))
    assert found.question.labels[:4].tolist() == [1, 0, 0, 1] and np.isnan(found.question.labels[4:]).all()
    hits, known = found.right("teacher")
    assert known == 4 and hits == sum(found.said("teacher", row)[0] == found.label_of(row) for row in range(4))
    (note,) = [note for note in found.question.notes if "do not know" in note]
    assert "2 of 6 rows" in note and "line 6: 'maybe'" in note
    assert ask(run, file_of(*ROWS), label="").right("teacher") == (0, 0)


def test_right_and_wrong_are_marked_where_the_truth_is_known(run):
    """Two models that agree may both be wrong, which "agree: yes" alone reads as good."""
    found = ask(run, file_of(*ROWS))
    shown = file_table(found, list(range(len(ROWS)))).set_index("Line").sort_index()
    for row, line in enumerate(shown.to_dict("records")):
        right = [name for name in ("teacher", "student") if found.said(name, row)[0] == found.label_of(row)]
        expected = {0: "none", 1: right[0] if right else "", 2: "both"}[len(right)]
        assert line["Right"] == (expected if found.label_of(row) else "")
    assert {"none", "both"} & set(shown["Right"]) and shown["Right"].tolist()[4:] == ["", ""]
    assert "Right" not in file_table(ask(run, file_of(*ROWS), label=""), [0]), "nobody knows"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"teacher": "bad", "student": "bad"}, "True is good: both are wrong."),
        ({"teacher": "good", "student": "good"}, "True is good: both are right."),
        ({"teacher": "good", "student": "bad"}, "True is good: the teacher is right, the student is wrong."),
    ],
)
def test_who_is_right_is_one_sentence(said, expected):
    assert right_or_wrong(said, "good") == expected


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
    found = answer_file(model_folders(pairs), read_question(table, "a", "b", "", NAMES), 32, PLAIN, Recorder())
    (said,) = answers(model_folders(pairs), ["warm"], 32, ["good"])
    assert found.said("teacher", 0)[1] == pytest.approx(said.answers["teacher"].confidence, abs=1e-5)
    question = read_question(table, "a", "", "label", ())
    found = answer_file(model_folders(scores), question, 32, PLAIN, Recorder())
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

    found = ask(run, file_of(*ROWS), progress=Recorder(stop_at=4))
    assert int(found.answered.sum()) == 4 and len(found.rows) == 4
    assert len(list(csv.reader(io.StringIO(to_csv(found, parse_csv(file_of(*ROWS), "a")).decode("utf-8-sig"))))) == 5
    with pytest.raises(StopRequested):
        ask(run, file_of(*ROWS), progress=Recorder(stop_at=0))


def test_a_run_of_a_gpu_is_asked_on_the_processor():
    training = scoring.on_the_processor(TrainingSettings(device="cuda", precision="fp16", threads=8), 1)
    assert (training.device, training.precision, training.threads) == ("cpu", "auto", 1)


def test_bf16_answers_are_near_those_of_fp32(run):
    table = parse_csv(file_of(*ROWS), "mine.csv")
    question = read_question(table, "text", "", "", NAMES)
    half = TrainingSettings(device="cpu", precision="bf16", threads=1)
    rough = answer_file(model_folders(run), question, 32, half, Recorder())
    assert rough.precision == "bf16"
    fine = ask(run, file_of(*ROWS), label="")
    for name in fine.answers:
        assert rough.answers[name] == pytest.approx(fine.answers[name], abs=0.15)


def test_progress_only_grows_and_ends_at_all_rows(run):
    progress = Recorder()
    ask(run, file_of(*[(f"film {number}", "") for number in range(300)]), progress=progress)
    assert progress.seen == sorted(progress.seen) and progress.seen[-1] == 300 and len(set(progress.seen)) > 5


# In the background


@pytest.fixture
def nothing_sent() -> None:
    """The tests of this module share a home, and with it the files that were sent."""
    for folder in jobs.folders_in(jobs_root()):
        jobs.remove(folder)


def sent(run: Path, content: bytes = file_of(*ROWS), digest: str = "1") -> Path:
    """A file whose rows are asked about in the background, as the page does it; the job's folder."""
    models = model_folders(run)
    folder = job.file_job(digest, ("text", "", "label"), weights_of(models), 32)
    job.start_file(folder, content, ("text", "", "label"), NAMES, models, 32, PLAIN)
    return folder


def answered(folder: Path, content: bytes = file_of(*ROWS)) -> FileAnswers | None:
    return job.read_file_answers(folder, read_question(parse_csv(content, "mine.csv"), "text", "", "label", NAMES))


def leave_as(folder: Path, state: jobs.State) -> None:
    """As if the job had ended so, without the work."""
    jobs.write_status(folder, replace(jobs.read_status(folder), state=state))


@pytest.mark.usefixtures("nothing_sent")
class TestInTheBackground:
    def test_the_answers_are_those_of_the_same_question_here(self, run):
        folder = sent(run)
        assert kinds.carry_out(folder) == "finished"
        assert jobs.read_status(folder).sentence == "6 of 6 rows are answered."
        found, expected = answered(folder), ask(run, file_of(*ROWS))
        assert list(found.answers) == list(expected.answers) == ["teacher", "student"]
        for name, rows in expected.answers.items():
            assert found.answers[name].tolist() == rows.tolist()
        assert (found.label_names, found.precision) == (NAMES, "fp32") and found.answered.all() and found.elapsed_s > 0
        assert found.gaps().tolist() == expected.gaps().tolist()
        assert folder.stat().st_mode & 0o777 == 0o700

    def test_the_same_work_is_done_once(self, run):
        with ThreadPoolExecutor(8) as tabs:
            begun = set(tabs.map(lambda _: jobs.written_status(sent(run)).queued_at, range(8)))
        (folder,) = kinds.queue.waiting(kinds.BESIDE)
        assert begun == {jobs.written_status(folder).queued_at}

    def test_what_it_follows_from_names_the_job(self):
        asked = ("a", ("text", "", ""), {"teacher": "1", "student": "2"}, 32)
        others = [
            ("b", *asked[1:]),
            (asked[0], ("label", "", ""), *asked[2:]),
            (*asked[:2], {"teacher": "1", "student": "3"}, 32),
            (*asked[:2], {"student": "2", "teacher": "1"}, 32),
            (*asked[:3], 64),
        ]
        assert len({job.file_job(*each).name for each in (asked, *others)}) == 6
        assert job.file_job(*asked) == job.file_job(*asked)

    def test_stop_keeps_what_was_answered_and_it_can_be_asked_again(self, run, monkeypatch):
        monkeypatch.setattr(scoring, "WINDOW", 2)
        folder = sent(run)
        wants = iter([False] * 6)
        state = kinds.carry_out(folder, lambda: next(wants, True))
        found = answered(folder)
        assert state == "finished" and 0 < int(found.answered.sum()) < 6
        assert jobs.read_status(folder).sentence == f"{int(found.answered.sum())} of 6 rows are answered."
        assert sent(run) == folder and answered(folder) is None, "what is asked anew is not answered yet"
        assert kinds.carry_out(folder) == "finished" and answered(folder).answered.all()

    def test_stopped_before_a_row_was_answered_it_can_be_asked_again(self, run):
        folder = sent(run)
        assert kinds.carry_out(folder, lambda: jobs.request_stop(folder) or False) == "stopped"
        assert jobs.read_status(folder).sentence == "Stopped by you before anything was answered."
        assert answered(folder) is None and jobs.state_of(sent(run)) == "queued"

    def test_a_killed_one_says_so_and_can_be_asked_again(self, run):
        folder = sent(run)
        gone = of_folder(this_process(), folder) | {"started": "1"}
        jobs.write_status(folder, jobs.Status("running", "", None, 2, 6, owner=gone))
        status = jobs.read_status(folder)
        assert status.state == "interrupted" and "ended at step 2 without saying why" in status.sentence
        assert answered(folder) is None and jobs.state_of(sent(run)) == "queued"

    def test_a_full_disk_is_a_sentence_and_leaves_nothing_half(self, run, monkeypatch):
        def fill(file, **arrays):
            file.write(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")

        folder = sent(run)
        with monkeypatch.context() as patch:
            patch.setattr(np, "savez", fill)
            assert kinds.carry_out(folder) == "failed"
        assert jobs.read_status(folder).sentence.startswith("The disk was full. Make room")
        assert listing(folder) == ["config.json", "log.txt", "status.json", "upload.csv"]
        assert jobs.state_of(sent(run)) == "queued"

    @pytest.mark.parametrize("content", [b"", b"half", b"PK\x03\x04", "cut", "other rows", "no models"], ids=str)
    def test_answers_that_somebody_broke_are_a_sentence(self, run, content):
        folder = sent(run)
        kinds.carry_out(folder)
        path = folder / job.ANSWERS
        with np.load(path) as kept:
            arrays = dict(kept)
        if content == "other rows":
            np.savez(path, **arrays | {"answers-1": arrays["answers-1"][1:]})
        elif content == "no models":
            np.savez(path, **arrays | {"models": np.array([], dtype=str)})
        else:
            path.write_bytes(path.read_bytes()[:-40] if content == "cut" else content)
        with pytest.raises(BrokenRun, match="cannot be read any more. Ask again"):
            answered(folder)

    def test_a_file_goes_with_its_answers_when_enough_others_were_asked_about(self, run):
        folders = []
        for number in range(job.KEPT + 2):
            folders.append(sent(run, digest=str(number)))
            leave_as(folders[-1], "finished")
        assert sorted(jobs.folders_in(jobs_root())) == sorted(folders[2:])
        assert not list(jobs_root().glob(".deleted-*")), "it is deleted, not hidden"

    def test_a_file_that_is_being_answered_stays_whatever_else_is_asked(self, run):
        waiting = sent(run, digest="waiting")
        for number in range(job.KEPT + 2):
            leave_as(sent(run, digest=str(number)), "finished")
        assert waiting.exists()

    def test_a_server_that_starts_deletes_what_an_earlier_one_was_sent(self, run, monkeypatch):
        monkeypatch.setattr(kinds.worker, "start", lambda: None)
        over, waiting = sent(run, digest="over"), sent(run, digest="waiting")
        leave_as(over, "finished")
        kinds.start()
        assert jobs.folders_in(jobs_root()) == [waiting]

    def test_a_server_that_ends_deletes_what_it_was_sent(self, run):
        over = sent(run, digest="over")
        leave_as(over, "finished")
        sent(run, digest="waiting")
        kinds.shutdown(timeout_s=0)
        kinds.worker._leaving.clear()
        assert jobs.folders_in(jobs_root()) == []


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
    answered = ["teacher says", "teacher sure", "student says", "student sure"]
    assert head == ["text", "label", *answered, "agree", "gap", "right"]
    assert len(rows) == len(ROWS) + 1
    texts = {row[0] for row in rows}
    assert {"'=1+1", "'@evil", ROWS[0][0]} <= texts
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row)
    first = found.rows[0]
    assert rows[0][2] == found.said("teacher", first)[0] and float(rows[0][7]) == pytest.approx(
        found.gaps()[first], abs=1e-5
    )
