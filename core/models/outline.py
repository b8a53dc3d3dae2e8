"""What is known of a teacher before it is loaded: from constants or its files, in milliseconds.

The form asks this at every redraw, so importing this file does not load torch.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from threading import Lock

from core import network
from core.config import Objective, Settings, check_layer_map
from core.data.bundle import MINILM_CONFIG, MINILM_VOCABULARY, MINILM_WEIGHTS
from core.data.files import as_path
from core.models import hub
from core.models.description import Description, describe, read_description
from core.models.families import FAMILIES
from core.models.families.family import Head
from core.models.folder import CONFIG, MAX_BYTES, TOKENIZER_CONFIG, ModelFolder, parse_json
from core.models.layout import Contents, contents_of_teacher
from core.models.weights import ModelError
from core.sections import StudentSettings, TeacherSettings
from core.terms import TERMS
from core.terms.declaration import Term

HEAD_OF: dict[Objective, Head] = {"labels": "labels", "masked_words": "words"}


@dataclass(frozen=True)
class TeacherOutline:
    """The family and sizes of a teacher. `label_names` are those of the head it brings, empty where it has none.

    `embedding` is the width of its word rows (0: that of the layers), `offset` the number of the first position.
    """

    depth: int
    width: int
    heads: int
    feed_forward: int
    vocabulary: int
    positions: int
    segments: int
    has_word_head: bool
    label_names: tuple[str, ...]
    family: str = "bert"
    embedding: int = 0
    offset: int = 0

    @property
    def longest(self) -> int:
        """How many word pieces it reads at most."""
        return self.positions - self.offset

    @property
    def title(self) -> str:
        """What its family is called."""
        return FAMILIES[self.family].title

    def student_class(self, objective: Objective) -> str:
        """Transformers' class of a student of this teacher."""
        other = FAMILIES[self.family].student
        return FAMILIES[other.family if other else self.family].classes[HEAD_OF[objective]]


BUNDLED = TeacherOutline(6, 384, 12, 1536, 30_522, 512, 2, has_word_head=False, label_names=())
KNOWN_ON_HUB = {
    "google-bert/bert-base-uncased": TeacherOutline(
        12, 768, 12, 3072, 30_522, 512, 2, has_word_head=True, label_names=()
    )
}
"""So that the form can be drawn without the network."""

_hashes: dict[tuple[str, int, int], str] = {}
_hashing = Lock()


def teacher_outline(teacher: TeacherSettings) -> TeacherOutline:
    """The chosen teacher's sizes and heads, from constants or from its files; nothing is loaded.

    Raises DistilleryError where it cannot be used. A model of the Hub that was not fetched yet is described by its
    config.json alone, which is fetched if the network is on.
    """
    if teacher.source == "minilm":
        return BUNDLED
    if teacher.source == "hub" and hub.cached_model(teacher.hub_id) is None:
        return _outline_of_hub(teacher.hub_id)
    return _outline_of_folder(teacher_folder(teacher))


def ready_teacher(settings: Settings) -> TeacherOutline:
    """The first step of a job: fetch the teacher if it has to be fetched, and check that it can do what is asked.

    Takes as long as the download. Raises DistilleryError, naming the field, if the run could not succeed.
    """
    teacher = settings.teacher
    if teacher.source == "hub":
        hub.fetch_model(teacher.hub_id)
    outline = teacher_outline(teacher)
    check_teacher(settings, outline)
    return outline


def check_teacher(settings: Settings, outline: TeacherOutline) -> None:
    """Raise ModelError, naming the field, if this teacher could not be used with these settings."""
    teacher = settings.teacher
    is_absent = teacher.source == "hub" and hub.cached_model(teacher.hub_id) is None
    if is_absent and not network.is_on():
        raise ModelError(hub.why_not_here(teacher.hub_id))
    check_objective(outline, settings.objective)
    longest = settings.data.max_tokens
    if longest > outline.longest:
        raise ModelError(
            f"data.max_tokens is {longest}, but the teacher reads at most {outline.longest} word pieces; "
            f"choose up to {outline.longest}."
        )
    if teacher.epochs == 0:
        check_head(outline, settings.objective == "masked_words")


def why_not(outline: TeacherOutline, objective: Objective) -> str:
    """Why this teacher can never teach that, in half a sentence; empty if it can, perhaps after learning it first."""
    is_without = objective == "masked_words" and not outline.has_word_head
    return FAMILIES[outline.family].words_need_head if is_without else ""


def possible_terms(outline: TeacherOutline, objective: Objective) -> tuple[Term, ...]:
    """The terms of the loss that a student of this teacher can learn by; none where it cannot teach that at all."""
    if why_not(outline, objective):
        return ()
    answers = {"labels": lambda term: term.labels, "masked_words": lambda term: term.vocabulary}[objective]
    return tuple(term for term in TERMS if term.states or answers(term))


def check_objective(outline: TeacherOutline, objective: Objective) -> None:
    """Raise ModelError if this teacher can never teach that."""
    if why := why_not(outline, objective):
        raise ModelError(f"The objective is {objective}, but {why}. Choose the objective labels, or another teacher.")


