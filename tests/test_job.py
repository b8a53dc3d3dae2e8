"""A whole run on tiny real models: what it writes, what it measures, what it keeps, how it fails."""

from __future__ import annotations

import gc
import hashlib
import math
import shutil
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import BertForSequenceClassification

from core.config import WEIGHT_PRESETS, Settings
from core.data.bundle import BundleError
from core.data.labelled import LabelledData, Part
from core.data.tokens import Batch, Tokens, tokenise
from core.distill import session, student_stage, teacher_stage
from core.distill.cache import teacher_key
from core.distill.device import Compute
from core.errors import DistilleryError
from core.models.saved import load_classifier
from core.models.student import build_student
from core.runs import folder as runs
from core.runs.events import Event, read_events
from core.runs.execute import execute
from core.runs.owner import this_process
from core.scoring.predict import accuracy, agreement, predict
from core.settings_file import override
from tests.test_loop import Listener, one_thread  # noqa: F401  used by every test here
from tests.tiny import tiny_teacher, tiny_tokenizer

GOOD, BAD = ("warm", "funny", "moving", "good", "charm"), ("dull", "lifeless", "mess", "bad", "without")
SMALL = (
    "teacher.epochs=4", "teacher.batch_size=16", "teacher.learning_rate=2e-3", "training.epochs=2",
    "training.batch_size=16", "training.learning_rate=1e-3", "training.threads=1", "training.device=cpu",
    "training.precision=fp32", "data.max_tokens=32",
)  # fmt: skip
COMPUTE = Compute(torch.device("cpu"), "fp32", 1)


def synthetic_reviews() -> LabelledData:
    """240 different sentences whose label is the mood of their words, split 192/24/24."""
    labelled = [
        (f"{subject} is {very}{first} and {second} .", label)
        for label, words in enumerate((BAD, GOOD))
        for subject in ("the film", "a movie", "the story")
        for very in ("", "very ")
        for first, second in permutations(words, 2)
    ]
    order = np.random.default_rng(0).permutation(len(labelled))
    texts, labels = [labelled[i][0] for i in order], np.array([labelled[i][1] for i in order])
    cuts = ((0, 192), (192, 216), (216, 240))
    return LabelledData(("negative", "positive"), *(Part(texts[a:b], labels[a:b]) for a, b in cuts))


def teachable(labels: int = 2) -> BertForSequenceClassification:
    """A tiny teacher of 6 layers, calm enough to learn the task in a second."""
    model = tiny_teacher(labels, layers=6)
    with torch.no_grad():
        for parameter in model.bert.encoder.parameters():
            if parameter.dim() == 2:
                parameter.mul_(0.5)
    return model


def use_tiny_models(patch: pytest.MonkeyPatch) -> None:
    """A tiny teacher of 6 layers and 240 sentences in place of the bundled ones."""
    patch.setattr(teacher_stage, "bundled_teacher", lambda names, seed: teachable(len(names)))
    patch.setattr(session, "bundled_tokenizer", tiny_tokenizer)
    patch.setattr(session, "load_labelled", lambda settings: synthetic_reviews())


def settings_of(*assignments: str) -> Settings:
    return override(Settings(), [*SMALL, *assignments])


def run_once(name: str, *assignments: str, leaving=lambda: False) -> Path:
    """Execute a run in the home of the moment; returns its folder."""
    folder = runs.create_run(settings_of(*assignments), name)
    execute(folder, leaving)
    return folder


@pytest.fixture(scope="module", autouse=True)
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One home for this module, so that the teacher is trained once and then found in the cache."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DISTILLERY_HOME", str(home))
        use_tiny_models(patch)
        # Every run ends with a garbage collection, which need not look at the libraries each time.
        gc.freeze()
        yield home
        gc.unfreeze()


@pytest.fixture(scope="module")
def first(world: Path) -> Path:
    """The first run of this home: trains the teacher too."""
    return run_once("first")


@pytest.fixture(scope="module")
def second(first: Path) -> Path:
    """The same settings again."""
    return run_once("second")


def events(folder: Path, kind: str, stage: str = "student") -> list[Event]:
    found, _ = read_events(folder / "metrics.jsonl")
    return [event for event in found if event["event"] == kind and event["stage"] == stage]


def listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


MODEL = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")


