"""A plain training step of masked-word distillation, to measure against: written from what is
known of the original code, with all that it does at length left in.

Both models make vocabulary logits and keep all hidden states at every position, padding included; positions are chosen
afterwards by copying; the teacher answers at every step; everything in fp32; every term is read back at every step.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from transformers import BertForMaskedLM, DistilBertForMaskedLM

from core.sections import LossSettings

IGNORED = -100
CLIP = 5.0


class PlainStep:
    """One update of a student from a padded batch."""

    def __init__(self, student: DistilBertForMaskedLM, teacher: BertForMaskedLM, loss: LossSettings) -> None:
        self.student, self.teacher, self._loss = student, teacher, loss
        self.optimiser = torch.optim.AdamW(student.parameters(), lr=5e-4, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.0)

    def __call__(self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor) -> float:
        """Train on word pieces (B, L); `labels` (B, L) are the hidden pieces, −100 elsewhere. Returns the loss."""
        self.student.train()
        terms = self.terms(input_ids, attention_mask, labels)
        terms["loss"].backward()
        torch.nn.utils.clip_grad_norm_(self.student.parameters(), CLIP)
        self.optimiser.step()
        self.optimiser.zero_grad()
        return {name: term.item() for name, term in terms.items()}["loss"]

    def terms(self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """The weighted loss and its three terms."""
        own = self.student(input_ids, attention_mask=attention_mask, output_hidden_states=True)
        with torch.no_grad():
            theirs = self.teacher(input_ids, attention_mask=attention_mask, output_hidden_states=True)
        temperature, is_piece = self._loss.temperature, attention_mask.bool().unsqueeze(-1)
        soft = F.kl_div(
            F.log_softmax(_chosen(own.logits, is_piece) / temperature, dim=-1),
            F.softmax(_chosen(theirs.logits, is_piece) / temperature, dim=-1),
            reduction="batchmean",
        )
        soft = soft * temperature**2
        hard = F.cross_entropy(own.logits.view(-1, own.logits.size(-1)), labels.view(-1), ignore_index=IGNORED)
        hidden = _chosen(own.hidden_states[-1], is_piece)
        same = torch.ones(len(hidden), device=hidden.device)
        cosine = F.cosine_embedding_loss(hidden, _chosen(theirs.hidden_states[-1], is_piece), same)
        loss = self._loss.soft * soft + self._loss.hard * hard + self._loss.cosine * cosine
        return {"loss": loss, "soft": soft, "hard": hard, "cosine": cosine}


def padded(
    pieces: NDArray[np.int32], targets: NDArray[np.int64], lengths: NDArray[np.int64], device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Input ids, attention mask and labels, (B, L), of word pieces (W,) in a row, padded with 0 to the longest.

    `targets` (W,) are −1 where no piece is hidden.
    """
    is_piece = np.arange(lengths.max()) < lengths[:, None]
    input_ids = np.zeros(is_piece.shape, dtype=np.int64)
    labels = np.full(is_piece.shape, IGNORED, dtype=np.int64)
    input_ids[is_piece] = pieces
    labels[is_piece] = np.where(targets >= 0, targets, IGNORED)
    mask = is_piece.astype(np.int64)
    ids, mask_on, labels_on = (torch.from_numpy(array).to(device) for array in (input_ids, mask, labels))
    return ids, mask_on, labels_on


def _chosen(values: Tensor, is_piece: Tensor) -> Tensor:
    return values.masked_select(is_piece.expand_as(values)).view(-1, values.size(-1))
