"""Which word pieces are hidden: how many, which, with what, and that all of it follows from the generator."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from core.data.masking import Masker
from core.data.part import Part
from core.data.tokens import tokenise
from core.sections import MaskingSettings
from tests.fixtures.tiny_models import tiny_tokenizer

SPECIAL = [0, 1, 2, 3, 4]
CLS, SEP, MASK = 2, 3, 4
VOCABULARY = 60
CONTINUATIONS = np.arange(VOCABULARY) >= 40


def masker(counts: np.ndarray | None = None, **settings) -> Masker:
    counts = np.arange(VOCABULARY) + 1 if counts is None else counts
    return Masker(counts, SPECIAL, CONTINUATIONS, MASK, MaskingSettings(**settings))


def text(seed: int = 0, examples: int = 20) -> np.ndarray:
    """Word pieces of some texts in a row, each with [CLS] and [SEP]; a third of the pieces go on a word."""
    random = np.random.default_rng(seed)
    parts = [[CLS, *random.integers(5, VOCABULARY, random.integers(3, 40)), SEP] for _ in range(examples)]
    return np.concatenate(parts).astype(np.int32)


@pytest.mark.parametrize("share", [0.01, 0.15, 0.5])
@pytest.mark.parametrize("seed", range(3))
def test_the_share_is_taken_of_all_pieces_and_rounded_up(share: float, seed: int) -> None:
    pieces = text(seed)
    drawn = masker(share=share).draw(pieces, np.random.default_rng(seed))
    assert len(drawn.places) == math.ceil(share * len(pieces))


@pytest.mark.parametrize("whole_words", [False, True])
def test_what_is_hidden_is_said_and_nothing_else_is_touched(whole_words: bool) -> None:
    pieces = text()
    before = pieces.copy()
    drawn = masker(whole_words=whole_words, share=0.3).draw(pieces, np.random.default_rng(1))
    np.testing.assert_array_equal(pieces, before)
    assert (np.diff(drawn.places) > 0).all()
    np.testing.assert_array_equal(drawn.originals, pieces[drawn.places])
    restored = drawn.pieces.copy()
    restored[drawn.places] = drawn.originals
    np.testing.assert_array_equal(restored, pieces)


@pytest.mark.parametrize("whole_words", [False, True])
@pytest.mark.parametrize("rarity", [0.0, 0.7, 2.0])
def test_special_tokens_are_never_hidden_and_never_put_in(rarity: float, whole_words: bool) -> None:
    """Not even where a text is so short that the share cannot be reached."""
    hider = masker(rarity=rarity, whole_words=whole_words, share=0.5)
    for seed in range(50):
        pieces = np.concatenate([text(seed, 2), [CLS, 7, SEP, CLS, SEP, CLS, SEP]]).astype(np.int32)
        drawn = hider.draw(pieces, np.random.default_rng(seed))
        assert not np.isin(drawn.originals, SPECIAL).any()
        assert set(np.unique(drawn.pieces[drawn.places])) & set(SPECIAL) <= {MASK}


@pytest.mark.parametrize("whole_words", [False, True])
def test_texts_without_words_hide_nothing(whole_words: bool) -> None:
    pieces = np.array([CLS, SEP, CLS, SEP], dtype=np.int32)
    drawn = masker(whole_words=whole_words).draw(pieces, np.random.default_rng(0))
    assert len(drawn.places) == len(drawn.originals) == 0
    np.testing.assert_array_equal(drawn.pieces, pieces)


def test_eight_in_ten_become_mask_one_another_piece_one_stays() -> None:
    pieces = text(0, 200)
    counts = np.zeros(3)
    hider = masker(share=0.5, rarity=0)
    for seed in range(20):
        drawn = hider.draw(pieces, np.random.default_rng(seed))
        now = drawn.pieces[drawn.places]
        counts += [
            (now == MASK).sum(),
            ((now != MASK) & (now != drawn.originals)).sum(),
            (now == drawn.originals).sum(),
        ]
    # A random piece is by chance the one that was there once in 55 times.
    by_chance = 0.1 / (VOCABULARY - len(SPECIAL))
    expected = np.array([0.8, 0.1 - by_chance, 0.1 + by_chance])
    error = np.sqrt(expected * (1 - expected) / counts.sum())
    assert (abs(counts / counts.sum() - expected) < 4 * error).all()


def chances(rates: np.ndarray, wanted: int) -> np.ndarray:
    """Probability of each item to be among `wanted` drawn one after the other without replacement, by adding up."""
    found = np.zeros(len(rates))
    for order in itertools.permutations(range(len(rates)), wanted):
        left, chance = rates.sum(), 1.0
        for item in order:
            chance *= rates[item] / left
            left -= rates[item]
        found[list(order)] += chance
    return found


@pytest.mark.parametrize("rarity", [0.0, 0.7, 2.0])
def test_rare_words_are_drawn_with_probability_count_to_the_minus_rarity(rarity: float) -> None:
    counts = np.zeros(VOCABULARY, dtype=np.int64)
    counts[[10, 11, 12, 13]] = [1, 3, 20, 400]
    pieces = np.array([CLS, 10, 11, 12, 13, SEP], dtype=np.int32)
    hider, draws = masker(counts, share=0.3, rarity=rarity), 4000
    random, found = np.random.default_rng(0), np.zeros(4)
    for _ in range(draws):
        found[hider.draw(pieces, random).places - 1] += 1
    expected = chances(np.array([1.0, 3.0, 20.0, 400.0]) ** -rarity, 2)
    error = np.sqrt(expected * (1 - expected) / draws)
    assert (abs(found / draws - expected) < 4 * error + 1e-9).all()


def test_a_piece_that_was_never_counted_is_as_rare_as_one_counted_once() -> None:
    """Held-out text has such pieces; dividing by zero would draw them always."""
    counts = np.zeros(VOCABULARY, dtype=np.int64)
    counts[10] = 1
    pieces = np.array([CLS, *[9, 10] * 10, SEP], dtype=np.int32)
    random, hider = np.random.default_rng(0), masker(counts, rarity=2)
    originals = np.concatenate([hider.draw(pieces, random).originals for _ in range(500)])
    assert (originals == 9).mean() == pytest.approx(0.5, abs=0.05)


def words(pieces: np.ndarray) -> np.ndarray:
    """Number of the word that each piece belongs to; a special token ends a word."""
    numbers, current = [], 0
    for place, piece in enumerate(pieces):
        goes_on = place and CONTINUATIONS[piece] and pieces[place - 1] not in SPECIAL
        current += not goes_on
        numbers.append(current)
    return np.array(numbers)


@pytest.mark.parametrize("seed", range(5))
def test_whole_words_are_hidden_together_until_the_share_is_reached(seed: int) -> None:
    pieces = text(seed)
    drawn = masker(whole_words=True).draw(pieces, np.random.default_rng(seed))
    number = words(pieces)
    hidden = np.isin(np.arange(len(pieces)), drawn.places)
    sizes = []
    for word in np.unique(number):
        assert len(np.unique(hidden[number == word])) == 1
        sizes.append((number == word).sum())
    wanted = math.ceil(0.15 * len(pieces))
    assert wanted <= len(drawn.places) < wanted + max(sizes)


def test_whole_words_are_all_alike_without_rarity_however_long() -> None:
    pieces = np.array([CLS, 10, 11, 40, 41, 42, 12, SEP], dtype=np.int32)
    hider, random = masker(whole_words=True, share=0.01, rarity=0), np.random.default_rng(0)
    found = np.zeros(len(pieces))
    for _ in range(3000):
        found[hider.draw(pieces, random).places] += 1
    assert found[[1, 2, 6]] / 3000 == pytest.approx([1 / 3] * 3, abs=0.04)


def test_a_text_that_begins_within_a_word_does_not_hide_its_cls() -> None:
    pieces = np.array([CLS, 45, 46, 10, SEP] * 10, dtype=np.int32)
    for seed in range(20):
        drawn = masker(whole_words=True, share=0.5).draw(pieces, np.random.default_rng(seed))
        assert not np.isin(drawn.originals, SPECIAL).any()


@pytest.mark.parametrize("whole_words", [False, True])
def test_the_generator_alone_decides(whole_words: bool) -> None:
    pieces, hider = text(), masker(whole_words=whole_words)
    first, again, other = (hider.draw(pieces, np.random.default_rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.pieces, again.pieces)
    np.testing.assert_array_equal(first.places, again.places)
    assert not np.array_equal(first.places, other.places)


def test_counts_special_tokens_and_continuations_come_from_the_tokenizer() -> None:
    tokenizer = tiny_tokenizer()
    tokens = tokenise(Part(["the film moves", "the film zips", "the the the the"], np.zeros(3)), tokenizer, 32)
    hider = Masker.from_tokens(tokens, tokenizer, MaskingSettings(whole_words=True, share=0.5, rarity=2))
    found = np.zeros(len(tokens.ids))
    for seed in range(200):
        drawn = hider.draw(tokens.ids, np.random.default_rng(seed))
        assert not np.isin(drawn.originals, tokenizer.all_special_ids).any()
        found[drawn.places] += 1
    pieces = np.array(tokenizer.convert_ids_to_tokens(tokens.ids.tolist()))
    assert found[pieces == "the"].mean() < found[pieces == "film"].mean()
    # "zips" is no word of this vocabulary: z ##i ##p ##s.
    zips = np.flatnonzero(pieces == "z")[0] + np.arange(4)
    assert len(set(found[zips])) == 1
