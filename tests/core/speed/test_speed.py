"""Measuring: a fair stopwatch, honest sizes, one process at a time, and one sentence whatever happens to it."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from core.__main__ import main
from core.cli import FAILED, FINISHED, STOPPED, kinds, measure
from core.errors import DistilleryError
from core.export import job as export
from core.jobs import carry_out as carrying
from core.jobs import folder as jobs
from core.jobs.folder import Status
from core.jobs.owner import of_folder, this_process
from core.jobs.process import Launcher
from core.jobs.queue import MACHINE, lane_lock
from core.jobs.worker import Worker
from core.models.saved import load_model
from core.runs import folder as runs
from core.runs.comparable import model_folders
from core.speed import clock, job
from core.speed.forms import forms_of, weights_of
from core.speed.machine import Machine, this_machine
from core.speed.measure import cells_for
from core.speed.measurement import Cell, Measurement, others, place, read_measurement
from core.speed.standing import measured_runs, reported, smallest_keeping, standing
from core.storage import BrokenRun, jobs_root
from tests.fixtures.counted_work import work
from tests.fixtures.made_measurements import made_measurement
from tests.fixtures.made_runs import RESULTS, make_run
from tests.fixtures.serving import ROOT, server_environment
from tests.fixtures.small_runs import world_of
from tests.fixtures.tiny_models import finished_run

RUN = "20261122-120000-ab12"
LIMIT_S = 60.0


class Drifting:
    """A clock on a machine that becomes slower with every pass: `cost` of each pass, times how slow it is by then."""

    def __init__(self, slower: float) -> None:
        self.at, self.slower, self.factor = 0.0, slower, 1.0

    def __call__(self) -> float:
        return self.at

    def work(self, cost: float) -> None:
        self.at += cost * self.factor
        self.factor *= self.slower


# --- the stopwatch ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slower", [1.0, 1.02, 0.98])
def test_a_machine_that_drifts_changes_no_comparison(slower):
    now = Drifting(slower)
    passes = {"teacher": lambda: now.work(2.0), "student": lambda: now.work(1.0)}
    times = clock.take_turns(passes, 40, now=now)
    medians = {name: statistics.median(values) for name, values in times.items()}
    assert medians["teacher"] / medians["student"] == pytest.approx(2.0, rel=0.03)
    assert slower == 1.0 or times["teacher"][0] != pytest.approx(times["teacher"][-1], rel=0.3)


def test_each_pass_runs_once_a_round_and_another_one_begins():
    order: list[str] = []
    passes = {name: lambda name=name: order.append(name) for name in "abc"}
    clock.take_turns(passes, 4)
    assert "".join(order) == "abc" + "bca" + "cab" + "abc"


def test_what_happens_between_two_passes_is_not_timed():
    now = Drifting(1.0)
    times = clock.take_turns({"a": lambda: now.work(1.0)}, 3, between=lambda: now.work(50.0), now=now)
    assert times == {"a": [1000.0] * 3}


@pytest.mark.parametrize(("cost_s", "rounds"), [(1e-6, clock.MOST), (0.25, 6), (20.0, clock.LEAST)])
def test_quick_models_are_timed_often_and_slow_ones_often_enough(cost_s, rounds):
    now = Drifting(1.0)
    assert clock.rounds_after_warming_up({"a": lambda: now.work(cost_s)}, now=now) == rounds


# --- machine, forms, files --------------------------------------------------------------------------------------


def test_a_measurement_belongs_to_its_machine_and_its_weights():
    here = Machine(processor="P", threads=2, gpus=(), versions={"torch": "2.13.0"})
    others_ = [
        here.model_copy(update=change)
        for change in ({"processor": "Q"}, {"threads": 1}, {"gpus": ("G",)}, {"versions": {"torch": "2.14.0"}})
    ]
    keys = {machine.key({"student": "aa"}) for machine in [here, *others_]} | {here.key({"student": "bb"})}
    assert len(keys) == 6
    assert here.model_copy().key({"student": "aa"}) in keys
    assert this_machine().threads == len(os.sched_getaffinity(0)) and this_machine(3).threads == 3


@pytest.mark.parametrize("objective", ["labels", "masked_words"])
def test_parameters_are_counted_apart_as_the_models_have_them(home, objective):
    folder = finished_run(home, objective=objective)
    forms = forms_of(folder)
    assert [form.key for form in forms] == ["teacher/torch", "student/torch"]
    for form, where in zip(forms, model_folders(folder).values(), strict=True):
        model, _ = load_model(where)
        shape = form.shape
        assert shape.parameters == sum(values.numel() for values in model.parameters())
        assert shape.embedding_parameters == sum(v.numel() for v in model.base_model.embeddings.parameters())
        assert form.disk_mb == pytest.approx((where / "model.safetensors").stat().st_size / 1e6)


def test_models_that_read_little_are_measured_on_the_shorter_texts(home):
    assert cells_for(forms_of(finished_run(home))) == [(1, 16), (1, 64), (32, 16), (32, 64)]


def test_what_was_measured_is_found_again_and_only_on_this_machine(home):
    folder = finished_run(home)
    kept = made_measurement(folder)
    assert read_measurement(folder, weights_of(folder)) == kept
    elsewhere = this_machine().model_copy(update={"processor": "another"})
    assert read_measurement(folder, weights_of(folder), elsewhere) is None
    assert others(folder, weights_of(folder), elsewhere) == ([kept], [])
    assert kept.times_as_fast(kept.form("student"), Cell()) == pytest.approx(2.0)


BROKEN = ("", "{", "[]", '{"machine": 3}', '{"forms": []}')


@pytest.mark.parametrize("content", [*BROKEN, "no median", "not finite"], ids=str)
def test_a_broken_measurement_is_a_sentence_that_names_the_file(home, content):
    folder = finished_run(home)
    kept = made_measurement(folder)
    path = place(folder, kept.weights, kept.machine)
    raw = path.read_text()
    median = raw.index('"median_ms"')
    end = raw.index(",", median)
    made = {
        "no median": raw[:median] + raw[end + 1 :],
        "not finite": raw[:median] + '"median_ms": Infinity' + raw[end:],
    }
    path.write_text(made.get(content, content))
    with pytest.raises(BrokenRun, match=f"speed/{path.name}"):
        read_measurement(folder, weights_of(folder))
    (run,), _ = measured_runs()
    assert path.name in run.problem and run.measurement is None


# --- where runs stand -------------------------------------------------------------------------------------------


def test_the_smallest_run_that_keeps_enough_is_the_smallest_of_those(home):
    for hour, (kept, size) in enumerate([(0.99, 17e6), (0.97, 12e6), (0.95, 9e6), (1.01, 30e6), (None, 1e6)]):
        student = RESULTS["student"] | {"parameters": int(size)}
        make_run(home, f"20261122-1{hour}0000-ab12", results=RESULTS | {"kept": kept, "student": student})
    found, _ = measured_runs()
    points = [point for run in found if (point := standing(run, Cell())) is not None]
    assert len(points) == 4, "a run whose score is undefined stands nowhere"
    for share in (0.5, 0.95, 0.96, 0.98, 1.0):
        best = smallest_keeping(points, share)
        assert best.kept >= share
        assert best.parameters == min(point.parameters for point in points if point.kept >= share)
    assert smallest_keeping(points, 1.02) is None and smallest_keeping([], 0.5) is None


def test_a_run_not_measured_on_the_grid_stands_where_its_result_says(home):
    make_run(home)
    (run,), _ = measured_runs()
    point = standing(run, Cell())
    assert not point.pace.on_grid and point.pace.times_as_fast == pytest.approx(8.1 / 4.2)
    assert point.pace.less_time == pytest.approx(1 - 4.2 / 8.1)


def test_a_run_measured_on_the_grid_stands_where_the_grid_says(home):
    made_measurement(finished_run(home), 9.0, 3.0)
    (run,), _ = measured_runs()
    assert standing(run, Cell()).pace.on_grid and standing(run, Cell()).pace.times_as_fast == pytest.approx(3.0)
    assert not standing(run, Cell(tokens=128)).pace.on_grid


def test_the_paper_is_told_in_both_readings():
    said = reported()
    assert (round(said.kept, 3), round(said.smaller, 2)) == (0.969, 0.40)
    assert (round(said.times_as_fast, 2), round(said.less_time, 3)) == (1.63, 0.386)


def test_two_hundred_runs_cost_five_times_as_much_to_read_as_forty(home):
    costs = []
    for number in range(200):
        make_run(home, f"20261122-12{number // 60:02}{number % 60:02}-ab12")
        if number + 1 in (40, 200):
            # The first reading remembers what cannot change.
            found, _ = measured_runs()
            costs.append(work(measured_runs))
            assert len(found) == number + 1
    assert costs[1] < 6 * costs[0]


# --- one process at a time, and its end ---------------------------------------------------------------------------


@pytest.fixture
def signals() -> Iterator[None]:
    """What the terminal's program does with signals is undone."""
    before = {name: signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for name, handler in before.items():
        signal.signal(name, handler)


def begin() -> Path:
    """As the button does it."""
    return job.begin(RUN, kinds.why_not_measure())


def ended(leaving=lambda: False) -> Status:
    """Carry out what was begun, in this process; how it ended."""
    kinds.carry_out(jobs_root() / job.NAME, leaving)
    return job.current()[1]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Status]]:
    """A tiny finished run, measured by the process that a server starts for it, and how that ended."""
    with world_of(tmp_path_factory.mktemp("home")) as home:
        folder = finished_run(home, RUN)
        command = [sys.executable, "-m", "core", "job", str(begin())]
        done = subprocess.run(command, cwd=ROOT, env=server_environment(home), capture_output=True, text=True)
        assert done.returncode == FINISHED, done.stderr[-2000:]
        yield folder, job.current()[1]


