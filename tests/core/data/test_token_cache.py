"""Word pieces kept on disk: the same as made anew, whole or not at all, and never trusted when damaged."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from core import whole_folder
from core.data import token_cache
from core.data.part import Part
from core.data.token_cache import kept_tokens, texts_digest, tokenizer_digest
from core.data.tokens import Tokens, tokenise, tokenise_blocks
from core.whole_folder import Building, HashedFile
from tests.fixtures.tiny_models import tiny_tokenizer


class Maker:
    """Makes the same tokens again and again, and counts how often."""

    def __init__(self, pairs: bool = False, scores: bool = False) -> None:
        texts = [f"a film {'moving ' * (i % 7)}" for i in range(50)]
        labels = np.linspace(0, 5, 50, dtype=np.float32) if scores else np.arange(50) % 3
        self.part = Part(texts, labels, texts[::-1] if pairs else None)
        self.calls = 0

    def __call__(self) -> Tokens:
        self.calls += 1
        return tokenise(self.part, tiny_tokenizer(), 16)


def never() -> Tokens:
    raise AssertionError("the tokens were made anew")


def assert_same(one: Tokens, other: Tokens) -> None:
    for name in ("ids", "starts", "labels", "second"):
        mine, theirs = getattr(one, name), getattr(other, name)
        assert (mine is None) == (theirs is None)
        if mine is not None:
            assert mine.dtype == theirs.dtype and np.array_equal(mine, theirs)
    assert one.padding_id == other.padding_id


def entries(home: Path) -> list[Path]:
    return sorted((home / "cache" / "tokens").iterdir())


@pytest.mark.parametrize("scores", [False, True])
@pytest.mark.parametrize("pairs", [False, True])
def test_what_is_kept_is_what_was_made(home: Path, pairs: bool, scores: bool) -> None:
    make = Maker(pairs, scores)
    first, second = kept_tokens(["a", b"b"], make), kept_tokens(["a", b"b"], never)
    assert make.calls == 1
    assert_same(first, make())
    assert_same(second, first)
    assert not second.ids.flags.writeable
    batch = second.batch(np.array([3, 1]), torch.device("cpu"))
    assert batch.input_ids.tolist() == make().batch(np.array([3, 1]), torch.device("cpu")).input_ids.tolist()
    [entry] = entries(home)
    names = {"ids.npy", "starts.npy", "labels.npy", "tokens.json", "manifest.json"}
    assert {file.name for file in entry.iterdir()} == names | ({"second.npy"} if pairs else set())


def test_no_examples_at_all_can_be_kept(home: Path) -> None:
    nothing = tokenise_blocks([], tiny_tokenizer(), 16)
    for make in (lambda: nothing, never):
        assert len(kept_tokens(["none"], make)) == 0


def test_every_part_of_the_key_counts(home: Path) -> None:
    keys = [["ab", "c"], ["a", "bc"], ["abc"], [b"abc", ""], ["c", "ab"]]
    make = Maker()
    for key in keys:
        kept_tokens(key, make)
    assert make.calls == len(keys) == len(entries(home))


@pytest.mark.parametrize("name", ["ids.npy", "starts.npy", "labels.npy", "tokens.json", "manifest.json"])
@pytest.mark.parametrize("damage", ["missing", "empty", "short", "long", "flipped", "zeros"])
def test_a_damaged_entry_is_made_again(home: Path, name: str, damage: str) -> None:
    make = Maker()
    kept_tokens(["key"], make)
    [entry] = entries(home)
    path = entry / name
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        middle = len(content) // 2
        flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        changed = {"empty": b"", "short": content[:-4], "long": content + b"\0", "zeros": bytes(len(content))}
        path.write_bytes(changed.get(damage, flipped))
    again = kept_tokens(["key"], make)
    assert make.calls == 2
    assert_same(again, Maker()())
    assert_same(kept_tokens(["key"], never), again)
    assert entries(home) == [entry]


def test_every_flipped_byte_of_an_array_is_found(home: Path) -> None:
    kept_tokens(["key"], Maker())
    [entry] = entries(home)
    for path in entry.glob("*.npy"):
        content = path.read_bytes()
        for place in range(0, len(content), 7):
            path.write_bytes(content[:place] + bytes([content[place] ^ 64]) + content[place + 1 :])
            assert token_cache._read(entry) is None
        path.write_bytes(content)
    assert token_cache._read(entry) is not None


def test_an_entry_appears_complete_or_not_at_all(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise Killed

    for room, step in ((HashedFile, "write"), (HashedFile, "close"), (Building, "finish"), (whole_folder, "_put")):
        with monkeypatch.context() as patch:
            patch.setattr(room, step, die)
            with pytest.raises(Killed):
                kept_tokens(["key"], Maker())
        assert entries(home) == []


def test_a_full_disk_costs_only_time(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(HashedFile, "write", full)
    make = Maker()
    assert_same(kept_tokens(["key"], make), Maker()())
    assert make.calls == 1 and entries(home) == []


def test_many_at_once_all_get_the_same(home: Path) -> None:
    make, found = Maker(), []
    threads = [threading.Thread(target=lambda: found.append(kept_tokens(["key"], make))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(found) == 8 and len(entries(home)) == 1
    for tokens in found:
        assert_same(tokens, found[0])


def test_what_was_not_used_for_longest_goes_first(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_cache, "MOST_BYTES", 10_000)
    for i in range(3):
        kept_tokens([f"{i}"], Maker())
        for entry in entries(home):
            os.utime(entry, (entry.stat().st_atime - 60, entry.stat().st_mtime - 60))
    held = kept_tokens(["0"], never)
    size = token_cache._bytes(entries(home)[0])
    monkeypatch.setattr(token_cache, "MOST_BYTES", 2 * size + size // 2)
    kept_tokens(["3"], Maker())
    assert len(entries(home)) == 2
    kept_tokens(["0"], never)
    kept_tokens(["3"], never)
    assert_same(held, Maker()())


def test_digests_tell_texts_apart() -> None:
    labels = np.array([0, 1])
    parts = [
        Part(["ab", "c"], labels),
        Part(["a", "bc"], labels),
        Part(["c", "ab"], labels),
        Part(["ab", "c"], labels[::-1].copy()),
        Part(["ab", "c"], labels.astype(np.float32)),
        Part(["ab", "c"], labels, ["", ""]),
        Part(["ab"], labels[:1], ["c"]),
        ["ab", "c"],
        ["ab", "c", ""],
        ["ab\0c"],
        ["\ud800"],
    ]
    assert len({texts_digest(part) for part in parts}) == len(parts)
    assert texts_digest(parts[0]) == texts_digest(Part(["ab", "c"], labels.copy()))


def test_a_tokenizers_digest_follows_its_rules_and_not_its_last_call() -> None:
    tokenizer, other = tiny_tokenizer(), tiny_tokenizer()
    first = tokenizer_digest(tokenizer)
    tokenizer(["a film"] * 2, truncation=True, max_length=3, padding=True)
    assert tokenizer_digest(tokenizer) == first == tokenizer_digest(other)
    other.add_tokens(["brandnew"])
    assert tokenizer_digest(other) != first
