"""A whole run on tiny real models: what it writes, what it measures, what it keeps, how it fails."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.cli.kinds import carry_out
from core.config import WEIGHT_PRESETS
from core.data.bundle import BundleError
from core.data.labelled import LabelledData, load_labelled
from core.data.tokens import tokenise
from core.distill import labels, student_stage, teacher_stage
from core.distill.cache import teacher_key
from core.distill.device import Compute
from core.distill.teacher_outputs import TeacherOutputs
from core.errors import DistilleryError
from core.jobs.owner import this_process
from core.models.saved import load_model
from core.runs import folder as runs
from core.scoring.predict import accuracy, agreement, predict
from core.storage import read_json
from core.terms import hard
from tests.fixtures.small_runs import digest, events, listing, run_once, settings_of, world_of

COMPUTE = Compute(torch.device("cpu"), "fp32", 1)


@pytest.fixture(scope="module", autouse=True)
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One home for all tests of this file."""
    with world_of(tmp_path_factory.mktemp("home")) as home:
        yield home


@pytest.fixture(scope="module")
def first(world: Path) -> Path:
    """The first run of this home: trains the teacher too."""
    return run_once("first")


@pytest.fixture(scope="module")
def second(first: Path) -> Path:
    """The same settings again."""
    return run_once("second")


MODEL = ("config.json", "manifest.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")


def test_a_finished_run_holds_exactly_these_files(first: Path, world: Path) -> None:
    assert runs.read_status(first).state == "finished", (first / "log.txt").read_text()
    assert listing(first) == sorted(
        ["config.json", "metrics.jsonl", "results.json", "status.json", "teacher.json"]
        + [f"student/{name}" for name in MODEL]
    )
    key = teacher_key(settings_of())
    frozen = read_json(first / "teacher.json")
    assert frozen == {
        "format": 1,
        "key": key,
        "sha256": digest(world / "cache" / "teachers" / key / "model" / "model.safetensors"),
    }
    [answers] = (world / "cache" / "teachers" / key / "answers").iterdir()
    assert listing(answers) == ["answers.json", "hidden.npy", "logits.npy", "manifest.json"]
    kept = sorted(f"answers/{answers.name}/{name}" for name in listing(answers)) + [f"model/{name}" for name in MODEL]
    assert listing(world / "cache" / "teachers") == sorted(f"{key}/{name}" for name in kept)
    assert {path.name for path in (world / "cache").iterdir()} == {"pace.json", "teachers", "tokens"}


def test_the_status_of_a_finished_run_says_so(first: Path) -> None:
    status = runs.read_status(first)
    assert (status.state, status.stage, status.step, status.total_steps) == ("finished", "student", 24, 24)
    assert status.sentence == "Finished: the student is trained, scored and saved."


def test_results_hold_these_numbers(first: Path) -> None:
    results = runs.read_results(first)
    assert set(results) == {
        "teacher", "student", "objective", "metric", "counted", "majority", "kept", "agreement", "split", "examples",
        "notes", "teacher_from_cache", "seed", "elapsed_s", "compute", "versions",
    }  # fmt: skip
    for card in (results["teacher"], results["student"]):
        assert set(card) == {"score", "parameters", "encoder_parameters", "size_mb", "ms_per_sentence"}
        assert card["ms_per_sentence"] > 0
    assert (results["split"], results["examples"], results["seed"]) == ("test", 24, 0)
    assert (results["objective"], results["metric"], results["counted"]) == ("labels", "accuracy", "sentences")
    assert results["teacher_from_cache"] is False
    assert results["compute"] == {"device": "cpu", "precision": "fp32", "threads": 1}
    assert results["versions"]["torch"] == torch.__version__
    assert results["kept"] == results["student"]["score"] / results["teacher"]["score"]
    assert results["teacher"]["encoder_parameters"] == 2 * results["student"]["encoder_parameters"]
    assert results["student"]["size_mb"] == round(results["student"]["parameters"] * 4 / 1e6, 1)


def test_the_scores_are_those_of_the_saved_models_on_the_test_part(first: Path, world: Path) -> None:
    results = runs.read_results(first)
    student, tokenizer = load_model(first / "student")
    teacher, _ = load_model(world / "cache" / "teachers" / teacher_key(settings_of()) / "model")
    part = load_labelled(settings_of().data).test
    test = tokenise(part, tokenizer, 32)
    logits = {name: predict(model, test, COMPUTE, lambda: None) for name, model in (("t", teacher), ("s", student))}
    assert results["teacher"]["score"] == accuracy(logits["t"], part.labels) > 0.8
    assert results["student"]["score"] == accuracy(logits["s"], part.labels)
    assert results["agreement"] == agreement(logits["s"], logits["t"])
    assert results["majority"] == max(np.mean(part.labels), np.mean(1 - part.labels))
    assert len(student.distilbert.transformer.layer) == 3


