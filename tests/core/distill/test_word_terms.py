"""The terms for masked words on tiny models: against formulas on the models' own full logits; nothing depends on how a
batch is laid out or cut; each ablation computes what it needs and no more."""

from __future__ import annotations

import copy
from collections import defaultdict

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import BertForMaskedLM, DistilBertForMaskedLM

from core.config import WEIGHT_PRESETS
from core.data.masking import Masker
from core.data.part import Part
from core.data.tokens import Tokens, tokenise
from core.distill.masked_batch import MaskedBatch, masked_batches
from core.distill.word_terms import WordUpdate, best_words, teacher_loss_terms, word_rows
from core.errors import DistilleryError
from core.models.student import LAST_MAP, student_for_words
from core.sections import LossSettings, MaskingSettings, StudentSettings
from tests.fixtures.tiny_models import WORDS, tiny_tokenizer, tiny_word_teacher

CPU = torch.device("cpu")
POSITIONS = pytest.mark.parametrize("positions", ["all", "masked", "sample"])


@pytest.fixture(scope="module")
def tokens() -> Tokens:
    """Texts of 3 to 42 word pieces."""
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(WORDS.split() + ["zip"], size)) for size in random.integers(1, 30, 24)]
    return tokenise(Part(texts, np.zeros(len(texts))), tiny_tokenizer(), 42)


@pytest.fixture(scope="module")
def masker(tokens: Tokens) -> Masker:
    return Masker.from_tokens(tokens, tiny_tokenizer(), MaskingSettings(share=0.2))


def without_dropout(model: nn.Module) -> nn.Module:
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return model


def models(layers: int = 1, dtype: torch.dtype = torch.float32) -> tuple[DistilBertForMaskedLM, BertForMaskedLM]:
    teacher = tiny_word_teacher()
    student = student_for_words(teacher, StudentSettings(layers=layers), seed=0)
    # A copied student says nearly what its teacher says; the terms should have something to measure.
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(2)
        for parameter in student.parameters() if layers == 1 else ():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return without_dropout(student).train().to(dtype), teacher.to(dtype)


def word_loss_terms(student, projection, teacher, batch: MaskedBatch, loss: LossSettings) -> dict[str, Tensor]:
    """One part of an update; every student layer is compared with the teacher's of the same number."""
    maps = {} if projection is None else {LAST_MAP: projection}
    return WordUpdate(student, maps, teacher, loss, tuple(range(student.config.num_hidden_layers)))(batch)


def asked_by(batch: MaskedBatch, term: str) -> Tensor:
    """Where a term asks for words, as indices into the word pieces."""
    groups = zip(batch.groups, batch.asked.split([group.rows for group in batch.groups]), strict=True)
    return torch.cat([places for group, places in groups if term in group.terms] or [batch.asked[:0]])


def batches(tokens: Tokens, masker: Masker, loss: LossSettings | None, parts: int = 1, seed: int = 1, count: int = 24):
    random = np.random.default_rng(seed)
    return masked_batches(tokens, np.arange(count), masker, loss, random, parts, CPU)


def added_up(student, teacher, parts: list[MaskedBatch], loss: LossSettings) -> tuple[dict[str, float], list[Tensor]]:
    """Terms of all parts, and the gradients of the student's parameters."""
    student.zero_grad()
    sums: dict[str, float] = defaultdict(float)
    for batch in parts:
        terms = word_loss_terms(student, None, teacher, batch, loss)
        terms["loss"].backward()
        for name, term in terms.items():
            sums[name] += term.item()
    return sums, [parameter.grad.clone() for parameter in student.parameters()]


def padded_logits(model: nn.Module, batch: MaskedBatch, tokens: Tokens) -> tuple[Tensor, Tensor]:
    """Logits and last hidden states at the batch's word pieces, from the plain model and one padded row an example."""
    lengths = tokens.lengths[batch.examples]
    pieces = batch.input_ids.flatten()[batch.places].split(lengths.tolist())
    input_ids = nn.utils.rnn.pad_sequence(list(pieces), batch_first=True, padding_value=tokens.padding_id)
    is_piece = torch.arange(input_ids.shape[1]) < torch.from_numpy(lengths)[:, None]
    output = model(input_ids, attention_mask=is_piece.long(), output_hidden_states=True)
    return output.logits[is_piece], output.hidden_states[-1][is_piece]


