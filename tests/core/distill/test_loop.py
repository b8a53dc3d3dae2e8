"""The training loop on a tiny real BERT: it learns, it repeats itself exactly, it stops between two steps."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_pre_hook
from transformers import BertForSequenceClassification

from core.data.labelled import Part
from core.data.tokens import Batch, Tokens, batches_per_epoch, cut_by_length, tokenise
from core.distill.device import Compute, choose_compute
from core.distill.loop import Lesson, Schedule, is_due, train
from core.errors import DistilleryError
from core.jobs.reporter import StopRequested
from core.scoring.predict import accuracy, predict
from core.sections import TrainingSettings
from core.terms.hard import hard_target_loss
from tests.fixtures.tiny_models import tiny_teacher, tiny_tokenizer

COMPUTE = Compute(torch.device("cpu"), "fp32", 1)
EIGHT = (
    "a warm film", "a dull mess", "the plot is clever", "the music was awful", "funny and charming",
    "boring and too long", "brilliant cast", "a lifeless scene",
)  # fmt: skip


class Listener:
    """A recorder that remembers what it is told and stops when `stop_at` steps are done."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.steps: list[dict[str, Any]] = []
        self.stop_at = stop_at

    def step(self, step: int, terms: dict[str, Tensor], lr: float, sentences: int) -> None:
        values = {name: term.item() for name, term in terms.items()}
        self.steps.append({"step": step, "lr": lr, "sentences": sentences, **values})

    def preparing(self, sentence: str) -> None:
        """What takes a moment is nothing that is remembered here."""

    def check_stop(self) -> None:
        if self.stop_at is not None and len(self.steps) >= self.stop_at:
            raise StopRequested


@pytest.fixture
def data() -> Tokens:
    return tokenise(Part(list(EIGHT), np.array([1, 0, 1, 0, 1, 0, 1, 0])), tiny_tokenizer(), 16)


def model_of() -> BertForSequenceClassification:
    """The same small model every time."""
    return tiny_teacher()


def schedule(**changes: Any) -> Schedule:
    return Schedule(**{"epochs": 3, "batch_size": 3, "learning_rate": 1e-3, "warmup": 0.2, "seed": 5, **changes})


def run(
    model: BertForSequenceClassification,
    data: Tokens,
    plan: Schedule,
    listener: Listener | None = None,
    observe: Callable[[int], None] = lambda step: None,
) -> Listener:
    listener = listener or Listener()
    train(lesson_of(model, data), plan, COMPUTE, listener, observe)
    return listener


def lesson_of(model: BertForSequenceClassification, data: Tokens, parts: int = 1, scale: float = 1.0) -> Lesson:
    """Plain fine-tuning, each update in so many parts, its loss times `scale`."""

    def batches(examples: NDArray[np.int64], _random: np.random.Generator) -> list[tuple[Batch, int]]:
        cut = cut_by_length(data.lengths[examples], parts)
        return [(data.batch(examples[places], COMPUTE.device), len(examples)) for places in cut]

    def terms(part: tuple[Batch, int]) -> dict[str, Tensor]:
        batch, count = part
        logits = model(batch.input_ids, attention_mask=batch.attention_mask).logits
        return {"loss": scale * hard_target_loss(logits, batch.labels, count)}

    return Lesson(model, data.lengths, batches, terms)