def check_head(outline: TeacherOutline, is_for_words: bool, outputs: int | None = None) -> None:
    """Raise ModelError if a teacher that is to be used as it is lacks the head for it; `outputs` are those wanted."""
    if is_for_words:
        if not outline.has_word_head:
            raise ModelError(
                "teacher.epochs is 0, but this teacher has never learned to guess words; give it at least 1 epoch."
            )
        return
    found = len(outline.label_names)
    if not found:
        raise ModelError(
            "teacher.epochs is 0, but this teacher has never learned to sort texts; give it at least 1 epoch."
        )
    if outputs not in (None, found):
        raise ModelError(
            f"teacher.epochs is 0, but this teacher has {found} outputs and the data need {outputs}; "
            "give it at least 1 epoch, or choose a teacher of this task."
        )


def check_student(student: StudentSettings, outline: TeacherOutline) -> None:
    """Raise ModelError, naming the field, if no such student can be made of this teacher."""
    try:
        check_layer_map(student, outline.depth)
    except ValueError as error:
        raise ModelError(f"{error}.") from error
    width, heads = student.width or outline.width, student.heads or outline.heads
    if width % heads:
        raise ModelError(
            f"A student of width {width} cannot share it equally among {heads} attention heads; "
            f"set student.heads to one of {', '.join(map(str, _divisors(width)))}."
        )


def teacher_fingerprint(teacher: TeacherSettings) -> str:
    """SHA-256 over a teacher's weights, configuration and vocabulary: two teachers with the same one are the same.

    Takes as long as reading the weights, and no time when asked again. Raises DistilleryError, for a model of the Hub
    also where it was not fetched yet (hub.NotFetchedError).
    """
    if teacher.source == "minilm":
        parts = [MINILM_WEIGHTS.sha256, MINILM_CONFIG.sha256, MINILM_VOCABULARY.sha256]
    else:
        folder = teacher_folder(teacher)
        words = read_description(folder).family.tokenizer.files_in(folder)
        small = [CONFIG, *words, *([TOKENIZER_CONFIG] if TOKENIZER_CONFIG in folder else [])]
        parts = [_weights_sha256(folder), *(hashlib.sha256(folder.read(name)).hexdigest() for name in small)]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def teacher_folder(teacher: TeacherSettings) -> ModelFolder:
    """The folder of a teacher that is not the bundled one. Raises ModelError if there is none."""
    if teacher.source == "hub":
        path = hub.cached_model(teacher.hub_id)
        if path is None:
            later = f"The model {teacher.hub_id} is not on this machine yet; it is fetched when a run starts."
            raise hub.NotFetchedError(later if network.is_on() else hub.why_not_here(teacher.hub_id))
        return ModelFolder(path, label=teacher.hub_id)
    if not teacher.path.strip():
        raise ModelError("teacher.path is empty; name the folder that holds the model.")
    return ModelFolder(as_path(teacher.path, "teacher.path"))


def _outline_of_folder(folder: ModelFolder) -> TeacherOutline:
    description = read_description(folder)
    with folder.weights() as weights:
        contents = contents_of_teacher(weights, description)
    description.family.tokenizer.files_in(folder)
    return outline_of(description, contents)


def _outline_of_hub(hub_id: str) -> TeacherOutline:
    """Of a model that was not fetched yet: its config.json says which heads it should have."""
    if hub_id in KNOWN_ON_HUB:
        return KNOWN_ON_HUB[hub_id]
    path = hub.fetch_file(hub_id, CONFIG)
    with path.open("rb") as file:
        content = file.read(MAX_BYTES[CONFIG])
    where = f"{hub_id}/{CONFIG}"
    description = describe(parse_json(content, where), where)
    classes, family = set(description.architectures), description.family
    names = description.label_names if family.classes["labels"] in classes else ()
    has_word_head = not classes.isdisjoint(family.word_classes)
    return outline_of(description, Contents({}, has_word_head, names))


def outline_of(description: Description, contents: Contents) -> TeacherOutline:
    """The outline of a model whose config.json and header have been read."""
    sizes = description.sizes
    return TeacherOutline(
        depth=sizes["layers"],
        width=sizes["width"],
        heads=sizes["heads"],
        feed_forward=sizes["feed_forward"],
        vocabulary=sizes["vocabulary"],
        positions=sizes["positions"],
        segments=sizes.get("segments", 0),
        has_word_head=contents.has_word_head,
        label_names=contents.label_names,
        family=description.family.name,
        embedding=sizes.get("embedding", 0),
        offset=description.offset,
    )


def _weights_sha256(folder: ModelFolder) -> str:
    with folder.weights() as weights:
        stat = os.fstat(weights.descriptor)
        key = (str(folder.path.resolve()), stat.st_size, stat.st_mtime_ns)
        with _hashing:
            if key not in _hashes:
                _hashes[key] = weights.read(())[1]
            return _hashes[key]


def _divisors(width: int) -> list[int]:
    return [heads for heads in range(1, 65) if width % heads == 0]
