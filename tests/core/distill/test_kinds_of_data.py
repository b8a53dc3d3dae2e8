"""Whole runs on every kind of data and teacher that can be had without a network, each on its real way to a result."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from core.cli.kinds import carry_out
from core.config import Settings
from core.models.saved import load_model
from core.runs import folder as runs
from core.settings_file import override
from core.storage import read_json
from tests.fixtures.small_runs import GOOD, MASKED, SMALL, events, reviews, run_once, world_of, write_inputs


@pytest.fixture(scope="module", autouse=True)
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One home for all tests of this file."""
    with world_of(tmp_path_factory.mktemp("home")) as home:
        write_inputs(home / "inputs")
        yield home


def finished(name: str, *assignments: str) -> Path:
    folder = run_once(name, *assignments)
    assert runs.read_status(folder).state == "finished", (folder / "log.txt").read_text()
    return folder


def write_csv(path: Path, header: tuple[str, ...], rows: list[tuple[str, ...]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def mood(text: str) -> float:
    """How many of its words are good: 0, 1 or 2."""
    return float(sum(word in GOOD for word in text.split()))


def test_a_score_is_learned_with_squared_errors_and_measured_by_correlation(world: Path) -> None:
    rows = [(text, f"{mood(text) + 0.25:.2f}") for text, _ in reviews()]
    path = write_csv(world / "scores.csv", ("text", "label"), rows)
    folder = finished("scores", f"data.path={path}", "teacher.epochs=12")
    results = runs.read_results(folder)
    assert results["metric"] == "correlation" and results["majority"] is None
    assert results["teacher"]["score"] > 0.8 and results["student"]["score"] > 0.5
    student, _ = load_model(folder / "student")
    assert student.config.num_labels == 1
    for step in events(folder, "step"):
        assert step["loss"] == pytest.approx(5 * step["soft"] + 2 * step["hard"] + step["cosine"], rel=1e-5)
    assert np.shape(events(folder, "probe")[0]["student"]) == (5, 1)


def test_pairs_are_read_by_the_teacher_with_their_token_types(world: Path) -> None:
    texts = [text for text, _ in reviews()]
    rows = [(a, b, "good" if mood(b) else "bad") for a, b in pairwise(texts)]
    path = write_csv(world / "pairs.csv", ("first", "second", "label"), rows)
    columns = (f"data.path={path}", "data.text_column=first", "data.pair_column=second", "data.max_tokens=48")
    folder = finished("pairs", *columns, "teacher.epochs=8")
    results = runs.read_results(folder)
    assert (results["metric"], results["counted"]) == ("accuracy", "pairs")
    assert not events(folder, "probe"), "a watched sentence is no pair"


def test_three_classes(world: Path) -> None:
    names = ("none", "one", "two")
    rows = [(text, names[int(mood(text))]) for text, _ in reviews()]
    rows += [(text.replace(".", "!"), "loud") for text, _ in reviews()[:100]]
    path = write_csv(world / "classes.csv", ("text", "label"), rows)
    folder = finished("classes", f"data.path={path}", "teacher.epochs=8")
    student, _ = load_model(folder / "student")
    assert set(student.config.id2label.values()) == {name for _, name in rows}


@pytest.mark.parametrize("split", ["official", "merged"])
def test_a_glue_folder_on_both_splits(world: Path, split: str) -> None:
    folder = world / "glue" / "SST-2"
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{text}\t{int(label == 'positive')}" for text, label in reviews()]
    for name, part in (("train.tsv", lines[:200]), ("dev.tsv", lines[200:])):
        (folder / name).write_text("\n".join(["sentence\tlabel", *part]) + "\n", encoding="utf-8")
    run = finished(f"glue-{split}", "data.source=glue_folder", f"data.path={world / 'glue'}", f"data.split={split}")
    results = runs.read_results(run)
    assert (results["split"], results["examples"]) == (
        ("official dev", 40) if split == "official" else ("merged test", 24)
    )
    assert results["notes"], "what is special about this split is said beside its result"


def test_plain_text_teaches_words(world: Path) -> None:
    path = world / "plain.txt"
    path.write_text("\n\n".join(f"and so {text}" for text, _ in reviews()), encoding="utf-8")
    folder = finished("plain", *MASKED, "data.source=text", f"data.path={path}")
    assert runs.read_results(folder)["metric"] == "masked-word accuracy"


def test_a_teacher_that_knows_the_task_is_used_as_it_is(world: Path) -> None:
    first = finished("taught")
    key = read_json(first / "teacher.json")["key"]
    copy = world / "knows-the-task"
    shutil.copytree(world / "cache" / "teachers" / key / "model", copy)
    second = finished("as-it-is", f"teacher.path={copy}", "teacher.epochs=0")
    assert not events(second, "step", "teacher")
    scores = [runs.read_results(folder)["teacher"]["score"] for folder in (first, second)]
    assert scores[0] == scores[1]


def test_a_narrower_student_learns_through_a_projection_that_is_not_saved(world: Path) -> None:
    narrow = ("student.initial_weights=random", "student.width=16", "student.heads=2")
    folder = finished("narrow", *narrow)
    student, _ = load_model(folder / "student")
    assert (student.config.dim, student.config.n_heads, student.config.hidden_dim) == (16, 2, 32)
    assert not any("projection" in name for name in student.state_dict())
    cosines = [step["cosine"] for step in events(folder, "step")]
    assert np.mean(cosines[-5:]) < np.mean(cosines[:3])


def test_a_narrower_student_stopped_and_resumed_ends_in_the_same_bits(world: Path) -> None:
    from core.runs.resume import request_resume
    from tests.fixtures.broken_runs import outcome, stop_after_update

    narrow = ("student.initial_weights=random", "student.width=16", "student.heads=2")
    finished("narrow-teacher", *narrow)
    whole = finished("narrow-whole", *narrow)
    with stop_after_update(9):
        broken = run_once("narrow-broken", *narrow)
    request_resume(broken)
    carry_out(broken)
    assert outcome(broken) == outcome(whole)


def test_a_batch_in_parts_learns_the_same_but_for_dropout(world: Path) -> None:
    folder = finished("parts", "training.accumulation=4")
    assert runs.read_results(folder)["student"]["score"] > 0.8


def test_changed_copies_are_read_as_well_and_a_broken_run_reads_the_same_ones(world: Path) -> None:
    from core.runs.resume import request_resume
    from tests.fixtures.broken_runs import outcome, stop_after_update

    copies = ("training.copies=2", "loss.layers=1", "training.accumulation=2")
    finished("copies-teacher", *copies)
    whole = finished("copies-whole", *copies)
    steps = [len(events(folder, "step")) for folder in (finished("no-copies"), whole)]
    assert steps[1] == 3 * steps[0]
    with stop_after_update(9):
        broken = run_once("copies-broken", *copies)
    request_resume(broken)
    carry_out(broken)
    assert outcome(broken) == outcome(whole)


def test_a_control_has_nobody_to_label_copies_and_reads_the_texts_as_often(world: Path) -> None:
    alone = ("loss.soft=0", "loss.cosine=0", "loss.hard=1")
    once, thrice = finished("alone", *alone), finished("alone-thrice", *alone, "training.copies=2")
    steps = [events(folder, "step") for folder in (once, thrice)]
    assert len(steps[1]) == 3 * len(steps[0])
    assert steps[1][-1]["hard"] < 0.5, "every text that it reads has a label"


def test_copies_of_scores_have_a_score_of_the_teacher_only(world: Path) -> None:
    rows = [(text, f"{mood(text) + 0.25:.2f}") for text, _ in reviews()]
    path = write_csv(world / "copied-scores.csv", ("text", "label"), rows)
    folder = finished("copied-scores", f"data.path={path}", "teacher.epochs=12", "training.copies=1")
    assert runs.read_results(folder)["student"]["score"] > 0.5
    assert all(np.isfinite(step["hard"]) for step in events(folder, "step"))


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on processors")
def test_a_compiled_student_learns_the_same(world: Path) -> None:
    """Without dropout, which compiled code draws in its own way; and the saved student must not know of it."""
    teacher = changed_teacher(world / "no-dropout", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    common = (f"teacher.path={teacher}", "training.epochs=1", "student.layers=1")
    plain, compiled = finished("not-compiled", *common), finished("compiled", *common, "training.compile=true")
    losses = [[step["loss"] for step in events(folder, "step")] for folder in (plain, compiled)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-2)
    names = [set(load_model(folder / "student")[0].state_dict()) for folder in (plain, compiled)]
    assert names[0] == names[1]
    torch.compiler.reset()


def changed_teacher(folder: Path, **changes: float) -> Path:
    """A copy of the small teacher with some of its configuration changed."""
    if not folder.exists():
        shutil.copytree(folder.parent / "inputs" / "teacher", folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))
    (folder / "manifest.json").unlink(missing_ok=True)
    return folder


def test_another_teacher_below_the_same_path_is_another_run(world: Path) -> None:
    """A checkpoint made with other weights behind the same settings is refused, and nothing is lost."""
    from core.runs.resume import request_resume
    from tests.fixtures.broken_runs import stop_after_update

    teacher = world / "exchanged"
    shutil.copytree(world / "inputs" / "teacher", teacher)
    with stop_after_update(5):
        folder = run_once("exchanged", f"teacher.path={teacher}")
    changed_teacher(teacher, hidden_dropout_prob=0.2)
    request_resume(folder)
    assert carry_out(folder) == "failed"
    assert "teacher" in runs.read_status(folder).sentence


def test_the_bundled_defaults_are_not_touched_by_all_this() -> None:
    assert override(Settings(), SMALL).data.source == "rotten_tomatoes"
