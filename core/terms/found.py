"""Which terms there are: every file of this folder that declares one, and every file of the folder DISTILLERY_TERMS."""

from __future__ import annotations

import importlib
import importlib.util
import os
import pkgutil
import re
from pathlib import Path
from types import ModuleType

from core.errors import DistilleryError
from core.terms.declaration import Term

FOLDER = "DISTILLERY_TERMS"
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
TAKEN = frozenset(("loss", "score", "agreement", "step", "lr", "sentences", "elapsed_s", "event", "stage"))
"""What else stands beside the terms on a line of metrics.jsonl."""


class TermError(DistilleryError):
    """A file that should declare a term and does not; the message names it."""


def find_terms() -> tuple[Term, ...]:
    """All terms, the paper's heaviest first. Raises TermError for a file of DISTILLERY_TERMS that declares none."""
    package = Path(__file__).parent
    # A name that begins with _ computes, and would load torch.
    names = [each.name for each in pkgutil.iter_modules([str(package)]) if not each.name.startswith("_")]
    modules = [importlib.import_module(f"core.terms.{name}") for name in names]
    terms = [module.TERM for module in modules if hasattr(module, "TERM")]
    if folder := os.environ.get(FOLDER):
        for file in _files(Path(folder)):
            terms.append(_own_term(file, terms))
    return tuple(sorted(terms, key=lambda term: (-term.paper_weight, -term.weight.get("labels", 0.0), term.name)))


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == ".py")
    except OSError as error:
        raise TermError(f"{FOLDER} is {folder}, which cannot be read as a folder: {error.strerror}.") from None


def _own_term(file: Path, others: list[Term]) -> Term:
    """The term of a person's own file, which is run for it. Raises TermError, naming the file."""
    try:
        term = getattr(_run(file), "TERM", None)
    except Exception as error:  # whatever somebody's own code may raise
        raise TermError(f"{FOLDER}: {file.name} cannot be run: {type(error).__name__}: {error}.") from error
    if not isinstance(term, Term):
        raise TermError(f"{FOLDER}: {file.name} has no TERM; it must declare one, a core.terms.declaration.Term.")
    _check(term, file, others)
    return term


def _run(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"distillery_terms.{file.stem}", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _check(term: Term, file: Path, others: list[Term]) -> None:
    taken = {name for other in others for name in (other.name, *other.options)} | TAKEN
    for name in (term.name, *term.options):
        if not NAME.fullmatch(name):
            raise TermError(f"{FOLDER}: {file.name} uses the name {name[:60]!r}; take small letters, digits and _.")
        if name in taken:
            raise TermError(f"{FOLDER}: {file.name} uses the name {name!r}, which is taken; choose another.")
        taken.add(name)
    if not (term.states or term.labels or term.vocabulary):
        raise TermError(f"{FOLDER}: {file.name} declares a term that computes nothing; give it states, labels or both.")