def test_a_finished_run_holds_exactly_these_files(first: Path, world: Path) -> None:
    assert runs.read_status(first).state == "finished", (first / "log.txt").read_text()
    assert listing(first) == sorted(
        ["config.json", "metrics.jsonl", "results.json", "status.json", "teacher.json"]
        + [f"student/{name}" for name in MODEL]
    )
    key = teacher_key(settings_of())
    assert runs.read_json(first / "teacher.json") == {"key": key}
    teacher = [f"teachers/{key}/{name}" for name in ("train_hidden.npy", "train_logits.npy")]
    assert listing(world / "cache") == sorted(
        ["pace.json", *teacher, *(f"teachers/{key}/model/{name}" for name in MODEL)]
    )


def test_the_status_of_a_finished_run_says_so(first: Path) -> None:
    status = runs.read_status(first)
    assert (status.state, status.stage, status.step, status.total_steps) == ("finished", "student", 24, 24)
    assert status.sentence == "Finished: the student is trained, scored and saved."


def test_results_hold_these_numbers(first: Path) -> None:
    results = runs.read_results(first)
    assert set(results) == {
        "teacher", "student", "majority", "kept", "agreement", "split", "examples", "teacher_from_cache", "seed",
        "elapsed_s", "compute", "versions",
    }  # fmt: skip
    for card in (results["teacher"], results["student"]):
        assert set(card) == {"accuracy", "parameters", "encoder_parameters", "size_mb", "ms_per_sentence"}
        assert card["ms_per_sentence"] > 0
    assert (results["split"], results["examples"], results["seed"]) == ("test", 24, 0)
    assert results["teacher_from_cache"] is False
    assert results["compute"] == {"device": "cpu", "precision": "fp32", "threads": 1}
    assert results["versions"]["torch"] == torch.__version__
    assert results["kept"] == results["student"]["accuracy"] / results["teacher"]["accuracy"]
    assert results["teacher"]["encoder_parameters"] == 2 * results["student"]["encoder_parameters"]
    assert results["student"]["size_mb"] == round(results["student"]["parameters"] * 4 / 1e6, 1)


def test_the_scores_are_those_of_the_saved_models_on_the_test_part(first: Path, world: Path) -> None:
    results = runs.read_results(first)
    student, tokenizer = load_classifier(first / "student")
    teacher, _ = load_classifier(world / "cache" / "teachers" / teacher_key(settings_of()) / "model")
    part = synthetic_reviews().test
    test = tokenise(part, tokenizer, 32)
    logits = {name: predict(model, test, COMPUTE, lambda: None) for name, model in (("t", teacher), ("s", student))}
    assert results["teacher"]["accuracy"] == accuracy(logits["t"], part.labels) > 0.8
    assert results["student"]["accuracy"] == accuracy(logits["s"], part.labels)
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
    assert begin["weights"] == {"soft": 5.0, "hard": 2.0, "cosine": 1.0}
    assert 0.8 < begin["teacher_accuracy"] <= 1.0 and 0.5 <= begin["majority"] < 0.7
    scores, probes = events(first, "score"), events(first, "probe")
    assert scores[0]["step"] == 0 and scores[-1]["step"] == 24 and len(scores) == student_stage.SCORES + 1
    assert probes[0]["step"] == 0 and probes[-1]["step"] == 24
    assert all(0 <= score[name] <= 1 for score in scores for name in ("accuracy", "agreement"))
    for probe in probes:
        assert np.shape(probe["student"]) == np.shape(probe["teacher"]) == (5, 2)
        assert np.allclose(np.sum(probe["student"], axis=1), 1, atol=2e-4)
        assert probe["teacher"] == probes[0]["teacher"]
    assert probes[0]["student"] != probes[-1]["student"]
    assert events(first, "score", "teacher")[-1]["accuracy"] == begin["teacher_accuracy"]


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
    weights = dict(zip(("soft", "hard", "cosine"), WEIGHT_PRESETS[name], strict=True))
    chosen = [f"loss.{term}={weight}" for term, weight in weights.items()]
    folder = run_once(f"preset-{list(WEIGHT_PRESETS).index(name)}", *chosen, "training.epochs=1")
    assert runs.read_status(folder).state == "finished", (folder / "log.txt").read_text()
    used = {term: weight for term, weight in weights.items() if weight}
    for step in events(folder, "step"):
        assert {"soft", "hard", "cosine"} & set(step) == set(used)
        assert step["loss"] == pytest.approx(sum(weight * step[term] for term, weight in used.items()), rel=1e-5)
    assert events(folder, "stage")[0]["weights"] == weights
    assert all("agreement" in score for score in events(folder, "score"))


