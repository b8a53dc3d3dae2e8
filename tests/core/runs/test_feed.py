"""The feed: what the live view of a run asks for, by byte offset."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from core.runs.feed import LIMIT, bucket_means, feed, thin_out
from core.runs.folder import BrokenRun
from tests.fixtures.synthetic_curves import WEIGHTS, SyntheticRun, student_events, teacher_events

CURVES = ("loss", "soft", "hard", "cosine")


@pytest.fixture
def run(home: Path) -> SyntheticRun:
    return SyntheticRun(home)


def step(number: int, stage: str = "student", **values) -> dict:
    clock = {"elapsed_s": number / 10, "sentences": 32 * number, "lr": 1e-4}
    return {"event": "step", "stage": stage, "step": number, "loss": 1.0, **clock, **values}


def columns(rows: int, **curves: list[float | None]) -> dict:
    return {"step": list(range(1, rows + 1)), **curves}


# --- the first answer -------------------------------------------------------------------------------------------


def test_the_first_answer_tells_everything_about_both_stages(run):
    run.append(*teacher_events(60), *student_events(100))
    answer = feed(run.folder, 0)
    assert (answer["state"], answer["stage"], answer["step"], answer["total_steps"]) == ("running", "student", 100, 100)
    assert answer["offset"] == run.metrics.stat().st_size and not answer["reset"]
    student = answer["stages"]["student"]
    assert student["facts"] == {
        "total_steps": 100,
        "metric": "accuracy",
        "teacher_score": 0.862,
        "majority": 0.5,
        "weights": WEIGHTS,
    }
    assert student["steps"]["step"] == list(range(1, 101))
    assert student["scores"]["step"][0] == 0 and set(student["scores"]) == {"step", "score", "agreement"}
    teacher = answer["stages"]["teacher"]
    assert set(teacher["steps"]) == {"step", "loss"} and set(teacher["scores"]) == {"step", "score"}
    assert teacher["facts"] == {"total_steps": 60, "metric": "accuracy"}


def test_a_run_without_metrics_has_a_state_and_nothing_else(run):
    answer = feed(run.folder, 0)
    assert (answer["state"], answer["offset"], answer["stages"]) == ("preparing", 0, {})
    assert answer["now"] == {"lr": None, "speed": None, "left_s": None}


def test_step_1_a_zero_and_a_gap_are_all_there(run):
    run.append(step(1, loss=0.0), step(2, loss=math.nan), step(3, loss=0.5))
    table = feed(run.folder, 0)["stages"]["student"]["steps"]
    assert table == {"step": [1, 2, 3], "loss": [0.0, None, 0.5]}


def test_a_term_that_weighs_nothing_has_no_curve(run):
    run.append(step(1, hard=0.7))
    assert set(feed(run.folder, 0)["stages"]["student"]["steps"]) == {"step", "loss", "hard"}


def test_numbers_have_four_significant_digits(run):
    run.append(step(1, loss=1.23456789, lr=0.000123456789))
    answer = feed(run.folder, 0)
    assert answer["stages"]["student"]["steps"]["loss"] == [1.235] and answer["now"]["lr"] == 0.0001235


def test_a_step_that_was_written_twice_counts_as_it_was_written_last(run):
    run.append(step(1), step(2, loss=9.0), step(3, loss=9.0), step(2, loss=2.0))
    table = feed(run.folder, 0)["stages"]["student"]["steps"]
    assert (table["step"], table["loss"]) == ([1, 2], [1.0, 2.0])


def test_lines_of_another_kind_are_passed_over(run):
    run.metrics.write_text('{"event":"step"}\n{"event":"step","stage":"student","step":"x","loss":1}\n[1]\nhello\n{}\n')
    answer = feed(run.folder, 0)
    assert answer["stages"] == {} and answer["offset"] == run.metrics.stat().st_size


# --- thinning ---------------------------------------------------------------------------------------------------


def test_a_long_history_is_thinned_to_real_rows(run):
    run.append(*student_events(12_000))
    stage = feed(run.folder, 0)["stages"]["student"]
    whole = {row["step"]: row for row in map(json.loads, run.metrics.open()) if row["event"] == "step"}
    table = stage["steps"]
    assert len(table["step"]) <= LIMIT
    assert (table["step"][0], table["step"][-1]) == (1, 12_000)
    assert table["step"] == sorted(set(table["step"]))
    for curve in CURVES:
        assert table[curve] == [float(f"{whole[number][curve]:.4g}") for number in table["step"]]
        assert max(table[curve]) == float(f"{max(row[curve] for row in whole.values()):.4g}")
        assert min(table[curve]) == float(f"{min(row[curve] for row in whole.values()):.4g}")


def test_every_bucket_keeps_the_least_and_the_greatest_of_every_curve():
    rows, limit = 5_000, 402
    up = [math.sin(row * 12.9898) * 43758.5453 % 1 for row in range(rows)]
    down = [math.cos(row * 78.233) * 12345.678 % 1 for row in range(rows)]
    kept = set(thin_out(columns(rows, up=up, down=down), ("up", "down"), limit)["step"])
    buckets = (limit - 2) // 4
    for number in range(buckets):
        bucket = range(rows * number // buckets, rows * (number + 1) // buckets)
        for values in (up, down):
            least, greatest = min(bucket, key=values.__getitem__), max(bucket, key=values.__getitem__)
            assert {least + 1, greatest + 1} <= kept
    assert len(kept) <= limit and {1, rows} <= kept


def test_a_short_table_is_left_alone():
    table = columns(LIMIT, loss=[1.0] * LIMIT)
    assert thin_out(table, ("loss",)) == table


def test_a_gap_stays_a_gap_after_thinning():
    values: list[float | None] = [1.0] * 5_000
    values[2_500] = None
    table = thin_out(columns(5_000, loss=values), ("loss",))
    assert 2_501 in table["step"] and None in table["loss"] and len(table["step"]) <= LIMIT


def test_a_zero_among_large_values_is_the_least_and_stays():
    values = [5.0] * 5_000
    values[1_234] = 0.0
    assert 0.0 in thin_out(columns(5_000, loss=values), ("loss",))["loss"]


def test_bucket_means_follow_the_middle_and_not_the_extremes():
    # One high value among nine low ones: the middle of least and greatest would be 5.5, the mean is 1.9.
    values = [10.0 if row % 10 == 0 else 1.0 for row in range(10_000)]
    means = bucket_means(columns(10_000, loss=values), ("loss",), limit=202)
    assert means["step"][-1] == 10_000 and len(means["step"]) == 100
    assert all(mean == pytest.approx(1.9, abs=0.001) for mean in means["loss"])


# --- later answers ----------------------------------------------------------------------------------------------


def test_a_later_answer_holds_only_what_was_appended(run):
    run.append(*student_events(100, last=40))
    first = feed(run.folder, 0)
    run.append(step(41, loss=0.25))
    second = feed(run.folder, first["offset"])
    assert second["stages"] == {"student": {"elapsed_s": 4.1, "steps": {"step": [41], "loss": [0.25]}}}
    assert feed(run.folder, second["offset"])["stages"] == {}


def test_answers_put_together_are_the_whole_history(run):
    events = list(student_events(50))
    offset, losses = 0, []
    for event in events:
        run.append(event)
        answer = feed(run.folder, offset)
        offset = answer["offset"]
        losses += answer["stages"].get("student", {}).get("steps", {}).get("loss", [])
    assert losses == feed(run.folder, 0)["stages"]["student"]["steps"]["loss"]


def test_a_torn_last_line_is_not_there_yet(run):
    run.append(step(1))
    whole = run.metrics.read_bytes()
    for cut in range(len(whole)):
        run.metrics.write_bytes(whole + whole[:cut])
        answer = feed(run.folder, 0)
        assert answer["offset"] == len(whole) and answer["stages"]["student"]["steps"]["step"] == [1]


def test_a_file_that_was_cut_back_starts_over(run):
    run.append(*student_events(100))
    offset = feed(run.folder, 0)["offset"]
    lines = run.metrics.read_bytes().splitlines(keepends=True)
    run.metrics.write_bytes(b"".join(lines[:50]))
    answer = feed(run.folder, offset)
    assert answer["reset"] and answer["stages"]["student"]["facts"]["total_steps"] == 100
    assert answer["stages"]["student"]["steps"]["step"][0] == 1


def test_a_place_that_is_not_the_beginning_of_a_line_starts_over(run):
    run.append(*student_events(10))
    assert feed(run.folder, feed(run.folder, 0)["offset"] - 5)["reset"]


def test_a_file_that_is_gone_starts_over(run):
    run.append(step(1))
    offset = feed(run.folder, 0)["offset"]
    run.metrics.unlink()
    answer = feed(run.folder, offset)
    assert answer["reset"] and answer["offset"] == 0


def test_a_second_of_training_costs_less_than_a_kilobyte(run):
    run.append(*student_events(20_000, last=10_000))
    offset = feed(run.folder, 0)["offset"]
    run.append(*(step(number, soft=0.0612, hard=0.3518, cosine=0.0941) for number in range(10_001, 10_011)))
    assert len(json.dumps(feed(run.folder, offset), separators=(",", ":"))) < 1_000


# --- speed and time left ----------------------------------------------------------------------------------------


def test_speed_and_time_left_come_from_recent_steps(run):
    run.append(*student_events(400, steps_a_second=10, last=200))
    now = feed(run.folder, 0)["now"]
    assert now["speed"] == pytest.approx(320, rel=0.01)
    assert now["left_s"] == pytest.approx(20, rel=0.02)


def test_a_pause_for_scoring_delays_the_end_but_is_not_slow_training(run):
    pause = [step(number, elapsed_s=number / 10 + (5 if number > 50 else 0)) for number in range(1, 101)]
    run.append({"event": "stage", "stage": "student", "total_steps": 200, "elapsed_s": 0.0}, *pause)
    now = feed(run.folder, 0)["now"]
    assert now["speed"] == pytest.approx(320, rel=0.01)
    assert now["left_s"] == pytest.approx(100 * (99 / 10 + 5) / 99, rel=0.01)


def test_an_earlier_session_does_not_count(run):
    before = [step(number, elapsed_s=number * 100.0) for number in range(1, 51)]
    after = [step(number, elapsed_s=(number - 50) / 10) for number in range(51, 61)]
    run.append({"event": "stage", "stage": "student", "total_steps": 100, "elapsed_s": 0.0}, *before, *after)
    now = feed(run.folder, 0)["now"]
    assert now["speed"] == pytest.approx(320, rel=0.01) and now["left_s"] == pytest.approx(4, rel=0.01)


def test_the_teachers_pace_says_nothing_about_the_student(run):
    run.append(*teacher_events(60), *student_events(100, last=0))
    assert feed(run.folder, 0)["now"] == {"lr": None, "speed": None, "left_s": None}


def test_the_first_step_alone_has_no_speed(run):
    run.append(step(1))
    assert feed(run.folder, 0)["now"]["speed"] is None


def test_nothing_is_left_of_a_run_that_has_ended(run):
    run.append(*student_events(100, last=50))
    run.set_status("stopped")
    answer = feed(run.folder, 0)
    assert answer["now"]["left_s"] is None and answer["now"]["speed"] is not None


# --- states -----------------------------------------------------------------------------------------------------


def test_a_run_whose_process_is_gone_reads_as_interrupted(run):
    run.append(step(1))
    status = json.loads((run.folder / "status.json").read_text())
    status["owner"]["started"] = "1"
    (run.folder / "status.json").write_text(json.dumps(status))
    assert feed(run.folder, 0)["state"] == "interrupted"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"state": "running"}', '{"colour": "red"}'])
def test_a_broken_status_names_its_file(run, text):
    (run.folder / "status.json").write_text(text)
    with pytest.raises(BrokenRun, match="status.json"):
        feed(run.folder, 0)
