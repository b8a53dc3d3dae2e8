"""Kinds of text, shares with their intervals, and the kept answers of a real run's held-out set."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from core.cli import kinds
from core.data.labelled import load_labelled
from core.errors import DistilleryError
from core.jobs import folder as jobs
from core.jobs.owner import of_folder, this_process
from core.models import shelf
from core.runs import folder as runs
from core.runs.comparable import model_folders
from core.scoring import held_out, held_out_words, job
from core.scoring.answers import answers
from core.scoring.held_out import HeldOut, ask_held_out, read_held_out
from core.scoring.held_out_words import ask_held_out_words, read_held_out_words
from core.scoring.slices import has_negation, seldom_words, slice_rows, slices_of
from core.sections import TrainingSettings
from core.storage import jobs_root, write_json
from pages.ui.compare.lost import headline
from tests.fixtures.recorded_progress import Recorder
from tests.fixtures.serving import ROOT
from tests.fixtures.small_runs import MASKED, listing, run_once, world_of

PLAIN = TrainingSettings(device="cpu", precision="fp32", threads=1)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, teachers: Path) -> Iterator[Path]:
    """A real finished run of labels; its home is the home of the module."""
    with world_of(tmp_path_factory.mktemp("home"), teachers):
        yield run_once("20261122-120000-aaaa", "student.layers=1")
        shelf.unload_all()


@pytest.fixture(scope="module")
def words(run: Path) -> Path:
    """A real finished run of masked words in the same home."""
    return run_once("20261122-123000-dddd", *MASKED, "student.layers=1")


def asked(run: Path) -> HeldOut:
    """Both models' answers, asked on this thread."""
    return ask_held_out(runs.read_settings(run), run, model_folders(run), PLAIN, Recorder())


# Kinds of text


@pytest.mark.parametrize("text", ["It is not good.", "Isn’t it fine", "I DON'T know", "never again", "without charm"])
def test_a_negation_is_found(text):
    assert has_negation(text)


@pytest.mark.parametrize("text", ["a knot", "nothings to note", "a good film", "", "12 ?!"])
def test_what_is_no_negation_is_not(text):
    assert not has_negation(text)


def test_a_word_is_rare_if_the_training_texts_hardly_hold_it():
    training = ["a good film", "a good story", "a good film"]
    assert seldom_words(["A GOOD film", "a good good story", "wholly unknown words"], training) == [1, 1, 3]


def test_each_text_is_with_or_without_and_lengths_share_them_out():
    texts = [f"{'word ' * count}{'?' * (count % 2)}" for count in range(1, 31)]
    found = {each.name: each.members for each in slices_of(texts, np.zeros(30, dtype=np.int64))}
    assert found["All"].all()
    assert (found["Question mark"] ^ found["No question mark"]).all()
    assert "Negation" not in found, "nothing is said of no texts"
    lengths = [members for name, members in found.items() if "words" in name and "rare" not in name]
    assert sum(members.astype(int) for members in lengths).tolist() == [1] * 30
    assert [int(members.sum()) for members in lengths] == [10, 10, 10]


def test_texts_of_one_length_make_no_groups():
    names = [each.name for each in slices_of(["a b", "c d"], np.zeros(2, dtype=np.int64))]
    assert not any("word" in name and "rare" not in name for name in names)


def test_rows_count_what_they_say():
    slices = slices_of(["not good", "good", "fine", "no"], np.zeros(4, dtype=np.int64))
    equal, teacher, student = (np.array(row, dtype=bool) for row in ([1, 1, 0, 0], [1, 1, 1, 1], [0, 1, 1, 0]))
    row = next(row for row in slice_rows(slices, equal, teacher, student) if row.slice.name == "Negation")
    assert (row.count, row.agreement.hits, row.teacher.hits, row.student.hits) == (2, 1, 2, 0)


# The held-out set of a real run


def test_the_kept_answers_are_those_of_the_side_by_side_view(run):
    found, test = asked(run), load_labelled(runs.read_settings(run).data).test
    assert found.texts == test.texts and found.labels.tolist() == test.labels.tolist()
    for number in (0, len(found) - 1, *found.furthest(3)):
        (said,) = answers(model_folders(run), [found.texts[number]], 32)
        for role, answer in said.answers.items():
            assert found.probabilities(role, number) == pytest.approx(dict(answer.probabilities), abs=1e-4)
        assert found.gaps[number] == pytest.approx(said.apart, abs=1e-4)
        assert bool(found.equal[number]) is said.agree
    results = json.loads((run / "results.json").read_text())
    assert found.right("teacher").mean() == pytest.approx(results["teacher"]["score"])
    assert found.right("student").mean() == pytest.approx(results["student"]["score"])
    assert found.equal.mean() == pytest.approx(results["agreement"])
    assert found.gaps[found.furthest(1)[0]] == found.gaps.max()
    assert found.by_slice()[0].count == len(found) and headline(found.by_slice(), "texts")


def test_answers_are_kept_for_these_weights_and_no_others(run, monkeypatch):
    found = asked(run)
    kept = read_held_out(run, model_folders(run))
    assert kept.texts == found.texts and kept.equal.tolist() == found.equal.tolist()
    assert kept.answers["student"] == pytest.approx(found.answers["student"], abs=1e-5)
    other = held_out.weights_of(model_folders(run)) | {"student": "0" * 64}
    monkeypatch.setattr(held_out, "weights_of", lambda folders: other)
    assert read_held_out(run, model_folders(run)) is None, "other weights give other answers"


