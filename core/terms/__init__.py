"""The terms of the loss: one file each, found and not listed.

loss = Σ weight · term, not normalised (Sanh et al. 2019, section 3). Settings, form, curves, reports and the update of
the student take the terms from here and name none of them.
"""

from core.terms.declaration import Term
from core.terms.found import find_terms

TERMS: tuple[Term, ...] = find_terms()
"""In the order in which they are told and added up."""


COLOURS = ("#CC79A7", "#009E73", "#E69F00", "#56B4E9", "#8C6D1F", "#B3446C", "#5E8C31", "#7B6FD0")
"""Of the terms in that order, in every picture; the first four are Okabe and Ito's, for colour-blind people too."""


def colour_of(name: str) -> str:
    """The hex of a term's colour."""
    return COLOURS[TERMS.index(term_called(name)) % len(COLOURS)]


def term_called(name: str) -> Term:
    """The term of this name. Raises LookupError if there is none."""
    for each in TERMS:
        if each.name == name:
            return each
    raise LookupError(f"no term is called {name[:80]!r}")
