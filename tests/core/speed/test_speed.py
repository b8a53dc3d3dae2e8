"""Measuring: a fair stopwatch, honest sizes, one process at a time, and one sentence whatever happens to it."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.errors import DistilleryError
from core.models.saved import load_model
from core.runs import folder as runs
from core.runs import worker
from core.runs.comparable import model_folders
from core.runs.owner import this_process
from core.speed import clock, meter
from core.speed.__main__ import FAILED, main
from core.speed.forms import forms_of, weights_of
from core.speed.machine import Machine, this_machine
from core.speed.measure import cells_for
from core.speed.measurement import Cell, Measurement, others, place, read_measurement
from core.speed.meter import Progress
from core.speed.standing import measured_runs, reported, smallest_keeping, standing
from core.storage import BrokenRun
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


def ended() -> Progress:
    """Wait until the process that measures has gone; what it left."""
    pid = meter.current().owner["pid"]
    (thread,) = (each for each in threading.enumerate() if each.name == "measuring")
    thread.join(LIMIT_S)
    assert not Path(f"/proc/{pid}").exists()
    return meter.current()


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Progress]]:
    """A tiny finished run, measured as the page does it, and how that ended."""
    with world_of(tmp_path_factory.mktemp("home")) as home:
        folder = finished_run(home, RUN)
        meter.begin(RUN)
        yield folder, ended()


def test_a_measurement_holds_every_form_and_cell(measured):
    folder, progress = measured
    assert (progress.state, progress.share) == ("finished", 0.0) and progress.sentence.startswith("Measured in")
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
    assert worker.machine_lock().acquire(blocking=False), "the lock is free again"


def test_two_tabs_start_one_measurement_and_stop_ends_it(home):
    finished_run(home, RUN)
    with ThreadPoolExecutor(8) as tabs:
        list(tabs.map(lambda _: meter.begin(RUN), range(8)))
    assert sum(thread.name == "measuring" for thread in threading.enumerate()) == 1
    assert meter.measuring().run_id == RUN
    meter.stop()
    assert (ended().state, meter.current().sentence) == ("stopped", meter.STOPPED)
    assert not (home / "runs" / RUN / "speed").exists()


def test_a_measurement_that_is_killed_is_one_sentence_and_can_begin_again(home):
    finished_run(home, RUN)
    meter.begin(RUN)
    os.kill(meter.current().owner["pid"], signal.SIGKILL)
    assert (ended().state, meter.current().sentence) == ("failed", meter.DIED)
    assert meter.measuring() is None and meter.why_not() == ""


def test_nothing_is_measured_while_a_run_trains_or_waits(home):
    finished_run(home, RUN)
    training = make_run(home, "20261122-130000-ab12", state="running")
    with pytest.raises(DistilleryError, match="A run trains now"):
        meter.begin(RUN)
    runs.write_status(training, runs.Status("queued", "Waiting."))
    with pytest.raises(DistilleryError, match="waits for its turn"):
        meter.begin(RUN)
    assert meter.current() is None


def test_a_training_in_another_process_is_respected(home, signals):
    """The lock is the last word: a run may begin between the click and the measurement."""
    folder = finished_run(home, RUN)
    with worker.machine_lock():
        assert main([RUN]) == FAILED
    assert (meter.current().state, meter.current().sentence) == ("failed", meter.TAKEN)
    assert not (folder / "speed").exists()


def test_a_damaged_model_is_a_sentence(home, signals):
    weights = model_folders(finished_run(home, RUN))["teacher"] / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-4] ^= 1
    weights.write_bytes(content)
    assert main([RUN]) == FAILED
    assert "The teacher could not be opened" in meter.current().sentence
    assert "SHA-256" in meter.current().sentence and "Traceback" not in meter.current().sentence


def test_a_run_that_is_not_there_is_a_sentence(home, signals, capsys):
    assert main(["nothing-of-this-name"]) == FAILED
    assert "There is no run called" in meter.current().sentence


@pytest.mark.parametrize("content", ["", "[]", '{"run_id": 3}', json.dumps({"owner": {}, "run_id": "", "state": "x"})])
def test_a_foreign_progress_file_is_passed_over(home, content):
    (home / "runs").mkdir()
    (home / "runs" / ".measuring.json").write_text(content)
    assert meter.current() is None and meter.measuring() is None


def test_a_measurement_of_a_process_that_has_gone_has_ended(home):
    gone = this_process() | {"started": "1"}
    (home / "runs").mkdir()
    meter.write_progress(Progress(run_id=RUN, state="measuring", sentence="1 text.", owner=gone))
    assert meter.measuring() is None and meter.current().sentence == meter.DIED
    meter.stop()


def test_asking_what_was_measured_does_not_load_torch(home):
    made_measurement(finished_run(home))
    script = (
        "import sys\n"
        "from core.speed import meter\n"
        "from core.speed.standing import measured_runs\n"
        "assert measured_runs()[0][0].measurement is not None\n"
        "assert meter.measuring() is None and meter.why_not() == ''\n"
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
