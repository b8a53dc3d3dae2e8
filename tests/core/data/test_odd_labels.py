"""Labels that a person would take for one, and equal texts with different labels: said before anything is learned."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from core.__main__ import main
from core.data.csv_labels import look_alikes
from core.data.labelled import load_labelled, remarks_on
from core.data.outline import text_outline
from core.data.splits import random_split
from core.distill import job
from core.errors import DistilleryError
from core.sections import DataSettings
from tests.core.cli.test_cli import signals_as_before  # noqa: F401  used by every test here
from tests.fixtures.made_runs import RESULTS

CAFE = "café"
ALIKE = {
    "capitals": ("Positive", "positive"),
    "all capitals": ("STRASSE", "straße"),
    "accents": (unicodedata.normalize("NFC", CAFE), unicodedata.normalize("NFD", CAFE)),
    "a zero-width space": ("good", "go\u200bod"),
    "a byte order mark": ("good", "\ufeffgood"),
    "a soft hyphen": ("good", "go\u00adod"),
    "a direction mark": ("good", "good\u200f"),
    "a joiner": ("good", "goo\u2060d"),
    "two spaces": ("very good", "very  good"),
    "a hard space": ("very good", "very\u00a0good"),
    "a tab": ("very good", "very\tgood"),
    "wide letters": ("good", "ｇｏｏｄ"),
    "a ligature": ("fine", "ﬁne"),
    "capitals and accents": ("CAFÉ", unicodedata.normalize("NFD", CAFE)),
}
DIFFERENT = [
    ("good", "bad"),
    ("1", "2"),
    ("-1", "1"),
    ("a", "á"),
    ("a b", "ab"),
    ("C", "C++"),
    ("0", "O"),
    ("是", "否"),
]


def table(folder: Path, *labelled: tuple[str, str]) -> DataSettings:
    """A CSV file of these texts and labels."""
    rows = "".join(f'"{text}","{label}"\n' for text, label in labelled)
    (folder / "mine.csv").write_text("text,label\n" + rows, encoding="utf-8")
    return DataSettings(source="csv", path=str(folder / "mine.csv"))


def twenty_each(*labels: str) -> list[tuple[str, str]]:
    return [(f"text {number} of {place}", label) for place, label in enumerate(labels) for number in range(20)]


@pytest.mark.parametrize("kind", ALIKE)
def test_labels_that_look_alike_are_announced_with_their_rows(kind: str, tmp_path: Path) -> None:
    first, second = ALIKE[kind]
    settings = table(tmp_path, *twenty_each(first, second, "other"))
    data = load_labelled(settings)
    assert len(data.label_names) == 3
    (said,) = data.notes
    assert said == (
        f"The labels {ascii(first)} (20 rows, first in line 2) and {ascii(second)} (20 rows, first in line 22) look "
        "alike, but are learned as 2 classes. If they mean the same, write them in one way."
    )
    assert text_outline(settings, "labels").remarks == remarks_on(settings) == data.notes


@pytest.mark.parametrize("labels", DIFFERENT, ids=str)
def test_labels_that_differ_are_not_announced(labels: tuple[str, str], tmp_path: Path) -> None:
    assert remarks_on(table(tmp_path, *twenty_each(*labels))) == ()


def test_a_space_around_a_label_is_no_class_of_its_own(tmp_path: Path) -> None:
    settings = table(tmp_path, *twenty_each("a", "a ", "\u00a0a", "b"))
    assert load_labelled(settings).label_names == ("a", "b") and remarks_on(settings) == ()


def test_three_that_look_alike_are_one_sentence() -> None:
    (said,) = look_alikes([(2, "A"), (3, "a"), (4, "a\u200b"), (5, "b"), (6, "a")])
    assert said.startswith(
        r"The labels 'A' (1 row, first in line 2), 'a' (2 rows, first in line 3) and 'a\u200b' (1 row"
    )
    assert "learned as 3 classes" in said


def test_of_a_large_file_the_first_rows_are_looked_at(tmp_path: Path) -> None:
    settings = table(
        tmp_path, *((f"text {number} " + "long " * 40, ("Good", "good")[number % 2]) for number in range(2_000))
    )
    (said,) = text_outline(settings, "labels").remarks
    assert said.startswith("Among the first ") and "'Good' (" in said and "look alike" in said
    assert "'Good' (1,000 rows, first in line 2)" in remarks_on(settings)[0]


def test_the_terminal_says_it_before_the_run_begins(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    said_before: list[str] = []

    def run_job(*_: object) -> dict[str, object]:
        said_before.append(capsys.readouterr().err)
        return RESULTS

    monkeypatch.setattr(job, "run_job", run_job)
    settings = table(tmp_path, *twenty_each("Good", "good"), ("text 1 of 0", "good"))
    assert main(["distill", "--set", "data.source=csv", "--set", f"data.path={settings.path}"]) == 0
    (said,) = said_before
    assert "The labels 'Good' (20 rows, first in line 2) and 'good' (21 rows" in said
    assert "Repeated texts were left out: 1. 1 of them carries another label" in said


# Equal texts


def test_contradicting_copies_are_counted_and_one_is_named(tmp_path: Path) -> None:
    rows = [*twenty_each("a", "b"), ("Text 3 of 0", "b"), ("text 3  of 0", "a"), ("text 4 of 1", "a")]
    (said,) = load_labelled(table(tmp_path, *rows)).notes
    assert said == (
        "Repeated texts were left out: 3. 2 of them carry another label than the first with this text, for example "
        "line 42 ('b') against line 5 ('a'). Only the first counts."
    )


def test_contradicting_scores_are_said_too(tmp_path: Path) -> None:
    rows = [(f"text {number}", f"{number / 10}") for number in range(40)]
    (said,) = load_labelled(table(tmp_path, *rows, ("text 7", "3.5"), ("text 8", "0.8"))).notes
    assert "1 of them carries another score than the first" in said and "line 42 (3.5) against line 9 (0.7)" in said


@pytest.mark.parametrize("ask", [load_labelled, remarks_on, lambda settings: text_outline(settings, "labels")])
def test_opposite_labels_on_equal_texts_are_said_to_be_that(ask, tmp_path: Path) -> None:
    settings = table(tmp_path, *((f"text {number % 20}", "ab"[number // 20]) for number in range(40)))
    if ask is remarks_on:
        (said,) = ask(settings)
    else:
        with pytest.raises(DistilleryError) as caught:
            ask(settings)
        said = str(caught.value)
        assert said.startswith("All examples that are left carry the same label, so there is nothing to learn. ")
        assert said.endswith("Correct the labels.")
    assert "Repeated texts were left out: 20. 20 of them carry another label" in said
    assert "for example line 22 ('b') against line 2 ('a')." in said


def test_a_class_that_only_contradicts_is_said_to_be_that(tmp_path: Path) -> None:
    rows = [*twenty_each("a", "b"), *((f"text {number} of 0", "c") for number in range(15))]
    for ask in (load_labelled, lambda settings: text_outline(settings, "labels")):
        with pytest.raises(DistilleryError) as caught:
            ask(table(tmp_path, *rows))
        assert "of the label 'c' there are 0 among 40, copies not counted." in str(caught.value)
        assert "15 of them carry another label" in str(caught.value)


def test_where_nothing_was_left_out_other_data_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(DistilleryError) as caught:
        load_labelled(table(tmp_path, *twenty_each("a", "a")))
    assert str(caught.value) == ("All examples carry the same label, so there is nothing to learn. Choose other data.")


def test_examples_without_lines_are_named_by_their_text() -> None:
    from tests.core.data.test_splits import NAMES, made

    part = made(400)
    doubled = part.joined(part.take([0, 1, 2]))
    doubled.labels[-3] = 1 - doubled.labels[0]
    said = " ".join(random_split(NAMES, doubled, None, 0).notes)
    assert "1 of them carries another label" in said and f"for '{part.texts[0]}'" in said
