"""One validator for the page, the file and the command line: it names the field, the value and the range."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import ValidationError

from core.config import (
    DEFAULT_PROBES,
    DEPTH_OF_TEACHER,
    WEIGHT_PRESETS,
    Settings,
    bounds,
    extra,
    is_control,
    starting_point,
)
from core.persisted import write_kept
from core.sections import LossSettings, Section, spread_layers
from core.settings_file import (
    MAX_FILE_BYTES,
    SECTIONS,
    SettingsError,
    expected,
    override,
    parse_settings,
    read_settings_file,
)
from tests.fixtures.serving import ROOT

NAN, INFINITY = math.nan, math.inf

# Field, what is given, and what the sentence has to say besides the field's name.
BAD_FIELDS: list[tuple[str, Any, str]] = [
    *[
        (f"loss.{name}", value, f"is {json.dumps(value)}; expected a number from 0 to 100")
        for name in ("soft", "hard", "cosine")
        for value in (-1, -1e-9, 100.5, NAN, INFINITY, -INFINITY, "5", "", None, True, [5], {"weight": 5})
    ],
    *[
        ("loss.temperature", value, f"is {json.dumps(value)}; expected a number from 0.1 to 100")
        for value in (0, 0.0, -1, -0.1, 1e-8, 1e8, 0.0999, 100.1, NAN, INFINITY, "2", None)
    ],
    *[
        ("student.layers", value, f"is {json.dumps(value)}; expected a whole number from 1 to 48")
        for value in (0, -1, 49, 10**9, 10**40, 6.0, 2.5, "6", None, True, [3], NAN)
    ],
    ("student.layers", 7, "is 7, but the teacher has 6 layers; choose from 1 to 6"),
    ("student.layers", 48, "is 48, but the teacher has 6 layers; choose from 1 to 6"),
    ("student.teacher_layers", [0, 2, 6], "holds 6, but the teacher's layers are 0 to 5"),
    ("student.teacher_layers", [0, 2, -1], "holds -1, but the teacher's layers are 0 to 5"),
    ("student.teacher_layers", [0, 2, 10**30], "but the teacher's layers are 0 to 5"),
    ("student.teacher_layers", [0, 2, 2], "holds a layer twice"),
    ("student.teacher_layers", [0, 2], "names 2 layers for a student of 3; choose exactly 3"),
    ("student.teacher_layers", [], "names 0 layers for a student of 3; choose exactly 3"),
    ("student.teacher_layers", [0, 2, "5"], 'is "5"; expected a list of whole numbers'),
    ("student.teacher_layers", [0, 2, 5.0], "is 5.0; expected a list of whole numbers"),
    ("student.teacher_layers", [0, 2, True], "is true; expected a list of whole numbers"),
    ("student.teacher_layers", "025", 'is "025"; expected a list of whole numbers, or null'),
    ("student.teacher_layers", {"0": 1}, "expected a list of whole numbers, or null"),
    ("student.initial_weights", "pretrained", 'is "pretrained"; expected one of copied, random'),
    *[
        (f"{section}.batch_size", value, f"is {json.dumps(value)}; expected a whole number from 1 to 1024")
        for section in ("teacher", "training")
        for value in (0, -32, 1025, 10**7, 32.0, "32", None)
    ],
    *[("teacher.epochs", value, "expected a whole number from 0 to 20") for value in (-1, 21, 10**9, 1.5, "2", None)],
    *[("training.epochs", value, "expected a whole number from 1 to 100") for value in (0, -1, 101, 10**9, 1.5, "3")],
    *[
        (f"{section}.learning_rate", value, f"is {json.dumps(value)}; expected a number from 1e-07 to 0.01")
        for section in ("teacher", "training")
        for value in (0, -1e-4, 1e-9, 0.5, NAN, INFINITY, "1e-4", None)
    ],
    *[("training.warmup", value, "expected a number from 0 to 0.5") for value in (-0.1, 0.6, NAN, "0.05", None)],
    *[
        (f"{section}.seed", value, "expected a whole number from 0 to 2147483647")
        for section in ("teacher", "training")
        for value in (-1, 2**31, 1.0, "0", None)
    ],
    *[("training.threads", value, "whole number from 1 to 256, or null") for value in (0, -1, 257, 1.0, "2")],
    ("training.device", "tpu", 'is "tpu"; expected one of auto, cuda, mps, cpu'),
    ("training.device", None, "expected one of auto, cuda, mps, cpu"),
    ("training.precision", "fp8", 'is "fp8"; expected one of auto, fp32, bf16, fp16'),
    *[
        ("training.accumulation", value, "expected a whole number from 1 to 256")
        for value in (0, -1, 257, 10**9, 2.0, "2", None)
    ],
    *[("training.copies", value, "expected a whole number from 0 to 10") for value in (-1, 11, 10**9, 1.0, "2", None)],
    *[
        (f"{section}.{name}", value, f"is {json.dumps(value)}; expected true or false")
        for section, name in (("training", "compile"), ("masking", "whole_words"))
        for value in (0, 1, "true", "yes", None, NAN)
    ],
    *[("masking.share", value, "expected a number from 0.01 to 0.5") for value in (0, -0.15, 0.009, 0.51, 15, NAN)],
    *[("masking.rarity", value, "expected a number from 0 to 2") for value in (-0.1, 2.1, NAN, INFINITY, "0.7")],
    *[("loss.soft_share", value, "expected a number from 0.01 to 1") for value in (0, 0.001, 1.1, NAN, "all", None)],
    ("loss.soft_positions", "none", 'is "none"; expected one of all, masked, sample'),
    *[("student.width", value, "whole number from 8 to 4096, or null") for value in (0, 7, 4097, 10**9, 96.0, "96")],
    *[("student.heads", value, "whole number from 1 to 64, or null") for value in (0, -1, 65, 4.0, "4")],
    ("objective", "labels and words", 'is "labels and words"; expected one of labels, masked_words'),
    ("objective", None, "is null; expected one of labels, masked_words"),
    ("data.task", "SST2", 'is "SST2"; expected one of CoLA, SST-2, MRPC, STS-B, QQP, MNLI, QNLI, RTE, WNLI'),
    ("data.split", "dev", 'is "dev"; expected one of auto, random, official, merged'),
    ("data.label_kind", "numbers", 'is "numbers"; expected one of auto, classes, score'),
    *[
        (path, value, "expected text of at most 4096 characters")
        for path in ("data.path", "teacher.path")
        for value in (None, 7, ["a"], "a" * 4097, "\ud800")
    ],
    *[
        (f"data.{name}_column", value, "expected text of at most 200 characters")
        for name in ("text", "pair", "label")
        for value in (None, 0, "c" * 201)
    ],
    *[
        ("teacher.hub_id", value, "expected a name like google-bert/bert-base-uncased, of at most 96 characters")
        for value in ("", "a b", "a/b/c", "/etc/passwd", "../x", "http://a/b", "x\n", "ü", "a" * 97, None, "\ud800")
    ],
    *[
        ("data.max_examples", value, "whole number from 200 to 100000, or null")
        for value in (0, 199, 10**6, 500.0, "500", NAN)
    ],
    *[("data.max_tokens", value, "whole number from 8 to 512") for value in (0, 1, 7, 513, 10**9, 128.0, "128")],
    ("data.source", "sst2", 'is "sst2"; expected one of rotten_tomatoes, imdb'),
    ("data.source", "../../etc/passwd", "expected one of rotten_tomatoes, imdb"),
    ("data.split_seed", -1, "expected a whole number from 0"),
    ("teacher.source", "bert-base-uncased", "expected one of minilm"),
    ("name", "a" * 81, "expected text of at most 80 characters"),
    ("name", 7, "is 7; expected text of at most 80 characters"),
    ("name", None, "is null; expected text of at most 80 characters"),
    ("name", "\ud800", "expected text of at most 80 characters"),
    ("probes", ["a"] * 9, "expected a list of texts, at most 8"),
    ("probes", "a film", "expected a list of texts, at most 8"),
    ("probes", ["a film", 7], "is 7; expected a list of texts, at most 8"),
    ("probes", ["a film", " "], "sentence 2 has 1 characters; write between 1 and 300"),
    ("probes", ["x" * 301], "sentence 1 has 301 characters; write between 1 and 300"),
    ("probes", ["half a pair: \ud800"], "sentence 1 holds a broken character"),
    *[(section, value, "expected a group of settings") for section in SECTIONS for value in (None, 3, [], "x")],
]


def nested(path: str, value: Any) -> dict[str, Any]:
    section, dot, name = path.partition(".")
    return {section: {name: value}} if dot else {section: value}


def refusal(raw: Any) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        parse_settings(raw)
    assert str(caught.value)
    return caught.value


@pytest.mark.parametrize(("path", "value", "says"), BAD_FIELDS, ids=lambda value: repr(value)[:40])
def test_a_bad_field_is_refused_with_its_name_the_value_and_the_range(path: str, value: Any, says: str) -> None:
    error = refusal(nested(path, value))
    (sentence,) = error.problems.values()
    assert path in sentence.lower() and says in sentence
    assert len(sentence) < 250 and sentence.endswith(".")


# What contradicts itself although each field by itself is fine: the settings, and what the sentence has to say.
CONTRADICTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "no file": ({"data": {"source": "csv"}}, "data.path is empty; name the file or folder"),
    "a blank file": ({"data": {"source": "glue_folder", "path": "  "}}, "data.path is empty"),
    "no text": ({"objective": "masked_words", "probes": [], "data": {"source": "text"}}, "data.path is empty"),
    "labels of plain text": ({"data": {"source": "text", "path": "a"}}, "data.source is text, which has no labels"),
    "an official split of sentences": ({"data": {"split": "official"}}, "data.split is official, which only GLUE has"),
    "a merged split of a file": (
        {"data": {"source": "csv", "path": "a.csv", "split": "merged"}},
        "data.split is merged, which only GLUE has; choose auto or random",
    ),
    "no model folder": ({"teacher": {"source": "folder"}}, "teacher.path is empty; name the folder"),
    "a copied width": ({"student": {"width": 96}}, "student.width is 96, but weights can only be copied"),
    "copied heads": ({"student": {"heads": 6}}, "set student.initial_weights to random"),
    "heads that do not divide": (
        {"student": {"width": 100, "heads": 3, "initial_weights": "random"}},
        "student.width is 100, which 3 heads cannot share equally",
    ),
    "no word to guess": (
        {"objective": "masked_words", "probes": ["A [MASK] film.", "A warm film."]},
        "sentence 2 has no [MASK]; write [MASK] in place of the word to guess",
    ),
    "the probes of labels": (
        {"objective": "masked_words", "probes": list(DEFAULT_PROBES["labels"])},
        "sentence 1 has no [MASK]",
    ),
}


def test_an_objective_alone_brings_sentences_that_suit_it() -> None:
    assert parse_settings({"objective": "masked_words"}).probes == DEFAULT_PROBES["masked_words"]
    assert parse_settings({}).probes == DEFAULT_PROBES["labels"]


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_settings_that_contradict_each_other_are_refused_by_name(case: str) -> None:
    raw, says = CONTRADICTIONS[case]
    (sentence,) = refusal(raw).problems.values()
    assert says in sentence and len(sentence) < 250 and sentence.endswith(".")


@pytest.mark.parametrize(
    "raw",
    [
        {"data": {"source": "glue_folder", "path": "glue", "split": "merged", "task": "MNLI"}},
        {"data": {"source": "glue_hub", "split": "official"}, "teacher": {"source": "hub"}},
        {"data": {"source": "csv", "path": "a.csv", "pair_column": "b", "label_kind": "score", "split": "random"}},
        {"objective": "masked_words", "probes": [], "data": {"source": "text", "path": "texts"}},
        {"student": {"width": 96, "heads": 4, "initial_weights": "random"}},
        {"teacher": {"source": "folder", "path": "bert", "epochs": 0}, "student": {"layers": 24}},
        {"teacher": {"source": "hub", "hub_id": "bert-base-uncased"}, "student": {"teacher_layers": [0, 12, 23]}},
        {"training": {"precision": "fp16", "accumulation": 3, "batch_size": 32, "compile": True}},
    ],
    ids=lambda raw: str(raw)[:40],
)
def test_everything_that_the_engine_can_do_is_allowed(raw: dict[str, Any]) -> None:
    settings = parse_settings(raw)
    assert parse_settings(json.loads(json.dumps(settings.model_dump(mode="json")))) == settings


@pytest.mark.parametrize("objective", ["labels", "masked_words"])
def test_each_objective_has_a_starting_point_that_goes_through_json(objective: str) -> None:
    settings = starting_point(objective)
    assert settings.objective == objective and settings.probes
    assert parse_settings(json.loads(json.dumps(settings.model_dump(mode="json")))) == settings
    assert starting_point("labels") == Settings()


@pytest.mark.parametrize("source", ["folder", "hub"])
def test_the_layers_of_a_foreign_teacher_are_left_to_whoever_reads_its_files(source: str) -> None:
    teacher = {"source": source, "path": "bert"}
    assert parse_settings({"teacher": teacher, "student": {"layers": 12}}).layer_map is None
    chosen = parse_settings({"teacher": teacher, "student": {"layers": 2, "teacher_layers": [3, 30]}})
    assert chosen.layer_map == (3, 30)


@pytest.mark.parametrize(("path", "value", "says"), BAD_FIELDS, ids=lambda value: repr(value)[:40])
def test_a_file_says_the_same(path: str, value: Any, says: str, tmp_path: Path) -> None:
    """NaN, Infinity and half surrogate pairs come through Python's JSON reader, and stop here."""
    file = tmp_path / "settings.json"
    file.write_text(json.dumps(nested(path, value)))
    with pytest.raises(SettingsError) as caught:
        read_settings_file(file)
    assert caught.value.problems == refusal(nested(path, value)).problems


