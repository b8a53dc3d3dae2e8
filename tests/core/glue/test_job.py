"""GLUE jobs: every task learned and scored, stopped and resumed to the bit, and refused before anything is loaded."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core.cli import kinds
from core.cli.kinds import carry_out
from core.data.files import DATA_ROOTS
from core.data.labelled import load_labelled
from core.distill.labels import label_tokens
from core.errors import DistilleryError
from core.glue import measure
from core.glue.cells import Cell, read_cells
from core.glue.entrants import entrants
from core.glue.fine_tuning import new_learner
from core.glue.metrics import score_task
from core.glue.plan import read_plan
from core.glue.planning import check_job
from core.glue.rates import held_out_count, without_held_out
from core.glue.settings import RATES, GlueSettings, StudentModel, TeacherModel, parse_glue
from core.glue.tasks import read_task
from core.glue.zero_shot import in_order_of_task
from core.jobs.events import read_events
from core.jobs.owner import this_process
from core.jobs.queue import MACHINE
from core.models.saved import load_model
from core.runs import folder as runs
from core.runs.recorder import FolderRecorder
from core.runs.resume import request_resume
from core.scoring.predict import predict
from core.sections import DataSettings, TeacherSettings
from core.settings_file import SettingsError
from core.storage import home
from tests.core.distill.test_loop import COMPUTE
from tests.fixtures.drawn_pages import HOME, open_page, press, words
from tests.fixtures.glue_files import HEADERS, write
from tests.fixtures.small_glue_jobs import ALL, job, job_settings, prepare, teacher, watched_answers
from tests.fixtures.small_runs import MASKED, listing, run_once, settings_of, world_of

LIMIT_S = 30.0


@pytest.fixture(scope="module", autouse=True)
def world(tmp_path_factory: pytest.TempPathFactory, teachers: Path) -> Iterator[Path]:
    """One home for all tests of this file."""
    with world_of(tmp_path_factory.mktemp("home"), teachers) as home:
        prepare()
        yield home


def finished(name: str, *assignments: str, **fields: object) -> Path:
    """A job that was carried out to its end."""
    folder = job(name, *assignments, **fields)
    assert carry_out(folder) == "finished", runs.read_status(folder).sentence
    return folder


def scores_of(folder: Path) -> dict[str, tuple[object, ...]]:
    """What every cell says that must not depend on how often the job was cut off."""
    return {
        f"{cell.model} {cell.task} {cell.seed}": (cell.score, cell.scores, cell.train_examples, cell.recipe, cell.way)
        for cell in read_cells(folder)
    }


def steps_of(folder: Path) -> list[tuple[int, float]]:
    events, _ = read_events(folder / "metrics.jsonl")
    return [(event["step"], event["loss"]) for event in events if event["event"] == "step"]


def cell(folder: Path, task: str, role: str = "teacher", seed: int = 0) -> Cell:
    (found,) = [one for one in read_cells(folder) if (one.task, one.role, one.seed) == (task, role, seed)]
    return found


# Everything is measured


@pytest.fixture(scope="module")
def all_tasks(world: Path) -> Path:
    """All nine tasks and a bundled one, with both models."""
    return finished("all", path=str(world / "glue"), tasks=(*ALL, "Rotten Tomatoes"), epochs=1, max_examples=100)


@pytest.mark.parametrize("task", [*ALL, "Rotten Tomatoes"])
def test_every_task_is_learned_and_scored_whole(all_tasks: Path, task: str) -> None:
    for role in ("teacher", "student"):
        found = cell(all_tasks, task, role)
        examples, learned = (853, 100) if task == "Rotten Tomatoes" else (20, 60)
        assert (found.examples, found.train_examples) == (examples, learned)
        # Of the bundled sentences nine in ten can be learned from: there is no validation part.
        assert found.train_total == (7677 if task == "Rotten Tomatoes" else 60)
        assert found.split == {"MNLI": "official dev, matched", "Rotten Tomatoes": "test"}.get(task, "official dev")
        assert (found.mismatched is not None) == (task == "MNLI")
        assert found.way == "fine-tuned" and found.compute["threads"] == 1 and found.versions["torch"]
        assert (found.score is None) == bool(found.reasons)
    assert cell(all_tasks, "MRPC").majority == 0.25 and cell(all_tasks, "CoLA").majority is None


def test_a_finished_job_leaves_this_and_nothing_else(all_tasks: Path) -> None:
    files = [name for name in listing(all_tasks) if not name.startswith("cells/")]
    assert files == ["config.json", "metrics.jsonl", "plan.json", "results.json", "status.json"]
    assert len(listing(all_tasks / "cells")) == runs.read_results(all_tasks)["cells"] == 20
    assert {path.stat().st_mode & 0o077 for path in all_tasks.rglob("*")} == {0}


def test_steps_are_counted_over_the_whole_job(all_tasks: Path) -> None:
    status, plan = runs.read_status(all_tasks), read_plan(all_tasks)
    assert status.state == "finished" and status.step == status.total_steps == plan.total_steps == 2 * (9 * 4 + 7)
    assert [step for step, _ in steps_of(all_tasks)] == list(range(1, plan.total_steps + 1))
    assert [planned.task for planned in plan.cells[:4]] == ["CoLA", "CoLA", "SST-2", "SST-2"]


def test_a_job_is_no_run_and_a_run_is_no_job(all_tasks: Path) -> None:
    assert all_tasks in runs.list_jobs() and all_tasks not in runs.list_runs()
    assert runs.read_job_settings(all_tasks) == runs.read_any_settings(all_tasks)
    assert isinstance(runs.read_any_settings(home() / "runs" / "one"), type(settings_of()))
    with pytest.raises(DistilleryError, match="no run called"):
        runs.run_folder(all_tasks.name)
    with pytest.raises(DistilleryError, match="no GLUE job called"):
        runs.job_folder("../runs/one")


def test_models_learn_what_can_be_learned() -> None:
    folder = finished("learns", tasks=("SST-2",), epochs=4, learning_rate=2e-3)
    for role in ("teacher", "student"):
        assert cell(folder, "SST-2", role).score > cell(folder, "SST-2", role).majority + 0.3


def test_seeds_differ_and_the_same_seed_repeats_itself() -> None:
    def answers(name: str) -> list[str]:
        with watched_answers() as hashes:
            finished(name, tasks=("MRPC",), seeds=2, max_examples=100, epochs=1)
        return list(hashes.values())

    first = answers("seeds-1")
    assert len(set(first)) == 4 and answers("seeds-2") == first


# Who is scored


def test_roles_and_titles(world: Path) -> None:
    models = (StudentModel(run="control"), StudentModel(run="one"), TeacherModel())
    found = entrants(job_settings(models=models))
    assert [(one.role, one.title) for one in found] == [
        ("teacher", "Bundled teacher (MiniLM, 6 layers)"), ("control", "No teacher"), ("student", "Run one"),
    ]  # fmt: skip


@pytest.mark.parametrize("assignments", [(), MASKED], ids=["labels", "masked words"])
def test_a_student_keeps_its_encoder_and_gets_a_head_by_the_seed(assignments: tuple[str, ...]) -> None:
    name = "words" if assignments else "one"
    if assignments:
        run_once(name, *assignments)
    (entrant,) = entrants(job_settings(models=(StudentModel(run=name),)))
    saved, _ = load_model(home() / "runs" / name / "student")
    models = [new_learner(entrant, ("a", "b", "c"), 32, COMPUTE, seed).model for seed in (0, 0, 1)]
    for model in models:
        assert model.config.num_labels == 3
        for key, values in saved.base_model.state_dict().items():
            assert torch.equal(model.base_model.state_dict()[key], values), key
    first, same, other = (model.classifier.weight for model in models)
    assert torch.equal(first, same) and not torch.equal(first, other)


def test_a_teachers_own_head_is_not_used() -> None:
    (entrant,) = entrants(job_settings(models=(teacher(),)))
    own, _ = load_model(Path(settings_of().teacher.path))
    learner = new_learner(entrant, ("negative", "positive"), 32, COMPUTE, 0)
    assert entrant.label_names == ("negative", "positive")
    assert not torch.equal(learner.model.classifier.weight, own.classifier.weight)
    assert torch.equal(learner.model.bert.pooler.dense.weight, own.bert.pooler.dense.weight)


def test_a_pair_is_read_as_one_by_both_models() -> None:
    texts = read_task(job_settings(), "MRPC")
    for entrant in entrants(job_settings()):
        learner = new_learner(entrant, texts.label_names, 32, COMPUTE, 0)
        ids = learner.tokens(texts.dev).pieces(np.array([0]))
        assert list(ids).count(learner.tokenizer.sep_token_id) == 2 and ids[0] == learner.tokenizer.cls_token_id


def test_a_reader_of_the_score_is_told_what_the_model_has_seen_before(world: Path) -> None:
    (entrant,) = entrants(job_settings(models=(StudentModel(run="one"),)))

    def notes(task: str, **data: object) -> str:
        return " ".join(replace(entrant, learned_from=DataSettings(**data)).leaks(task))

    assert "725 of its 872" in notes("SST-2", source="rotten_tomatoes")
    assert "merged examples of SST-2" in notes("SST-2", source="glue_folder", path="x", split="merged")
    assert "has learned from some that are scored here" in notes("IMDb", source="imdb", split_seed=3)
    assert "had learned from texts of Rotten Tomatoes before" in notes("Rotten Tomatoes", source="rotten_tomatoes")
    assert "had learned from texts of SST-2 before" in notes("SST-2", source="glue_folder", path="x", split="official")
    assert not notes("MRPC", source="rotten_tomatoes") and not notes("IMDb", source="rotten_tomatoes")
    assert not notes("MRPC", source="glue_folder", path="x")


# Stop and resume


def test_the_status_says_model_task_seed_and_epoch_and_counts_over_the_job() -> None:
    folder = job("told", tasks=("MRPC",), seeds=2, max_examples=100, models=(StudentModel(run="one"),))
    told: list[runs.Status] = []
    assert carry_out(folder, lambda: bool(told.append(runs.read_status(folder)))) == "finished"
    while told[0].state == "preparing":
        told.pop(0)
    sentences = list(dict.fromkeys(status.sentence for status in told))
    for seed in (1, 2):
        for what in ("epoch 1 of 2", "epoch 2 of 2", "scoring"):
            assert f"Run one on MRPC, seed {seed} of 2: {what}." in sentences
    assert {(status.state, status.stage, status.total_steps) for status in told} == {("running", "scores", 28)}
    steps = [status.step for status in told]
    assert steps == sorted(steps) and steps[-1] == 28


def test_a_wait_in_a_cell_says_once_whom_it_is_about(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    really = FolderRecorder.preparing
    monkeypatch.setattr(FolderRecorder, "preparing", lambda self, words: (said.append(words), really(self, words))[1])
    finished("whom", tasks=("MRPC",), max_examples=100, second_distillation=True)
    about = [words for words in said if words.startswith("Run one on MRPC: asking")]
    assert len(about) == 2, "whom it asks, then about what"
    assert all(words.lower().count("run one on mrpc") == 1 for words in about)


def stop_at_call(number: int) -> Callable[[], bool]:
    """True at the number-th question whether to stop, which is asked before every update and every scored batch."""
    asked = iter(range(number))
    return lambda: next(asked, None) is None


@pytest.mark.parametrize("again", [False, True], ids=["fine-tuned", "distilled again"])
def test_stopped_at_every_turn_and_resumed_equals_an_unbroken_job(again: bool) -> None:
    fields = {"tasks": ("MRPC", "STS-B"), "seeds": 2, "max_examples": 100, "second_distillation": again}
    with watched_answers() as expected:
        whole = finished(f"whole-{again}", **fields)
    folder, stops = job(f"broken-{again}", **fields), 0
    with watched_answers() as hashes:
        while carry_out(folder, stop_at_call(9 + stops % 4)) == "stopped":
            stops += 1
            status = runs.read_status(folder)
            assert status.step <= status.total_steps and "you can resume it" in status.sentence
            request_resume(folder)
            assert stops < 100
    assert stops > 8 and runs.read_status(folder).state == "finished"
    assert set(hashes.values()) == set(expected.values()) and len(set(expected.values())) == 8
    assert scores_of(folder) == scores_of(whole)
    assert steps_of(folder) == steps_of(whole)
    assert listing(folder) == listing(whole)


def test_a_finished_cell_is_not_measured_again() -> None:
    folder = job("kept", tasks=("MRPC",), max_examples=100)
    assert carry_out(folder, stop_at_call(25)) == "stopped"
    (done,) = (folder / "cells").iterdir()
    before = done.stat().st_mtime_ns
    request_resume(folder)
    assert carry_out(folder) == "finished" and done.stat().st_mtime_ns == before
    assert len(read_cells(folder)) == 2


def test_a_job_whose_data_changed_does_not_go_on_from_a_checkpoint(tmp_path: Path) -> None:
    root = tmp_path / "glue"
    for task in ("MRPC",):
        for name in ("train.tsv", "dev.tsv"):
            write(root / task / name, (home() / "learnable" / task / name).read_text().splitlines())
    folder = job("changed", path=str(root), tasks=("MRPC",))
    with watched_answers():
        assert carry_out(folder, stop_at_call(12)) == "stopped"
    lines = (root / "MRPC" / "train.tsv").read_text().splitlines()
    write(root / "MRPC" / "train.tsv", [*lines[:-1], lines[-1] + " indeed"])
    request_resume(folder)
    assert carry_out(folder) == "failed"
    assert "data: was" in runs.read_status(folder).sentence


def test_a_job_whose_process_died_reads_as_interrupted_and_goes_on() -> None:
    folder = job("killed", tasks=("SST-2",), max_examples=100)
    gone = this_process() | {"started": "1"}
    runs.write_status(folder, runs.Status("running", "Measuring.", "scores", 3, 10, owner=gone))
    assert runs.read_status(folder).state == "interrupted"
    request_resume(folder)
    assert carry_out(folder) == "finished"


# Distilled again


@pytest.fixture(scope="module")
def again(world: Path) -> Path:
    models = (StudentModel(run="one"), StudentModel(run="control"), teacher())
    return finished("again", tasks=("MRPC",), models=models, second_distillation=True)


def test_students_learn_again_from_the_teacher_and_a_control_does_not(again: Path) -> None:
    assert [(one.role, one.way) for one in sorted(read_cells(again), key=lambda one: one.role)] == [
        ("control", "fine-tuned"), ("student", "distilled again"), ("teacher", "fine-tuned"),
    ]  # fmt: skip
    assert cell(again, "MRPC", "student").recipe["teacher"] == cell(again, "MRPC").model
    assert cell(again, "MRPC", "student").recipe["loss"]["soft"] == 5.0
    events, _ = read_events(again / "metrics.jsonl")
    assert sum("cosine" in event for event in events) == read_plan(again).cells[1].steps
    assert not (again / "teachers").exists()


def test_copies_and_every_layer_are_for_the_student_and_the_control_reads_as_much() -> None:
    models = (StudentModel(run="one"), StudentModel(run="control"), teacher())
    fields = {"tasks": ("MRPC",), "models": models, "max_examples": 100, "second_distillation": True}
    fields |= {"copies": 2, "every_layer": True}
    folder = job("copies", **fields)
    while carry_out(folder, stop_at_call(30)) == "stopped":
        request_resume(folder)
    steps = {planned.role: planned.steps for planned in read_plan(folder).cells}
    assert steps["student"] == steps["control"] > 2 * steps["teacher"]
    found = {one.role: one.recipe for one in read_cells(folder)}
    assert found["student"]["readings"] == found["control"]["readings"] == 3 and "readings" not in found["teacher"]
    assert found["student"]["loss"]["layers"] == 3.0 and "loss" not in found["control"]
    events, _ = read_events(folder / "metrics.jsonl")
    assert sum("layers" in event for event in events) == steps["student"]
    assert scores_of(folder) == scores_of(finished("copies-whole", **fields))


def test_every_model_tries_the_same_rates_on_a_tenth_of_its_own_and_learns_with_the_best() -> None:
    models = (StudentModel(run="one"), StudentModel(run="control"), teacher())
    fields = {"tasks": ("MRPC", "STS-B"), "models": models, "max_examples": 100, "second_distillation": True}
    fields |= {"choose_rate": True, "epochs": 1}
    folder, tried, stops = job("rates", **fields), {}, 0
    while carry_out(folder, stop_at_call(20)) == "stopped":
        tried |= {path.name: path.read_bytes() for path in (folder / "checkpoints").glob("*.json")}
        stops += 1
        assert runs.read_status(folder).step <= runs.read_status(folder).total_steps
        request_resume(folder)
    plan, cells = read_plan(folder), read_cells(folder)
    assert runs.read_status(folder).state == "finished", runs.read_status(folder).sentence
    assert stops > 5 and len(plan.cells) == 4 * len(cells) == 24 and len(tried) >= 17
    assert [one.rate for one in plan.cells[:4]] == [*RATES, None]
    for one in cells:
        scores = {rate: json.loads(tried[name])["score"] for rate in RATES if (name := trial_name(one, rate)) in tried}
        if len(scores) == 3 and None not in scores.values():
            assert one.chosen_rate == max(scores, key=lambda rate: (scores[rate], -rate))
        assert one.recipe["learning_rate"] == list(RATES) and one.train_examples == 100
    assert not (folder / "checkpoints").exists() and not (folder / "teachers").exists()
    whole = finished("rates-whole", **fields)
    assert scores_of(folder) == scores_of(whole)
    assert [one.chosen_rate for one in cells] == [one.chosen_rate for one in read_cells(whole)]
    assert listing(folder) == listing(whole)


def trial_name(one: Cell, rate: float) -> str:
    return f"{one.model}.{one.task}.seed-{one.seed}.{rate:.0e}.json"


def test_what_a_rate_is_judged_by_is_not_learned_and_not_the_development_set() -> None:
    texts = read_task(job_settings(), "MRPC")
    train, judged = without_held_out(texts, seed=0)
    assert len(judged) == held_out_count(len(texts.train)) and len(train) + len(judged) == len(texts.train)
    assert sorted([*train.keys(), *judged.keys()]) == sorted(texts.train.keys())
    assert np.bincount(judged.labels).tolist() == pytest.approx(np.bincount(texts.train.labels) / 10, abs=1)


def test_a_teacher_that_got_lost_learns_again() -> None:
    folder = job("lost", tasks=("MRPC",), second_distillation=True)
    with watched_answers():
        assert carry_out(folder, stop_at_call(40)) == "stopped"
    assert len(read_cells(folder)) == 1
    for model in (folder / "teachers").glob("*/model/*"):
        model.unlink()
    request_resume(folder)
    assert carry_out(folder) == "finished"
    whole = finished("not-lost", tasks=("MRPC",), second_distillation=True)
    assert scores_of(folder) == scores_of(whole)


# Zero-shot


def test_zero_shot_asks_the_head_that_a_model_has() -> None:
    models = (StudentModel(run="one"), StudentModel(run="control"))
    folder = finished("zero-shot", way="zero-shot", tasks=("MRPC", "SST-2"), models=models, seeds=5)
    cells = read_cells(folder)
    # Both runs have the same teacher.
    assert sorted((one.role, one.task) for one in cells) == [
        (role, task) for role in ("control", "student", "teacher") for task in ("MRPC", "SST-2")
    ]
    found = cell(folder, "MRPC", "student")
    model, tokenizer = load_model(home() / "runs" / "one" / "student")
    texts = read_task(job_settings(), "MRPC")
    logits = predict(model, label_tokens(texts.dev, tokenizer, 32), COMPUTE, lambda: None)
    assert found.score == pytest.approx(score_task("MRPC", logits, texts.dev.labels).score, abs=0.03)
    assert found.way == "zero-shot" and found.train_examples == 0 and found.majority is not None
    assert any("negative was taken for not_equivalent" in sentence for sentence in found.notes)
    # It has learned just this: the mood of these sentences.
    assert cell(folder, "SST-2", "student").score > 0.9
    assert any("learned nothing of SST-2 itself" in sentence for sentence in cell(folder, "SST-2", "student").notes)


def test_answers_are_taken_by_name_where_the_names_are_known() -> None:
    logits = np.array([[1.0, 2.0]], dtype=np.float32)
    assert in_order_of_task(logits, ("Positive", "NEGATIVE"), ("negative", "positive")).tolist() == [[2.0, 1.0]]
    assert in_order_of_task(logits, ("good", "bad"), ("negative", "positive")).tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"models": (TeacherModel(),)}, r"Bundled teacher \(MiniLM, 6 layers\) has not learned any labels"),
        ({"tasks": ("STS-B", "MNLI", "MRPC")}, "tasks: STS-B, MNLI cannot be asked zero-shot"),
    ],
)
def test_what_cannot_be_asked_zero_shot_is_refused(world: Path, fields: dict[str, object], sentence: str) -> None:
    settings = job_settings(**({"way": "zero-shot", "tasks": ("MRPC",), "path": str(world / "glue")} | fields))
    with pytest.raises(DistilleryError, match=sentence):
        check_job(settings)


# Size and speed


def test_timing_measures_every_model_on_all_pairs(world: Path) -> None:
    folder = finished("timed", tasks=("SST-2",), timing=True, max_examples=100, epochs=1)
    timing = json.loads((folder / "timing.json").read_text())
    slow, fast = timing["models"]
    assert (slow["role"], fast["role"]) == ("teacher", "student") and slow["pairs"] == fast["pairs"] == 48
    assert slow["seconds"] > fast["seconds"] > 0
    for one in (slow, fast):
        assert one["parameters"] > one["encoder_parameters"] + one["embedding_parameters"]
        assert one["size_mb"] == pytest.approx(4e-6 * one["parameters"], abs=0.05)


# Refused before anything is loaded


def broken_folder(tmp_path: Path) -> str:
    write(tmp_path / "glue" / "MRPC" / "train.tsv", [HEADERS["MRPC"], "1\t1\t2\ta\tb"])
    write(tmp_path / "glue" / "MRPC" / "dev.tsv", ["sentence\tlabel", "a\t1"])
    return str(tmp_path / "glue")


def test_all_missing_tasks_are_named_at_once(world: Path) -> None:
    with pytest.raises(DistilleryError) as refused:
        check_job(job_settings(tasks=("RTE", "MRPC", "MNLI"), timing=True))
    said = str(refused.value)
    assert "lacks RTE/ with train.tsv and dev.tsv; MNLI/ with" in said and "dev_mismatched.tsv" in said
    assert "It has MRPC, SST-2" in said or "It has SST-2, MRPC, STS-B" in said
    assert "Put the official files there" in said


def test_timing_needs_its_task(world: Path, tmp_path: Path) -> None:
    for name in ("train.tsv", "dev.tsv"):
        write(tmp_path / "MRPC" / name, (world / "learnable" / "MRPC" / name).read_text().splitlines())
    with pytest.raises(DistilleryError, match="lacks STS-B/ .*Size and speed are measured on STS-B"):
        check_job(job_settings(path=str(tmp_path), tasks=("MRPC",), timing=True))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"path": "/nowhere/glue"}, "path: there is no folder '/nowhere/glue'"),
        ({"models": (StudentModel(run="none"),)}, "no run called 'none'"),
        ({"models": (StudentModel(run="waits"),)}, "Run waits is queued, not finished"),
        ({"models": (StudentModel(run="one"), StudentModel(run="one"))}, "models holds Run one twice"),
        ({"max_tokens": 100}, "max_tokens is 100, but Teacher in teacher/ .* reads at most 64"),
        ({"models": (TeacherModel(teacher=TeacherSettings(source="folder", path="/no")),)}, "cannot be opened"),
        ({"models": (TeacherModel(teacher=TeacherSettings(source="hub")),)}, "network is off"),
        ({"source": "glue_hub"}, "network, which is off"),
    ],
)
def test_what_is_not_there_is_refused(world: Path, fields: dict[str, object], sentence: str) -> None:
    if not (world / "runs" / "waits").exists():
        runs.create_run(settings_of(), "waits", owner=this_process())
    with pytest.raises(DistilleryError, match=sentence):
        check_job(job_settings(**fields))


def test_a_wrong_file_is_named_with_its_line_before_any_model_learns(tmp_path: Path) -> None:
    path = broken_folder(tmp_path)
    with pytest.raises(DistilleryError, match="MRPC/dev.tsv, line 1"):
        check_job(job_settings(path=path, tasks=("MRPC",)))
    # Far behind what a first look sees.
    header, *rows = (home() / "learnable" / "MRPC" / "dev.tsv").read_text().splitlines()
    write(tmp_path / "glue" / "MRPC" / "dev.tsv", [header, *rows * 50, "1\t2"])
    check_job(job_settings(path=path, tasks=("MRPC",)))
    folder = job("cut", path=path, tasks=("SST-2", "MRPC"))
    write(tmp_path / "glue" / "SST-2" / "train.tsv", [HEADERS["SST-2"], "a\t1", "b\t0"])
    write(tmp_path / "glue" / "SST-2" / "dev.tsv", [HEADERS["SST-2"], "a\t1", "b\t0"])
    assert carry_out(folder) == "failed"
    assert f"MRPC/dev.tsv, line {50 * len(rows) + 2}: this row has 2" in runs.read_status(
        folder
    ).sentence and not read_cells(folder)


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        ({"tasks": ()}, "tasks"),
        ({"tasks": ("MRPC", "MRPC")}, "asks holds a task twice"),
        ({"seeds": 6}, "seeds is 6; expected a whole number from 1 to 5"),
        ({"second_distillation": True, "models": (StudentModel(run="one"),)}, "needs a teacher"),
        ({"second_distillation": True, "way": "zero-shot"}, "switch one of them off"),
        ({"copies": 2}, "opies is for students that are distilled again; switch second_distillation on"),
        ({"choose_rate": True, "way": "zero-shot"}, "hoose_rate is on, but zero-shot means learning nothing"),
        ({"every_layer": True}, "very_layer is for students that are distilled again"),
        ({"path": ""}, "ath is empty"),
    ],
)
def test_settings_that_make_no_sense_are_refused(raw: dict[str, object], sentence: str) -> None:
    plain = json.loads(job_settings().model_dump_json()) | json.loads(json.dumps(raw, default=lambda o: o.model_dump()))
    with pytest.raises(SettingsError, match=sentence):
        parse_glue(plain)


def test_only_configured_folders_are_read(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    (allowed / "link").symlink_to(world / "learnable")
    (allowed / "real").mkdir()
    (allowed / "real" / "MRPC").symlink_to(world / "learnable" / "MRPC")
    settings = job_settings(models=(StudentModel(run="one"),), tasks=("MRPC",))
    check_job(settings)
    monkeypatch.setenv(DATA_ROOTS, os.pathsep.join([str(allowed), "", str(tmp_path / "other")]))
    for path in (world / "learnable", allowed / "link", allowed / ".." / ".." / "learnable", "/", tmp_path / "allowe"):
        with pytest.raises(DistilleryError, match="^path: .*does not lie in a folder that may be read"):
            check_job(settings.model_copy(update={"path": str(path)}))
    with pytest.raises(DistilleryError, match="^train.tsv: .*does not lie"):
        check_job(settings.model_copy(update={"path": str(allowed / "real")}))
    monkeypatch.setenv(DATA_ROOTS, os.pathsep.join([str(allowed), str(world / "learnable")]))
    check_job(settings)
    check_job(settings.model_copy(update={"path": str(allowed / "link")}))
    with pytest.raises(DistilleryError, match="^teacher.path: .*does not lie"):
        check_job(job_settings())
    with pytest.raises(DistilleryError, match="^data.path: .*does not lie"):
        load_labelled(settings_of().data)


# One queue for both kinds


def test_runs_and_jobs_take_turns_in_one_queue() -> None:
    """Files of an earlier version do not say when they were queued; then the settings' age decides."""
    for place, make in enumerate(
        (
            lambda: runs.create_job(job_settings(tasks=("SST-2",), max_examples=100, epochs=1), "a-job"),
            lambda: runs.create_run(settings_of("training.epochs=1"), "b-run"),
            lambda: runs.create_job(job_settings(tasks=("MRPC",), max_examples=100, epochs=1), "c-job"),
        )
    ):
        folder = make()
        runs.write_status(folder, replace(runs.read_status(folder), queued_at=0.0))
        os.utime(folder / "config.json", (1000 + place, 1000 + place))
    assert [folder.name for folder in kinds.waiting_runs()] == ["b-run"]
    assert [folder.name for folder in kinds.queue.waiting(MACHINE, kinds.GLUE)] == ["a-job", "c-job"]
    order: list[str] = []
    while waiting := kinds.queue.waiting(MACHINE):
        order.append(waiting[0].name)
        assert kinds.carry_out(waiting[0]) == "finished"
    assert order == ["a-job", "b-run", "c-job"]