def by_formula(student, teacher, batch: MaskedBatch, tokens: Tokens, loss: LossSettings) -> dict[str, Tensor]:
    """Section by section as the paper has it, on full logits."""
    own, own_hidden = padded_logits(student, batch, tokens)
    with torch.no_grad():
        theirs, their_hidden = padded_logits(teacher, batch, tokens)
    where = asked_by(batch, "soft")
    p, q = (torch.softmax(logits[where] / loss.temperature, -1) for logits in (theirs, own))
    terms = {
        "soft": loss.temperature**2 * (p * (p / q).log()).sum(-1).mean(),
        "hard": F.cross_entropy(own[batch.masked], batch.targets),
        "cosine": 1 - (F.normalize(own_hidden) * F.normalize(their_hidden)).sum(-1).mean(),
    }
    return {"loss": sum(getattr(loss, name) * term for name, term in terms.items()), **terms}


@POSITIONS
@pytest.mark.parametrize("temperature", [1.0, 2.0, 8.0])
def test_terms_and_gradients_equal_the_formulas_on_full_logits(
    tokens: Tokens, masker: Masker, positions: str, temperature: float
) -> None:
    student, teacher = models(dtype=torch.float64)
    loss = LossSettings(soft_positions=positions, temperature=temperature)
    (batch,) = batches(tokens, masker, loss)
    terms, gradients = added_up(student, teacher, [batch], loss)
    student.zero_grad()
    expected = by_formula(student, teacher, batch, tokens, loss)
    expected["loss"].backward()
    for name, value in expected.items():
        assert terms[name] == pytest.approx(value.item(), rel=1e-6), name
    for own, parameter in zip(gradients, student.parameters(), strict=True):
        torch.testing.assert_close(
            own, parameter.grad, rtol=1e-6, atol=1e-6 * float(parameter.grad.abs().max()) + 1e-12
        )


def test_logits_are_those_of_the_plain_models(tokens: Tokens, masker: Masker) -> None:
    student, teacher = models()
    (batch,) = batches(tokens, masker, None)
    for model in (student, teacher):
        expected, hidden = padded_logits(model, batch, tokens)
        words = word_rows(model, hidden)
        torch.testing.assert_close(words.rows @ words.matrix.T + words.bias, expected, rtol=1e-5, atol=1e-4)
        assert torch.equal(best_words(model.eval(), batch), expected[batch.masked].argmax(-1))


def test_answers_that_are_no_numbers_are_refused(tokens: Tokens, masker: Masker) -> None:
    student, _ = models()
    (batch,) = batches(tokens, masker, None)
    with torch.no_grad():
        student.vocab_transform.weight[0, 0] = float("nan")
    with pytest.raises(DistilleryError, match="smaller learning rate"):
        best_words(student.eval(), batch)


@POSITIONS
@pytest.mark.parametrize("parts", [2, 3, 24])
def test_the_cut_of_a_batch_changes_nothing(tokens: Tokens, masker: Masker, positions: str, parts: int) -> None:
    student, teacher = models()
    loss = LossSettings(soft_positions=positions, soft_share=0.1)
    whole, slopes = added_up(student, teacher, batches(tokens, masker, loss), loss)
    cut = batches(tokens, masker, loss, parts)
    assert 1 < len(cut) <= parts
    found, own = added_up(student, teacher, cut, loss)
    assert found == pytest.approx(whole, rel=1e-5)
    largest = max(float(slope.abs().max()) for slope in slopes)
    for one, other in zip(own, slopes, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6 * largest)