def test_all_weights_zero_teach_nothing_and_are_refused() -> None:
    for zeros in ((0, 0, 0), (0.0, -0.0, 0)):
        weights = dict(zip(("soft", "hard", "cosine"), zeros, strict=True))
        error = refusal({"loss": weights})
        assert list(error.problems) == ["loss"] and "all loss weights are 0" in str(error).lower()


@pytest.mark.parametrize("layers", [10**9, 10**18, 48])
def test_a_giant_student_is_refused_before_anything_is_allocated(layers: int) -> None:
    begin = time.process_time()
    refusal({"student": {"layers": layers}})
    refusal({"student": {"layers": 3, "teacher_layers": list(range(100_000))}})
    assert time.process_time() - begin < 1.0


def test_checking_settings_loads_no_model_library() -> None:
    script = (
        "import sys, core.settings_file as s\n"
        "try: s.parse_settings({'student': {'layers': 10**9}})\n"
        "except s.SettingsError: print([m for m in ('torch', 'transformers', 'streamlit') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("raw", [None, [], "x", 3, True, NAN])
def test_settings_that_are_no_object_are_refused(raw: Any) -> None:
    assert "JSON object" in str(refusal(raw))


@pytest.mark.parametrize(
    "raw",
    [
        {"lost": {"soft": 5}},
        {"loss": {"sofd": 5}},
        {"Loss": {"soft": 5}},
        {"loss.soft": 5},
        {"student": {"n_layers": 4}},
        {"schema": 1},
        {"": {}},
        {"__class__": {}},
        {"x" * 10_000: 1},
    ],
    ids=lambda raw: repr(raw)[:30],
)
def test_an_unknown_name_is_refused_and_named(raw: dict[str, Any]) -> None:
    (sentence,) = refusal(raw).problems.values()
    assert "is not a setting; remove it or correct its name." in sentence and len(sentence) < 150
    assert next(iter(raw))[:50] in sentence


@pytest.mark.parametrize("raw", [{"\ud800": 1}, {"loss": {"\ud800": 1}}, {1: 2}, {None: 2}])
def test_a_name_that_is_no_text_is_refused(raw: dict[Any, Any]) -> None:
    assert "is not the name of a setting" in str(refusal(raw))


def test_every_problem_is_reported_at_once() -> None:
    error = refusal({"loss": {"soft": -1, "temperature": 0}, "training": {"epochs": 0}})
    assert set(error.problems) == {"loss.soft", "loss.temperature", "training.epochs"}


@pytest.mark.parametrize("path", ["loss.soft", "student.teacher_layers", "name"])
def test_a_value_that_nests_deeper_than_python_can_is_refused(path: str, tmp_path: Path) -> None:
    """Every depth around the interpreter's limit: reading may still work where writing the sentence no longer does."""
    file = tmp_path / "deep.json"
    for depth in (*range(900, 1001, 4), 10_000):
        file.write_text(json.dumps(nested(path, "X")).replace('"X"', "[" * depth + "]" * depth))
        with pytest.raises(SettingsError):
            read_settings_file(file)


# What is in the file, and what the sentence says.
BAD_FILES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is not valid JSON"),
    "half": (b'{"loss": {"soft": 5', "is not valid JSON"),
    "utf-16": ("{}".encode("utf-16"), "is not UTF-8 text"),
    "utf-16 without a mark": ('{"name": "e"}'.encode("utf-16-le"), "is not valid JSON"),
    "latin-1": ('{"name": "é"}'.encode("latin-1"), "is not UTF-8 text"),
    "binary": (bytes(range(256)), "is not UTF-8 text"),
    "zeros": (bytes(1000), "is not valid JSON"),
    "a list": (b"[]", "are a JSON object"),
    "a comment": (b'{"loss": {}} // mine', "is not valid JSON"),
    "two objects": (b"{}{}", "is not valid JSON"),
    "5000 digits": (b'{"loss": {"soft": ' + b"1" * 5000 + b"}}", "is not valid JSON"),
    "1e999": (b'{"loss": {"soft": 1e999}}', "loss.soft is Infinity; expected a number from 0 to 100"),
    "NaN": (b'{"training": {"warmup": NaN}}', "training.warmup is NaN"),
    "10,000 deep list": (b"[" * 10_000, "is not valid JSON"),
    "10,000 deep object": (b'{"a":' * 10_000, "is not valid JSON"),
    "duplicate section": (b'{"loss": {}, "data": {}, "loss": {}}', "loss is given twice; keep one"),
    "duplicate field": (b'{"loss": {"soft": 5, "hard": 1, "soft": 0}}', "soft is given twice; keep one"),
    "too large": (b" " * (MAX_FILE_BYTES + 1), "is larger than 1 MB"),
    "too large and valid": (b"{}" + b" " * MAX_FILE_BYTES, "is larger than 1 MB"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_bad_file_is_refused_with_one_sentence(kind: str, tmp_path: Path) -> None:
    content, says = BAD_FILES[kind]
    file = tmp_path / "mine.json"
    file.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        read_settings_file(file)
    assert says in str(caught.value)
    assert "mine.json" in str(caught.value) or not says.startswith("is ")


def test_a_thousand_unknown_names_are_refused_quickly(tmp_path: Path) -> None:
    """A file just below the limit, all of it names: comparing each with each would take minutes."""
    file = tmp_path / "many.json"
    file.write_text("{" + ",".join(f'"{number:x}":1' for number in range(80_000)) + "}")
    begin = time.process_time()
    with pytest.raises(SettingsError):
        read_settings_file(file)
    assert time.process_time() - begin < 5.0


def test_a_missing_file_a_folder_a_pipe_and_an_endless_device_are_refused(tmp_path: Path) -> None:
    for path, says in ((tmp_path / "none.json", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(SettingsError, match=rf"{path.name} cannot be read: {says}"):
            read_settings_file(path)
    if os.path.exists("/dev/zero"):
        with pytest.raises(SettingsError, match="/dev/zero cannot be read: it is a pipe or a device"):
            read_settings_file(Path("/dev/zero"))


def test_a_byte_order_mark_and_every_script_are_read(tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_bytes(b"\xef\xbb\xbf" + '{"name": "ein Film 影片 🎬", "loss": {"soft": 3}}'.encode())
    settings = read_settings_file(file)
    assert settings.name == "ein Film 影片 🎬" and settings.loss.soft == 3.0


def test_the_defaults_go_through_json_unchanged(tmp_path: Path) -> None:
    file = tmp_path / "defaults.json"
    file.write_text(json.dumps(Settings().model_dump(mode="json")))
    assert read_settings_file(file) == Settings() == parse_settings({})
    changed = override(Settings(), ["student.layers=2", "student.teacher_layers=[5,0]", "probes=[]"])
    assert parse_settings(json.loads(json.dumps(changed.model_dump(mode="json")))) == changed
    assert changed.layer_map == (5, 0)


def test_settings_cannot_be_changed_once_they_are_built() -> None:
    with pytest.raises(ValidationError):
        Settings().loss.soft = 3.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("assignment", "says"),
    [
        ("loss.soft", "is not a setting; write it like loss.soft=3"),
        ("=3", "is not a setting"),
        ("", "is not a setting"),
        ("lost.soft=3", "is not a setting"),
        ("loss.sofd=3", "is not a setting"),
        ("loss..soft=3", "is not a setting"),
        ("loss.soft.x=3", "is not a setting"),
        ("probes.0=x", "is not a setting"),
        ("loss.soft=", 'loss.soft is ""; expected a number'),
        ("loss.soft=many", 'loss.soft is "many"; expected a number'),
        ("loss.soft=nan", 'loss.soft is "nan"; expected a number'),
        ("loss.soft=NaN", "loss.soft is NaN; expected a number"),
        ("loss.soft=" + "1" * 5000, "expected a number"),
        ("loss=3", "loss is 3; expected a group of settings"),
        ("name=" + "[" * 100_000, "expected text"),
        ("name=7", "name is 7; expected text"),
        ("student.teacher_layers=[0,1", "expected a list of whole numbers"),
        ("student.teacher_layers=0,1,2", "expected a list of whole numbers"),
    ],
    ids=lambda value: value[:30],
)
def test_a_bad_assignment_is_refused(assignment: str, says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        override(Settings(), [assignment])
    assert says in str(caught.value)


def test_assignments_are_applied_in_order_and_read_as_json_or_as_text() -> None:
    settings = override(
        Settings(),
        ["loss.soft=3", "loss.soft = 4.5", "training.device=cpu", "data.max_examples=300", "name=a=b", 'probes=["x"]'],
    )
    assert (settings.loss.soft, settings.training.device, settings.data.max_examples) == (4.5, "cpu", 300)
    assert (settings.name, settings.probes) == ("a=b", ("x",))
    assert override(settings, ["data.max_examples=null"]).data.max_examples is None
    assert override(settings, ["training.compile=true"]).training.compile is True
    assert Settings().loss.soft == 5.0


def fields() -> list[tuple[type[Section], str]]:
    sections = [Settings.model_fields[name].annotation for name in SECTIONS]
    assert len(sections) == 6 and all(issubclass(section, Section) for section in sections)
    return [(section, name) for section in sections for name in section.model_fields]


@pytest.mark.parametrize(("section", "name"), fields(), ids=lambda value: getattr(value, "__name__", value))
def test_every_field_brings_what_the_form_needs(section: type[Section], name: str) -> None:
    field = section.model_fields[name]
    assert field.title and field.description and field.description.endswith(".")
    assert not field.is_required() and expected(section, name)
    assert (field.annotation is bool) == (expected(section, name) == "true or false")


@pytest.mark.parametrize(("section", "name"), fields(), ids=lambda value: getattr(value, "__name__", value))
def test_every_choice_has_a_name_for_each_of_its_options(section: type[Section], name: str) -> None:
    annotation = section.model_fields[name].annotation
    if get_origin(annotation) is not Literal:
        assert "options" not in extra(section, name)
        return
    assert tuple(extra(section, name)["options"]) == get_args(annotation)


@pytest.mark.parametrize("name", [name for name in Settings.model_fields if name not in SECTIONS])
def test_what_belongs_to_no_section_brings_what_the_form_needs(name: str) -> None:
    field = Settings.model_fields[name]
    assert field.title and field.description.endswith(".") and expected(Settings, name) != "a group of settings"


@pytest.mark.parametrize(("section", "name"), fields(), ids=lambda value: getattr(value, "__name__", value))
def test_every_number_has_bounds_takes_them_and_nothing_outside(section: type[Section], name: str) -> None:
    low, high = bounds(section, name)
    if not math.isfinite(high):
        assert section.model_fields[name].annotation not in (int, float)
        return
    assert math.isfinite(low)
    for value in (low, high):
        assert getattr(section.model_validate({name: value}), name) == value
    for value in (low - 1, high + 1):
        with pytest.raises(ValidationError):
            section.model_validate({name: value})


def test_teacher_layers_are_spread_as_for_the_released_student() -> None:
    assert spread_layers(6, 12) == (0, 2, 4, 7, 9, 11)
    assert spread_layers(3, 6) == Settings().layer_map == (0, 2, 5)
    assert spread_layers(1, 6) == (0,)
    for depth in range(1, 49):
        for layers in range(1, depth + 1):
            spread = spread_layers(layers, depth)
            assert len(spread) == layers and spread[0] == 0 and (layers == 1 or spread[-1] == depth - 1)
            assert all(0 < after - before for before, after in zip(spread, spread[1:], strict=False))
            assert layers < depth or spread == tuple(range(depth))


@pytest.mark.parametrize("layers", range(1, DEPTH_OF_TEACHER["minilm"] + 1))
def test_every_depth_up_to_the_teachers_is_allowed(layers: int) -> None:
    assert len(parse_settings({"student": {"layers": layers}}).layer_map) == layers


@pytest.mark.parametrize("name", WEIGHT_PRESETS)
def test_every_preset_is_allowed_and_only_the_control_has_no_teacher(name: str) -> None:
    loss = LossSettings(**WEIGHT_PRESETS[name])
    assert is_control(loss) == (name == "No teacher (control)")


def test_the_frozen_settings_of_a_run_are_a_settings_file(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    write_kept(path, Settings(name="again").model_dump(mode="json"))
    assert read_settings_file(path) == Settings(name="again")
    write_kept(path, Settings().model_dump(mode="json"), format=7)
    with pytest.raises(SettingsError, match=r"config\.json was made by a newer version of Distillery"):
        read_settings_file(path)
