"""The paper's numbers add up to what it says they do, and what does not add up is said beside them."""

from __future__ import annotations

import pytest

from core import paper
from core.data.glue import TASKS
from core.paper import BERT_BASE, DISTILBERT, ELMO_ROW, macro


def without(scores: dict[str, float], task: str) -> float:
    rest = [score for name, score in scores.items() if name != task]
    return sum(rest) / len(rest)


def test_the_nine_tasks_are_those_that_can_be_read() -> None:
    assert set(paper.GLUE_TASKS) == set(TASKS) and len(paper.GLUE_TASKS) == 9
    assert all(set(row.scores) == set(TASKS) for row in paper.GLUE_ROWS)


def test_the_scores_give_the_macros_that_the_paper_claims() -> None:
    assert macro(BERT_BASE.scores) == pytest.approx(79.72, abs=0.005)
    assert macro(BERT_BASE.scores | BERT_BASE.corrected) == pytest.approx(BERT_BASE.macro, abs=1e-9)
    assert macro(DISTILBERT.scores) == pytest.approx(DISTILBERT.macro, abs=0.05)
    assert macro(DISTILBERT.scores | {"MNLI": 82.1}) == pytest.approx(77.0, abs=0.005)
    assert macro(ELMO_ROW.scores) == pytest.approx(ELMO_ROW.macro, abs=0.05)
    assert "79.72" in paper.MISPRINT and "84.7" in paper.MISPRINT and "82.1" in paper.README_MNLI


def test_without_wnli_the_macros_are_those_of_the_footnote() -> None:
    assert without(BERT_BASE.scores | BERT_BASE.corrected, "WNLI") == pytest.approx(82.75, abs=1e-9)
    assert without(DISTILBERT.scores, "WNLI") == pytest.approx(79.6, abs=1e-9)
    assert "82.75" in paper.WITHOUT_WNLI and "79.6" in paper.WITHOUT_WNLI


def test_a_macro_score_needs_all_nine() -> None:
    nine = dict.fromkeys(paper.GLUE_TASKS, 50.0)
    assert macro(nine) == 50.0 == macro(nine | {"IMDb": 99.0})
    assert macro(nine | {"CoLA": None}) is None
    assert macro({task: score for task, score in nine.items() if task != "RTE"}) is None
    assert macro({}) is None


def test_a_mean_over_some_tasks_takes_the_corrected_score() -> None:
    assert BERT_BASE.mean_over(["MRPC", "STS-B"]) == pytest.approx(88.8)
    assert BERT_BASE.mean_over(["MNLI"]) == 84.7 and DISTILBERT.mean_over(["MNLI"]) == 82.2
    assert BERT_BASE.mean_over(paper.GLUE_TASKS) == pytest.approx(79.5)
    assert BERT_BASE.mean_over([]) is None and paper.COURSE_ROW.mean_over(["SST-2", "MRPC"]) is None


def test_the_promises_follow_from_the_tables() -> None:
    bert, distil = (row for row in paper.SIZE_ROWS if row.name != "ELMo")
    assert DISTILBERT.macro / BERT_BASE.macro == pytest.approx(0.969, abs=0.0005) and paper.KEPT.value == "97 %"
    assert 1 - distil.parameters / bert.parameters == pytest.approx(0.40) and paper.SMALLER.value == "40 %"
    assert bert.seconds / distil.seconds == pytest.approx(1.63, abs=0.005)
    assert 1 - distil.seconds / bert.seconds == pytest.approx(0.386, abs=0.0005)
    assert "1.63" in paper.FASTER_MEANS and "38.6 %" in paper.FASTER_MEANS


def test_every_footnote_of_the_reference_hangs_on_a_number() -> None:
    rows = (*paper.GLUE_ROWS, paper.COURSE_ROW, *paper.DOWNSTREAM_ROWS, *paper.SIZE_ROWS)
    said = {text for row in rows for texts in row.footnotes.values() for text in texts}
    assert said >= {
        paper.MISPRINT,
        paper.README_MNLI,
        paper.WITHOUT_WNLI,
        paper.WNLI_MAJORITY,
        paper.ELMO,
        paper.SQUAD_TEXT,
        paper.SQUAD_TWICE,
        paper.FASTER_MEANS,
        paper.SMALLER_MEANS,
        paper.PHONE,
        paper.COURSE_SPLIT,
        paper.COURSE_RECIPE,
    }
    assert BERT_BASE.footnotes["MNLI"] == (paper.MISPRINT,) and DISTILBERT.footnotes["MNLI"] == (paper.README_MNLI,)


def test_the_other_tables_are_as_reported() -> None:
    assert [row.scores for row in paper.DOWNSTREAM_ROWS] == [
        {"imdb": 93.46, "squad_em": 81.2, "squad_f1": 88.5},
        {"imdb": 92.82, "squad_em": 77.7, "squad_f1": 85.8},
        {"squad_em": 79.1, "squad_f1": 86.9},
    ]
    assert [(row.parameters / 1e6, row.seconds) for row in paper.SIZE_ROWS] == [(180, 895), (110, 668), (66, 410)]
    assert paper.ABLATION == {"soft": -2.96, "cosine": -1.46, "hard": -0.31, "random": -3.69}
    assert paper.COURSE_ROW.scores == {"SST-2": 90.0} and paper.COURSE_ROW.about and paper.COURSE_ROW.split
