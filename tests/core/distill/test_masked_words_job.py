"""Whole runs that learn words, on a tiny teacher and 240 sentences."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoModelForMaskedLM

from core.config import WEIGHT_PRESETS
from core.distill.cache import teacher_key
from core.models.saved import load_model
from core.runs import folder as runs
from tests.fixtures.small_runs import MASKED, digest, events, listing, run_once, settings_of, world_of


@pytest.fixture(scope="module", autouse=True)
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One home for all tests of this file."""
    with world_of(tmp_path_factory.mktemp("home")) as home:
        yield home


@pytest.fixture(scope="module")
def first(world: Path) -> Path:
    return run_once("first", *MASKED)


def test_it_finishes_and_measures_both_models_on_hidden_words(first: Path) -> None:
    assert runs.read_status(first).state == "finished", (first / "log.txt").read_text()
    results = runs.read_results(first)
    assert (results["objective"], results["metric"]) == ("masked_words", "masked-word accuracy")
    assert (results["counted"], results["split"]) == ("masked words", "test")
    assert 10 < results["examples"] < 100
    assert results["teacher"]["score"] > results["majority"] > 0
    assert results["student"]["score"] > results["majority"]
    assert results["kept"] == results["student"]["score"] / results["teacher"]["score"]


def test_the_teacher_has_a_stage_of_its_own_with_its_held_out_accuracy(first: Path) -> None:
    (begin,) = events(first, "stage", "teacher")
    assert begin["metric"] == "masked-word accuracy"
    scores = events(first, "score", "teacher")
    assert scores[0]["step"] == 0 and scores[-1]["score"] > scores[0]["score"]
    assert scores[-1]["score"] == events(first, "stage")[0]["teacher_score"]


def test_the_loss_of_every_step_is_the_weighted_sum_of_its_terms(first: Path) -> None:
    for step in events(first, "step"):
        assert step["loss"] == pytest.approx(5 * step["soft"] + 2 * step["hard"] + step["cosine"], rel=1e-4)
    losses = [step["loss"] for step in events(first, "step")]
    assert np.mean(losses[-6:]) < np.mean(losses[:3])


def test_the_watched_sentence_is_answered_by_both(first: Path) -> None:
    probes = events(first, "probe")
    for probe in probes:
        for answers in (probe["student"], probe["teacher"]):
            (words,) = answers
            assert len(words) == 5 and [share for _, share in words] == sorted((s for _, s in words), reverse=True)
    assert probes[0]["student"] != probes[-1]["student"]


def test_the_next_run_finds_the_teacher_and_ends_in_the_same_bits(first: Path) -> None:
    second = run_once("second", *MASKED)
    assert runs.read_results(second)["teacher_from_cache"] is True
    assert digest(second / "student" / "model.safetensors") == digest(first / "student" / "model.safetensors")
    assert [{**step, "elapsed_s": 0} for step in events(second, "step")] == [
        {**step, "elapsed_s": 0} for step in events(first, "step")
    ]


def test_the_saved_student_opens_with_plain_from_pretrained(first: Path) -> None:
    ids = torch.arange(5, 15).unsqueeze(0)
    mine, _ = load_model(first / "student")
    theirs = AutoModelForMaskedLM.from_pretrained(first / "student").eval()
    body = AutoModel.from_pretrained(first / "student").eval()
    with torch.inference_mode():
        assert torch.equal(mine(ids).logits, theirs(ids).logits)
        assert body(ids).last_hidden_state.shape == (1, 10, 32)


@pytest.mark.parametrize("name", WEIGHT_PRESETS)
def test_every_preset_runs_and_records_only_the_terms_it_uses(first: Path, name: str) -> None:
    weights = WEIGHT_PRESETS[name]
    chosen = [f"loss.{term}={weight}" for term, weight in weights.items()]
    folder = run_once(f"preset-{list(WEIGHT_PRESETS).index(name)}", *MASKED, *chosen, "training.epochs=1")
    assert runs.read_status(folder).state == "finished", (folder / "log.txt").read_text()
    used = {term: weight for term, weight in weights.items() if weight}
    for step in events(folder, "step"):
        assert {"soft", "hard", "cosine"} & set(step) == set(used)


@pytest.mark.parametrize(
    "option",
    [
        ("loss.soft_positions=masked",),
        ("loss.soft_positions=sample", "loss.soft_share=0.5"),
        ("training.accumulation=3",),
        ("student.initial_weights=random", "student.width=16", "student.heads=4"),
    ],
    ids=lambda option: option[0],
)
def test_every_option_runs(first: Path, option: tuple[str, ...]) -> None:
    folder = run_once("-".join(option).replace(".", "-").replace("=", "-"), *MASKED, *option, "training.epochs=1")
    assert runs.read_status(folder).state == "finished", (folder / "log.txt").read_text()


def test_whole_words_have_a_teacher_of_their_own(first: Path) -> None:
    assert teacher_key(settings_of(*MASKED)) != teacher_key(settings_of(*MASKED, "masking.whole_words=true"))
    folder = run_once("whole", *MASKED, "masking.whole_words=true", "teacher.epochs=8", "training.epochs=1")
    assert runs.read_status(folder).state in ("finished", "failed"), (folder / "log.txt").read_text()


def test_a_teacher_without_a_head_for_words_cannot_be_used_as_it_is(first: Path) -> None:
    folder = run_once("no-head", *MASKED, "teacher.epochs=0")
    status = runs.read_status(folder)
    assert status.state == "failed" and "teacher.epochs" in status.sentence


def test_a_finished_run_holds_exactly_these_files(first: Path) -> None:
    model = ("config.json", "manifest.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
    assert listing(first) == sorted(
        ["config.json", "metrics.jsonl", "results.json", "status.json", "teacher.json"]
        + [f"student/{name}" for name in model]
    )
