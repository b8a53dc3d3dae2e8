"""GLUE's metrics: what scikit-learn and SciPy say, nothing where there is nothing to say, and no trace on the disk."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from core.data.glue import TASKS
from core.errors import DistilleryError
from core.glue.metrics import BUNDLED, majority, majority_score, metric_of, score_task

EVERY = (*TASKS, *BUNDLED)
ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.usefixtures("home")


def classes(task: str) -> int:
    return len(TASKS[task].label_names) if task in TASKS else 2


def direct(task: str, given: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """The same metrics, asked of scikit-learn and SciPy themselves."""
    if task == "CoLA":
        return {"Matthews correlation": matthews_corrcoef(true, given)}
    if task == "STS-B":
        return {"Pearson": stats.pearsonr(given, true).statistic, "Spearman": stats.spearmanr(given, true).statistic}
    found = {"accuracy": accuracy_score(true, given)}
    return found | {"F1": f1_score(true, given)} if task in ("MRPC", "QQP") else found


def random_case(task: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Answers and labels, every third time with many equal ones; few examples often leave a class out."""
    draw = np.random.default_rng(seed)
    size = int(draw.integers(2, 40))
    if not classes(task):
        true, given = draw.uniform(0, 5, size), draw.normal(2, 2, size)
        return (np.round(given) if seed % 3 == 0 else given), (np.round(true) if seed % 3 == 0 else true)
    logits = draw.normal(size=(size, classes(task))).astype(np.float32)
    if seed % 3 == 0:
        logits[:, int(draw.integers(classes(task)))] += 2
    return logits, draw.integers(0, classes(task), size)


@pytest.mark.parametrize("task", EVERY)
def test_scores_equal_scikit_learn_and_scipy(task: str) -> None:
    compared = 0
    for seed in range(25):
        answers, true = random_case(task, seed)
        given = answers.argmax(1) if classes(task) else answers
        found = score_task(task, answers, true)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = direct(task, given, true)
        assert list(found.scores) == list(expected)
        for name, value in found.scores.items():
            if value is not None:
                assert value == pytest.approx(expected[name], abs=1e-12), (task, seed, name)
                compared += 1
            else:
                # What the libraries call 0 or nan, with a warning.
                assert np.isnan(expected[name]) or expected[name] == 0
                assert found.reasons[name].endswith(".") and found.score is None
        if None not in found.scores.values():
            assert found.score == pytest.approx(np.mean(list(expected.values())), abs=1e-12)
            assert found.reasons == {}
    assert compared > 20


@pytest.mark.parametrize("task", EVERY)
@pytest.mark.parametrize("better", [True, False])
def test_right_and_wrong_answers_get_the_ends_of_the_scale(task: str, better: bool) -> None:
    count = classes(task)
    true = np.arange(24) % count if count else np.linspace(0, 5, 24)
    answers = np.eye(count)[true if better else (true + 1) % count] if count else (true if better else -true)
    worst = -1.0 if task in ("CoLA", "STS-B") else 0.0
    assert score_task(task, answers, true).score == pytest.approx(1.0 if better else worst)


def test_a_constant_answer_gets_what_the_counts_of_the_labels_say() -> None:
    for seed in range(20):
        draw = np.random.default_rng(seed)
        for task in EVERY:
            true = draw.integers(0, classes(task) or 5, int(draw.integers(5, 200)))
            most = np.bincount(true).max() / len(true)
            expected: float | None = most
            if task in ("MRPC", "QQP"):
                positives = (true == 1).mean()
                # Always the second class finds all of it: F1 = 2p / (1 + p). Always the first finds none.
                expected = (most + 2 * positives / (1 + positives)) / 2 if positives > 0.5 else most / 2
            if task in ("CoLA", "STS-B"):
                expected = None
            assert majority_score(task, true) == (None if expected is None else pytest.approx(expected)), (task, seed)


def test_known_majorities_of_official_development_sets() -> None:
    assert majority_score("WNLI", [0] * 40 + [1] * 31) == pytest.approx(0.5634, abs=5e-5)
    assert majority_score("MRPC", [1] * 279 + [0] * 129) == pytest.approx((0.6838 + 0.8122) / 2, abs=5e-5)
    assert majority_score("SST-2", [1] * 444 + [0] * 428) == pytest.approx(0.5092, abs=5e-5)


