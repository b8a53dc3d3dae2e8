"""A person's own term: a file in a folder that DISTILLERY_TERMS names, and not one other file is changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.sections import LossSettings
from core.terms import TERMS
from core.terms.found import find_terms
from tests.fixtures.once import made_once
from tests.fixtures.own_terms import LIKENESS, write_own_term

ROOT = Path(__file__).resolve().parents[3]


def program(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """One of our programs, told of a folder of terms."""
    variables = {**os.environ, "DISTILLERY_TERMS": str(folder), "PYTHONPATH": str(ROOT), **environment}
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=500)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_own_term(tmp_path_factory.mktemp("own") / "terms")


@pytest.fixture(scope="module")
def found(folder: Path, teachers: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a program that knows the term has done with it."""
    from tests.fixtures.small_runs import copy_teachers

    def make(home: Path) -> None:
        copy_teachers(teachers, home)
        done = program(folder, "tests.fixtures.own_terms", str(home))
        assert done.returncode == 0, done.stderr[-3000:]
        (home / "found.json").write_text(done.stdout.splitlines()[-1], encoding="utf-8")

    return json.loads((made_once(tmp_path_factory, "own-term", make) / "found.json").read_bytes())


@pytest.mark.parametrize("run", ["labels", "words", "cut", "narrow", "alone"])
def test_it_is_learned_from_and_charted(found: dict[str, Any], run: str) -> None:
    """The first two in the process of a job of their own."""
    trained = found[run]
    assert trained["state"] == "finished", trained.get("said")
    assert trained["weights"]["likeness"] == 0.5
    assert len(trained["curve"]) > 10 and min(trained["curve"]) > 0


def test_a_student_that_learns_from_nothing_else_comes_nearer(found: dict[str, Any]) -> None:
    curve = found["alone"]["curve"]
    assert sum(curve[-5:]) < 0.8 * sum(curve[:5])


def test_the_cut_into_parts_changes_nothing_beyond_rounding(found: dict[str, Any]) -> None:
    whole, cut = found["parts"]
    assert whole["likeness"] > 0 and cut == pytest.approx(whole, rel=1e-5)


def test_a_run_that_uses_it_is_stopped_and_resumed_to_the_same_bits(found: dict[str, Any]) -> None:
    resumed = found["resumed"]
    assert 0 < resumed["before"] < len(resumed["curve"])
    assert resumed["digest"] == found["labels"]["digest"]
    assert resumed["curve"] == found["labels"]["curve"]


def test_form_report_card_ablation_and_curves_name_it(found: dict[str, Any]) -> None:
    said = found["said"]
    form = {"label": "Likeness of layers (L_like)", "value": 0.0, "idle": True}
    assert said["form"] == form | {"help": "How strongly every layer of the student is drawn to its teacher's."}
    assert "Likeness of layers (L_like)" in said["report"] and "likeness of layers" in said["report"]
    assert "Likeness of layers (L\\_like)" in said["card"]
    assert said["ablation"]["full"]["likeness"] == 0.5 and said["ablation"]["no-likeness"]["likeness"] == 0.0
    assert {name for name, weight in said["ablation"]["no-teacher"].items() if weight} == {"hard"}
    assert "Without likeness of layers" in said["titles"] and len(said["titles"]) == 7
    assert set(said["live"]) == {"likeness", *(term.name for term in TERMS)} and said["overlay"] == "Likeness of layers"


def test_between_equals_it_is_zero(found: dict[str, Any]) -> None:
    assert found["equal"] == pytest.approx([0.0, 0.0], abs=1e-9)


def test_the_terminal_takes_it_like_every_setting(folder: Path, tmp_path: Path) -> None:
    done = program(folder, "core", "config", "--set", "loss.likeness=2", "--set", "loss.likeness_scale=5")
    assert done.returncode == 0, done.stderr
    loss = json.loads(done.stdout)["loss"]
    assert (loss["likeness"], loss["likeness_scale"]) == (2.0, 5.0)
    done = program(folder, "core", "config", "--set", "loss.likeness=101")
    assert done.returncode == 2 and "loss.likeness is 101; expected a number from 0 to 100." in done.stderr


FOR_LABELS = LIKENESS.replace("states=likeness", "labels=likeness").replace(
    '    needs=frozenset({"layers", "attention"}),\n', '    weight={"labels": 1.0},\n'
)


def test_a_term_for_labels_alone_is_refused_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "likeness.py").write_text(FOR_LABELS, encoding="utf-8")
    done = program(tmp_path, "core", "config")
    assert json.loads(done.stdout)["loss"]["likeness"] == 1.0, "its default where it says something"
    done = program(tmp_path, "core", "config", "--objective", "masked_words")
    assert json.loads(done.stdout)["loss"]["likeness"] == 0.0, "and none elsewhere"
    done = program(tmp_path, "core", "config", "--objective", "masked_words", "--set", "loss.likeness=1")
    assert done.returncode == 2
    assert done.stderr == "loss.likeness says nothing where masked_words are learned; set it to 0.\n"


def test_the_readmes_example_is_short() -> None:
    assert len(LIKENESS.splitlines()) <= 25


def test_without_its_folder_there_is_no_such_term() -> None:
    assert "likeness" not in LossSettings.model_fields


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("1 / 0", "broken.py cannot be run: ZeroDivisionError: division by zero."),
        ("def f(:", "broken.py cannot be run: SyntaxError"),
        ("x = 1", "broken.py has no TERM; it must declare one"),
        ("TERM = 3", "broken.py has no TERM; it must declare one"),
        (LIKENESS.replace('name="likeness"', 'name="soft"'), "broken.py uses the name 'soft', which is taken"),
        (LIKENESS.replace('name="likeness"', 'name="loss"'), "broken.py uses the name 'loss', which is taken"),
        (LIKENESS.replace('"likeness_scale": (', '"temperature": ('), "uses the name 'temperature', which is taken"),
        (LIKENESS.replace('name="likeness"', 'name="<b>"'), "broken.py uses the name '<b>'; take small letters"),
        (LIKENESS.replace("    states=likeness,\n", ""), "declares a term that computes nothing"),
    ],
)
def test_a_file_that_declares_none_is_refused_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, said: str
) -> None:
    (tmp_path / "broken.py").write_text(content, encoding="utf-8")
    monkeypatch.setenv("DISTILLERY_TERMS", str(tmp_path))
    with pytest.raises(Exception, match="DISTILLERY_TERMS") as caught:
        find_terms()
    assert said in str(caught.value)


def test_a_program_says_which_file_it_is_and_does_nothing(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("1 / 0", encoding="utf-8")
    done = program(tmp_path, "core", "config")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "DISTILLERY_TERMS: broken.py cannot be run: ZeroDivisionError: division by zero.\n"
    done = program(tmp_path / "missing", "core", "config")
    assert done.returncode == 2 and "which cannot be read as a folder: No such file or directory." in done.stderr