def test_the_hidden_words_are_those_that_the_result_counts(words):
    folders = model_folders(words)
    found = ask_held_out_words(runs.read_settings(words), words, folders, PLAIN, Recorder())
    results = json.loads((words / "results.json").read_text())
    everything = found.by_slice()[0]
    assert everything.count == results["examples"]
    assert everything.teacher.value == pytest.approx(results["teacher"]["score"])
    assert everything.student.value == pytest.approx(results["student"]["score"])
    assert everything.agreement.value == pytest.approx(results["agreement"])
    assert all(context.count("[MASK]") == 1 for context in found.contexts)
    for number in found.lost(5):
        assert found.teacher[number] == found.words[number] != found.student[number]
    assert read_held_out_words(words, folders) == found
    (words / held_out_words.FILE).write_text('{"version": 1}')
    assert read_held_out_words(words, folders) is None


@pytest.mark.parametrize(
    "damage",
    [
        {"version": 0},
        {"texts": []},
        {"labels": [7]},
        {"answers": {"teacher": [], "student": []}},
        {"seldom": "x"},
        {"split": 3},
        {"texts": [1] * 24},
    ],
)
def test_damaged_answers_are_asked_for_again(run, damage):
    asked(run)
    raw = json.loads((run / held_out.FILE).read_text())
    write_json(run / held_out.FILE, raw | damage)
    assert read_held_out(run, model_folders(run)) is None
    (run / held_out.FILE).write_text("{")
    assert read_held_out(run, model_folders(run)) is None


def test_data_that_has_changed_since_is_refused(run):
    settings = runs.read_settings(run)
    path = Path(settings.data.path)
    before = path.read_bytes()
    path.write_bytes(before + b"the film is warm,positive\r\n")
    try:
        with pytest.raises(DistilleryError, match="have changed since this run"):
            asked(run)
    finally:
        path.write_bytes(before)


# Work in the background


@pytest.fixture
def unasked(run: Path) -> Path:
    """The run without kept answers, and no job that ever asked about it."""
    (run / held_out.FILE).unlink(missing_ok=True)
    for folder in jobs.folders_in(jobs_root()):
        jobs.remove(folder)
    return run


def begin(run: Path) -> Path:
    """As the page does it; the job's folder."""
    folder = job.held_out_job(run.name, held_out.weights_of(model_folders(run)))
    job.start_held_out(folder, run.name, PLAIN)
    return folder


def test_the_same_work_is_done_once(unasked):
    with ThreadPoolExecutor(8) as tabs:
        begun = set(tabs.map(lambda _: jobs.written_status(begin(unasked)).queued_at, range(8)))
    (folder,) = kinds.queue.waiting(kinds.BESIDE)
    assert begun == {jobs.written_status(folder).queued_at}
    assert kinds.carry_out(folder) == "finished" and jobs.read_status(folder).share == 1.0
    kept = read_held_out(unasked, model_folders(unasked))
    assert kept.texts == asked(unasked).texts and listing(folder) == ["config.json", "status.json"]


def test_hidden_words_are_asked_about_in_the_same_way(words):
    (words / held_out_words.FILE).unlink(missing_ok=True)
    assert kinds.carry_out(begin(words)) == "finished"
    assert read_held_out_words(words, model_folders(words)) is not None


def test_one_piece_of_work_at_a_time_beside_a_training(unasked, words):
    first, second = begin(unasked), begin(words)
    training = runs.create_run(runs.read_settings(unasked), "20261122-140000-eeee")
    assert kinds.queue.waiting(kinds.BESIDE) == [first, second], "in the order in which they were asked"
    with kinds.queue.turn(first) as is_first, kinds.queue.turn(second) as is_second:
        assert is_first and not is_second, "the second waits until the first has ended"
        with kinds.queue.turn(training) as may_train:
            assert may_train
    with kinds.queue.turn(second) as is_second:
        assert is_second
    jobs.remove(training)


def test_stop_ends_it_and_it_can_begin_anew(unasked):
    folder = begin(unasked)
    assert kinds.carry_out(folder, lambda: jobs.request_stop(folder) or False) == "stopped"
    assert jobs.read_status(folder).sentence == "Stopped by you before anything was answered."
    assert read_held_out(unasked, model_folders(unasked)) is None
    assert jobs.state_of(begin(unasked)) == "queued"
    assert kinds.carry_out(folder) == "finished"
    assert read_held_out(unasked, model_folders(unasked)) is not None


def test_a_killed_one_says_so_and_can_begin_anew(unasked):
    folder = begin(unasked)
    gone = of_folder(this_process(), folder) | {"started": "1"}
    jobs.write_status(folder, jobs.Status("running", "", owner=gone))
    assert jobs.state_of(folder) == "interrupted" and "without saying why" in jobs.read_status(folder).sentence
    assert jobs.state_of(begin(unasked)) == "queued"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (DistilleryError("no such file"), "no such file"),
        (ZeroDivisionError(), "ZeroDivisionError"),
        (MemoryError(), "memory"),
    ],
)
def test_a_failure_is_a_sentence_and_it_can_begin_anew(unasked, monkeypatch, error, reason):
    def fail(*_):
        raise error

    monkeypatch.setattr(held_out, "ask_held_out", fail)
    folder = begin(unasked)
    assert kinds.carry_out(folder) == "failed"
    sentence = jobs.read_status(folder).sentence
    assert reason in sentence and "at step" not in sentence
    assert type(error).__name__ in (folder / "log.txt").read_text()
    if type(error) is ZeroDivisionError:
        assert f"log.txt in jobs/{folder.name} has the details" in sentence
    assert jobs.state_of(begin(unasked)) == "queued"


def test_importing_needs_no_torch():
    names = ("job", "held_out", "held_out_words", "file_answers", "inside", "slices")
    code = f"import sys\nfor name in {names}: __import__(f'core.scoring.{{name}}')\nsys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=300).returncode == 0
    assert job.KEPT