def test_a_measurement_holds_every_form_and_cell(measured):
    folder, status = measured
    assert (status.state, status.share) == ("finished", 1.0) and status.sentence.startswith("Measured in")
    found = read_measurement(folder, weights_of(folder))
    assert [(form.role, form.runtime) for form in found.forms] == [("teacher", "torch"), ("student", "torch")]
    for form in found.forms:
        assert {(time.cell.batch, time.cell.tokens) for time in form.times} == {(1, 16), (1, 64), (32, 16), (32, 64)}
        assert all(0 < time.median_ms <= time.p95_ms and 12 <= time.repeats <= 60 for time in form.times)
        assert 1 < form.memory_mb < 200, "above the libraries, which alone take several hundred"
    assert found.machine == this_machine() and found.load[0] is not None
    assert found.times_as_fast(found.form("student"), Cell(batch=32)) > 1, "it has half the layers"


def test_nothing_else_in_the_run_changes(measured):
    folder, _ = measured
    assert sorted(path.name for path in folder.iterdir() if path.name not in ("student", "speed")) == [
        "config.json", "metrics.jsonl", "results.json", "status.json", "teacher.json",
    ]  # fmt: skip
    assert lane_lock(MACHINE).acquire(blocking=False), "the lock is free again"


def test_two_tabs_start_one_measurement_and_stop_ends_it(home):
    finished_run(home, RUN)
    with ThreadPoolExecutor(8) as tabs:
        begun = set(tabs.map(lambda _: jobs.written_status(begin()).queued_at, range(8)))
    assert len(begun) == 1 and jobs.folders_in(jobs_root()) == [jobs_root() / job.NAME]
    assert job.measuring()[0] == RUN
    job.stop()
    assert (job.current()[1].state, job.measuring()) == ("stopped", None)
    assert ended().state == "stopped", "what was stopped while it waited never begins"


