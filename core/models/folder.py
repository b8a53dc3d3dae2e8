"""A folder that holds a model, opened without trusting it: plain files only, no program text, no pickle.

Everything that reads a model comes through here: our own students and teachers, a folder of the user's, a snapshot of
the Hub. Each file is opened once; what is checked is what is used. Importing this file does not load torch.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from io import BufferedReader
from pathlib import Path
from typing import Any

from core.models.weights import ModelError, WeightsFile
from core.plain_file import NotPlain
from core.whole_folder import sha256_of

CONFIG, WEIGHTS, TOKENIZER, TOKENIZER_CONFIG, VOCABULARY, BYTE_VOCABULARY, MERGES, MANIFEST = (
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "manifest.json",
)
NEEDED = (CONFIG, WEIGHTS, TOKENIZER, TOKENIZER_CONFIG, VOCABULARY, BYTE_VOCABULARY, MERGES)
"""The only files of a model that are ever read, or asked of the Hub."""

MAX_BYTES = {
    CONFIG: 1_000_000,
    TOKENIZER: 24_000_000,
    TOKENIZER_CONFIG: 1_000_000,
    VOCABULARY: 16_000_000,
    BYTE_VOCABULARY: 16_000_000,
    MERGES: 16_000_000,
}
MAX_MANIFEST = 100_000
FORMAT = 1

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".h5", ".msgpack")


class ModelFolder:
    """One folder with a model. `label` is what messages call it.

    A folder that this program saved has a manifest with the SHA-256 of its files, and every file read is held against
    it; a foreign one has none. Raises ModelError if there is no such folder, or if it brings a program.
    """

    def __init__(self, path: Path, label: str = "") -> None:
        self.path = path
        self.label = label or printable(path.name or str(path))
        try:
            with os.scandir(path) as entries:
                names = [entry.name for entry in entries]
        except (OSError, ValueError) as error:
            raise ModelError(f"The model folder {self.label}/ cannot be opened: {_reason(error)}.") from error
        if program := next((name for name in names if name.endswith(".py")), None):
            raise ModelError(
                f"The model in {self.label}/ brings a program, {printable(program[:80])}, and foreign programs are "
                "never run. Choose a model that needs none."
            )
        self._names = frozenset(names)

    def __contains__(self, name: str) -> bool:
        return name in self._names

    @cached_property
    def is_ours(self) -> bool:
        """True if this program saved it and its files can be checked."""
        return MANIFEST in self

    @cached_property
    def manifest(self) -> dict[str, str]:
        """SHA-256 by file name; empty for a foreign model."""
        found = self._json(MANIFEST, MAX_MANIFEST) if self.is_ours else {}
        # Before there was a format number, the file held names and hashes and nothing else.
        hashes = found.get("sha256", found)
        return hashes if isinstance(hashes, dict) else {}

    def where(self, name: str) -> str:
        """How messages call a file of this folder."""
        return f"{self.label}/{name}"

    def read(self, name: str) -> bytes:
        """A small file, whole. Raises ModelError if it is missing, too large, or not what the manifest says."""
        with self._open(name) as file:
            content = _read(file, MAX_BYTES[name], self.where(name))
        self._check(name, hashlib.sha256(content).hexdigest())
        return content

    def read_json(self, name: str) -> dict[str, Any]:
        """A small JSON object. Raises ModelError, naming the file, if it is not one."""
        return parse_json(self.read(name), self.where(name))

    @contextmanager
    def weights(self) -> Iterator[WeightsFile]:
        """The weights, open, with their header checked. Raises ModelError, also if there are only pickled ones."""
        if WEIGHTS not in self:
            self._explain_missing_weights()
        with self._open(WEIGHTS) as file:
            yield WeightsFile(file, self.where(WEIGHTS))

    def check_weights(self, sha256: str) -> None:
        """Raise ModelError if the weights that were read are not those the manifest names."""
        self._check(WEIGHTS, sha256)

    def _check(self, name: str, found: str) -> None:
        if self.is_ours and self.manifest.get(name) != found:
            raise ModelError(
                f"{self.where(name)} is not the file that was saved: its SHA-256 is not the one in {MANIFEST}. "
                "Delete the folder and make the model again."
            )

    def _json(self, name: str, limit: int) -> dict[str, Any]:
        with self._open(name) as file:
            return parse_json(_read(file, limit, self.where(name)), self.where(name))

    @contextmanager
    def _open(self, name: str) -> Iterator[BufferedReader]:
        """A plain file of this folder, for reading. A link may not lead out of the folder or the Hub's own store."""
        path = self.path / name
        if name not in self:
            raise ModelError(f"The model in {self.label}/ has no {name}; it may have been deleted.")
        try:
            self._check_link(path, name)
            # Without O_NONBLOCK, opening a pipe would wait for somebody to write into it.
            descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
            with os.fdopen(descriptor, "rb") as file:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise ModelError(f"{self.where(name)} is not a plain file.")
                yield file
        except OSError as error:
            raise ModelError(f"{self.where(name)} cannot be read: {_reason(error)}.") from error

    def _check_link(self, path: Path, name: str) -> None:
        if not path.is_symlink():
            return
        # Not Path.resolve, which has an error of its own for a link to itself.
        folder = Path(os.path.realpath(self.path))
        # The Hub's cache keeps a model as <model>/snapshots/<revision>/ with links into <model>/blobs/.
        home = folder.parents[1] if folder.parent.name == "snapshots" else folder
        if not Path(os.path.realpath(path)).is_relative_to(home):
            raise ModelError(f"{self.where(name)} is a link that leads out of the model's folder; copy the file there.")

    def _explain_missing_weights(self) -> None:
        if any(name.startswith("model-00") or name == f"{WEIGHTS}.index.json" for name in self._names):
            raise ModelError(f"The weights in {self.label}/ are in several files; save them as one {WEIGHTS}.")
        pickled = next((name for name in sorted(self._names) if name.endswith(PICKLES)), None)
        if pickled:
            raise ModelError(
                f"The model in {self.label}/ has no {WEIGHTS}, only {printable(pickled[:80])}: files of that "
                "kind can run programs and are never opened. Save the model again with a current Transformers, which "
                "writes safetensors."
            )
        raise ModelError(f"The model in {self.label}/ has no {WEIGHTS}; it may have been deleted.")