def test_every_step_is_written_from_the_first_on(first: Path) -> None:
    for stage, total in (("teacher", 48), ("student", 24)):
        (begin,) = events(first, "stage", stage)
        steps = events(first, "step", stage)
        assert begin["total_steps"] == total and begin["elapsed_s"] == 0.0
        assert [step["step"] for step in steps] == list(range(1, total + 1))
        assert [step["sentences"] for step in steps] == [16 * step for step in range(1, total + 1)]
        clock = [step["elapsed_s"] for step in steps]
        assert clock == sorted(clock) and clock[0] >= 0
        assert all(step["lr"] > 0 for step in steps)


def test_the_loss_of_every_step_is_the_weighted_sum_of_its_terms(first: Path) -> None:
    for step in events(first, "step"):
        assert step["loss"] == pytest.approx(5 * step["soft"] + 2 * step["hard"] + step["cosine"], rel=1e-5)
    assert all("soft" not in step and "cosine" not in step for step in events(first, "step", "teacher"))


def test_the_student_learns(first: Path) -> None:
    losses = [step["loss"] for step in events(first, "step")]
    scores = events(first, "score")
    assert np.mean(losses[-6:]) < 0.7 * np.mean(losses[:3])
    assert scores[-1]["agreement"] > scores[0]["agreement"]


def test_scores_and_probes_run_from_before_the_first_step_to_the_last(first: Path) -> None:
    begin = events(first, "stage")[0]
    assert {name: weight for name, weight in begin["weights"].items() if weight} == {"soft": 5, "hard": 2, "cosine": 1}
    assert 0.8 < begin["teacher_score"] <= 1.0 and 0.5 <= begin["majority"] < 0.7
    scores, probes = events(first, "score"), events(first, "probe")
    assert scores[0]["step"] == 0 and scores[-1]["step"] == 24 and len(scores) == student_stage.SCORES + 1
    assert probes[0]["step"] == 0 and probes[-1]["step"] == 24
    assert all(0 <= score[name] <= 1 for score in scores for name in ("score", "agreement"))
    for probe in probes:
        assert np.shape(probe["student"]) == np.shape(probe["teacher"]) == (5, 2)
        assert np.allclose(np.sum(probe["student"], axis=1), 1, atol=2e-4)
        assert probe["teacher"] == probes[0]["teacher"]
    assert probes[0]["student"] != probes[-1]["student"]
    assert events(first, "score", "teacher")[-1]["score"] == begin["teacher_score"]


def test_the_second_run_finds_the_teacher_and_ends_in_the_same_bits(first: Path, second: Path) -> None:
    """What comes from the cache, after a rounding to 16 bits and a way through files, is what was computed."""
    assert runs.read_results(second)["teacher_from_cache"] is True
    assert not events(second, "stage", "teacher") and not events(second, "step", "teacher")
    assert digest(second / "student" / "model.safetensors") == digest(first / "student" / "model.safetensors")
    for mine, theirs in zip(events(second, "step"), events(first, "step"), strict=True):
        assert {**mine, "elapsed_s": 0} == {**theirs, "elapsed_s": 0}


def test_another_seed_ends_elsewhere(first: Path) -> None:
    other = run_once("other-seed", "training.seed=1")
    assert digest(other / "student" / "model.safetensors") != digest(first / "student" / "model.safetensors")


@pytest.mark.parametrize("name", WEIGHT_PRESETS)
def test_every_preset_runs_and_records_only_the_terms_it_uses(first: Path, name: str) -> None:
    weights = WEIGHT_PRESETS[name]
    chosen = [f"loss.{term}={weight}" for term, weight in weights.items()]
    folder = run_once(f"preset-{list(WEIGHT_PRESETS).index(name)}", *chosen, "training.epochs=1")
    assert runs.read_status(folder).state == "finished", (folder / "log.txt").read_text()
    used = {term: weight for term, weight in weights.items() if weight}
    for step in events(folder, "step"):
        assert {"soft", "hard", "cosine"} & set(step) == set(used)
        assert step["loss"] == pytest.approx(sum(weight * step[term] for term, weight in used.items()), rel=1e-5)
    assert events(folder, "stage")[0]["weights"].items() >= weights.items()
    assert all("agreement" in score for score in events(folder, "score"))