def test_stop_ends_a_measurement_between_two_passes_and_keeps_nothing(home):
    folder = finished_run(home, RUN)
    begin()
    assert ended(leaving=job.stop).sentence == f"Stopped by you. {job.STOPPED}"
    assert job.current()[1].state == "stopped" and not (folder / "speed").exists()
    begin()
    assert job.measuring()[1].state == "queued", "it can begin again"


def test_a_measurement_that_is_killed_is_one_sentence_and_can_begin_again(home):
    finished_run(home, RUN)
    folder = begin()
    worker = Worker(kinds.queue, Launcher(lambda argument: [sys.executable, "-m", "core", "job", argument]))
    worker.start()
    try:
        until(lambda: jobs.written_status(folder).owner)
        os.kill(jobs.written_status(folder).owner["pid"], signal.SIGKILL)
        until(lambda: jobs.written_status(folder).state == "interrupted")
    finally:
        worker.shutdown(LIMIT_S)
    assert job.current()[1].sentence.endswith(f"ended the process (SIGKILL). {job.STOPPED}")
    assert job.measuring() is None and kinds.why_not_measure() == ""
    begin()
    assert job.measuring()[1].state == "queued"


def until(holds) -> None:
    """Wait for what another process does."""
    deadline = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("state", "why"), [("running", "Something on this machine trains"), ("queued", "waits for its turn")]
)
def test_nothing_is_measured_while_a_run_trains_or_waits(home, state, why):
    finished_run(home, RUN)
    training = make_run(home, "20261122-130000-ab12", state="running")
    if state == "queued":
        runs.write_status(training, jobs.queued("Waiting.", None))
    with pytest.raises(DistilleryError, match=why):
        begin()
    assert job.current() is None


