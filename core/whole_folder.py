"""Folders that are whole or not there: checkpoints, kept answers and word pieces.

Every file is hashed while it is written and is on the disk before the folder has its name; the manifest, written last,
holds the SHA-256 of each. So whatever cuts a save short, what has the name is complete, and what was damaged later is
found. Everything is written by plain `write`: a full disk is an OSError, where a memory map would be a signal that
ends the process.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.plain_file import open_plain_file
from core.storage import parse_json, sync

MANIFEST = "manifest.json"
FORMAT = 1
BUILDING = ".building-"
CHUNK = 1 << 20
LARGEST_WRITE = 1 << 30
LARGEST_MANIFEST = 1_000_000


class HashedFile:
    """A new file that knows the SHA-256 of what it was given. Raises OSError where the disk takes no more."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        self._digest = hashlib.sha256()
        self._waiting = bytearray()

    def write(self, content: bytes | memoryview) -> None:
        """Append. What is large goes to the disk from where it is; small pieces are gathered."""
        if len(self._waiting) + len(content) > CHUNK:
            self._flush()
        if len(content) > CHUNK:
            self._put(memoryview(content))
        else:
            self._waiting += content

    def close(self, durable: bool) -> str:
        """Finish the file, on the disk if it has to be; returns its SHA-256."""
        self._flush()
        if durable:
            os.fsync(self._descriptor)
        return self._digest.hexdigest()

    def release(self) -> None:
        """Let go of the descriptor."""
        os.close(self._descriptor)

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, bytearray()
        self._put(memoryview(waiting))

    def _put(self, content: memoryview) -> None:
        self._digest.update(content)
        while content:
            # A disk that is nearly full takes a part and says so; only the next write is an error.
            content = content[os.write(self._descriptor, content[:LARGEST_WRITE]) :]


class Building:
    """A folder under construction. `path` is where its files lie until it has its name."""

    def __init__(self, path: Path, durable: bool) -> None:
        self.path = path
        self._durable = durable
        self._hashes: dict[str, str] = {}

    @contextmanager
    def file(self, name: str) -> Iterator[HashedFile]:
        """A file of the folder, to be written from its beginning to its end."""
        file = HashedFile(self.path / name)
        try:
            yield file
            self._hashes[name] = file.close(self._durable)
        finally:
            file.release()

    def write_json(self, name: str, value: Mapping[str, Any]) -> None:
        """A small file of plain values, with the format number that everything kept carries."""
        with self.file(name) as file:
            file.write(json.dumps({"format": FORMAT, **value}, indent=2).encode())

    def add(self, name: str) -> None:
        """Count a file that was written below `path` by other means."""
        if self._durable:
            sync(self.path / name)
        self._hashes[name] = sha256_of(self.path / name)

    def finish(self) -> None:
        """Write the manifest."""
        manifest = {"format": FORMAT, "sha256": dict(self._hashes)}
        with self.file(MANIFEST) as file:
            file.write(json.dumps(manifest, indent=2).encode())
        if self._durable:
            sync(self.path)


@contextmanager
def whole_folder(final: Path, durable: bool = True) -> Iterator[Building]:
    """Build a folder within the block; at its end it has its name, unless a whole one of that name is there by then.

    Without `durable` nothing is pushed to the disk, and a power cut may leave a folder
    whose files are not what the manifest says. Raises OSError if the disk cannot take it; nothing is left behind then.
    """
    building = Building(final.with_name(f"{BUILDING}{secrets.token_hex(4)}"), durable)
    building.path.mkdir(mode=0o700)
    try:
        yield building
        building.finish()
        _put(building.path, final)
    except BaseException:
        shutil.rmtree(building.path, ignore_errors=True)
        raise
    if durable:
        sync(final.parent)


def sweep(parent: Path) -> None:
    """Delete what a killed process was building in a folder. For whoever is the only one to build there."""
    for leftover in parent.glob(f"{BUILDING}*"):
        remove(leftover)


def remove(path: Path) -> None:
    """Delete whatever lies there. Raises OSError if it cannot."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def hashes_of(folder: Path) -> dict[str, str]:
    """SHA-256 by file name, as the manifest says. Raises OSError or ValueError if there is none that can be read.

    Before there was a format number, a manifest held names and hashes and nothing else.
    """
    with open_plain_file(folder / MANIFEST) as file:
        content = file.read(LARGEST_MANIFEST + 1)
    manifest = parse_json(content) if len(content) <= LARGEST_MANIFEST else None
    if not isinstance(manifest, dict) or manifest.get("format", FORMAT) != FORMAT:
        raise ValueError(f"{MANIFEST} is not a manifest of this program")
    hashes = manifest["sha256"] if "format" in manifest and "sha256" in manifest else manifest
    if not isinstance(hashes, dict) or not hashes or not all(isinstance(one, str) for one in hashes.values()):
        raise ValueError(f"{MANIFEST} names no files")
    return hashes


def damage(folder: Path) -> str:
    """What is wrong with a folder, in words; empty if every file is what the manifest says."""
    try:
        for name, expected in hashes_of(folder).items():
            if Path(name).name != name:
                return f"{MANIFEST} names a file elsewhere"
            if sha256_of(folder / name) != expected:
                return f"{name} is not what was written"
    except OSError as error:
        return f"{Path(error.filename or MANIFEST).name}: {error.strerror}"
    except (ValueError, RecursionError):
        return f"{MANIFEST} cannot be read"
    return ""


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal. Raises OSError or ValueError for what is no plain file."""
    with open_plain_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _put(building: Path, final: Path) -> None:
    """Give a whole folder its name. Raises OSError if somebody else was quicker."""
    if final.exists():
        if not damage(final):
            shutil.rmtree(building, ignore_errors=True)
            return
        # Renamed before it is removed: nobody finds half of it.
        damaged = final.with_name(f"{BUILDING}{secrets.token_hex(4)}")
        final.rename(damaged)
        shutil.rmtree(damaged, ignore_errors=True)
    building.rename(final)
