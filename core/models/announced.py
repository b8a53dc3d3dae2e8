"""Whether a file that was fetched from the Hub is the one that the Hub announced.

The Hub's library files each download under the hash that was announced for it, and never looks whether the content has
it: SHA-256 for large files, for small ones the hash that git gives a blob.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from core.models.weights import ModelError

SHA256, GIT = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{40}")


def check_as_announced(files: list[Path], hub_id: str) -> None:
    """Raise ModelError, and delete the file so that it is fetched anew, if one does not have the hash it is kept under.

    Where the file system has no links the library keeps no hashes; then nothing can be said.
    """
    for file in files:
        kept = file.resolve()
        if not is_as_announced(kept):
            kept.unlink()
            file.unlink(missing_ok=True)
            raise ModelError(
                f"The file {file.name} of {hub_id} is not the one that the Hub announced (hash {kept.name[:12]}…). "
                "It was deleted; try again, and if that happens again do not use this model."
            )


def is_as_announced(kept: Path) -> bool:
    """False if the file's name is a hash, and not that of its content."""
    if SHA256.fullmatch(kept.name):
        return _hash("sha256", kept, b"") == kept.name
    if GIT.fullmatch(kept.name):
        return _hash("sha1", kept, b"blob %d\0" % kept.stat().st_size) == kept.name
    return True


def _hash(kind: str, path: Path, before: bytes) -> str:
    found = hashlib.new(kind, before, usedforsecurity=kind == "sha256")
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            found.update(part)
    return found.hexdigest()