def test_a_cut_batch_holds_the_same_pieces_hidden_at_the_same_places(tokens: Tokens, masker: Masker) -> None:
    loss = LossSettings(soft_positions="sample")
    seen = []
    for parts in (1, 4):
        pieces = {}
        for batch in batches(tokens, masker, loss, parts):
            lengths = tokens.lengths[batch.examples]
            row = batch.input_ids.flatten()[batch.places].numpy().copy()
            marks = np.full(len(row), -1)
            marks[batch.masked] = batch.targets
            soft = np.isin(np.arange(len(row)), asked_by(batch, "soft"))
            starts = np.cumsum(lengths)[:-1]
            split = (np.split(values, starts) for values in (row, marks, soft))
            pieces |= {int(example): values for example, *values in zip(batch.examples, *split, strict=True)}
        seen.append(pieces)
    for example in range(24):
        for one, other in zip(seen[0][example], seen[1][example], strict=True):
            np.testing.assert_array_equal(one, other)
        original = tokens.ids[tokens.starts[example] : tokens.starts[example + 1]]
        masked, marks, _ = seen[0][example]
        np.testing.assert_array_equal(np.where(marks >= 0, marks, masked), original)


def test_hardly_anything_is_padding_and_no_text_sees_another(tokens: Tokens, masker: Masker) -> None:
    (batch,) = batches(tokens, masker, None)
    assert len(batch.input_ids) < 0.7 * len(batch.examples)
    # One example changed: the answers for the others stay.
    _, teacher = models()
    before = best_hidden(teacher, batch)
    lengths = tokens.lengths[batch.examples]
    first = slice(0, int(lengths[0]))
    batch.input_ids.view(-1)[batch.places[first]] = 7
    after = best_hidden(teacher, batch)
    assert torch.equal(before[first.stop :], after[first.stop :])
    assert not torch.equal(before[first], after[first])


def best_hidden(model: BertForMaskedLM, batch: MaskedBatch) -> Tensor:
    """Last hidden states at the word pieces."""
    with torch.no_grad():
        output = model.bert(
            batch.input_ids, attention_mask=batch.attention_mask, position_ids=batch.position_ids
        ).last_hidden_state
    return output.flatten(0, 1)[batch.places]


def test_texts_of_one_length_need_no_mask(tokens: Tokens, masker: Masker) -> None:
    """As blocks of long documents are; attention without a mask has faster kernels."""
    length = int(tokens.lengths.max())
    ids = np.tile(tokens.ids[:length], 5)
    equal = Tokens(ids, np.arange(6) * length, np.zeros(5), tokens.padding_id)
    (batch,) = masked_batches(equal, np.arange(5), masker, None, np.random.default_rng(0), 1, CPU)
    assert batch.attention_mask is None
    assert batch.input_ids.shape == (5, length)


def test_a_model_with_plain_attention_answers_the_same(tokens: Tokens, masker: Masker) -> None:
    _, teacher = models()
    (batch,) = batches(tokens, masker, None)
    expected = teacher_loss_terms(teacher, batch)["loss"].item()
    plain = copy.deepcopy(teacher)
    plain.set_attn_implementation("eager")
    assert teacher_loss_terms(plain, batch)["loss"].item() == pytest.approx(expected, rel=1e-5)


@POSITIONS
@pytest.mark.parametrize("preset", WEIGHT_PRESETS)
def test_every_ablation_runs_and_computes_only_its_terms(
    tokens: Tokens, masker: Masker, positions: str, preset: str
) -> None:
    used = WEIGHT_PRESETS[preset]
    loss = LossSettings(**used, soft_positions=positions)
    student, teacher = models()
    needs_teacher = loss.soft > 0 or loss.cosine > 0
    (batch,) = batches(tokens, masker, loss)
    terms = word_loss_terms(student, None, teacher if needs_teacher else None, batch, loss)
    assert set(terms) == {"loss"} | {name for name, weight in used.items() if weight > 0}
    expected = by_formula(student, teacher, batch, tokens, loss)
    for name in set(terms) - {"loss"}:
        assert terms[name].item() == pytest.approx(expected[name].item(), rel=1e-4)
    assert terms["loss"].item() == pytest.approx(sum(used[n] * terms[n].item() for n in terms if n != "loss"), rel=1e-5)
    terms["loss"].backward()
    assert any(parameter.grad.any() for parameter in student.parameters() if parameter.grad is not None)
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_only_one_term_at_a_time_runs_too(tokens: Tokens, masker: Masker) -> None:
    student, teacher = models()
    for name in ("soft", "hard", "cosine"):
        loss = LossSettings(**{term: float(term == name) for term in ("soft", "hard", "cosine")})
        (batch,) = batches(tokens, masker, loss)
        terms = word_loss_terms(student, None, teacher, batch, loss)
        assert set(terms) == {"loss", name}
        terms["loss"].backward()


