"""Settings in and out: from JSON, from a file, from `section.field=value` on the command line, with plain errors.

One validator for the page, the file and the command line. Every complaint names the field, what was given and what
is expected, before anything is loaded.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from core.config import Settings, bounds
from core.errors import DistilleryError
from core.persisted import without_format
from core.plain_file import NotPlain, open_plain_file
from core.storage import BrokenRun
from core.terms import TERMS

Kind = TypeVar("Kind", bound=BaseModel)

MAX_FILE_BYTES = 1_000_000
SECTIONS: dict[str, type[BaseModel]] = {
    name: field.annotation
    for name, field in Settings.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
}
"""The groups of settings by name, in the order of the form."""


class SettingsError(DistilleryError):
    """Settings that cannot be used. `problems` maps the field's path to a sentence; the message holds them all."""

    def __init__(self, problems: dict[str, str]) -> None:
        self.problems = problems
        super().__init__(" ".join(problems.values()))


def parse_settings(raw: Any) -> Settings:
    """Settings from plain JSON values. Raises SettingsError."""
    if not isinstance(raw, dict):
        raise SettingsError({"": f"Settings are a JSON object with the sections {', '.join(SECTIONS)}."})
    return parse_as(Settings, raw)


def parse_as(kind: type[Kind], raw: dict[str, Any]) -> Kind:
    """Settings of a kind from plain JSON values. Raises SettingsError."""
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        raise SettingsError(_problems(error, kind)) from None


def as_frozen_then(kind: type[BaseModel], raw: Any) -> Any:
    """Settings that an earlier program froze, with every field it did not know as that program behaved.

    A field that is younger than the first format declares this as "before" in its `json_schema_extra`.
    """
    if not isinstance(raw, dict):
        return raw
    filled = dict(raw)
    for name, field in kind.model_fields.items():
        declared = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            filled[name] = as_frozen_then(field.annotation, raw.get(name, {}))
        elif name not in raw and "before" in declared:
            filled[name] = declared["before"]
    return filled


def read_settings_file(path: Path) -> Settings:
    """Settings from a JSON file. Raises SettingsError, naming the file, for anything that is not one."""
    try:
        with open_plain_file(path) as file:
            content = file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise SettingsError({"": f"{path} is larger than 1 MB, so it is not a settings file."})
        raw = json.loads(content.decode("utf-8-sig"), object_pairs_hook=_no_duplicates)
        # The frozen settings of a run are such a file too, and say their format.
        return parse_settings(without_format(raw, str(path)) if isinstance(raw, dict) else raw)
    except BrokenRun as error:
        raise SettingsError({"": str(error)}) from None
    except NotPlain as error:
        raise SettingsError({"": f"{path} cannot be read: {error}."}) from None
    except OSError as error:
        raise SettingsError({"": f"{path} cannot be read: {error.strerror}."}) from None
    except UnicodeDecodeError:
        raise SettingsError({"": f"{path} is not UTF-8 text."}) from None
    # Besides broken JSON: lists in lists without end, and numbers of thousands of digits.
    except (ValueError, RecursionError) as error:
        raise SettingsError({"": f"{path} is not valid JSON: {error}."}) from None


def override(settings: Kind, assignments: Iterable[str]) -> Kind:
    """Settings with `section.field=value` applied, values in JSON or plain text. Raises SettingsError."""
    example = f"loss.{TERMS[0].name}=3" if isinstance(settings, Settings) else "epochs=2"
    raw = settings.model_dump(mode="json")
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        *sections, name = path.strip().split(".")
        target: Any = raw
        for section in sections:
            target = target.get(section) if isinstance(target, dict) else None
        if not equals or not isinstance(target, dict) or name not in target:
            raise SettingsError({path: f"{assignment!r} is not a setting; write it like {example}."})
        target[name] = _value(text.strip())
    return parse_as(type(settings), raw)


def expected(section: type[BaseModel], name: str) -> str:
    """What a field takes, in words: its kind and range, or its choices."""
    annotation = section.model_fields[name].annotation
    kinds = get_args(annotation) if get_origin(annotation) is UnionType else (annotation,)
    optional = ", or null" if NoneType in kinds else ""
    kind = next(kind for kind in kinds if kind is not NoneType)
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(get_args(kind)) + optional
    if kind is bool:
        return "true or false" + optional
    low, high = bounds(section, name)
    if math.isfinite(high):
        limits = f"a whole number from {low} to {high}" if kind is int else f"a number from {low:g} to {high:g}"
        return limits + optional
    longest = rule(section, name, "max_length")
    if get_origin(kind) is tuple:
        of = get_args(kind)[0]
        things = {int: "whole numbers", str: "texts"}.get(of, "groups of settings")
        if get_origin(of) is Literal:
            things = ", ".join(get_args(of))
        return f"a list of {things}" + (f", at most {longest}" if longest else "") + optional
    if kind is str:
        # A pattern would say little to most people; the default keeps to it.
        pattern = rule(section, name, "pattern")
        what = f"a name like {section.model_fields[name].default}," if pattern else "text"
        return what + (f" of at most {longest} characters" if longest else "") + optional
    return "a group of settings" + optional


def rule(section: type[BaseModel], name: str, kind: str) -> Any:
    """What a field's "max_length" or "pattern" is; None if it has none."""
    return next((found for each in section.model_fields[name].metadata if (found := getattr(each, kind, None))), None)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for name, value in pairs:
        if name in seen:
            raise SettingsError({name: f"{_shortened(name)} is given twice; keep one."})
        seen[name] = value
    return seen


def _problems(error: ValidationError, kind: type[BaseModel]) -> dict[str, str]:
    problems: dict[str, str] = {}
    around: set[str] = set()
    for item in error.errors(include_url=False):
        parts = [str(part) for part in item["loc"]]
        path = ".".join(parts)
        # Of a list in which something is wrong, the validator complains a second time, as a whole.
        if path not in around:
            problems.setdefault(path, _sentence(_shortened(path), item, kind))
        around |= {".".join(parts[:length]) for length in range(1, len(parts))}
    return problems


def _sentence(path: str, item: Any, kind: type[BaseModel]) -> str:
    if item["type"] == "value_error":
        return _capitalised(str(item["ctx"]["error"])) + "."
    if item["type"] == "extra_forbidden":
        return f"{path} is not a setting; remove it or correct its name."
    if item["type"] == "invalid_key" or (item["type"] == "string_unicode" and path in ("", *SECTIONS)):
        return f"{_shortened(ascii(item['input']))} is not the name of a setting."
    section, name = _field(item["loc"], kind)
    given = _shortened(json.dumps(item["input"], default=str))
    return f"{path} is {given}; expected {expected(section, name)}."


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "…"


def _field(location: tuple[int | str, ...], kind: type[BaseModel]) -> tuple[type[BaseModel], str]:
    """The section and field of `kind` that an error lies in, however deep inside the field's value it is."""
    section = kind
    for part in location:
        annotation = section.model_fields[str(part)].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return section, str(part)
        if part == location[-1]:
            return section, str(part)
        section = annotation
    raise LookupError(f"no field at {location}")


def _capitalised(sentence: str) -> str:
    # A sentence that begins with a field's path keeps it as it is.
    return sentence if "." in sentence.split()[0] or "_" in sentence.split()[0] else sentence[0].upper() + sentence[1:]