def test_nothing_is_measured_beside_an_export(home):
    folder = finished_run(home, RUN)
    exporting = export.start(folder)
    with pytest.raises(DistilleryError, match="waits for its turn"):
        begin()
    status = jobs.read_status(exporting)
    owner = of_folder(this_process(), exporting)
    jobs.write_status(exporting, replace(status, state="running", owner=owner))
    with pytest.raises(DistilleryError, match="is being exported now"):
        begin()
    assert job.current() is None


def test_a_training_in_another_process_is_respected(home, monkeypatch):
    """The lock is the last word: a run may begin between the click and the measurement."""
    folder = finished_run(home, RUN)
    monkeypatch.setattr(carrying, "RETRY_S", 0.01)
    leaving = threading.Event()
    leaving.set()
    with lane_lock(MACHINE):
        assert carrying.wait_and_carry_out(kinds.queue, begin(), leaving) is None
    assert job.current()[1].sentence == "Stopped before it began."
    assert not (folder / "speed").exists()


def test_the_terminal_measures_and_its_exit_code_says_how_it_went(home, signals, monkeypatch, capsys):
    folder = finished_run(home, RUN)
    assert main(["measure", RUN, "--threads", "1"]) == FINISHED
    assert "finished: Measured in" in capsys.readouterr().out
    assert read_measurement(folder, weights_of(folder), this_machine(1)) is not None
    leaving = threading.Event()
    leaving.set()
    monkeypatch.setattr(measure, "leave_on_signals", lambda: leaving)
    assert main(["measure", RUN]) == STOPPED
    assert job.current()[1].sentence == f"Stopped because the program was closed. {job.STOPPED}"


def test_the_terminal_begins_no_second_measurement(home, signals, capsys):
    finished_run(home, RUN)
    before = jobs.written_status(begin()).queued_at
    assert main(["measure", RUN]) == FAILED
    assert (
        "under way already" in capsys.readouterr().err
        and jobs.written_status(jobs_root() / job.NAME).queued_at == before
    )


def test_a_damaged_model_is_a_sentence(home, signals):
    weights = model_folders(finished_run(home, RUN))["teacher"] / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-4] ^= 1
    weights.write_bytes(content)
    assert main(["measure", RUN]) == FAILED
    status = job.current()[1]
    assert status.state == "failed" and "The teacher could not be opened" in status.sentence
    assert "SHA-256" in status.sentence and "Traceback" not in status.sentence


@pytest.mark.parametrize("program", [("core.speed",), ("core", "measure")], ids=" ".join)
def test_a_run_that_is_not_there_is_a_sentence(home, program):
    command = [sys.executable, "-m", *program, "nothing-of-this-name"]
    done = subprocess.run(command, cwd=ROOT, env=server_environment(home), capture_output=True, text=True)
    assert done.returncode == FAILED and "There is no run called" in done.stderr
    assert "Traceback" not in done.stderr and job.current() is None


@pytest.mark.parametrize("content", ["", "[]", '{"run_id": 3}', json.dumps({"owner": {}, "run": "", "state": "x"})])
@pytest.mark.parametrize("name", ["config.json", "status.json"])
def test_a_foreign_file_of_a_measurement_is_passed_over(home, name, content):
    finished_run(home, RUN)
    (begin() / name).write_text(content)
    if name == "status.json":
        assert job.current() is None and job.measuring() is None
        begin()
        assert job.measuring()[0] == RUN, "what cannot be read is in nobody's way"
    else:
        assert job.current() is None or job.current()[0] != RUN


def test_a_measurement_of_a_process_that_has_gone_has_ended(home):
    finished_run(home, RUN)
    folder = begin()
    gone = of_folder(this_process(), folder) | {"started": "1"}
    jobs.write_status(folder, Status("running", "1 text.", owner=gone))
    assert job.measuring() is None and job.current()[1].state == "interrupted"
    assert "without saying why" in job.current()[1].sentence
    job.stop()
    begin()
    assert job.measuring()[1].state == "queued"


def test_asking_what_was_measured_does_not_load_torch(home):
    made_measurement(finished_run(home))
    script = (
        "import sys\n"
        "from core.cli import kinds\n"
        "from core.speed import job\n"
        "from core.speed.standing import measured_runs\n"
        "assert measured_runs()[0][0].measurement is not None\n"
        "assert job.measuring() is None and kinds.why_not_measure() == ''\n"
        "heavy = {'torch', 'transformers', 'onnxruntime', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=server_environment(home), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_measurement_is_whole_after_a_round_trip(home):
    kept = made_measurement(finished_run(home))
    assert Measurement.model_validate_json(kept.model_dump_json()) == kept