def weights_hash(model: torch.nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()


def test_a_tiny_model_learns_eight_examples_by_heart(data: Tokens) -> None:
    model = model_of()
    listener = run(model, data, schedule(epochs=80, batch_size=8, learning_rate=5e-3))
    logits = predict(model, data, COMPUTE, lambda: None)
    assert accuracy(logits, data.labels) == 1.0
    assert hard_target_loss(torch.from_numpy(logits), torch.from_numpy(data.labels)) < 0.05
    assert listener.steps[0]["loss"] > 0.4


def test_two_runs_with_one_seed_end_in_the_same_bits(data: Tokens) -> None:
    """Whatever the global randomness was before: order and dropout follow from seed, epoch and step."""
    hashes = {}
    for name, noise, plan in (
        ("first", 1, schedule()),
        ("again", 2, schedule()),
        ("other seed", 1, schedule(seed=6)),
        ("other rate", 1, schedule(learning_rate=2e-3)),
    ):
        torch.manual_seed(noise)
        np.random.seed(noise)
        model = model_of()
        run(model, data, plan)
        hashes[name] = weights_hash(model)
    assert hashes["first"] == hashes["again"]
    assert len(set(hashes.values())) == 3


def test_watching_the_training_does_not_change_it(data: Tokens) -> None:
    """Scoring in between draws no dropout and leaves the model's mode as the loop needs it."""
    plain, watched = model_of(), model_of()
    run(plain, data, schedule())
    run(watched, data, schedule(), observe=lambda step: predict(watched, data, COMPUTE, lambda: torch.rand(step + 1)))
    assert weights_hash(plain) == weights_hash(watched)


def test_dropout_is_on_while_training(data: Tokens) -> None:
    model = model_of()
    modes = []
    model.register_forward_pre_hook(lambda module, _: modes.append(module.training))
    run(model, data, schedule(epochs=1), observe=lambda step: model.eval())
    assert modes and all(modes)


def without_dropout(model: torch.nn.Module) -> torch.nn.Module:
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model


@pytest.mark.parametrize("parts", [2, 3, 8])
def test_a_batch_cut_into_parts_is_the_same_update(data: Tokens, parts: int) -> None:
    """Sentences of different lengths, so that a mean of the parts' means would not be the batch's mean."""
    results = []
    for number in (1, parts):
        model, gradients = without_dropout(model_of()), []

        def keep(*_: Any, model=model, gradients=gradients) -> None:
            gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))

        hook = register_optimizer_step_pre_hook(keep)
        try:
            listener = Listener()
            plan = schedule(batch_size=7, epochs=1)
            train(lesson_of(model, data, number), plan, COMPUTE, listener, lambda step: None)
        finally:
            hook.remove()
        results.append((gradients[0], [step["loss"] for step in listener.steps]))
    (whole, losses), (cut, losses_cut) = results
    assert losses_cut == pytest.approx(losses, rel=1e-5)
    torch.testing.assert_close(cut, whole, rtol=1e-5, atol=1e-5 * float(whole.abs().max()))


@pytest.mark.parametrize("parts", [1, 2, 3, 5, 40])
def test_a_cut_keeps_every_example_once_and_shares_the_work(parts: int) -> None:
    lengths = np.random.default_rng(0).integers(8, 129, size=32)
    cut = cut_by_length(lengths, parts)
    assert sorted(np.concatenate(cut)) == list(range(32)) and len(cut) <= parts
    work = [int(lengths[places].sum()) for places in cut]
    assert max(work) <= lengths.sum() / parts + 128
    assert [lengths[places].max() for places in cut] == sorted(lengths[places].max() for places in cut)


def test_fp16_needs_an_nvidia_gpu_and_says_so() -> None:
    settings = TrainingSettings(device="cpu", precision="fp16")
    with pytest.raises(DistilleryError, match="training.precision is fp16, which needs an NVIDIA GPU"):
        choose_compute(settings)


def test_the_loss_scale_is_part_of_the_step_only_at_fp16() -> None:
    assert not COMPUTE.scaler().is_enabled()
    assert COMPUTE.scaler().state_dict() == {}


def test_each_step_is_recorded_from_the_first_on(data: Tokens) -> None:
    steps = run(model_of(), data, schedule()).steps
    assert [step["step"] for step in steps] == list(range(1, 10))
    # Eight examples in batches of three: one batch of each epoch is short, and sentences count what was really read.
    sizes = np.diff([0, *(step["sentences"] for step in steps)]).reshape(3, 3)
    assert [sorted(epoch) for epoch in sizes.tolist()] == [[2, 3, 3]] * 3


def test_observe_is_called_before_the_first_step_and_after_each(data: Tokens) -> None:
    model, seen = model_of(), []
    start = weights_hash(model)
    run(model, data, schedule(epochs=2), observe=lambda step: seen.append((step, weights_hash(model))))
    assert [step for step, _ in seen] == list(range(7))
    assert seen[0][1] == start and len({weights for _, weights in seen}) == 7
    assert seen[-1][1] == weights_hash(model)


