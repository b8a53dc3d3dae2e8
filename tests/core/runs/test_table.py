"""The list of runs without a page: what is read of each, its name and notes, its size, and deleting it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from core.config import Settings
from core.errors import DistilleryError
from core.jobs.owner import this_process
from core.jobs.queue import MACHINE, lane_lock
from core.runs import folder as runs
from core.runs import remove as removal
from core.runs.about import LONGEST_NAME, LONGEST_NOTES, read_about, run_name, write_about
from core.runs.comparable import comparable_runs
from core.runs.curves import read_curves
from core.runs.disk import checkpoints, size_mb, sizes
from core.runs.remove import remove, why_not
from core.runs.table import POINTS, WHOLE_BYTES, list_rows, loss_in_short, row_of
from core.storage import BrokenRun, write_json
from tests.fixtures.counted_work import work
from tests.fixtures.made_runs import BROKEN, RESULTS, make_200_runs, make_run, make_runs
from tests.fixtures.serving import ROOT
from tests.fixtures.synthetic_curves import student_events, teacher_events, write_events

# --- the table --------------------------------------------------------------------------------------------------


def test_two_hundred_runs_five_of_them_broken_are_listed_each_with_its_cause(home):
    make_200_runs(home)
    rows = list_rows()
    broken = {row.run_id: row.problem for row in rows if row.problem}
    assert (len(rows), len(broken)) == (200, 5)
    assert all(f"{run_id}/" in problem for run_id, problem in broken.items())
    for name in ("status.json", "config.json", "results.json", "about.json"):
        assert any(name in problem for problem in broken.values())
    assert all(len(row.loss) > 10 and row.size_mb > 0.05 for row in rows)


def test_the_list_reads_no_more_of_long_runs_nothing_twice_and_each_run_once(home, tmp_path, monkeypatch):
    costs = {}
    for count, steps in ((40, 480), (40, 4800), (200, 480)):
        served = tmp_path / f"{count}-{steps}"
        served.mkdir()
        monkeypatch.setenv("DISTILLERY_HOME", str(served))
        make_runs(served, count, steps)
        costs[count, steps] = work(list_rows)
        assert work(list_rows) < costs[count, steps] / 8
    assert costs[40, 4800] < 1.5 * costs[40, 480]
    assert costs[200, 480] < 6 * costs[40, 480]


def test_a_row_says_what_the_run_says(home):
    folder = make_run(home, settings=Settings(name="Mine"))
    row = row_of(folder)
    assert (row.run_id, row.name, row.state, row.problem) == (folder.name, "Mine", "finished", "")
    assert row.results == RESULTS and row.settings == Settings(name="Mine")
    assert row.size_mb == pytest.approx(sum(path.stat().st_size for path in folder.iterdir()) / 1e6)


def test_what_has_changed_is_read_again_and_what_is_gone_is_forgotten(home):
    folder = make_run(home, state="stopped")
    assert row_of(folder).results is None
    write_json(folder / "results.json", RESULTS)
    runs.write_status(folder, runs.Status("finished", "Done."))
    assert list_rows()[0].results == RESULTS
    write_events(folder / "metrics.jsonl", student_events(50))
    assert row_of(folder).loss == loss_in_short(folder / "metrics.jsonl") != ()
    shutil.rmtree(folder)
    assert list_rows() == []
    assert make_run(home, state="failed") == folder
    assert list_rows()[0].results is None


def test_a_run_whose_process_dies_is_interrupted_though_no_file_has_changed(home, monkeypatch):
    folder = make_run(home, state="running")
    assert row_of(folder).state == "running"
    monkeypatch.setattr("core.jobs.owner.is_alive", lambda owner, folder: False)
    assert row_of(folder).state == "interrupted"


def test_the_loss_in_short_is_the_students_as_soon_as_it_has_begun(tmp_path):
    path = write_events(tmp_path / "metrics.jsonl", teacher_events(30))
    teacher = loss_in_short(path)
    assert 0 < len(teacher) <= POINTS and max(teacher) < 1.2
    write_events(path, [*teacher_events(30), *student_events(30)])
    student = loss_in_short(path)
    assert 0 < len(student) <= POINTS and student[0] > 3 and student[-1] < student[0]


def test_a_long_loss_has_the_shape_of_the_whole(tmp_path):
    path = write_events(tmp_path / "metrics.jsonl", [*teacher_events(2000), *student_events(6000)])
    assert path.stat().st_size > 5 * WHOLE_BYTES
    short = loss_in_short(path)
    every = [event["loss"] for event in student_events(6000) if event["event"] == "step"]
    assert 20 <= len(short) <= POINTS
    assert short[0] == pytest.approx(every[80], rel=0.3)
    assert short[-1] == pytest.approx(sum(every[-50:]) / 50, rel=0.2)
    assert all(earlier > later - 0.4 for earlier, later in zip(short, short[1:], strict=False))


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"loss": "much", "stage": "student"}', '{"loss": 1, "stage": []}', "\x00"]
)
def test_a_foreign_line_is_no_loss(tmp_path, line):
    path = write_events(tmp_path / "metrics.jsonl", student_events(5))
    whole = loss_in_short(path)
    path.write_text(path.read_text() + f'{line} "loss"\n{line}\n')
    assert loss_in_short(path) == whole
    assert loss_in_short(tmp_path / "none.jsonl") == ()


def test_the_list_needs_no_torch():
    modules = (
        "core.runs.table, core.runs.about, core.runs.disk, core.runs.remove, core.runs.curves, core.runs.tensorboard"
    )
    code = f"import sys, {modules}; sys.exit(bool({{'torch', 'transformers', 'tensorboardX'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=300).returncode == 0


# --- name and notes ---------------------------------------------------------------------------------------------


def test_a_name_given_later_is_the_name_everywhere_and_the_settings_stay_as_they_were(home):
    folder = make_run(home, settings=Settings(name="First"))
    frozen = (folder / "config.json").read_bytes()
    assert run_name(folder) == "First"
    write_about(folder, "  A  better\nname ", "Line one.\nLine two.  ")
    assert (read_about(folder).name, read_about(folder).notes) == ("A better name", "Line one.\nLine two.")
    (listed,) = [run for runs_of_a_kind in comparable_runs() for run in runs_of_a_kind]
    assert run_name(folder) == row_of(folder).name == listed.name == "A better name"
    assert row_of(folder).notes == "Line one.\nLine two."
    assert (folder / "config.json").read_bytes() == frozen
    write_about(folder, "", "")
    assert run_name(folder) == "First"


def test_a_run_without_a_name_is_called_by_when_it_was_set_up(home):
    assert run_name(make_run(home, "20261122-170501-ab12")) == "Run of 22 Nov, 17:05"
    broken = make_run(home, "mine")
    (broken / "config.json").unlink()
    assert run_name(broken) == "Run mine"


@pytest.mark.parametrize(
    ("name", "notes"),
    [("x" * (LONGEST_NAME + 1), ""), ("", "x" * (LONGEST_NOTES + 1)), ("\ud800", ""), ("", "a\udfff")],
)
def test_a_name_that_cannot_be_kept_is_refused_and_the_old_one_stays(home, name, notes):
    folder = make_run(home)
    write_about(folder, "Old", "old")
    with pytest.raises(DistilleryError, match="cannot be kept"):
        write_about(folder, name, notes)
    assert read_about(folder).name == "Old"


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"name": 3}', '{"colour": "red"}', json.dumps({"name": "x" * 99}), '{"name": "\\ud800"}']
)
def test_a_foreign_about_file_is_named_and_the_run_keeps_its_name(home, content):
    folder = make_run(home, settings=Settings(name="Mine"))
    (folder / "about.json").write_text(content)
    with pytest.raises(BrokenRun, match="about.json"):
        read_about(folder)
    assert run_name(folder) == "Mine" and "about.json" in row_of(folder).problem


def test_a_deleted_run_cannot_be_named(home):
    folder = make_run(home)
    shutil.rmtree(folder)
    with pytest.raises(BrokenRun, match="There is no run"):
        write_about(folder, "Late", "")
    assert not folder.exists()


# --- size and checkpoints ---------------------------------------------------------------------------------------


def test_the_parts_are_the_whole_folder_and_checkpoints_come_newest_first(home):
    folder = make_run(home, state="stopped")
    for name in ("teacher-00000090", "student-00000010", "student-00000020", ".building", "student-x"):
        (folder / "checkpoints" / name).mkdir(parents=True)
        (folder / "checkpoints" / name / "weights").write_bytes(b"0" * 1000)
    (folder / "elsewhere").symlink_to(ROOT)
    assert sum(sizes(folder).values()) == pytest.approx(size_mb(folder)) and size_mb(folder) < 0.1
    assert next(iter(sizes(folder))) == "checkpoints"
    assert [(each.stage, each.step) for each in checkpoints(folder)] == [
        ("student", 20), ("student", 10), ("teacher", 90)
    ]  # fmt: skip
    assert size_mb(home / "nothing") == 0


# --- deleting ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["finished", "failed", "stopped", "queued"])
def test_a_run_that_rests_is_deleted_whole(home, state):
    folder = make_run(home, state=state)
    other = make_run(home, "20261122-130000-ab12")
    remove(folder)
    assert runs.list_runs() == [other] and not [*(home / "runs").glob(".deleted-*")]


@pytest.mark.parametrize("state", ["preparing", "running", "stopping"])
def test_a_run_that_trains_is_never_deleted(home, state):
    folder = make_run(home, state=state)
    with pytest.raises(DistilleryError, match="Stop it first"):
        remove(folder)
    assert (folder / "config.json").exists()


def test_a_waiting_run_that_another_process_has_taken_is_not_deleted(home):
    folder = make_run(home, state="queued")
    runs.write_status(folder, runs.Status("queued", "Waiting.", owner=this_process()))
    assert "Another process" in why_not(folder)
    with pytest.raises(DistilleryError, match="Another process"):
        remove(folder)
    assert folder.exists()


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_run_can_be_deleted(home, name):
    folder = make_run(home)
    (folder / name).write_text(BROKEN[name])
    remove(folder)
    assert not folder.exists()


def test_a_deletion_that_is_cut_off_leaves_nothing_in_the_list_and_is_completed_later(home, monkeypatch):
    folder, other = make_run(home), make_run(home, "20261122-130000-ab12")

    def cut_off(path: Path) -> None:
        (path / "config.json").unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(removal.shutil, "rmtree", cut_off)
        remove(folder)
    assert runs.list_runs() == [other] and [*(home / "runs").glob(".deleted-*")]
    remove(other)
    assert runs.list_runs() == [] and not [*(home / "runs").glob(".deleted-*")]


def test_while_another_run_trains_a_finished_one_can_be_deleted(home):
    folder = make_run(home)
    with lane_lock(MACHINE):
        remove(folder)
    assert not folder.exists()


def test_nothing_can_begin_while_a_run_is_looked_at_and_renamed(home, monkeypatch):
    folder = make_run(home, state="queued")
    held = []

    def look(found: Path) -> str:
        held.append(subprocess.run([sys.executable, "-c", TRY_LOCK], cwd=ROOT, timeout=300).returncode)
        return why_not(found)

    monkeypatch.setattr(removal, "why_not", look)
    remove(folder)
    assert held == [7] and not folder.exists()


TRY_LOCK = """
import sys
from filelock import Timeout
from core.jobs.queue import MACHINE, lane_lock
try:
    lane_lock(MACHINE).acquire(blocking=False)
