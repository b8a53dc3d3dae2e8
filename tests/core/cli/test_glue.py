"""`python -m core glue`: what it makes of its options, what it prints, and its exit codes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.__main__ import _parser, main
from core.cli.glue import job_settings
from core.cli.report import score_lines
from core.glue.cells import Cell, read_cells
from core.glue.settings import StudentModel, TeacherModel
from core.runs import folder as runs
from core.sections import TeacherSettings
from core.storage import write_json
from tests.core.cli.test_cli import LIMIT_S, signals_as_before  # noqa: F401  used by every test here
from tests.fixtures.serving import ROOT
from tests.fixtures.small_glue_jobs import prepare, teacher
from tests.fixtures.small_runs import world_of

QUICK = ("--set", "max_tokens=32", "--set", "threads=1", "--set", "batch_size=16")


@pytest.fixture(scope="module", autouse=True)
def world(tmp_path_factory: pytest.TempPathFactory, teachers: Path) -> Iterator[Path]:
    """One home for all tests of this file."""
    with world_of(tmp_path_factory.mktemp("home"), teachers) as home:
        prepare()
        yield home


def glue(world: Path, *options: str) -> int:
    return main(["glue", "--glue", str(world / "learnable"), *QUICK, *options])


def models(*names: str) -> list[str]:
    return [part for name in names for part in ("--model", name)]


def test_a_job_prints_its_progress_and_a_table(world: Path, capsys) -> None:
    folder = teacher().teacher.path
    assert (
        glue(world, "--task", "MRPC", "--task", "STS-B", "--seeds", "2", "--epochs", "1", *models(folder, "one")) == 0
    )
    printed = capsys.readouterr().out
    (job,) = runs.list_jobs()
    assert printed.startswith(f"{job}\n") and "finished: Finished: every model is measured on every task." in printed
    header, *rows = printed[printed.index("task ") :].splitlines()
    assert header.split() == ["task", "model", "score", "metric", "majority", "kept", "split", "seeds"]
    assert re.match(
        r"MRPC +Teacher in teacher/ \(6 layers\) \(teacher\) +\S+ +mean of accuracy and F1: accuracy", rows[0]
    )
    assert re.match(r"MRPC +Run one \(student\) .* official dev .* 2$", rows[1])
    assert rows[2].startswith("STS-B") and "–" in rows[2]
    assert len(read_cells(job)) == 8


def test_options_mean_these_settings(world: Path) -> None:
    line = ["glue", "--task", "RTE", "--glue", "x", "--seeds", "3", "--max-examples", "500", "--again", "--timing"]
    line += [*models("teacher", "one", str(world / "runs" / "one"), str(world / "inputs" / "teacher"), "hub:a/b")]
    settings = job_settings(_parser().parse_args([*line, "--set", "learning_rate=1e-4", "--set", "name=Mine"]))
    assert settings.models == (
        TeacherModel(),
        StudentModel(run="one"),
        StudentModel(run="one"),
        TeacherModel(teacher=TeacherSettings(source="folder", path=str(world / "inputs" / "teacher"))),
        TeacherModel(teacher=TeacherSettings(source="hub", hub_id="a/b")),
    )
    assert (settings.tasks, settings.path, settings.seeds, settings.max_examples) == (("RTE",), "x", 3, 500)
    assert settings.second_distillation and settings.timing and settings.way == "fine-tuned"
    assert (settings.learning_rate, settings.name) == (1e-4, "Mine")
    assert job_settings(_parser().parse_args(["glue", "--hub"])).source == "glue_hub"
    assert job_settings(_parser().parse_args(["glue", "--hub", "--zero-shot"])).way == "zero-shot"


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (("--task", "MRPC"), 2, "ath is empty"),
        (("--glue", "x", "--seeds", "nine"), 2, 'seeds is "nine"; expected a whole number from 1 to 5.'),
        (("--glue", "x", "--set", "epochs=0"), 2, "epochs is 0; expected a whole number from 1 to 20."),
        (("--glue", "x", "--set", "loss=1"), 2, "'loss=1' is not a setting; write it like epochs=2."),
        (("--glue", "x", "--model", "nothing"), 2, "--model 'nothing' is no run in runs/ and no folder"),
        (("--glue", "x"), 1, "path: there is no folder 'x'"),
        (("--hub",), 1, "network, which is off"),
    ],
)
def test_what_cannot_be_done_is_said_before_a_job_is_made(world, capsys, options, code: int, sentence: str) -> None:
    before = runs.list_jobs()
    assert main(["glue", *options]) == code
    printed = capsys.readouterr()
    assert sentence in printed.err and not printed.out and "Traceback" not in printed.err
    assert runs.list_jobs() == before


def test_zero_shot_from_the_terminal(world: Path, capsys) -> None:
    assert glue(world, "--task", "SST-2", "--zero-shot", *models("one")) == 0
    printed = capsys.readouterr().out
    assert re.search(r"SST-2 +Teacher of Run one \(teacher, zero-shot\)", printed)
    assert re.search(r"SST-2 +Run one \(student, zero-shot\)", printed)
    assert "learned nothing of SST-2 itself" in printed


def test_ctrl_c_keeps_what_was_measured_and_resume_goes_on(world: Path, capsys) -> None:
    command = [sys.executable, "-m", "core", "glue", "--glue", str(world / "learnable"), *QUICK]
    command += ["--task", "MRPC", "--task", "SST-2", "--task", "STS-B", "--epochs", "9", "--seeds", "5"]
    with subprocess.Popen(
        [*command, *models("one")], cwd=ROOT, env=dict(os.environ), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    ) as process:  # fmt: skip
        try:
            job = Path(process.stdout.readline().strip())
            while not process.stdout.readline().startswith("running: Run one on MRPC"):
                assert process.poll() is None, process.stderr.read()
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=LIMIT_S)
        finally:
            process.kill()
    assert process.returncode == 3, err
    status = runs.read_status(job)
    assert status.state == "stopped" and "you can resume it" in status.sentence
    # Shorter than it was, so that the test is: only what comes later.
    kept = len(read_cells(job))
    write_json(job / "config.json", runs.read_job_settings(job).model_dump(mode="json") | {"seeds": 1})
    assert main(["resume", job.name]) == 0
    assert kept < len(read_cells(job)) == 3
    assert re.search(r"STS-B +Run one \(student\)", capsys.readouterr().out)
    assert main(["resume", str(job)]) == 0 and "nothing left to do" in capsys.readouterr().out


def test_resume_of_nothing_names_it(world: Path, capsys) -> None:
    assert main(["resume", "20261122-000000-none"]) == 1
    assert "There is no run called '20261122-000000-none'" in capsys.readouterr().err


def made(**fields: object) -> Cell:
    defaults = {
        "model": "run-1", "role": "student", "title": "Mine", "task": "MRPC", "seed": 0, "way": "fine-tuned",
        "score": 0.8, "scores": {"accuracy": 0.75, "F1": 0.85}, "majority": 0.748, "examples": 408,
        "split": "official dev", "train_examples": 3668, "train_total": 3668, "recipe": {},
    }  # fmt: skip
    return Cell(**(defaults | fields))


def test_the_table_gives_the_median_what_was_kept_and_why_a_score_is_missing() -> None:
    big = {"model": "teacher-1", "role": "teacher", "title": "Big\n*one*"}
    cells = [made(seed=seed, score=score) for seed, score in enumerate((0.7, 0.8, 0.82))]
    cells += [made(**big, score=0.9), made(task="CoLA", score=None, scores={}, majority=None, reasons={"x": "Why."})]
    cells += [made(task="SST-2", train_examples=100, train_total=67_349, score=0.8, scores={"accuracy": 0.8})]
    lines = score_lines(cells)
    assert re.match(r"MRPC +Big \*one\* \(teacher\) +90.0 ", lines[1])
    assert re.match(r"MRPC +Mine \(student\) +80.0 .* 74.8 +88.9 % +official dev +3$", lines[2])
    assert re.match(r"CoLA +Mine \(student\) +– ", lines[3]) and lines[-1] == "CoLA: Why."
    assert "official dev (100 of 67,349 examples)" in lines[4]
