"""Word pieces kept on disk under a name made of everything they follow from, so that no text is tokenised twice.

An entry is a folder of .npy files and a manifest with their SHA-256. It appears complete or not at all, and one that is
damaged is made again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from core.data.part import Part
from core.data.tokens import Tokens
from core.kept_arrays import read_array, write_array
from core.persisted import read_kept
from core.storage import BrokenRun, cache_root
from core.whole_folder import damage, hashes_of, whole_folder

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

VERSION = 1
"""Part of every name: raise it when the same texts would be cut into other word pieces."""

FACTS = "tokens.json"
MOST_BYTES = 4_000_000_000
"""Of all entries; those not used for longest go first."""


def kept_tokens(key_parts: Iterable[bytes | str], make: Callable[[], Tokens]) -> Tokens:
    """The tokens kept under these parts, else what `make` returns, which is then kept.

    The parts must name all that the tokens follow from: `texts_digest`, `tokenizer_digest`, the length and the kind.
    Where the disk is full or may not be written, the tokens are made and not kept.
    """
    folder = cache_root() / "tokens" / _key(key_parts)
    kept = _read(folder)
    if kept is not None:
        return kept
    tokens = make()
    try:
        _write(tokens, folder)
        _make_room(folder.parent, folder)
    except OSError:
        # Keeping is a saving, not a duty: the run goes on without it.
        return tokens
    return _read(folder) or tokens


def texts_digest(texts: Part | list[str]) -> bytes:
    """SHA-256 of texts in their order, of a part with its second texts and labels."""
    digest = hashlib.sha256()
    for column in texts.columns() if isinstance(texts, Part) else [texts]:
        digest.update(f"{len(column)} texts;".encode())
        for text in column:
            encoded = text.encode("utf-8", "surrogatepass")
            # With its length before it, no two lists of texts can run together into the same bytes.
            digest.update(len(encoded).to_bytes(8, "little") + encoded)
    if isinstance(texts, Part):
        digest.update(texts.labels.dtype.str.encode() + texts.labels.tobytes())
    return digest.digest()


def tokenizer_digest(tokenizer: PreTrainedTokenizerBase) -> bytes:
    """SHA-256 of all that decides how a tokenizer cuts a text, and of the version of the library that does it."""
    import tokenizers

    rules = json.loads(tokenizer.backend_tokenizer.to_str())
    # These two are left behind by the last call and given anew with the next.
    del rules["truncation"], rules["padding"]
    made_of = [tokenizers.__version__, rules, tokenizer.special_tokens_map]
    return hashlib.sha256(json.dumps(made_of, sort_keys=True, default=str).encode("utf-8", "surrogatepass")).digest()


def _key(parts: Iterable[bytes | str]) -> str:
    digest = hashlib.sha256(f"{VERSION}".encode())
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        digest.update(len(encoded).to_bytes(8, "little") + encoded)
    return digest.hexdigest()[:32]


def _arrays(tokens: Tokens) -> dict[str, NDArray]:
    arrays: dict[str, NDArray | None] = {
        "ids": tokens.ids,
        "starts": tokens.starts,
        "labels": tokens.labels,
        "second": tokens.second,
    }
    return {name: array for name, array in arrays.items() if array is not None}


def _write(tokens: Tokens, folder: Path) -> None:
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Not pushed to the disk: making them again takes seconds, and after a power cut the hashes tell.
    with whole_folder(folder, durable=False) as building:
        building.write_json(FACTS, {"padding_id": tokens.padding_id})
        for name, array in _arrays(tokens).items():
            with building.file(f"{name}.npy") as file:
                write_array(file, array)


def _read(folder: Path) -> Tokens | None:
    """A whole entry; None if there is none or anything of it is not what was written."""
    if damage(folder):
        return None
    try:
        names = [name for name in hashes_of(folder) if name != FACTS]
        arrays: dict[str, Any] = {name.removesuffix(".npy"): read_array(folder / name) for name in names}
        tokens = Tokens(**arrays, padding_id=read_kept(folder / FACTS)["padding_id"])
    except (BrokenRun, OSError, ValueError, KeyError, TypeError):
        return None
    with suppress(OSError):
        os.utime(folder)
    return tokens


def _make_room(root: Path, newest: Path) -> None:
    """Remove what was not used for longest. A run that uses it has read it."""
    entries = sorted((entry for entry in root.iterdir() if entry != newest), key=lambda entry: -entry.stat().st_mtime)
    total = _bytes(newest)
    for entry in entries:
        total += _bytes(entry)
        if total > MOST_BYTES:
            shutil.rmtree(entry, ignore_errors=True)


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())
