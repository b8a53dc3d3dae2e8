"""Tables of scores: what is pooled, what is compared with what, what is said beside it, and how it leaves the house."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from core import paper
from core.data.glue import TASKS
from core.glue.as_csv import as_csv, plain
from core.glue.as_latex import as_latex, escape
from core.glue.cells import Cell
from core.glue.further_tables import OWN_IMDB_SPLIT
from core.glue.macro import DEMO_SCALE
from core.glue.table import Footnotes, Row, Table, Value, as_text
from core.glue.tables import (
    OTHER_SPLIT,
    AblationRow,
    ablation_table,
    all_tables,
    bundled_table,
    downstream_table,
    glue_table,
    retained,
    size_speed_table,
    zero_shot_table,
)
from tests.fixtures.counted_work import work

RECIPE = {"epochs": 3, "learning_rate": 5e-5, "max_examples": None}
BUNDLED = {"Rotten Tomatoes": (9_000, 853), "IMDb": (22_500, 2_500)}


def cell(task: str, score: float | None, role: str = "student", **more) -> Cell:
    """A score of a whole official task, unless told."""
    official = TASKS.get(task)
    train, dev = (official.train_size, official.dev_size) if official else BUNDLED[task]
    return Cell(
        **{
            "model": role,
            "role": role,
            "title": role.capitalize(),
            "task": task,
            "seed": 1,
            "way": "fine-tuned",
            "score": score,
            "scores": {"accuracy": score},
            "majority": 0.5,
            "examples": dev,
            "split": "official dev" if official else "test",
            "train_examples": train,
            "train_total": train,
            "recipe": RECIPE,
        }
        | more
    )


def row(table: Table, title: str) -> Row:
    return next(row for row in table.rows if row.title == title)


def value(table: Table, title: str, column: str) -> Value:
    return row(table, title).values[column]


def test_without_a_score_table_1_is_the_reported_one() -> None:
    table = glue_table([])
    assert [row.title for row in table.rows] == ["ELMo", "BERT-base", "DistilBERT", "Course project"]
    assert [column.key for column in table.columns] == ["macro", *paper.GLUE_TASKS]
    shown = [[as_text(row.values.get(column.key), column) for column in table.columns] for row in table.rows]
    assert shown[1] == ["79.5", "56.3", "86.7", "88.6", "91.8", "89.6", "69.3", "92.7", "89.0", "53.5"]
    assert shown[3] == ["–"] * 7 + ["about 90"] + ["–"] * 2
    assert table.measured == () and not any(value.is_best for row in table.rows for value in row.values.values())


def test_every_value_has_its_origin_metric_and_split() -> None:
    jobs = [[cell("MRPC", 0.8, "teacher"), cell("MRPC", 0.7)], [cell("RTE", 0.6, train_examples=100)]]
    for table in (glue_table(jobs), zero_shot_table([[cell("RTE", 0.5, way="zero-shot")]]), downstream_table(jobs)):
        for each in table.rows:
            for key, found in each.values.items():
                assert found.metric and found.split and found.origin, (table.key, each.title, key)
    table = glue_table(jobs)
    assert {found.origin for found in row(table, "DistilBERT").values.values()} == {"paper"}
    assert value(table, "Course project", "SST-2").origin == "course project"
    assert value(table, "Student", "MRPC").origin == "measured here"
    assert value(table, "Student", "RTE").origin == value(table, "Student", "macro").origin == "demo scale"


def test_footnotes_of_the_paper_stand_at_their_numbers() -> None:
    table = glue_table([])
    assert table.said_of(value(table, "BERT-base", "MNLI").footnotes) == (paper.MISPRINT,)
    assert table.said_of(value(table, "DistilBERT", "MNLI").footnotes) == (paper.README_MNLI,)
    assert table.said_of(value(table, "DistilBERT", "macro").footnotes) == (paper.WITHOUT_WNLI,)
    assert table.said_of(value(table, "Course project", "SST-2").footnotes) == (paper.COURSE_SPLIT,)
    assert table.said_of(row(table, "ELMo").footnotes) == (paper.ELMO,)
    assert list(table.footnotes) == sorted(table.footnotes) and row(table, "ELMo").footnotes == ("a",)


def test_the_value_is_the_median_over_the_seeds_of_all_jobs() -> None:
    jobs = [
        [cell("RTE", 0.60, seed=1), cell("RTE", 0.70, seed=2)],
        [cell("RTE", 0.10, seed=1), cell("RTE", 0.65, seed=3)],
        [cell("RTE", 0.20, seed=2), cell("RTE", 0.61, seed=4)],
    ]
    found = value(glue_table(jobs), "Student", "RTE")
    assert found.number == pytest.approx(63.0)
    assert (found.low, found.high, found.seeds) == (pytest.approx(60.0), pytest.approx(70.0), (1, 2, 3, 4))


def test_the_recipe_used_last_wins_and_is_not_mixed_with_another() -> None:
    old = [cell("RTE", 0.9, seed=seed, recipe=RECIPE | {"epochs": 9}) for seed in range(1, 6)]
    fewer = [cell("RTE", 0.1, seed=4, train_examples=100)]
    found = value(glue_table([[cell("RTE", 0.6, seed=2)], old, fewer, [cell("RTE", 0.62, seed=3)]]), "Student", "RTE")
    assert found.number == pytest.approx(61.0) and found.seeds == (2, 3)
    assert value(glue_table([old, [cell("RTE", 0.6)]]), "Student", "RTE").number == pytest.approx(90.0)


def test_models_and_ways_are_rows_of_their_own_in_order_of_their_part() -> None:
    jobs = [
        [cell("RTE", 0.5, "control"), cell("RTE", 0.6), cell("RTE", 0.7, "teacher")],
        [cell("RTE", 0.65, way="distilled again"), cell("RTE", 0.66, model="run-b", title="Student")],
        [cell("MRPC", 0.5, way="zero-shot")],
    ]
    found = [(row.title, row.kind, row.way) for row in glue_table(jobs).measured]
    assert found == [
        ("Teacher", "teacher", "fine-tuned"),
        ("Student (student)", "student", "fine-tuned"),
        ("Student (student)", "student", "distilled again"),
        ("Student (run-b)", "student", "fine-tuned"),
        ("Control", "control", "fine-tuned"),
    ]


def test_what_is_smaller_than_the_official_task_is_demo_scale() -> None:
    mrpc = TASKS["MRPC"]
    for small in (
        {"train_examples": 1_000},
        {"train_examples": mrpc.train_size - 1, "train_total": mrpc.train_size - 1},
        {"examples": 100},
    ):
        table = glue_table([[cell("MRPC", 0.7, **small)]])
        assert value(table, "Student", "MRPC").origin == "demo scale", small
        for column in ("MRPC", "macro"):
            assert DEMO_SCALE in table.said_of(value(table, "Student", column).footnotes)
    assert value(bundled_table([[cell("IMDb", 0.7)]]), "Student", "IMDb").origin == "measured here"
    assert value(bundled_table([[cell("IMDb", 0.7, train_examples=500)]]), "Student", "IMDb").origin == "demo scale"


def test_another_split_is_said_and_is_no_part_of_the_macro() -> None:
    table = glue_table([[cell("MRPC", 0.7, split="MRPC test"), cell("RTE", 0.6)]])
    assert OTHER_SPLIT in table.said_of(value(table, "Student", "MRPC").footnotes)
    macro = value(table, "Student", "macro")
    assert macro.tasks == ("RTE",) and "MRPC was not scored on the official development set." in macro.reason
    assert "macro" not in row(glue_table([[cell("MRPC", 0.7, split="MRPC test")]]), "Student").values


def test_a_score_on_texts_that_the_model_had_learned_from_is_compared_with_nothing() -> None:
    cells = [cell("SST-2", 0.84, "teacher"), cell("SST-2", 0.90, is_leaked=True), cell("RTE", 0.7, "teacher")]
    cells += [cell("RTE", 0.6), cell("SST-2", 0.80, "control")]
    table = glue_table([cells])
    seen, macro = value(table, "Student", "SST-2"), value(table, "Student", "macro")
    assert seen.number == 90 and seen.kept is None and seen.difference is None and not seen.is_best
    assert value(table, "Teacher", "SST-2").is_best, "the best of those to whom the test was new"
    assert macro.tasks == ("RTE",) and "the model had learned from its texts before" in macro.reason
    assert [bar.task for bar in retained([cells]) if bar.title == "Student"] == ["RTE"]


def test_the_macro_is_over_what_is_there_and_called_so() -> None:
    jobs = [[cell("MRPC", 0.8), cell("STS-B", 0.7), cell("CoLA", 0.3), cell("IMDb", 0.99)]]
    table = glue_table(jobs)
    macro = value(table, "Student", "macro")
    assert macro.number == pytest.approx(60.0) and macro.label == "mean of 3 of 9 tasks"
    assert macro.tasks == ("CoLA", "MRPC", "STS-B")
    assert macro.same_tasks == {
        "ELMo": pytest.approx((44.1 + 76.6 + 70.4) / 3),
        "BERT-base": pytest.approx((56.3 + 88.6 + 89.0) / 3),
        "DistilBERT": pytest.approx((51.3 + 87.5 + 86.9) / 3),
    }
    assert "Not measured: MNLI, QNLI" in macro.reason
    assert any("CoLA, MRPC, STS-B alone is no GLUE score" in note and "BERT-base 78.0" in note for note in table.notes)


def test_a_macro_over_all_nine_has_no_label_and_is_the_papers_mean() -> None:
    nine = [cell(task, score / 100) for task, score in paper.DISTILBERT.scores.items()]
    table = glue_table([nine])
    macro = value(table, "Student", "macro")
    assert macro.label == "" and macro.reason == "" and macro.number == pytest.approx(77.01, abs=0.005)
    assert not any("no GLUE score" in note for note in table.notes)
    fewer = glue_table([[replace(each, score=None) if each.task == "CoLA" else each for each in nine]])
    assert value(fewer, "Student", "macro").label == "mean of 8 of 9 tasks"


def test_an_undefined_score_is_none_with_its_reason_and_never_0() -> None:
    reasons = {"Matthews correlation": "The model gave the same answer to every example."}
    broken = cell("CoLA", None, scores={"Matthews correlation": None}, reasons=reasons, majority=None)
    table = glue_table([[broken, cell("RTE", 0.6)]])
    found = value(table, "Student", "CoLA")
    assert found.number is None and found.reason == reasons["Matthews correlation"] and found.low is None
    assert as_text(found, table.columns[1]) == "–"
    macro = value(table, "Student", "macro")
    assert macro.number == pytest.approx(60.0) and "CoLA is undefined: The model gave" in macro.reason
    some = value(glue_table([[broken, cell("CoLA", 0.4, seed=2)]]), "Student", "CoLA")
    assert some.number == pytest.approx(40.0) and some.reason.startswith("Undefined for 1 of 2 seeds: The model")
    strange = value(glue_table([[replace(broken, score=float("nan"))]]), "Student", "CoLA")
    assert strange.number is None and strange.reason == reasons["Matthews correlation"]
    alone = row(glue_table([[broken]]), "Student").values
    assert "macro" not in alone and alone["CoLA"].number is None


def test_a_student_stands_beside_the_teacher_of_its_job() -> None:
    jobs = [
        [cell("RTE", 0.9, "teacher", model="other", title="Other"), cell("RTE", 0.5, model="run-b", title="B")],
        [cell("RTE", 0.8, "teacher"), cell("RTE", 0.6), cell("RTE", 0.4, "control")],
    ]
    table = glue_table(jobs)
    student = value(table, "Student", "RTE")
    assert (student.difference, student.kept) == (pytest.approx(-20.0), pytest.approx(75.0))
    assert row(table, "Student").teacher == "Teacher" and row(table, "B").teacher == "Other"
    assert value(table, "B", "RTE").difference == pytest.approx(-40.0)
    assert value(table, "Control", "RTE").kept == pytest.approx(50.0)
    teacher = value(table, "Teacher", "RTE")
    assert teacher.difference is None and teacher.kept is None and row(table, "Teacher").teacher == ""


def test_a_student_that_was_distilled_again_stands_beside_the_teacher_it_learned_from() -> None:
    again = cell("RTE", 0.6, way="distilled again", recipe=RECIPE | {"teacher": "z-teacher"})
    job = [cell("RTE", 0.9, "teacher", model="a"), cell("RTE", 0.8, "teacher", model="z-teacher", title="Z"), again]
    table = glue_table([job])
    assert row(table, "Student").teacher == "Z" and value(table, "Student", "RTE").kept == pytest.approx(75.0)


def test_only_what_was_learned_and_scored_alike_is_compared() -> None:
    teacher = cell("RTE", 0.8, "teacher")
    for other in ({"train_examples": 100}, {"split": "merged test"}, {"examples": 50}):
        table = glue_table([[teacher, cell("RTE", 0.6, **other)]])
        assert value(table, "Student", "RTE").difference is None, other
        assert row(table, "Student").teacher == ""
    alone = glue_table([[cell("RTE", 0.6)], [teacher]])
    assert value(alone, "Student", "RTE").difference == pytest.approx(-20.0), "the only teacher there is"
    two = [[cell("RTE", 0.6)], [teacher], [cell("RTE", 0.7, "teacher", model="b")]]
    assert value(glue_table(two), "Student", "RTE").difference is None
    worthless = glue_table([[cell("CoLA", -0.1, "teacher"), cell("CoLA", 0.2)]])
    assert value(worthless, "Student", "CoLA").kept is None
    assert value(worthless, "Student", "CoLA").difference == pytest.approx(30.0)


def test_a_macro_is_compared_over_all_its_tasks_or_not_at_all() -> None:
    both = [cell("RTE", 0.8, "teacher"), cell("MRPC", 0.9, "teacher"), cell("RTE", 0.6), cell("MRPC", 0.8)]
    macro = value(glue_table([both]), "Student", "macro")
    assert (macro.difference, macro.kept) == (pytest.approx(-15.0), pytest.approx(100 * 0.7 / 0.85))
    assert value(glue_table([[*both, cell("WNLI", 0.5)]]), "Student", "macro").difference is None


def test_the_best_measured_value_of_a_column_is_marked() -> None:
    cells = [
        cell("RTE", 0.8, "teacher"),
        cell("RTE", 0.6),
        cell("RTE", 0.8, "control"),
        cell("MRPC", 0.7),
        cell("CoLA", None),
        cell("CoLA", 0.1, "teacher"),
    ]
    table = glue_table([cells])
    best = {(row.title, key) for row in table.rows for key, value in row.values.items() if value.is_best}
    # One value alone is not the best of anything, and means over different tasks are not compared.
    assert best == {("Teacher", "RTE"), ("Control", "RTE")}
    same = glue_table([[cell("RTE", 0.8, "teacher"), cell("RTE", 0.6)]])
    assert value(same, "Teacher", "macro").is_best and not value(same, "Student", "macro").is_best


def test_the_parts_of_a_score_are_medians_too() -> None:
    cells = [
        cell("MNLI", 0.8, seed=1, mismatched={"accuracy": 0.82}, split="official dev, matched"),
        cell("MNLI", 0.6, seed=2, mismatched={"accuracy": 0.62}, split="official dev, matched"),
    ]
    found = value(glue_table([cells]), "Student", "MNLI")
    assert found.parts == {"accuracy": pytest.approx(70.0), "mismatched accuracy": pytest.approx(72.0)}
    assert found.split == "official dev, matched"


def test_bundled_tasks_stand_apart() -> None:
    jobs = [[cell("IMDb", 0.9, "teacher"), cell("IMDb", 0.81), cell("Rotten Tomatoes", 0.8)]]
    assert glue_table(jobs).measured == ()
    table = bundled_table(jobs)
    assert [column.key for column in table.columns] == ["Rotten Tomatoes", "IMDb"]
    assert value(table, "Student", "IMDb").kept == pytest.approx(90.0)
    assert all("macro" not in row.values for row in table.rows) and bundled_table([]).rows == ()


def test_zero_shot_stands_beside_the_majority() -> None:
    jobs = [
        [
            cell("MRPC", 0.4, way="zero-shot", majority=0.75, train_examples=0, notes=("Zero-shot: about it.",)),
            cell("CoLA", None, way="zero-shot", majority=None, train_examples=0),
        ],
        [cell("MRPC", 0.9), cell("MRPC", 0.95, "teacher")],
    ]
    table = zero_shot_table(jobs)
    assert [row.title for row in table.rows] == ["Always the most frequent answer", "Student"]
    assert [column.key for column in table.columns] == ["CoLA", "MRPC"]
    found = value(table, "Student", "MRPC")
    assert (found.majority, found.over_majority) == (75.0, pytest.approx(-35.0))
    assert found.origin == "measured here" and found.difference is None and found.notes == ("Zero-shot: about it.",)
    assert value(table, "Always the most frequent answer", "MRPC").number == 75.0
    undefined = value(table, "Always the most frequent answer", "CoLA")
    assert undefined.number is None and undefined.reason
    assert zero_shot_table([]).rows == () and "task" in table.notes[0]


def test_retained_is_the_papers_and_ours_in_the_order_of_the_tasks() -> None:
    bars = retained([[cell("RTE", 0.8, "teacher"), cell("RTE", 0.6), cell("CoLA", 0.2)]])
    assert [bar.task for bar in bars[:9]] == list(paper.GLUE_TASKS)
    assert {bar.title for bar in bars[:9]} == {"DistilBERT"}
    assert bars[1].kept == pytest.approx(100 * 82.2 / 84.7), "the misprint is corrected"
    assert [(bar.task, bar.title, bar.kept) for bar in bars[9:]] == [("RTE", "Student", pytest.approx(75.0))]


def test_table_2_has_imdb_measured_and_squad_only_reported() -> None:
    table = downstream_table([[cell("IMDb", 0.9, "teacher"), cell("IMDb", 0.88)]])
    shown = [[as_text(row.values.get(column.key), column) for column in table.columns] for row in table.rows]
    assert shown == [
        ["93.46", "81.2", "88.5"],
        ["92.82", "77.7", "85.8"],
        ["–", "79.1", "86.9"],
        ["90.00", "–", "–"],
        ["88.00", "–", "–"],
    ]
    assert table.said_of(value(table, "DistilBERT", "squad_f1").footnotes) == (paper.SQUAD_TEXT,)
    ours = value(table, "Student", "imdb")
    assert OWN_IMDB_SPLIT in table.said_of(ours.footnotes) and ours.origin == "demo scale"


def timed(model: str, role: str, seconds: float, **more) -> dict:
    return {
        "model": model,
        "title": model.title(),
        "role": role,
        "parameters": 22_700_000,
        "encoder_parameters": 10_600_000,
        "embedding_parameters": 11_900_000,
        "size_mb": 90.9,
        "seconds": seconds,
        "pairs": 1500,
        "threads": 1,
        "device": "cpu",
    } | more


def test_table_3_times_a_student_against_the_teacher_of_its_job() -> None:
    newest = {"models": [timed("student", "student", 4.0, parameters=17_000_000), timed("teacher", "teacher", 8.0)]}
    older = {"models": [timed("student", "student", 99.0), timed("other", "student", 5.0)]}
    table = size_speed_table([newest, older])
    assert [row.title for row in table.rows] == ["ELMo", "BERT-base", "DistilBERT", "Teacher", "Student", "Other"]
    shown = [[as_text(row.values.get(column.key), column) for column in table.columns] for row in table.rows]
    assert shown[2] == ["66.0", "–", "–", "410", "1.63"]
    assert shown[4] == ["17.0", "10.6", "90.9", "4.00", "2.00"] and shown[5][-1] == "–"
    assert value(table, "Student", "parameters").kept == pytest.approx(100 * 17 / 22.7)
    assert value(table, "Student", "seconds").is_best and not value(table, "Teacher", "seconds").is_best
    assert any("52 % of the parameters" in text for text in table.said_of(row(table, "Teacher").footnotes))
    assert paper.FASTER_MEANS in table.said_of(value(table, "DistilBERT", "seconds").footnotes)


@pytest.mark.parametrize(
    "broken",
    [{}, {"models": []}, {"models": [{"model": "x"}]}, {"models": [timed("x", "boss", float("nan"), pairs=None)]}],
)
def test_a_timing_that_lacks_something_shows_what_it_has(broken: dict) -> None:
    table = size_speed_table([broken])
    assert len(table.rows) in (3, 4)
    assert all("seconds" not in row.values for row in table.measured)


def test_a_timing_of_other_pairs_or_threads_is_not_passed_off_as_the_same() -> None:
    models = [timed("teacher", "teacher", 8.0), timed("student", "student", 4.0, pairs=100)]
    table = size_speed_table([{"models": models}])
    assert "speed" not in row(table, "Student").values
    assert "Timed on 100 pairs; the official development set of STS-B has 1,500." in table.footnotes.values()


def test_table_4_has_deltas_to_the_full_loss_as_they_come() -> None:
    rows = [
        AblationRow("Full loss", None, 0.86, "finished"),
        AblationRow("Without soft targets", -2.96, 0.84, "finished", sure=0.012),
        AblationRow("Random initial weights", -3.69, None, "running"),
        AblationRow("No teacher (control)", None, None, "queued", is_control=True),
    ]
    table = ablation_table(rows, "accuracy")
    shown = [[as_text(row.values.get(column.key), column) for column in table.columns] for row in table.rows]
    assert shown == [["–", "–", "86.0"], ["−2.96", "−2.00", "84.0"], ["−3.69", "–", "–"], ["–", "–", "–"]]
    assert [row.state for row in table.rows] == ["finished", "finished", "running", "queued"]
    soft = row(table, "Without soft targets").values
    assert (soft["paper"].origin, soft["here"].origin, soft["here"].label) == ("paper", "demo scale", "± 1.2")
    assert table.rows[3].kind == "control" and ablation_table([], "accuracy").rows == ()
    unfinished = ablation_table([replace(rows[0], score=None), rows[1]], "accuracy")
    assert "here" not in unfinished.rows[1].values and unfinished.rows[1].values["score"].number == 84.0


def test_footnotes_get_letters_in_their_order() -> None:
    notes = Footnotes()
    texts = [f"note {number}" for number in range(60)]
    assert notes.letters(texts)[:3] == ("a", "b", "c") and notes.letters([texts[26], texts[0]]) == ("aa", "a")
    assert list(notes.texts().values()) == texts and len(set(notes.texts())) == 60


HOSTILE = (
    r"\input{/etc/passwd} & 50% $x_1$ #1 {a} ~ ^2",
    "=HYPERLINK(\"http://evil\")",
    "+1", "-2+3", "@SUM(A1)", "\t=1+1", "\r\n=cmd|' /C calc'!A0", "＝1+1",
    "two\nlines\\\\[9999pt]", "* star", "[*] * \\end{table}", "a\x00b\x1b[31m", "half \ud83d of a smiley",
    "\u202eright to left", "%", "\\", "{", "}", "模型 — é ß 🙂", 'quotes "twice" `back`', "a,b;c", "<b>|</b>",
)  # fmt: skip


def hostile_tables(text: str) -> tuple[Table, ...]:
    notes = (text,)
    jobs = [
        [cell("RTE", 0.8, "teacher", title=text), cell("RTE", 0.6, title=f"{text}s", notes=notes)],
        [cell("IMDb", 0.7, title=text, model="run-c"), cell("MRPC", None, title=text, reasons={"x": text})],
        [cell("MRPC", 0.3, title=text, way="zero-shot", split=text, notes=notes)],
    ]
    timing = {"models": [timed("teacher", "teacher", 2.0, title=text), timed("student", "student", 1.0, title=text)]}
    return all_tables(jobs, [timing], [AblationRow(text, None, 0.5, text), AblationRow(text, -1.0, 0.4)], text)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_foreign_text_becomes_a_formula_in_the_csv(text: str) -> None:
    written = as_csv(hostile_tables(text))
    lines = list(csv.reader(io.StringIO(written)))
    assert len({len(line) for line in lines}) == 1 and len(lines) > 50
    written.encode()
    for line in lines:
        for field in line:
            assert "\n" not in field and "\r" not in field and "\x00" not in field
            assert re.match(r"[=+@\t＝]|-(?!\d+(\.\d+)?(e-?\d+)?$)", field) is None, field


def test_the_csv_is_read_back_with_every_number_and_its_origin() -> None:
    jobs = [[cell("RTE", 0.8, "teacher"), cell("RTE", 0.6, seed=1), cell("RTE", 0.7, seed=2), cell("CoLA", None)]]
    tables = all_tables(jobs, (), [AblationRow("Full", None, 0.86), AblationRow("No soft", -2.96, 0.84)])
    frame = pd.read_csv(io.StringIO(as_csv(tables)))
    assert len(frame) == sum(len(row.values) for table in tables for row in table.rows)
    assert frame["origin"].isin(["paper", "course project", "measured here", "demo scale"]).all()
    assert frame["number"].isna().sum() == 1 and frame[frame["number"].isna()]["column"].tolist() == ["CoLA"]
    glue = frame[frame["table"] == "GLUE beside the paper"].set_index(["row", "column"])
    assert glue.loc[("DistilBERT", "Macro"), "number"] == 77.0
    student = glue.loc[("Student", "RTE")]
    assert student["number"] == 65.0 and student["seeds"] == "1 2" and student["per_cent_of_teacher"] == 81.25
    assert student["teacher"] == "Teacher" and student["split"] == "official dev" and student["metric"] == "accuracy"
    assert "mean of 1 of 9 tasks" in glue.loc[("Student", "Macro"), "says"]
    assert paper.MISPRINT in glue.loc[("BERT-base", "MNLI"), "footnotes"]
    assert frame[frame["column"] == "Paper"]["number"].tolist() == [-2.96]
    assert as_csv([]) == ""


def test_plain_text_stays_as_it_is() -> None:
    assert [plain(text) for text in ("Student 3", "a = b", "3-layer", "", "=1", "  =1")] == [
        "Student 3", "a = b", "3-layer", "", "'=1", "'=1"
    ]  # fmt: skip


def check_latex(text: str) -> None:
    """What a compiler would stop at: braces, environments, the number of columns, and what only it may say."""
    depth = 0
    for sign in re.findall(r"(?<!\\)(?:\\\\)*([{}])", text):
        depth += 1 if sign == "{" else -1
        assert depth >= 0
    assert depth == 0
    assert text.count(r"\begin{") == text.count(r"\end{") == 4
    code = text.split("\n", 1)[1]
    assert not re.search(r"(?<!\\)[%#]|(?<!\\)_", code)
    assert set(re.findall(r"\\([A-Za-z]+)", code)) <= {
        "begin", "end", "centering", "small", "setlength", "tabcolsep", "caption", "toprule", "midrule", "bottomrule",
        "footnotesize", "scriptsize", "item", "tnote", "textbf", "quad", "pm",
        "textbackslash", "textasciitilde", "textasciicircum", "textless", "textgreater", "textbar", "textquotedbl",
        "textasciigrave",
    }  # fmt: skip
    inside = code[code.index(r"\toprule") : code.index(r"\bottomrule")]
    width = len(re.search(r"\\begin\{tabular\}\{(\w+)\}", code)[1])
    for line in inside.splitlines():
        if line not in (r"\toprule", r"\midrule"):
            assert line.endswith(r" \\"), line
            assert len(re.findall(r"(?<!\\)&", line)) == width - 1, line
            assert not line.lstrip().startswith(("[", "*")), line
    assert code.count("$") - code.count(r"\$") == 2 * (code.count("$-$") + code.count(r"$\pm$"))
    code.encode()
    assert all(sign >= " " or sign == "\n" for sign in text)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_foreign_text_becomes_latex(text: str) -> None:
    for table in hostile_tables(text):
        check_latex(as_latex(table))


def has_latex() -> bool:
    """True if pdfLaTeX and both packages are on this machine."""
    if not shutil.which("pdflatex"):
        return False
    found = subprocess.run(["kpsewhich", "booktabs.sty", "threeparttable.sty"], capture_output=True, text=True)
    return len(found.stdout.split()) == 2


@pytest.mark.skipif(not has_latex(), reason="No pdfLaTeX with booktabs and threeparttable on this machine.")
def test_pdflatex_compiles_every_table(tmp_path: Path) -> None:
    texts = ["Student", *(text for text in HOSTILE if "LuaLaTeX" not in as_latex(hostile_tables(text)[0]))]
    assert len(texts) > 10
    tables = "\\clearpage\n".join(as_latex(table) for text in texts for table in hostile_tables(text))
    packages = "\\usepackage[T1]{fontenc}\n\\usepackage{booktabs,threeparttable}\n"
    (tmp_path / "all.tex").write_text(
        f"\\documentclass{{article}}\n{packages}\\begin{{document}}\n{tables}\\end{{document}}\n", encoding="utf-8"
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=300)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "all.pdf").stat().st_size > 10_000 and "/etc/passwd" not in re.sub(r"\s", "", done.stdout)


def test_latex_shows_the_table_with_the_best_in_bold_and_its_footnotes() -> None:
    jobs = [[cell("RTE", 0.8, "teacher"), cell("RTE", 0.6), cell("MRPC", 0.5)]]
    text = as_latex(glue_table(jobs))
    check_latex(text)
    assert r"86.7\tnote{d}" in text and rf"\item[d] {escape(paper.MISPRINT)}" in text
    assert r"\textbf{80.0}" in text and r"\textbf{60.0}" not in text
    assert r"\quad{\scriptsize \% of Teacher}" in text and r"{\scriptsize 75.0}" in text
    assert "Mean of 2 of 9 tasks." in text and "Pears., Spearm." in text and "matched dev" in text
    assert "LuaLaTeX" not in text.splitlines()[0]
    assert "LuaLaTeX" in as_latex(glue_table([[cell("RTE", 0.5, title="模型")]])).splitlines()[0]


def test_escaped_text_says_the_same() -> None:
    assert escape("50 % & a_b^c~{d}\\#$") == (
        r"50 \% \& a\_b\textasciicircum{}c\textasciitilde{}\{d\}\textbackslash{}\#\$"
    )
    assert escape("−2.96 “x”\u202fM") == r"$-$2.96 ``x''\,M"


def many_jobs(models: int, tasks: tuple[str, ...], seeds: int) -> list[list[Cell]]:
    """Jobs of a student each; every tenth has its teacher and a control as well."""
    return [
        [
            cell(task, (50 + (number + seed) % 40) / 100, role, model=f"{role}-{number}", title=f"{number}", seed=seed)
            for role in (("teacher", "student", "control") if number % 10 == 0 else ("student",))
            for task in tasks
            for seed in range(seeds)
        ]
        for number in range(models)
    ]


@pytest.mark.parametrize(("tasks", "seeds"), [(("MRPC",), 1), ((*TASKS, "IMDb"), 3)])
def test_tables_of_200_rows_cost_five_times_as_much_as_those_of_40(tasks: tuple[str, ...], seeds: int) -> None:
    many, few = many_jobs(170, tasks, seeds), many_jobs(34, tasks, seeds)
    assert (len(glue_table(many).measured), len(glue_table(few).measured)) == (204, 42)
    costs = [work(lambda jobs=jobs: (all_tables(jobs), retained(jobs))) for jobs in (many, few)]
    assert costs[0] < 6 * costs[1]
