"""The texts on which an exported file is held against the student it was made of: the run's own test part.

Read anew with the student's own tokeniser, so the teacher need not be there any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from core.config import Settings
from core.data.documents import load_documents
from core.data.labelled import load_labelled
from core.data.masking import Masker
from core.data.tokens import Batch, Tokens, scoring_batches, tokenise, tokenise_blocks
from core.scoring.predict import accuracy, agreement, correlation
from core.sections import MaskingSettings

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MOST_PIECES = {"labels": 60_000, "masked_words": 12_000}
"""Word pieces that are asked at most, by objective: at every one of them a guesser of words computes 30,000 numbers."""

BATCH = {"labels": 32, "masked_words": 4}


@dataclass(frozen=True)
class Question:
    """Texts as a model reads them, and of its flattened answers the rows that count and what is right there."""

    batch: Batch
    rows: NDArray[np.int64]
    truth: NDArray


@dataclass(frozen=True)
class HeldOut:
    """Test texts to ask, what is counted there, and the metric. `texts` of `all_texts` are asked."""

    tokens: Tokens
    examples: NDArray[np.int64]
    metric: str
    counted: str
    split: str
    all_texts: int
    _masker: Masker | None = field(default=None, repr=False)
    _seed: int = 0

    @property
    def texts(self) -> int:
        """How many texts, pairs or blocks are asked."""
        return len(self.examples)

    def questions(self, batch_size: int | None = None) -> Iterator[Question]:
        """All of them, shortest first, in batches. The same words are hidden whenever it is asked."""
        size = batch_size or BATCH["labels" if self._masker is None else "masked_words"]
        for number, places in enumerate(scoring_batches(self.tokens.lengths[self.examples], size)):
            yield self._question(self.examples[places], number)

    def one_by_one(self, most: int) -> Iterator[Batch]:
        """At most so many single texts, of all lengths, as they are."""
        for example in _spread(self.examples, most):
            yield self.tokens.batch(np.array([example]), torch.device("cpu"))

    def score(self, answers: NDArray, truth: NDArray) -> float | None:
        """How right answers are, by the run's own metric; None where that is undefined."""
        if self.metric == "accuracy":
            return accuracy(answers, truth)
        return correlation(answers, truth) if self.metric == "correlation" else float((answers == truth).mean())

    def agreement(self, answers: NDArray, others: NDArray) -> float | None:
        """How alike two forms' answers are, right or wrong; None where that is undefined."""
        if self.metric == "accuracy":
            return agreement(answers, others)
        return correlation(answers, others) if self.metric == "correlation" else float((answers == others).mean())

    def answers(self, logits: NDArray, question: Question) -> NDArray:
        """What counts of logits (B, …): logits (B, C) for labels, scores (B,), word pieces (M,) for hidden words."""
        if self._masker is None:
            return logits[:, 0] if self.metric == "correlation" else logits
        return logits.reshape(-1, logits.shape[-1])[question.rows].argmax(axis=1)

    def _question(self, examples: NDArray[np.int64], number: int) -> Question:
        device = torch.device("cpu")
        if self._masker is None:
            batch = self.tokens.batch(examples, device)
            return Question(batch, np.arange(len(examples)), batch.labels.numpy())
        random = np.random.default_rng((self._seed, number))
        hidden = self._masker.draw(self.tokens.pieces(examples), random)
        batch = self.tokens.batch(examples, device, hidden.pieces)
        return Question(batch, batch.places.numpy()[hidden.places], hidden.originals)


def held_out(settings: Settings, tokenizer: PreTrainedTokenizerBase) -> HeldOut:
    """The test part of a run's data. Raises DistilleryError if the data is no longer where the settings say."""
    data, longest = settings.data, settings.data.max_tokens
    if settings.objective == "masked_words":
        tokens = tokenise_blocks(load_documents(data).test, tokenizer, longest)
        masker = Masker.from_tokens(tokens, tokenizer, MaskingSettings(rarity=0))
        metric, counted, split = "masked-word accuracy", "masked words", "test"
    else:
        read = load_labelled(data)
        tokens, masker = tokenise(read.test, tokenizer, longest), None
        metric = "accuracy" if read.label_names else "correlation"
        counted, split = ("pairs" if read.test.pairs is not None else "sentences"), read.test_split
    most = int(MOST_PIECES[settings.objective] // tokens.lengths.mean())
    examples = _spread(np.arange(len(tokens)), most)
    return HeldOut(tokens, examples, metric, counted, split, len(tokens), masker, data.split_seed)


def _spread(examples: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """At most so many examples (at least one), evenly spread over all of them."""
    if len(examples) <= most:
        return examples
    return examples[np.linspace(0, len(examples) - 1, max(1, most)).astype(np.int64)]
