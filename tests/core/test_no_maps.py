"""Nothing in core uses a memory map: there, a full disk or a file that is cut ends the process by a signal."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

MAPS = {"mmap", "memmap", "open_memmap", "mmap_mode", "safe_open", "load_file", "from_file", "from_pretrained"}
"""Names under which a library maps a file; transformers' own loader maps the weights, ours reads them."""


def maps_in(source: str) -> list[str]:
    """Uses of a map: imports, attributes, names and keyword arguments."""
    found: list[tuple[int, str | None]] = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                found += [(node.lineno, part) for alias in names for part in alias.name.split(".")]
            case ast.Attribute(attr=name) | ast.Name(id=name) | ast.keyword(arg=name):
                found.append((node.lineno, name))
    return [f"line {line}: {name}" for line, name in found if name in MAPS]


@pytest.mark.parametrize(
    "source",
    [
        "import mmap",
        "numpy.memmap('x')",
        "np.load('x', mmap_mode='r')",
        "from numpy.lib.format import open_memmap",
        "from safetensors import safe_open",
        "from safetensors.torch import load_file as load",
        "torch.from_file('x')",
        "BertModel.from_pretrained('x')",
    ],
)
def test_a_map_is_seen(source: str) -> None:
    assert maps_in(source)


def test_nothing_in_core_maps_a_file() -> None:
    files = sorted((ROOT / "core").rglob("*.py"))
    assert len(files) > 100
    found = {str(path.relative_to(ROOT)): maps_in(path.read_text(encoding="utf-8")) for path in files}
    assert {name: uses for name, uses in found.items() if uses} == {}