def test_an_active_job_is_not_taken_for_a_run(world: Path) -> None:
    folder = job("active", tasks=("SST-2",))
    runs.write_status(folder, runs.Status("running", "Measuring.", "scores", 1, 5, owner=this_process()))
    assert kinds.active_glue() == folder and kinds.active_run() is None
    runs.request_stop(folder)
    assert runs.read_status(folder).state == "stopping"
    runs.write_status(folder, runs.Status("stopped", "Stopped."))


@pytest.mark.usefixtures("nothing_trains")
def test_a_banner_leads_from_other_pages_to_the_job_that_is_measured(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DISTILLERY_HOME", str(tmp_path))
    folder = runs.create_job(GlueSettings(tasks=("IMDb",)), "active")
    status = runs.Status("running", "Run *one* on MRPC: epoch 1 of 3.", "scores", 3, 9, owner=this_process())
    runs.write_status(folder, status)
    at = open_page(HOME)
    assert "Measuring GLUE now: Run *one* on MRPC: epoch 1 of 3. Step 3 of 9." in words(at)
    press(at, "See the scores")
    assert "Measuring GLUE now" not in words(at)


def test_defaults_are_the_papers() -> None:
    settings = GlueSettings(path="x")
    assert (settings.epochs, settings.batch_size, settings.max_tokens, settings.seeds) == (3, 32, 128, 1)
    assert measure.CHECKPOINT_EVERY == 200
