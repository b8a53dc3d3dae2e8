"""The model families that are known: one file each, found by being here.

A file declares `FAMILY`. Only a family that is here can be opened. Importing this loads neither torch nor transformers.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from core.models.families.family import Family

if TYPE_CHECKING:
    from transformers import PreTrainedModel

FAMILIES: dict[str, Family] = {
    family.name: family
    for module in sorted(found.name for found in iter_modules(__path__) if found.name != "family")
    for family in (import_module(f"{__name__}.{module}").FAMILY,)
}
"""By the model type that config.json names."""


def family_of(model: PreTrainedModel) -> Family:
    """The family of a model. Raises TypeError for one that is of none."""
    family = FAMILIES.get(model.config.model_type)
    if family is None:
        raise TypeError(f"a {type(model).__name__} is of no known family")
    return family


def load_classes() -> None:
    """Load every class that a family names. For `core/libraries.py`, which sees to it that one thread does it."""
    import transformers

    for family in FAMILIES.values():
        family.config_type()
        getattr(transformers, family.tokenizer.class_name)
        for head in family.classes:
            family.model_type(head)