def test_the_control_does_not_depend_on_what_the_teacher_says(first: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    control = ("loss.soft=0", "loss.hard=1", "loss.cosine=0", "training.epochs=1", "student.initial_weights=random")
    plain = run_once("control", *control)
    monkeypatch.setattr(teacher_stage.TeacherOutputs, "logits_of", None)
    monkeypatch.setattr(teacher_stage.TeacherOutputs, "hidden_of", None)
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
        with pytest.raises(DistilleryError, match=rf"right in {right:.1%} .* \(50\.0%\)"):
            teacher_stage.check_worth_teaching(right, 0.5, 853)


def test_a_stop_keeps_what_the_student_has_learned(first: Path) -> None:
    folder = runs.create_run(settings_of("training.epochs=50"), "stopped")
    execute(folder, leaving=lambda: bool(events(folder, "step")))
    status = runs.read_status(folder)
    assert status.state == "stopped" and status.total_steps == 600
    assert status.sentence.startswith("Stopped because the program was closed at step 1 of 600.")
    assert "is kept" in status.sentence and runs.read_results(folder) is None
    student, _ = load_classifier(folder / "student")
    assert len(student.distilbert.transformer.layer) == 3
    assert [step["step"] for step in events(folder, "step")] == [1]


def test_a_stop_before_the_student_keeps_nothing_and_says_so(first: Path) -> None:
    folder = runs.create_run(settings_of(), "stopped-early")
    runs.write_status(folder, replace(runs.read_status(folder), owner=this_process()))
    (folder / "stop").touch()
    execute(folder)
    assert runs.read_status(folder).sentence == "Stopped by you before the student had begun to learn."
    assert listing(folder) == ["config.json", "metrics.jsonl", "status.json", "stop", "teacher.json"]


def test_a_stop_in_the_teachers_stage_leaves_no_half_teacher(
    first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISTILLERY_HOME", str(tmp_path))
    folder = runs.create_run(settings_of(), "stopped")
    execute(folder, leaving=lambda: bool(events(folder, "step", "teacher")))
    assert runs.read_status(folder).state == "stopped"
    assert listing(tmp_path / "cache") == []


def test_a_loss_that_is_no_number_ends_the_run_with_the_step(first: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is recorded as a gap, and no student full of NaN is left behind."""
    monkeypatch.setattr(student_stage, "hard_target_loss", lambda logits, labels: logits.sum() * math.nan)
    folder = run_once("no-number")
    status = runs.read_status(folder)
    assert status.state == "failed" and status.sentence.startswith("The loss became nan at step 1 ")
    assert "Choose a smaller learning rate" in status.sentence
    assert events(folder, "step")[0]["loss"] is None
    assert not (folder / "student").exists()


def test_a_missing_bundle_ends_the_run_with_its_sentence(first: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: Any) -> LabelledData:
        raise BundleError("The bundled file x is missing. Install it with: pip install y")

    monkeypatch.setattr(session, "load_labelled", missing)
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
    assert status.state == "failed" and "The model in model/ cannot be opened" in status.sentence


def prepared() -> tuple[Tokens, Any]:
    """The training part, and a teacher that has not been trained: enough to compare answers."""
    tokens = tokenise(synthetic_reviews().train, tiny_tokenizer(), 32)
    return tokens, tiny_teacher(layers=6).requires_grad_(False)


def test_the_kept_answers_of_the_teacher_are_its_answers(tmp_path: Path) -> None:
    """Whatever the order in which a batch asks for them: logits exactly, hidden states to 16 bits."""
    tokens, teacher = prepared()
    outputs = teacher_stage.teacher_outputs(teacher, tokens, tmp_path, True, COMPUTE, Listener())
    batch = tokens.batch(np.array([190, 3, 77, 0, 4]), COMPUTE.device)
    with torch.inference_mode():
        answer = teacher(batch.input_ids, attention_mask=batch.attention_mask, output_hidden_states=True)
    words = answer.hidden_states[-1][batch.attention_mask.bool()]
    torch.testing.assert_close(outputs.logits_of(batch), answer.logits, rtol=0, atol=1e-5)
    torch.testing.assert_close(outputs.hidden_of(batch).float(), words, rtol=1e-3, atol=1e-3)
    again = teacher_stage.teacher_outputs(None, tokens, tmp_path, True, COMPUTE, Listener())  # type: ignore[arg-type]
    assert torch.equal(again.logits_of(batch), outputs.logits_of(batch))
    assert {path.name for path in tmp_path.iterdir()} == {"train_hidden.npy", "train_logits.npy"}


def test_answers_kept_without_hidden_states_are_completed_when_they_are_needed(tmp_path: Path) -> None:
    tokens, teacher = prepared()
    without = teacher_stage.teacher_outputs(teacher, tokens, tmp_path, False, COMPUTE, Listener())
    assert without.hidden is None and not (tmp_path / "train_hidden.npy").exists()
    complete = teacher_stage.teacher_outputs(teacher, tokens, tmp_path, True, COMPUTE, Listener())
    assert complete.hidden.shape == (len(tokens.ids), 32)


def test_a_disk_without_room_is_refused_before_anything_is_written(tmp_path: Path, monkeypatch) -> None:
    tokens, teacher = prepared()
    usage = namedtuple("usage", "total used free")(10**6, 10**6 - 100, 100)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DistilleryError, match="Make room, use fewer examples, or set the hidden"):
        teacher_stage.teacher_outputs(teacher, tokens, tmp_path, True, COMPUTE, Listener())
    assert not any(tmp_path.iterdir())


def padded(batch: Batch, columns: int) -> Batch:
    """The same examples with more padding, of word pieces that mean something."""
    rows = len(batch.labels)
    ids = torch.cat([batch.input_ids, torch.full((rows, columns), 7)], dim=1)
    mask = torch.cat([batch.attention_mask, torch.zeros((rows, columns), dtype=torch.long)], dim=1)
    return Batch(batch.examples, ids, mask, batch.labels)


def test_padding_changes_neither_the_loss_nor_its_gradients(tmp_path: Path) -> None:
    """All three terms, through real models, with the batch padded by 20 more columns."""
    tokens, teacher = prepared()
    settings = settings_of()
    student = build_student(teacher, settings.student, seed=0).eval()
    outputs = teacher_stage.teacher_outputs(teacher, tokens, tmp_path, True, COMPUTE, Listener())
    batch = tokens.batch(np.array([5, 100, 17, 33]), COMPUTE.device)
    assert batch.attention_mask.min() == 0, "the batch itself is padded too"

    def measured(batch: Batch) -> tuple[dict[str, float], Tensor]:
        terms = student_stage.loss_terms(settings.loss, student, outputs)(batch)
        student.zero_grad()
        terms["loss"].backward()
        gradient = torch.cat([p.grad.flatten() for p in student.parameters() if p.grad is not None])
        return {name: term.item() for name, term in terms.items()}, gradient

    terms, gradient = measured(batch)
    more_terms, more_gradient = measured(padded(batch, 20))
    assert terms == pytest.approx(more_terms, rel=1e-5)
    torch.testing.assert_close(gradient, more_gradient, rtol=1e-4, atol=1e-4 * float(gradient.abs().max()))
    assert set(terms) == {"loss", "soft", "hard", "cosine"} and all(value > 0 for value in terms.values())


def test_a_student_that_is_its_teacher_has_no_soft_and_no_cosine_loss(tmp_path: Path) -> None:
    """At full depth, with the teacher's head: only the labels are left to learn."""
    tokens, teacher = prepared()
    settings = settings_of("student.layers=6")
    student = build_student(teacher, settings.student, seed=0).eval()
    student.pre_classifier.load_state_dict(teacher.bert.pooler.dense.state_dict())
    student.classifier.load_state_dict(teacher.classifier.state_dict())
    # BERT's pooler ends in tanh, DistilBERT's head in ReLU: the one place in which the two classes differ.
    student.forward = with_tanh(student)  # type: ignore[method-assign]
    outputs = teacher_stage.teacher_outputs(teacher, tokens, tmp_path, True, COMPUTE, Listener())
    batch = tokens.batch(np.arange(8), COMPUTE.device)
    terms = student_stage.loss_terms(settings.loss, student, outputs)(batch)
    assert terms["soft"].item() == pytest.approx(0.0, abs=1e-6)
    assert terms["cosine"].item() == pytest.approx(0.0, abs=1e-6)
    assert terms["hard"].item() > 0.1


def with_tanh(student: Any) -> Any:
    def forward(input_ids: Tensor, attention_mask: Tensor, output_hidden_states: bool) -> Any:
        body = student.distilbert(input_ids, attention_mask=attention_mask, output_hidden_states=output_hidden_states)
        body.logits = student.classifier(torch.tanh(student.pre_classifier(body.last_hidden_state[:, 0])))
        return body

    return forward
