"""What several models put in place of a hidden word, side by side.

[MASK] marks the word to guess. It is the only control token that is read as one: "[SEP]" in a sentence is six plain
characters. Importing this file does not load torch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.config import MASK
from core.data.pieces import word_pieces_of
from core.errors import DistilleryError
from core.models import shelf
from core.models.in_memory import ids_of
from core.scoring.answers import check_number, in_turn, longest_input, one_thread, passes_for, readable

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

    from core.models.shelf import Loaded

MAX_MASKS = 5
"""So many hidden words are guessed in one sentence; the models see those after them as hidden, too."""

NO_MASK = f"There is no {MASK}, so there is no word to guess."
BEYOND = f"The {MASK} lies beyond the part that the models read."

# Somebody who types it in small letters means the same.
_MASK = re.compile(re.escape(MASK), re.IGNORECASE)


@dataclass(frozen=True)
class Word:
    """A word that a model finds likely, as people read it, and its probability."""

    text: str
    probability: float


@dataclass(frozen=True)
class Wish:
    """What one model says about a word that a person named: its probability at each hidden word.

    `pieces` is how the model writes it. A [MASK] stands for one piece, so a word of several has no probabilities, nor
    has one with a sign that the model does not know: that is no piece at all.
    """

    pieces: tuple[str, ...]
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class Guesses:
    """One model's most probable words for each hidden word, most probable first, and as for an answer.

    `wish` is what it says about the word that was asked about, if one was.
    """

    places: tuple[tuple[Word, ...], ...]
    milliseconds: float
    was_cut: bool
    wish: Wish | None = None


@dataclass(frozen=True)
class HiddenWords:
    """One sentence and every model's guesses, by role; without any, `reason` says in a sentence why.

    `hidden` is the number of [MASK] in the sentence, of which the first `guessed` have been asked for.
    """

    sentence: str
    hidden: int
    answers: Mapping[str, Guesses]
    reason: str = ""

    @property
    def guessed(self) -> int:
        """How many hidden words all models have guessed."""
        return min((len(guesses.places) for guesses in self.answers.values()), default=0)

    def first_words(self, place: int) -> dict[str, str]:
        """Each model's most probable word at a place, by role."""
        return {role: guesses.places[place][0].text for role, guesses in self.answers.items()}

    def agree(self, place: int) -> bool:
        """True if all models find the same word most probable at a place."""
        return len(set(self.first_words(place).values())) == 1

    def shared(self, place: int) -> tuple[str, ...]:
        """The words that every model names at a place, in the order of the first model."""
        lists = [[word.text for word in guesses.places[place]] for guesses in self.answers.values()]
        return tuple(text for text in lists[0] if all(text in others for others in lists[1:]))


def guesses(
    folders: Mapping[str, Path],
    sentences: Sequence[str],
    max_tokens: int,
    k: int = 5,
    wish: str = "",
    temperature: float = 1.0,
) -> list[HiddenWords]:
    """The k most probable word pieces of each model for each [MASK] of each sentence, by role.

    `wish` is a word to be told the probability of. Computes in fp32, one sentence at a time, on one processor thread,
    with the models in turn. Raises DistilleryError if a model is missing, cannot be opened or guesses no words, or if
    there are more than `MAX_LINES` sentences.
    """
    check_number(sentences)
    models = {role: shelf.get(folder) for role, folder in folders.items()}
    for role, loaded in models.items():
        if loaded.model.get_output_embeddings() is None:
            raise DistilleryError(f"The {role} gives labels and guesses no words, so it cannot fill in {MASK}.")
    question = _Question(max_tokens, passes_for(sentences), k, readable(wish).strip(), temperature)
    with one_thread():
        return [_guess(models, readable(sentence), question) for sentence in sentences]


def shown(piece: str) -> str:
    """A word piece as people read it: "##ing", which goes on with a word, as "…ing"."""
    return f"…{piece[2:]}" if piece.startswith("##") and len(piece) > 2 else piece


@dataclass(frozen=True)
class _Question:
    max_tokens: int
    passes: int
    k: int
    wish: str
    temperature: float


def _guess(models: Mapping[str, Loaded], sentence: str, question: _Question) -> HiddenWords:
    hidden = len(_MASK.findall(sentence))
    if not hidden:
        return HiddenWords(sentence, 0, {}, NO_MASK)
    read = {
        role: _word_pieces(loaded.tokenizer, sentence, longest_input(loaded, question.max_tokens))
        for role, loaded in models.items()
    }
    asked = min(MAX_MASKS, *(len(_places(models[role], ids)) for role, (ids, _) in read.items()))
    if not asked:
        return HiddenWords(sentence, hidden, {}, BEYOND)
    found = in_turn(models, {role: {"input_ids": ids} for role, (ids, _) in read.items()}, question.passes)
    given: dict[str, Guesses] = {}
    for role, (logits, milliseconds) in found.items():
        ids, was_cut = read[role]
        tokenizer = models[role].tokenizer
        shares = (logits[0, _places(models[role], ids)[:asked]] / question.temperature).softmax(-1)
        words, wish = _most_probable(shares, tokenizer, question.k), _wish(shares, tokenizer, question.wish)
        given[role] = Guesses(words, milliseconds, was_cut, wish)
    return HiddenWords(sentence, hidden, given)


def _places(loaded: Loaded, ids: Tensor) -> list[int]:
    """Where in (1, L) word pieces the hidden words stand."""
    return (ids[0] == loaded.tokenizer.mask_token_id).nonzero().flatten().tolist()


def _word_pieces(tokenizer: PreTrainedTokenizerBase, sentence: str, longest: int) -> tuple[Tensor, bool]:
    """Ids (1, L) with [CLS] and [SEP], and whether the sentence was cut."""
    import torch

    from core.data.tokens import pieces_with_masks

    ids, was_cut = pieces_with_masks(sentence, tokenizer, longest)
    return torch.tensor([ids]), was_cut


def _wish(shares: Tensor, tokenizer: PreTrainedTokenizerBase, word: str) -> Wish | None:
    """What rows of probabilities (places, vocabulary) say about a word; None for no word at all."""
    if not word:
        return None
    # After a space, as in the midst of a sentence: for pieces of bytes it is another word than at its beginning.
    ids = ids_of(tokenizer, tokenizer.tokenize(f" {word}", split_special_tokens=True))
    if tokenizer.unk_token_id in ids:
        return Wish((), ())
    probabilities = tuple(shares[:, ids[0]].tolist()) if len(ids) == 1 else ()
    return Wish(tuple(word_pieces_of(tokenizer, ids)), probabilities)


def _most_probable(rows: Tensor, tokenizer: PreTrainedTokenizerBase, k: int) -> tuple[tuple[Word, ...], ...]:
    """The k most probable words of each row of probabilities (places, vocabulary)."""
    shares, ids = rows.topk(min(k, rows.shape[-1]))
    return tuple(
        tuple(
            Word(shown(piece), share)
            for piece, share in zip(word_pieces_of(tokenizer, row), probabilities, strict=True)
        )
        for row, probabilities in zip(ids.tolist(), shares.tolist(), strict=True)
    )