@pytest.mark.parametrize("task", ["CoLA", "STS-B"])
def test_a_correlation_of_a_constant_is_undefined_with_its_reason_and_never_0(task: str) -> None:
    true = np.array([0, 1, 1, 0])
    constant = np.zeros((4, 2)) if classes(task) else np.full(4, 3.3)
    given = np.eye(2)[true] if classes(task) else true.astype(float)
    for answers, labels, word in (
        (constant, true, "Every answer is the same"),
        (given, np.ones(4), "same label"),
        (given[:1], true[:1], "one example only"),
    ):
        found = score_task(task, answers, labels)
        assert found.score is None and set(found.scores.values()) == {None}
        assert word in found.reasons[metric_of(task)]
        assert all(word in found.reasons[name] for name in found.scores)
    assert majority(task, true).score is None and majority(task, true).reasons


def test_f1_without_any_positive_is_undefined_and_accuracy_still_counts() -> None:
    found = score_task("MRPC", np.array([[1.0, 0.0]] * 3), [0, 0, 0])
    assert found.scores == {"accuracy": 1.0, "F1": None} and found.score is None
    assert found.reasons["F1"] == found.reasons["mean of accuracy and F1"] and "0 divided by 0" in found.reasons["F1"]
    none_found = score_task("MRPC", np.array([[1.0, 0.0]] * 3), [0, 0, 1])
    assert none_found.scores["F1"] == 0.0 and none_found.score == pytest.approx(1 / 3)


def test_answers_that_nothing_can_be_computed_with_have_a_reason_and_no_score_of_nan() -> None:
    found = score_task("STS-B", np.array([1e308, 1e308, -1e308]), [1.0, 2.0, 3.0])
    assert found.score is None and found.scores["Pearson"] is None and "too large" in found.reasons["Pearson"]
    assert found.scores["Spearman"] == pytest.approx(stats.spearmanr([1, 1, -1], [1, 2, 3]).statistic)


@pytest.mark.parametrize("task", EVERY)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_answers_that_are_no_numbers_are_refused(task: str, bad: float) -> None:
    answers = np.zeros((4, classes(task))) if classes(task) else np.arange(4.0)
    answers.flat[2] = bad
    with pytest.raises(DistilleryError, match=f"answers to {task} are not all numbers.*smaller learning rate"):
        score_task(task, answers, np.arange(4) % 2)


def test_a_model_for_another_task_or_nothing_to_score_is_refused() -> None:
    with pytest.raises(DistilleryError, match="gives 2 numbers for an example; MNLI needs 3"):
        score_task("MNLI", np.zeros((4, 2)), np.zeros(4))
    with pytest.raises(DistilleryError, match="gives 1 number for an example; SST-2 needs 2"):
        score_task("SST-2", np.zeros(4), np.zeros(4))
    with pytest.raises(DistilleryError, match="gives 2 numbers for an example; STS-B needs 1"):
        score_task("STS-B", np.zeros((4, 2)), np.zeros(4))
    with pytest.raises(DistilleryError, match="RTE has no examples"):
        score_task("RTE", np.zeros((0, 2)), [])
    with pytest.raises(DistilleryError, match="RTE has no examples"):
        majority_score("RTE", [])
    with pytest.raises(ValueError, match="3 answers to 4 examples"):
        score_task("RTE", np.zeros((3, 2)), np.zeros(4))
    assert score_task("STS-B", np.arange(4.0)[:, None], np.arange(4.0)).score == pytest.approx(1.0)


SCRIPT = """
import sys
import core.glue.metrics, core.glue.tables, core.glue.as_csv, core.glue.as_latex
heavy = {"torch", "transformers", "evaluate", "datasets", "sklearn", "scipy", "pandas", "streamlit"} & set(sys.modules)
assert not heavy, heavy
import numpy as np
from core.glue.metrics import score_task
for task, answers, labels in (("MRPC", np.eye(2), [0, 1]), ("STS-B", np.arange(3.0), [1.0, 2.0, 4.0])):
    assert score_task(task, answers, labels).score > 0.99
"""


def test_scoring_loads_late_needs_no_network_and_writes_nothing_beside_the_projects_home(tmp_path: Path) -> None:
    person, home = tmp_path / "person", tmp_path / "home"
    person.mkdir()
    hidden = ("HF_HOME", "XDG_CACHE_HOME", "HF_METRICS_CACHE", "HF_EVALUATE_CACHE", "HF_MODULES_CACHE")
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    environment = kept | {"HOME": str(person), "DISTILLERY_HOME": str(home), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert list(person.rglob("*")) == []
    assert [path for path in home.rglob("*") if path.is_file()] == []
    assert {path.name for path in home.iterdir()} == {"cache"}