def parse_json(content: bytes, where: str) -> dict[str, Any]:
    """A JSON object; `where` names its file. Raises ModelError if it is none."""
    try:
        value = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)[:200]
        raise ModelError(f"{where} is not valid JSON: {reason}.") from error
    if not isinstance(value, dict):
        raise ModelError(f"{where} does not hold a JSON object.")
    return value


def printable(text: str) -> str:
    """A foreign text with half characters, which no page and no file can hold, replaced."""
    return text.encode("utf-8", "replace").decode("utf-8")


def write_manifest(folder: Path) -> None:
    """Note the SHA-256 of every file in a folder that was just written."""
    hashes = {path.name: file_sha256(path) for path in sorted(folder.iterdir()) if path.name != MANIFEST}
    manifest = {"format": FORMAT, "sha256": hashes}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def saved_sha256(folder: Path) -> str:
    """SHA-256 of the weights of a model that this program saved: what its manifest says and every load checks.

    Raises ModelError if there is no such model.
    """
    found = ModelFolder(folder).manifest.get(WEIGHTS)
    if not isinstance(found, str):
        raise ModelError(f"{folder.name}/{MANIFEST} does not name the weights; delete the folder and make it again.")
    return found


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal. Raises OSError, also for a pipe or a device, which might never end."""
    try:
        return sha256_of(path)
    except NotPlain as error:
        raise OSError(errno.EINVAL, str(error)) from error


def _read(file: BufferedReader, limit: int, where: str) -> bytes:
    content = file.read(limit + 1)
    if len(content) > limit:
        raise ModelError(f"{where} is larger than {limit // 1_000_000 or 1} MB, which no such file needs.")
    return content


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        known = {errno.ENOENT: "there is no such folder or file", errno.ENOTDIR: "it is not a folder"}
        return known.get(error.errno or 0) or error.strerror or type(error).__name__
    return "its name holds characters that no file name has"