def test_the_control_does_not_depend_on_what_the_teacher_says(first: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    control = ("loss.soft=0", "loss.hard=1", "loss.cosine=0", "training.epochs=1", "student.initial_weights=random")
    plain = run_once("control", *control)
    monkeypatch.setattr(TeacherOutputs, "logits_of", None)
    monkeypatch.setattr(TeacherOutputs, "hidden_of", None)
    deaf = run_once("control-without-teacher", *control)
    assert runs.read_status(deaf).state == "finished"
    assert digest(deaf / "student" / "model.safetensors") == digest(plain / "student" / "model.safetensors")


def test_no_sentence_to_watch_is_allowed(first: Path) -> None:
    folder = run_once("no-probes", "probes=[]", "training.epochs=1")
    assert runs.read_status(folder).state == "finished", (folder / "log.txt").read_text()
    assert not events(folder, "probe")


def test_a_teacher_no_better_than_the_majority_stops_the_run_with_a_sentence(first: Path) -> None:
    folder = run_once("bad-teacher", "teacher.learning_rate=1e-7", "teacher.epochs=1")
    status = runs.read_status(folder)
    assert status.state == "failed"
    assert "no better than always giving the most frequent answer" in status.sentence
    assert "Give the teacher more epochs, more data or another learning rate." in status.sentence
    assert not events(folder, "stage") and not (folder / "student").exists() and runs.read_results(folder) is None


def test_chance_is_not_taken_for_learning() -> None:
    """Among 853 sentences a guesser is often right in 51 % of them, and next to never in 55 %."""
    teacher_stage.check_worth_teaching(0.55, 0.5, 853)
    for right in (0.45, 0.5, 0.51):
        with pytest.raises(DistilleryError, match=rf"is {right:.1%}, .* \(50\.0%\)"):
            teacher_stage.check_worth_teaching(right, 0.5, 853)


def test_a_stop_keeps_what_the_student_has_learned(first: Path) -> None:
    folder = runs.create_run(settings_of("training.epochs=50"), "stopped")
    carry_out(folder, leaving=lambda: bool(events(folder, "step")))
    status = runs.read_status(folder)
    assert status.state == "stopped" and status.total_steps == 600
    assert status.sentence.startswith("Stopped because the program was closed at step 1 of 600.")
    assert "is kept" in status.sentence and runs.read_results(folder) is None
    student, _ = load_model(folder / "student")
    assert len(student.distilbert.transformer.layer) == 3
    assert [step["step"] for step in events(folder, "step")] == [1]


def test_a_stop_before_the_student_keeps_nothing_and_says_so(first: Path) -> None:
    folder = runs.create_run(settings_of(), "stopped-early")
    runs.write_status(folder, replace(runs.read_status(folder), owner=this_process()))
    (folder / "stop").touch()
    carry_out(folder)
    assert runs.read_status(folder).sentence == "Stopped by you before the student had begun to learn."
    assert listing(folder) == ["config.json", "metrics.jsonl", "status.json", "stop", "teacher.json"]


def test_a_stop_in_the_teachers_stage_leaves_no_half_teacher(
    first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISTILLERY_HOME", str(tmp_path))
    folder = runs.create_run(settings_of(), "stopped")
    carry_out(folder, leaving=lambda: bool(events(folder, "step", "teacher")))
    assert runs.read_status(folder).state == "stopped"
    assert not (tmp_path / "cache" / "teachers").exists()


def test_a_loss_that_is_no_number_ends_the_run_with_the_step(first: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is recorded as a gap, and no student full of NaN is left behind."""
    monkeypatch.setattr(hard, "hard_target_loss", lambda logits, *_: logits.sum() * math.nan)
    folder = run_once("no-number")
    status = runs.read_status(folder)
    assert status.state == "failed" and status.sentence.startswith("The loss became nan at step 1 ")
    assert "Choose a smaller learning rate" in status.sentence
    assert events(folder, "step")[0]["loss"] is None
    assert not (folder / "student").exists()


def test_a_missing_bundle_ends_the_run_with_its_sentence(first: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: Any) -> LabelledData:
        raise BundleError("The bundled file x is missing. Install it with: pip install y")

    monkeypatch.setattr(labels, "load_labelled", missing)
    folder = run_once("no-bundle")
    assert runs.read_status(folder).sentence == "The bundled file x is missing. Install it with: pip install y"
    assert not events(folder, "stage")


def test_a_teacher_that_was_damaged_on_disk_is_refused(first: Path, world: Path, tmp_path: Path, monkeypatch) -> None:
    shutil.copytree(world / "cache", tmp_path / "cache")
    weights = tmp_path / "cache" / "teachers" / teacher_key(settings_of()) / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    monkeypatch.setenv("DISTILLERY_HOME", str(tmp_path))
    folder = run_once("damaged")
    status = runs.read_status(folder)
    assert status.state == "failed" and "it may be cut. Delete " in status.sentence
