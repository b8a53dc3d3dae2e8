"""How much of a text is read. Apart, so that pages can name the limits without loading torch."""

MAX_CHARACTERS = 10_000
"""Longer texts are cut before tokenising: tokenisers read all of a text before they cut it to length."""

SHORTEST_DOCUMENT, SHORTEST_REST = 3, 8
"""A document, or the rest of a longer one, with fewer word pieces says too little to guess a hidden word from."""
