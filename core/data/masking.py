"""Which word pieces are hidden, as for the released DistilBERT: 15 %, rare ones more often, 80/10/10.

All randomness comes from the generator given, so the masks of an update follow from its seed alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from core.data.pieces import word_pieces_of
from core.data.tokens import Tokens
from core.sections import MaskingSettings

SHARE_MASKED = 0.8
SHARE_RANDOM = 0.1
"""Of the chosen word pieces: replaced by [MASK], replaced by a random one; the rest are left as they are."""


@dataclass(frozen=True)
class Masked:
    """Word pieces (W,) with some hidden, where those are (M,), ascending, and what stood there (M,)."""

    pieces: NDArray[np.int32]
    places: NDArray[np.int64]
    originals: NDArray[np.int64]


class Masker:
    """Draws masks for one text collection; built once, never changed, safe to share between threads."""

    def __init__(
        self,
        counts: NDArray[np.int64],
        special_ids: list[int],
        is_continuation: NDArray[np.bool_],
        mask_id: int,
        settings: MaskingSettings,
    ) -> None:
        """`counts` (V,): how often each word piece occurs in the text; `is_continuation` (V,): it goes on a word."""
        self._settings = settings
        self._mask_id = mask_id
        # A piece that the counted text never had is as rare as one that it had once.
        self._rates = np.maximum(counts, 1).astype(np.float64) ** -settings.rarity
        self._rates[special_ids] = 0.0
        self._is_special = np.zeros(len(counts), dtype=bool)
        self._is_special[special_ids] = True
        self._ordinary = np.flatnonzero(~self._is_special).astype(np.int32)
        self._is_continuation = is_continuation & ~self._is_special

    @classmethod
    def from_tokens(cls, tokens: Tokens, tokenizer: PreTrainedTokenizerBase, settings: MaskingSettings) -> Masker:
        """A masker that takes the counts from these tokens: the training part."""
        pieces = word_pieces_of(tokenizer, list(range(len(tokenizer))))
        counts = np.bincount(tokens.ids, minlength=len(pieces))
        is_continuation = np.array([piece.startswith("##") for piece in pieces])
        return cls(counts, tokenizer.all_special_ids, is_continuation, tokenizer.mask_token_id, settings)

    def draw(self, pieces: NDArray[np.int32], random: np.random.Generator) -> Masked:
        """Hide the set share of the word pieces (W,) of one whole update, rounded up; special tokens are counted, but
        never hidden.

        Drawn without replacement with probability ∝ count^−rarity; whole words with the mean over their pieces, one
        after the other until the share is reached.
        """
        wanted = int(np.ceil(self._settings.share * len(pieces)))
        if self._settings.whole_words:
            places = self._whole_words(pieces, wanted, random)
        else:
            places = np.sort(_race(self._rates[pieces], wanted, random))
        return Masked(self._hidden(pieces, places, random), places, pieces[places].astype(np.int64))

    def _whole_words(self, pieces: NDArray[np.int32], wanted: int, random: np.random.Generator) -> NDArray[np.int64]:
        # A block of a long document can begin within a word: its first piece then begins a word of its own.
        begins = ~self._is_continuation[pieces]
        begins[1:] |= self._is_special[pieces[:-1]]
        begins[:1] = True
        first = np.flatnonzero(begins)
        sizes = np.diff(first, append=len(pieces))
        order = _race(np.add.reduceat(self._rates[pieces], first) / sizes, len(first), random)
        chosen = order[: np.searchsorted(np.cumsum(sizes[order]), wanted) + 1]
        is_chosen = np.zeros(len(first), dtype=bool)
        is_chosen[chosen] = True
        return np.flatnonzero(np.repeat(is_chosen, sizes))

    def _hidden(
        self, pieces: NDArray[np.int32], places: NDArray[np.int64], random: np.random.Generator
    ) -> NDArray[np.int32]:
        lot = random.random(len(places))
        hidden = pieces.copy()
        hidden[places[lot < SHARE_MASKED]] = self._mask_id
        replaced = places[(lot >= SHARE_MASKED) & (lot < SHARE_MASKED + SHARE_RANDOM)]
        hidden[replaced] = random.choice(self._ordinary, len(replaced))
        return hidden


def _race(rates: NDArray[np.float64], wanted: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Up to `wanted` indices drawn without replacement with probability ∝ rate, in the order drawn; never a rate of 0.

    Each runs for a time drawn from the exponential distribution of its rate; the first to arrive are the drawn ones.
    """
    running = np.flatnonzero(rates)
    times = random.standard_exponential(len(running)) / rates[running]
    return running[np.argsort(times, kind="stable")[:wanted]]