def test_a_student_with_every_teacher_layer_has_nothing_to_learn_from_it(tokens: Tokens, masker: Masker) -> None:
    student, teacher = models(layers=2)
    loss = LossSettings()
    (batch,) = batches(tokens, masker, loss)
    terms = word_loss_terms(student, None, teacher, batch, loss)
    assert terms["soft"].item() == pytest.approx(0, abs=1e-4)
    assert terms["cosine"].item() == pytest.approx(0, abs=1e-6)


def test_a_random_share_has_the_mean_of_all_as_its_expectation(tokens: Tokens, masker: Masker) -> None:
    student, teacher = models()
    everywhere = LossSettings(hard=0, cosine=0)
    share = everywhere.model_copy(update={"soft_positions": "sample", "soft_share": 0.2})
    random, found = np.random.default_rng(0), []
    pieces = tokens.pieces(np.arange(24))
    # The same hidden words every time, so that the sample alone is drawn anew.
    still = StillMasker(masker.draw(pieces, np.random.default_rng(1)))
    with torch.no_grad():
        (batch,) = masked_batches(tokens, np.arange(24), still, everywhere, random, 1, CPU)
        expected = word_loss_terms(student, None, teacher, batch, everywhere)["soft"].item()
        for _ in range(150):
            (batch,) = masked_batches(tokens, np.arange(24), still, share, random, 1, CPU)
            assert len(asked_by(batch, "soft")) == int(np.ceil(0.2 * len(pieces)))
            found.append(word_loss_terms(student, None, teacher, batch, share)["soft"].item())
    error = np.std(found) / np.sqrt(len(found))
    assert 0 < error < 0.05 * expected
    assert abs(np.mean(found) - expected) < 4 * error


class StillMasker:
    """Always the same masks."""

    def __init__(self, masked) -> None:
        self.masked = masked

    def draw(self, pieces, random):
        return self.masked


def test_a_narrower_student_is_compared_through_its_projection(tokens: Tokens, masker: Masker) -> None:
    teacher = tiny_word_teacher()
    chosen = StudentSettings(layers=1, width=16, heads=2, initial_weights="random")
    student, projection = student_for_words(teacher, chosen, seed=0), nn.Linear(16, 32)
    loss = LossSettings()
    (batch,) = batches(tokens, masker, loss)
    terms = word_loss_terms(student, projection, teacher, batch, loss)
    terms["loss"].backward()
    assert set(terms) == {"loss", "soft", "hard", "cosine"}
    assert projection.weight.grad.any()
    assert student.get_output_embeddings().weight.grad.any()


def test_a_teacher_learns_hidden_words_by_itself(tokens: Tokens, masker: Masker) -> None:
    teacher = without_dropout(tiny_word_teacher()).train()
    parts = batches(tokens, masker, None, parts=3)
    optimiser = torch.optim.AdamW(teacher.parameters(), lr=3e-3)
    losses = []
    for _ in range(40):
        losses.append(0.0)
        for batch in parts:
            loss = teacher_loss_terms(teacher, batch)["loss"]
            loss.backward()
            losses[-1] += loss.item()
        optimiser.step()
        optimiser.zero_grad()
    (whole,) = batches(tokens, masker, None)
    logits, _ = padded_logits(tiny_word_teacher(), whole, tokens)
    assert losses[0] == pytest.approx(F.cross_entropy(logits[whole.masked], whole.targets).item(), rel=1e-4)
    assert losses[-1] < 0.1 * losses[0]
    right = (best_words(teacher.eval(), whole) == whole.targets).float().mean()
    assert right > 0.95


@POSITIONS
def test_bf16_comes_near_and_keeps_its_losses_in_32_bits(tokens: Tokens, masker: Masker, positions: str) -> None:
    student, teacher = models()
    loss = LossSettings(soft_positions=positions)
    parts = batches(tokens, masker, loss)
    expected, _ = added_up(student, teacher, parts, loss)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = word_loss_terms(student, None, teacher, parts[0], loss)
    assert {term.dtype for term in terms.values()} == {torch.float32}
    for name, term in terms.items():
        assert term.item() == pytest.approx(expected[name], rel=0.1)