@pytest.mark.parametrize(("total", "warmup"), [(40, 0.25), (40, 0.05), (40, 0.5), (40, 0.0), (7, 0.05), (2, 0.5)])
def test_the_learning_rate_warms_up_peaks_and_falls_to_nearly_nothing(total: int, warmup: float) -> None:
    plan = schedule(learning_rate=1.0, warmup=warmup)
    rates = [plan.learning_rate_at(step, total) for step in range(1, total + 1)]
    peak = rates.index(max(rates))
    assert max(rates) == 1.0 and min(rates) > 0
    assert peak + 1 == max(1, round(warmup * total))
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[-1] <= 1.01 / max(1, total - peak - 1)
    steps = np.diff(rates[peak + 1 :])
    assert np.allclose(steps, steps[:1] if len(steps) else 0)


def test_the_recorded_rate_is_the_one_that_was_used(data: Tokens) -> None:
    rates = [step["lr"] for step in run(model_of(), data, schedule(epochs=7, warmup=0.2)).steps]
    assert rates[0] == pytest.approx(1e-3 / 4)
    assert max(rates) == pytest.approx(1e-3) and rates.index(max(rates)) == 3
    assert rates[-1] == pytest.approx(1e-3 / 17)


def test_one_step_is_the_step_of_the_released_optimiser(data: Tokens) -> None:
    """AdamW with betas (0.9, 0.98) and epsilon 1e-6, gradients clipped to 5: its first step, by hand."""
    model = model_of().eval()
    before = model.classifier.weight.detach().clone()
    gradients: list[Tensor] = []
    model.classifier.weight.register_post_accumulate_grad_hook(lambda weight: gradients.append(weight.grad.clone()))
    without_dropout(model)
    run(model, data, schedule(epochs=1, batch_size=8, learning_rate=1e-3, warmup=0.0))
    (gradient,) = gradients
    expected = before - 1e-3 * gradient / (gradient.abs() + 1e-6)
    torch.testing.assert_close(model.classifier.weight.detach(), expected, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize(("scale", "clipped"), [(1e4, True), (1e-4, False)])
def test_large_gradients_are_clipped_to_5_and_small_ones_left_alone(data: Tokens, scale: float, clipped: bool) -> None:
    model, norms = model_of(), []

    def look(*_: Any) -> None:
        norms.append(torch.nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None]).item())

    hook = register_optimizer_step_pre_hook(look)
    try:
        train(lesson_of(model, data, scale=scale), schedule(), COMPUTE, Listener(), lambda step: None)
    finally:
        hook.remove()
    assert len(norms) == 9
    assert norms == pytest.approx([5.0] * 9, rel=1e-3) if clipped else max(norms) < 0.1


@pytest.mark.parametrize("stop_at", [0, 1, 4, 8])
def test_a_stop_comes_between_two_steps_and_leaves_what_was_learned(data: Tokens, stop_at: int) -> None:
    """The stopped model is, bit for bit, the uninterrupted one as it was after that step."""
    whole, at_step = model_of(), {}
    run(whole, data, schedule(), observe=lambda step: at_step.update({step: weights_hash(whole)}))
    stopped, listener = model_of(), Listener(stop_at=stop_at)
    with pytest.raises(StopRequested):
        run(stopped, data, schedule(), listener)
    assert len(listener.steps) == stop_at
    assert weights_hash(stopped) == at_step[stop_at]
    assert all(parameter.grad is None for parameter in stopped.parameters())


def test_a_stop_during_a_score_leaves_what_was_learned_too(data: Tokens) -> None:
    def observe(step: int) -> None:
        if step == 2:
            raise StopRequested

    model, listener = model_of(), Listener()
    with pytest.raises(StopRequested):
        run(model, data, schedule(), listener, observe)
    assert len(listener.steps) == 2
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())


@pytest.mark.parametrize(("total", "times"), [(640, 12), (640, 48), (5, 12), (1, 12), (100, 7), (13, 12)])
def test_is_due_at_both_ends_and_as_often_as_asked(total: int, times: int) -> None:
    due = [step for step in range(total + 1) if is_due(step, total, times)]
    assert due[0] == 0 and due[-1] == total
    assert len(due) - 1 == min(total, times)
    gaps = np.diff(due)
    assert gaps.max() - gaps.min() <= 1


@pytest.mark.parametrize(("examples", "size", "steps"), [(8, 3, 3), (9, 3, 3), (10, 3, 4), (1, 32, 1), (6824, 32, 214)])
def test_the_steps_of_a_run_are_known_before_it_begins(examples: int, size: int, steps: int) -> None:
    assert batches_per_epoch(examples, size) == steps
    assert schedule(epochs=4, batch_size=size).total_steps(examples) == 4 * steps
