"""Learning words: to fill in hidden ones, which is how DistilBERT itself was distilled (Sanh et al. 2019, section 3).

Other words are hidden in every epoch, so the teacher is asked anew at every step. In held-out texts words are hidden
once, all kinds of words alike whatever the training favours, so that models and runs can be compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core.data.documents import Documents, load_documents
from core.data.masking import Masker
from core.data.pieces import word_pieces_of
from core.data.token_cache import kept_tokens, texts_digest, tokenizer_digest
from core.data.tokens import Tokens, scoring_batches, tokenise_blocks, tokenise_masks
from core.distill.loop import Lesson
from core.distill.masked_batch import MaskedBatch, masked_batches
from core.distill.objective import HeldOut
from core.distill.session import Session
from core.distill.waiting import Waiting
from core.distill.word_terms import WordUpdate, best_words, guesser, teacher_loss_terms
from core.models.student import student_for_words
from core.models.teacher import teacher_for_words, teacher_tokenizer
from core.scoring.predict import BATCH
from core.sections import MaskingSettings

GUESSES = 5
"""So many words of each model are kept for a watched sentence."""


class MaskedWords:
    """The objective "masked words"."""

    metric = "masked-word accuracy"
    counted = "masked words"
    test_split = "test"

    def __init__(self, session: Session) -> None:
        """Load, split and tokenise the texts. Raises DistilleryError for texts that cannot be used."""
        settings = session.settings
        documents = load_documents(settings.data)
        self._session = session
        self.notes = documents.notes
        self.tokenizer: PreTrainedTokenizerBase = teacher_tokenizer(settings.teacher)
        parts = _tokenised(documents, self.tokenizer, settings.data.max_tokens)
        self._train = parts["train"]
        self._masker = Masker.from_tokens(self._train, self.tokenizer, settings.masking)
        self._even_masker = Masker.from_tokens(self._train, self.tokenizer, MaskingSettings(rarity=0))
        self._held_out: dict[str, list[MaskedBatch]] = {
            name: self._hidden_once(parts[name], place) for place, name in enumerate(("validation", "test"))
        }
        self._hidden = {
            name: np.concatenate([batch.targets.cpu().numpy() for batch in batches])
            for name, batches in self._held_out.items()
        }
        self._timed = parts["test"]
        # Not cut at the length of the texts: the word to guess could be lost.
        longest = min(512, self.tokenizer.model_max_length)
        self._probes = tokenise_masks(list(settings.probes), self.tokenizer, longest)

    def new_teacher(self) -> PreTrainedModel:
        """The chosen teacher with a head for words."""
        return teacher_for_words(self._session.settings.teacher)

    def teacher_lesson(self, teacher: PreTrainedModel) -> Lesson:
        """The teacher adapts to these texts: it guesses hidden words by itself."""
        return Lesson(teacher, self._train.lengths, self._batches, partial(teacher_loss_terms, guesser(teacher)))

    def new_student(self, teacher: PreTrainedModel) -> PreTrainedModel:
        """A student with a head for words."""
        settings = self._session.settings
        return student_for_words(teacher, settings.student, settings.training.seed)

    def student_lesson(
        self, student: PreTrainedModel, maps: Mapping[str, nn.Module], teacher: PreTrainedModel, kept: Path
    ) -> Lesson:
        """The teacher reads the same masked batches; the hidden words are what is true."""
        settings = self._session.settings
        layer_map = settings.student.layer_map(teacher.config.num_hidden_layers)
        update = WordUpdate(guesser(student), maps, guesser(teacher), settings.loss, layer_map)
        return Lesson(update.learner, self._train.lengths, self._batches, update)

    def count(self, part: HeldOut) -> int:
        """Hidden words in a part."""
        return len(self._hidden[part])

    @torch.inference_mode()
    def answers(self, model: PreTrainedModel, part: HeldOut, doing: str) -> NDArray:
        """The most probable word piece at each hidden word, (M,)."""
        model.eval()
        work = [float(batch.lengths.sum()) for batch in self._held_out[part]]
        waiting = Waiting(self._session.recorder, doing, work)
        guesses, found = guesser(model), []
        for batch in self._held_out[part]:
            waiting()
            with self._session.compute.autocast():
                found.append(best_words(guesses, batch))
        return torch.cat(found).cpu().numpy()

    def score(self, answers: NDArray, part: HeldOut) -> float:
        """Share of the hidden words that are guessed."""
        return float((answers == self._hidden[part]).mean())

    def agreement(self, student: NDArray, teacher: NDArray) -> float:
        """Share of the hidden words for which both models' first guess is the same."""
        return float((student == teacher).mean())

    def majority(self, part: HeldOut) -> float:
        """Share of the most frequent hidden word."""
        _, counts = np.unique(self._hidden[part], return_counts=True)
        return float(counts.max() / counts.sum())

    def timed_texts(self) -> Tokens:
        """The blocks of the test part."""
        return self._timed

    def probe(self, model: PreTrainedModel) -> list[list[tuple[str, float]]]:
        """The five most probable words at each sentence's first [MASK], with their probabilities.

        None where the [MASK] lies beyond what the model reads.
        """
        model.eval()
        return [self._guess(model, number) for number in range(len(self._probes))]

    @torch.inference_mode()
    def _guess(self, model: PreTrainedModel, number: int) -> list[tuple[str, float]]:
        compute, example = self._session.compute, np.array([number])
        batch = self._probes.batch(example, compute.device)
        is_mask = self._probes.pieces(example) == self.tokenizer.mask_token_id
        if not is_mask.any():
            return []
        place = int(np.argmax(is_mask))
        with compute.autocast():
            logits = model(batch.input_ids, attention_mask=batch.attention_mask).logits[0, place]
        shares, ids = logits.float().softmax(-1).topk(GUESSES)
        words = word_pieces_of(self.tokenizer, ids.tolist())
        return [(word, round(share, 4)) for word, share in zip(words, shares.tolist(), strict=True)]

    def _hidden_once(self, tokens: Tokens, place: int) -> list[MaskedBatch]:
        """All of a part, in batches, with words hidden that depend on the split and on nothing else."""
        seed, device = self._session.settings.data.split_seed, self._session.compute.device
        batches = []
        for number, examples in enumerate(scoring_batches(tokens.lengths, BATCH)):
            random = np.random.default_rng((seed, place, number))
            batches += masked_batches(tokens, examples, self._even_masker, None, random, 1, device)
        return batches

    def _batches(self, examples: NDArray[np.int64], random: np.random.Generator) -> list[MaskedBatch]:
        settings = self._session.settings
        return masked_batches(
            self._train,
            examples,
            self._masker,
            settings.loss,
            random,
            settings.training.accumulation,
            self._session.compute.device,
        )


def _tokenised(documents: Documents, tokenizer: PreTrainedTokenizerBase, longest: int) -> dict[str, Tokens]:
    """The three parts in blocks of word pieces, from the cache where these very texts have been cut before."""
    return {
        name: kept_tokens(
            (texts_digest(texts), tokenizer_digest(tokenizer), str(longest), "blocks"),
            partial(tokenise_blocks, texts, tokenizer, longest),
        )
        for name, texts in (
            ("train", documents.train),
            ("validation", documents.validation),
            ("test", documents.test),
        )
    }