except Timeout:
    sys.exit(7)
"""


def test_a_link_to_a_run_elsewhere_is_unlinked_and_its_target_left_alone(home, tmp_path):
    target = tmp_path / "elsewhere"
    make_run(home).rename(target)
    (home / "runs" / "linked").symlink_to(target)
    remove(home / "runs" / "linked")
    assert (target / "config.json").exists()
    assert not [path for path in (home / "runs").iterdir() if path.name != ".training.lock"]


# --- curves for comparing ---------------------------------------------------------------------------------------


def test_curves_run_along_steps_time_and_sentences(home):
    folder = make_run(home)
    write_events(folder / "metrics.jsonl", [*teacher_events(20), *student_events(4000, steps_a_second=5)])
    curves = read_curves(folder)
    assert curves.names() == ["score", "agreement", "loss", "soft", "hard", "cosine"]
    assert curves.facts["teacher_score"] == 0.862
    ends = {along: curves.raw("loss", along)[0][-1] for along in ("step", "elapsed_s", "sentences")}
    assert ends == {"step": 4000, "elapsed_s": 800.0, "sentences": 32 * 4000}
    x, y = curves.raw("score", "sentences")
    assert x[0] == 0 and x[-1] <= 32 * 4000 and len(x) == len(y) == 25
    raw, smooth = curves.raw("loss", "step"), curves.smooth("loss", "step")
    assert len(raw[0]) <= 300 and len(smooth[0]) <= 160
    assert max(raw[1]) >= max(smooth[1]) and min(raw[1]) <= min(smooth[1])


def test_a_step_written_twice_counts_as_written_last_and_gaps_stay_gaps(home):
    folder = make_run(home)
    step = {"event": "step", "stage": "student", "elapsed_s": 1.0, "sentences": 8}
    lines = [step | {"step": 1, "loss": 9.0}, step | {"step": 2, "loss": None}, step | {"step": 1, "loss": 3.0}]
    write_events(
        folder / "metrics.jsonl", [*lines, {"event": "step", "stage": "student", "step": "x"}, {"event": "probe"}]
    )
    assert read_curves(folder).raw("loss", "step") == ([1, 2], [3.0, None])
    (folder / "metrics.jsonl").unlink()
    assert read_curves(folder).names() == [] and read_curves(folder).smooth("loss", "step") == ([], [])
