"""The pace of this machine: each device, number format and kind of work has its own, and a bad file is no pace."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core import estimate, pace
from core.config import Settings
from core.pace import Here, calibrate, pace_here, remember_pace
from core.runs import folder as runs
from core.sections import TrainingSettings
from core.storage import cache_root, read_json
from tests.fixtures.small_runs import run_once

pytestmark = pytest.mark.usefixtures("home")

AUTO = TrainingSettings()
PROCESSOR = TrainingSettings(device="cpu", precision="fp32")
CARD = TrainingSettings(device="cuda", precision="bf16")


def write(content: Any) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    (cache_root() / "pace.json").write_text(text, encoding="utf-8")


def test_a_run_on_one_device_leaves_the_estimates_of_all_others_alone():
    remember_pace(CARD, "labels", Here("cuda", "bf16"), 0.02)
    remember_pace(PROCESSOR, "labels", Here("cpu", "fp32"), 3.0)
    assert pace_here(CARD, "labels") == (0.02, True)
    assert pace_here(PROCESSOR, "labels") == (3.0, True)
    assert pace_here(TrainingSettings(device="cuda", precision="fp32"), "labels") == (1.0, False)


def test_another_kind_of_work_is_a_guess_on_the_same_device_and_no_more():
    remember_pace(PROCESSOR, "labels", Here("cpu", "fp32"), 3.0)
    assert pace_here(PROCESSOR, "masked_words") == (3.0, False)
    remember_pace(PROCESSOR, "masked_words", Here("cpu", "fp32"), 5.0)
    assert pace_here(PROCESSOR, "masked_words") == (5.0, True)
    assert pace_here(PROCESSOR, "labels") == (3.0, True)


def test_what_auto_turned_out_to_mean_is_remembered():
    assert pace_here(AUTO, "labels") == (1.0, False)
    remember_pace(AUTO, "labels", Here("cuda", "bf16"), 0.5)
    assert pace_here(AUTO, "labels") == pace_here(CARD, "labels") == (0.5, True)
    fp32 = AUTO.model_copy(update={"precision": "fp32"})
    remember_pace(fp32, "labels", Here("cuda", "fp32"), 0.9)
    assert pace_here(fp32, "labels") == (0.9, True) and pace_here(AUTO, "labels") == (0.5, True)


def test_a_calibration_is_a_first_guess_and_leaves_a_measured_pace_alone():
    calibrate()
    first = read_json(cache_root() / "pace.json")
    guess = pace_here(AUTO, "labels")
    assert guess.times > 0 and not guess.is_measured
    calibrate()
    assert read_json(cache_root() / "pace.json") == first
    device, precision = first["means"]["auto"]
    remember_pace(AUTO, "labels", Here(device, precision), 7.0)
    calibrate()
    assert pace_here(AUTO, "labels") == (7.0, True)


def test_the_one_pace_of_an_older_program_is_a_guess_for_every_device(monkeypatch: pytest.MonkeyPatch):
    write({"pace": 7.0, "measured_by": "run"})
    assert pace_here(AUTO, "labels") == pace_here(CARD, "masked_words") == (7.0, False)
    monkeypatch.setattr(pace, "_timed", lambda: pytest.fail("the machine is known"))
    calibrate()
    assert pace_here(AUTO, "labels") == (7.0, False)


HOSTILE = (0, -1, 1e308, 1e-308, 10**17, True, None, "2", "NaN", [1], {"pace": 1}, float("nan"), float("inf"))


@pytest.mark.parametrize("value", HOSTILE, ids=repr)
@pytest.mark.parametrize("where", ["old", "pace", "paces", "means", "meaning", "device", "format"])
def test_a_hostile_file_is_no_pace_and_fails_no_run(where: str, value: Any):
    sound = {"format": 1, "means": {"auto": ["cpu", "fp32"]}, "paces": {"cpu fp32 labels": 2.0}}
    changed: dict[str, Any] = {
        "old": {"pace": value, "measured_by": "run"},
        "pace": sound | {"paces": {"cpu fp32 labels": value}},
        "paces": sound | {"paces": value},
        "means": sound | {"means": value},
        "meaning": sound | {"means": {"auto": value}},
        "device": sound | {"means": {"auto": [value, value]}},
        "format": sound | {"format": value},
    }
    write(changed[where])
    for training in (AUTO, PROCESSOR):
        assert pace_here(training, "labels").times in (1.0, 2.0)
    predicted = estimate.plan(Settings())
    assert 0 < predicted.seconds < 10_000
    estimate.learn(Settings(), predicted, {"elapsed_s": 50.0, "compute": {"device": "cpu", "precision": "fp32"}})
    assert estimate.plan(Settings()).seconds == pytest.approx(50, rel=0.01)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "[" * 5000, "\0" * 100, '{"format": 1, "paces": NaN}'])
def test_a_broken_file_is_no_pace(content: str):
    write(content)
    assert pace_here(AUTO, "labels") == (1.0, False)


def test_a_pace_that_no_machine_has_is_not_kept():
    for times in (0.0, float("nan"), float("inf"), -1.0, 1e9):
        remember_pace(PROCESSOR, "labels", Here("cpu", "fp32"), times)
    assert not (cache_root() / "pace.json").exists()


@pytest.mark.parametrize("value", ["0", "NaN", '"x"'])
def test_a_run_finishes_whatever_the_file_holds(value: str):
    write(f'{{"pace": {value}, "measured_by": "run"}}')
    folder = run_once("one")
    assert runs.read_status(folder).state == "finished", runs.read_status(folder).sentence
    assert read_json(cache_root() / "pace.json")["paces"]["cpu fp32 labels"] > 0
