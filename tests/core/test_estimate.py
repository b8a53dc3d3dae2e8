"""The plan of a run: its steps are those that the run takes, and its time follows the work there is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from core import estimate
from core.config import Settings, starting_point
from core.distill.cache import teacher_key
from core.errors import DistilleryError
from core.runs import folder as runs
from core.settings_file import override, parse_settings
from core.storage import teacher_model
from tests.fixtures.serving import ROOT
from tests.fixtures.small_runs import MASKED, events, run_once, settings_of

pytestmark = pytest.mark.usefixtures("home")

WORDS = starting_point("masked_words")


def seconds(settings: Settings, *assignments: str) -> float:
    return estimate.plan(override(settings, assignments)).seconds


@pytest.mark.parametrize("changes", [("training.batch_size=7",), MASKED], ids=["labels", "masked words"])
def test_a_run_takes_the_steps_and_makes_the_models_that_were_planned(changes):
    planned = estimate.plan(settings_of(*changes))
    folder = run_once("one", *changes)
    assert runs.read_status(folder).state == "finished", runs.read_status(folder).sentence
    for stage, steps in (("teacher", planned.teacher_steps), ("student", planned.student_steps)):
        taken = len(events(folder, "step", stage))
        assert taken == pytest.approx(steps, rel=0.05)
        assert taken == steps or settings_of(*changes).objective == "masked_words", "blocks are estimated"
    assert estimate.plan(settings_of(*changes)).teacher_steps == 0, "its teacher is kept now"
    results = runs.read_results(folder)
    for name, shape in (("teacher", planned.teacher), ("student", planned.student)):
        assert results[name]["parameters"] == shape.parameters
        assert results[name]["encoder_parameters"] == shape.encoder_parameters


def test_the_demo_takes_what_it_took_when_the_reference_was_measured():
    planned = estimate.plan(Settings())
    assert (planned.train_examples, planned.teacher_steps, planned.student_steps) == (6824, 427, 428)
    assert planned.seconds == pytest.approx(158, abs=3)
    teacher_model(teacher_key(Settings())).mkdir(parents=True)
    assert estimate.plan(Settings()).seconds == pytest.approx(77, abs=3)


@pytest.mark.parametrize(
    "more",
    [
        "training.epochs=2",
        "teacher.epochs=2",
        "data.max_examples=8000",
        "student.layers=4",
        "loss.soft_positions=all",
        "masking.share=0.3",
    ],
)
def test_more_work_takes_longer(more):
    less = override(WORDS, ["loss.soft_positions=masked"])
    assert seconds(less, more) > 1.02 * seconds(less)


def test_masked_words_cost_what_their_losses_ask_for():
    every = seconds(WORDS)
    sampled = seconds(WORDS, "loss.soft_positions=sample", "loss.soft_share=0.3")
    masked = seconds(WORDS, "loss.soft_positions=masked")
    no_soft = seconds(WORDS, "loss.soft=0")
    alone = seconds(WORDS, "loss.soft=0", "loss.cosine=0")
    assert every > sampled > masked > no_soft > alone
    assert seconds(Settings(), "loss.soft=0") == seconds(Settings()), "asked once, for all runs"
    assert seconds(Settings(), "loss.soft=0", "loss.cosine=0") < seconds(Settings()), "a control never asks"


def test_words_are_ignored_where_labels_are_learned():
    assert seconds(Settings(), "masking.share=0.5", "loss.soft_positions=sample") == seconds(Settings())


def test_a_teacher_that_is_used_as_it_is_takes_no_steps():
    assert estimate.plan(override(WORDS, ["teacher.epochs=0"])).teacher_steps == 0
    assert seconds(WORDS, "teacher.epochs=0") < seconds(WORDS)


def test_the_presets_shape_is_planned_without_fetching_it():
    planned = estimate.plan(parse_settings({"teacher": {"source": "hub"}, "student": {"layers": 6}}))
    assert planned.teacher.parameters == 109_483_778 and planned.student.parameters == 66_955_010
    assert planned.seconds > 3 * estimate.plan(Settings()).seconds


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ({"data": {"source": "csv", "path": "/nowhere/reviews.csv"}}, "reviews.csv"),
        ({"data": {"source": "glue_folder", "path": "/nowhere/glue"}}, "glue"),
        ({"teacher": {"source": "folder", "path": "/nowhere/bert"}}, "bert"),
    ],
    ids=["no table", "no GLUE", "no teacher"],
)
def test_what_cannot_be_planned_is_said_in_words(raw, says):
    with pytest.raises(DistilleryError, match=says):
        estimate.plan(parse_settings(raw))


def test_what_a_run_took_corrects_the_next_plan():
    planned = estimate.plan(Settings())
    assert not planned.pace_measured
    results = {"elapsed_s": 3 * planned.seconds, "compute": {"device": "cpu", "precision": "fp32"}}
    estimate.learn(Settings(), planned, results)
    again = estimate.plan(Settings())
    assert again.pace_measured and again.seconds == pytest.approx(3 * planned.seconds, rel=0.01)


def test_planning_loads_no_model_library(tmp_path: Path):
    script = (
        "import sys\nfrom core import estimate\nfrom core.config import starting_point\n"
        "for objective in ('labels', 'masked_words'): estimate.plan(starting_point(objective))\n"
        "print([m for m in ('torch', 'transformers', 'datasets', 'sklearn', 'streamlit') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == "[]", done.stderr
