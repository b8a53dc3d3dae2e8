"""Building the student: some of the teacher's layers, or a narrower model with random weights.

It is of the teacher's own class with fewer layers, unless the teacher's family says otherwise (`families/bert.py`); a
student with every teacher layer computes the teacher's hidden states.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

from core.models.families import FAMILIES, family_of
from core.models.families.family import Family, Head
from core.models.size import embedding_width, narrower_feed_forward
from core.sections import StudentSettings

LAST_MAP = "projection"
"""What the map of the last hidden states is called in a checkpoint."""


def student_config(teacher: PreTrainedConfig, student: StudentSettings) -> PreTrainedConfig:
    """The student's depth, width and heads, and everything else as the teacher has it."""
    family = FAMILIES[teacher.model_type]
    sizes = {ours: getattr(teacher, name) for name, (ours, _, _) in family.sizes.items()}
    width = student.width or sizes["width"]
    chosen = {
        "layers": student.layers,
        "width": width,
        "heads": student.heads or sizes["heads"],
        "feed_forward": narrower_feed_forward(width, sizes["width"], sizes["feed_forward"]),
    }
    if "embedding" in sizes:
        chosen["embedding"] = embedding_width(width, sizes["width"], sizes["embedding"])
    if family.student:
        return family.student.config(teacher, chosen)
    config = copy.deepcopy(teacher)
    for name, (ours, _, _) in family.sizes.items():
        setattr(config, name, chosen.get(ours, sizes[ours]))
    return config


def student_for_labels(teacher: PreTrainedModel, settings: StudentSettings, seed: int) -> PreTrainedModel:
    """A student for the teacher's task: encoder copied from the chosen teacher layers or random, head random.

    Everything random follows from `seed`. The teacher is not changed and shares no memory with the student.
    """
    return _encoder_of(teacher, _random(teacher, "labels", settings, seed), settings)


def student_for_words(teacher: PreTrainedModel, settings: StudentSettings, seed: int) -> PreTrainedModel:
    """A student that guesses words. Copied: encoder and head from the teacher, so that at full depth it is the teacher.

    The vocabulary matrix is the word embeddings. Everything random follows from `seed`. Raises TypeError if the teacher
    guesses no words.
    """
    family = family_of(teacher)
    if not family.guesses_words(teacher):
        raise TypeError(f"a {type(teacher).__name__} guesses no words")
    student = _encoder_of(teacher, _random(teacher, "words", settings, seed), settings)
    if settings.initial_weights == "copied":
        if family.student:
            family.student.copy_word_head(teacher, student)
        else:
            _copy_top(teacher, student, family)
    return student


def state_maps(student: PreTrainedModel, teacher: PreTrainedModel, layers: int, seed: int) -> dict[str, nn.Linear]:
    """Random maps, without bias, from a narrower student's states to the teacher's width; none if they are as wide.

    One is for the last hidden states, `layers` more are for those after so many student layers. They are learned along
    with the student and not part of it. They follow from `seed`.
    """
    narrow, wide = student.config.hidden_size, teacher.config.hidden_size
    if narrow == wide:
        return {}
    generator = torch.Generator().manual_seed(seed)
    names = [LAST_MAP, *map(layer_map_name, range(layers))]
    return {name: _random_map(narrow, wide, generator) for name in names}


def layer_map_name(layer: int) -> str:
    """What the map of the states after a student layer, counted from 0, is called."""
    return f"{LAST_MAP}_of_layer_{layer}"


def _random_map(narrow: int, wide: int, generator: torch.Generator) -> nn.Linear:
    projection = nn.Linear(narrow, wide, bias=False, device="meta").to_empty(device="cpu")
    with torch.no_grad():
        # Keeps the size of what goes through.
        projection.weight.normal_(std=narrow**-0.5, generator=generator)
    return projection


def fewer_layers(teacher: dict[str, Tensor], layers: str, layer_map: Sequence[int]) -> dict[str, Tensor]:
    """State of an encoder with only those layers of a teacher's that `layer_map` names; `layers` is where they lie."""
    state = {name: tensor for name, tensor in teacher.items() if not name.startswith(f"{layers}.")}
    for place, layer in enumerate(layer_map):
        start = f"{layers}.{layer}."
        copied = {name: tensor for name, tensor in teacher.items() if name.startswith(start)}
        state |= {f"{layers}.{place}.{name.removeprefix(start)}": tensor for name, tensor in copied.items()}
    return state


def _random(teacher: PreTrainedModel, head: Head, settings: StudentSettings, seed: int) -> PreTrainedModel:
    family, config = family_of(teacher), student_config(teacher.config, settings)
    kind = FAMILIES[family.student.family if family.student else family.name].model_type(head)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return kind(config)


def _encoder_of(teacher: PreTrainedModel, student: PreTrainedModel, settings: StudentSettings) -> PreTrainedModel:
    """The student, its encoder copied from the chosen layers if the settings ask for it."""
    if settings.initial_weights == "copied":
        family, state = family_of(teacher), teacher.base_model.state_dict()
        layer_map = settings.layer_map(teacher.config.num_hidden_layers)
        if family.student:
            state = family.student.encoder(state, layer_map)
        else:
            state = fewer_layers(state, family.layers, layer_map)
        student.base_model.load_state_dict(state)
    return student


def _copy_top(teacher: PreTrainedModel, student: PreTrainedModel, family: Family) -> None:
    """Copy everything that lies on top of the encoder, which is alike in both."""
    top = {name: tensor for name, tensor in teacher.state_dict().items() if not name.startswith(f"{family.prefix}.")}
    student.load_state_dict(top, strict=False)
