"""Table 4 with one button: six recipes that differ in one thing, queued like any run, and read back as they finish."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from core import paper
from core.cli import ablation as cli
from core.cli import kinds
from core.cli.kinds import carry_out
from core.config import Settings, is_control
from core.errors import DistilleryError
from core.runs import ablation
from core.runs import folder as runs
from core.sections import LossSettings, StudentSettings
from tests.fixtures.made_runs import RESULTS, SCORE_RESULTS, make_run
from tests.fixtures.small_runs import settings_of

GROUP = "20261122-120000-ab12"
KEYS = ["full", "no-soft", "no-hard", "no-cosine", "random", "no-teacher"]

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def queued(nothing_trains) -> list[Path]:
    """The six runs of a group that nobody takes."""
    ablation.queue_ablation(Settings(), GROUP)
    return sorted(runs.list_runs())


def finish(run_id: str, home: Path, score: float, base: dict = RESULTS) -> None:
    """Put a finished run in the place of a queued one."""
    shutil.rmtree(home / "runs" / run_id, ignore_errors=True)
    make_run(home, run_id, results=base | {"student": base["student"] | {"score": score}})


def row(key: str) -> ablation.AblationRun:
    return next(each for each in ablation.read_ablation(GROUP) if each.variant.key == key)


def run_id(key: str) -> str:
    return f"{GROUP}.{KEYS.index(key) + 1}-{key}"


def test_each_recipe_differs_from_the_full_one_in_one_thing():
    made = ablation.ablation_settings(Settings())
    full = made["full"]
    assert list(made) == KEYS and (full.loss.soft, full.loss.hard, full.loss.cosine) == (5, 2, 1)
    weights = {key: (each.loss.soft, each.loss.hard, each.loss.cosine) for key, each in made.items()}
    assert weights["no-soft"] == (0, 2, 1) and weights["no-hard"] == (5, 0, 1) and weights["no-cosine"] == (5, 2, 0)
    assert weights["random"] == weights["full"] and is_control(made["no-teacher"].loss)
    assert [key for key, each in made.items() if each.student.initial_weights == "random"] == ["random"]
    for each in made.values():
        same = {"name": full.name, "loss": full.loss, "student": full.student}
        assert each.model_copy(update=same) == full, "data, teacher, seed and budget are the same"
    assert len({each.name for each in made.values()}) == 6


def test_the_recipe_of_a_run_is_taken_apart_with_its_own_weights_and_budget():
    base = Settings(loss=LossSettings(soft=3, hard=1, cosine=2, temperature=4), student=StudentSettings(layers=2))
    made = ablation.ablation_settings(base)
    assert made["full"].loss == base.loss and made["full"].student == base.student
    assert made["no-hard"].loss.temperature == 4 and made["no-hard"].loss.soft == 3
    control = Settings(loss=LossSettings(soft=0, hard=1, cosine=0))
    assert ablation.ablation_settings(control)["full"].loss == LossSettings(), "a control has no terms to leave out"


def test_a_student_of_its_own_shape_cannot_be_taken_apart():
    narrow = Settings(student=StudentSettings(width=96, heads=4, initial_weights="random"))
    with pytest.raises(DistilleryError, match="own width or number of heads"):
        ablation.ablation_settings(narrow)


def test_the_deltas_are_the_papers():
    reported = {each.key: each.paper_delta for each in ablation.VARIANTS}
    assert reported == {"full": None, "no-soft": -2.96, "no-hard": -0.31, "no-cosine": -1.46, "random": -3.69,
                        "no-teacher": None}  # fmt: skip
    assert set(paper.ABLATION.values()) == set(filter(None, reported.values()))


def test_one_press_is_six_runs_however_often(queued):
    assert [folder.name for folder in queued] == [run_id(key) for key in KEYS]
    assert kinds.waiting_runs() == queued, "in the order of the table, the full recipe and its teacher first"
    ablation.queue_ablation(Settings(), GROUP)
    assert sorted(runs.list_runs()) == queued and ablation.groups() == [GROUP]
    assert {each.state for each in ablation.read_ablation(GROUP)} == {"queued"}


def test_rows_appear_while_the_others_wait(queued, home):
    finish(run_id("full"), home, 0.86)
    finish(run_id("no-soft"), home, 0.83)
    rows = {each.variant.key: each for each in ablation.read_ablation(GROUP)}
    assert rows["no-soft"].delta == pytest.approx(-0.03) and rows["full"].delta is None
    # Two shares of 1,066 examples: their variances add up.
    assert rows["no-soft"].sure == pytest.approx(1.959964 * ((0.86 * 0.14 + 0.83 * 0.17) / 1066) ** 0.5)
    assert rows["no-hard"].state == "queued" and rows["no-hard"].score is None
    said = " ".join(ablation.notes_on(list(rows.values())))
    assert "test split, 1,066 sentences, one seed (0)" in said and "3.1 points" in said and "nine GLUE tasks" in said


def test_a_change_is_only_taken_between_scores_on_the_same_examples(queued, home):
    finish(run_id("full"), home, 0.86)
    finish(run_id("no-soft"), home, 0.83, RESULTS | {"examples": 900})
    assert row("no-soft").score == 0.83 and row("no-soft").delta is None


def test_of_correlations_there_is_a_change_but_no_interval(queued, home):
    finish(run_id("full"), home, 0.84, SCORE_RESULTS)
    finish(run_id("random"), home, 0.80, SCORE_RESULTS)
    assert row("random").delta == pytest.approx(-0.04) and row("random").sure is None
    assert "Chance" not in " ".join(ablation.notes_on(ablation.read_ablation(GROUP)))


def test_stop_all_stops_those_that_wait_and_resume_goes_on(queued):
    ablation.stop_ablation(GROUP)
    assert {each.state for each in ablation.read_ablation(GROUP)} == {"stopped"}
    assert ablation.is_over(ablation.read_ablation(GROUP))
    ablation.resume_ablation(GROUP)
    assert {each.state for each in ablation.read_ablation(GROUP)} == {"queued"}


def test_resume_queues_again_what_is_missing_and_leaves_what_is_finished(queued, home):
    finish(run_id("full"), home, 0.86)
    shutil.rmtree(home / "runs" / run_id("random"))
    assert row("random").state is None and "no run called" in row("random").sentence
    ablation.resume_ablation(GROUP)
    assert row("random").state == "queued" and row("full").state == "finished"
    assert runs.read_settings(runs.run_folder(run_id("random"))).student.initial_weights == "random"


def test_a_broken_run_says_so_in_its_row(queued, home):
    finish(run_id("full"), home, 0.86)
    (home / "runs" / run_id("full") / "results.json").write_text('{"student": 1}')
    (home / "runs" / run_id("no-soft") / "status.json").write_text("{")
    assert row("full").state is None and "results.json does not look like" in row("full").sentence
    assert row("no-soft").state is None and "status.json" in row("no-soft").sentence
    assert row("no-hard").state == "queued"


def test_other_runs_are_no_ablations(home, nothing_trains):
    for name in ("20261122-110000-ab12", "x.7-full", "x.1-other", ".1-full"):
        make_run(home, name)
    assert ablation.groups() == []


def test_six_real_runs_finish_from_the_terminal(capsys, monkeypatch):
    base = settings_of("training.epochs=1")
    states = []

    def train(folder: Path, leaving: threading.Event) -> int:
        states.append(carry_out(folder))
        return 0

    monkeypatch.setattr(cli, "carry_out", train)
    assert cli.carry_out_all(base, threading.Event()) == 0
    (group,) = ablation.groups()
    rows = ablation.read_ablation(group)
    assert states == ["finished"] * 6 and all(each.score is not None for each in rows)
    assert [each.results["teacher_from_cache"] for each in rows] == [False] + [True] * 5, "one teacher for all six"
    printed = capsys.readouterr().out
    assert "Without soft targets" in printed and "-2.96" in printed and "Compare the order" in printed


def test_a_signal_stops_the_rest(capsys, monkeypatch):
    leaving = threading.Event()

    def train(folder: Path, leaving: threading.Event) -> int:
        leaving.set()
        runs.request_stop(folder)
        return 3

    monkeypatch.setattr(cli, "carry_out", train)
    assert cli.carry_out_all(settings_of(), leaving) == 3
    (group,) = ablation.groups()
    assert {each.state for each in ablation.read_ablation(group)} == {"stopped"}
    assert "stopped" in capsys.readouterr().out


def test_the_estimate_counts_the_teacher_once():
    from core import estimate

    alone = estimate.plan(Settings()).seconds
    whole = ablation.expected_seconds(Settings())
    assert alone < whole < 6 * alone
