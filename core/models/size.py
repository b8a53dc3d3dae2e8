"""How large a teacher and a student are: from the settings alone, so that the form can say it, or once built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.config import Objective
from core.models.families import FAMILIES
from core.models.outline import BUNDLED, HEAD_OF, TeacherOutline
from core.models.shape import BYTES_PER_PARAMETER, MB, Shape
from core.sections import StudentSettings

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["MB", "Shape", "embedding_width", "narrower_feed_forward", "size_of", "student_shape", "teacher_shape"]


def teacher_shape(outline: TeacherOutline = BUNDLED, objective: Objective = "labels", labels: int = 2) -> Shape:
    """A teacher with the head of the objective. `labels` counts its outputs where it sorts texts (a score: 1)."""
    return Shape(
        layers=outline.depth,
        width=outline.width,
        feed_forward=outline.feed_forward,
        vocabulary=outline.vocabulary,
        positions=outline.positions,
        segments=outline.segments,
        labels=labels,
        head=HEAD_OF[objective],
        family=outline.family,
        embedding=outline.embedding,
        offset=outline.offset,
    )


def student_shape(
    outline: TeacherOutline, student: StudentSettings, objective: Objective = "labels", labels: int = 2
) -> Shape:
    """A student of this teacher: the teacher's words and positions, and its own depth and width.

    One of another family has no token types.
    """
    width, other = student.width or outline.width, FAMILIES[outline.family].student
    return Shape(
        layers=student.layers,
        width=width,
        feed_forward=narrower_feed_forward(width, outline.width, outline.feed_forward),
        vocabulary=outline.vocabulary,
        positions=outline.positions,
        segments=0 if other else outline.segments,
        labels=labels,
        head=HEAD_OF[objective],
        family=other.family if other else outline.family,
        embedding=embedding_width(width, outline.width, outline.embedding),
        offset=outline.offset,
    )


def narrower_feed_forward(width: int, teacher_width: int, teacher_feed_forward: int) -> int:
    """The feed-forward width that is to `width` what the teacher's is to the teacher's (usually 4 times)."""
    return max(1, round(width * teacher_feed_forward / teacher_width))


def embedding_width(width: int, teacher_width: int, teacher_embedding: int) -> int:
    """Width of the word rows of a student: as wide as its layers where the teacher's are, else the teacher's."""
    return width if teacher_embedding == teacher_width else teacher_embedding


def size_of(model: PreTrainedModel) -> dict[str, float]:
    """A model that is in memory: its parameters, those of its layers, and its weights as stored in MB."""
    parameters = sum(values.numel() for values in model.parameters())
    layers = sum(values.numel() for name, values in model.base_model.named_parameters() if "layer." in name)
    return {
        "parameters": parameters,
        "encoder_parameters": layers,
        "size_mb": round(parameters * BYTES_PER_PARAMETER / MB, 1),
    }
