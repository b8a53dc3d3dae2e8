"""The engine from a terminal: what it prints, its exit codes, and a Ctrl-C that keeps what was learned."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from core.__main__ import main
from core.config import Settings, starting_point
from core.distill import job
from core.errors import DistilleryError
from core.jobs.queue import MACHINE, lane_lock
from core.runs import folder as runs
from core.settings_file import override, parse_settings
from tests.fixtures.made_runs import RESULTS, SCORE_RESULTS, WORDS_RESULTS, make_run
from tests.fixtures.serving import ROOT
from tests.fixtures.small_runs import MASKED, settings_of

LIMIT_S = 60.0
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")

# The real command in a process of its own; only the training is a stand-in, one step every few milliseconds.
TRAINS_FOR_EVER = """
import sys, threading, types

def run_job(settings, student, teachers, recorder, *_):
    import torch
    from core.jobs.reporter import StopRequested

    recorder.stage("student", 100_000)
    for step in range(1, 100_000):
        recorder.step(step, {"loss": torch.tensor(0.5)}, 1e-4, 32 * step)
        if step == 1:
            print("training", flush=True)
        threading.Event().wait(0.01)
        try:
            settings.name == "deaf" or recorder.check_stop()
        except StopRequested:
            student.mkdir()
            raise

sys.modules["core.distill.job"] = job = types.ModuleType("core.distill.job")
job.run_job = run_job
from core.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(autouse=True)
def signals_as_before() -> Iterator[None]:
    """The command takes the signals of its process; here that is the process of the tests."""
    before = {name: signal.getsignal(getattr(signal, name)) for name in SIGNALS}
    yield
    for name, handler in before.items():
        signal.signal(getattr(signal, name), handler)


@pytest.fixture(autouse=True)
def own_home(home: Path) -> Path:
    return home


def core(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m core …` as a person would."""
    command = [sys.executable, "-m", "core", *arguments]
    return subprocess.run(command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, timeout=LIMIT_S)


@contextmanager
def training(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A `distill` in a process of its own; its output is read line by line."""
    command = [sys.executable, "-c", TRAINS_FOR_EVER, "distill", *arguments]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, env=dict(os.environ), **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """Read lines until one begins with `text`; returns the very first line."""
    first = process.stdout.readline()
    while not process.stdout.readline().startswith(text):
        assert process.poll() is None, process.stderr.read()
    return first.strip()


# Settings


def test_config_prints_the_defaults_as_json_that_config_reads(tmp_path: Path, home: Path) -> None:
    printed = core("config")
    assert (printed.returncode, printed.stderr) == (0, "")
    assert parse_settings(json.loads(printed.stdout)) == Settings()
    (tmp_path / "mine.json").write_text(printed.stdout, encoding="utf-8")
    again = core("config", "--config", str(tmp_path / "mine.json"), "--set", "loss.soft=3", "--set", "name=Läufer")
    assert again.returncode == 0
    assert parse_settings(json.loads(again.stdout)) == override(Settings(), ["loss.soft=3", "name=Läufer"])
    assert not any(home.iterdir())


@pytest.mark.parametrize("objective", ["labels", "masked_words"])
def test_an_objective_is_a_starting_point(objective: str, capsys) -> None:
    assert main(["config", "--objective", objective, "--set", "loss.soft=3"]) == 0
    printed = parse_settings(json.loads(capsys.readouterr().out))
    assert printed == override(starting_point(objective), ["loss.soft=3"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--objective", "words"], "invalid choice: 'words'"),
        (["--objective", "labels", "--config", "mine.json"], "not allowed with argument"),
    ],
)
@pytest.mark.parametrize("command", ["config", "distill"])
def test_an_objective_that_is_none_or_one_too_many_is_refused(command: str, arguments, says: str, capsys) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, *arguments])
    assert caught.value.code == 2 and says in capsys.readouterr().err


@pytest.mark.parametrize(("switch", "offline"), [("", "1"), ("1", "None"), ("0", "1"), ("yes", "1")])
def test_the_network_is_off_unless_it_was_asked_for(switch: str, offline: str) -> None:
    code = "import os; from core.__main__ import main; main(['config']); print(os.environ.get('HF_HUB_OFFLINE'))"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment["DISTILLERY_NETWORK"] = switch
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == offline


def test_config_answers_without_loading_torch() -> None:
    code = "import sys; from core.__main__ import main; main(['config']); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S)
    assert done.stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize("command", ["config", "distill"])
@pytest.mark.parametrize(
    ("content", "assignments", "says"),
    [
        ('{"loss": {"soft": -1}}', [], "loss.soft is -1; expected a number from 0 to 100."),
        ('{"loss": {"soft": 0, "hard": 0, "cosine": 0}}', [], "All loss weights are 0"),
        ('{"student": {"layers": 1000000000}}', [], "student.layers is 1000000000; expected a whole number"),
        ('{"loss": {"soft": 5}', [], "mine.json is not valid JSON"),
        ("[" * 10_000, [], "mine.json is not valid JSON"),
        (None, [], "mine.json cannot be read: No such file or directory."),
        ("{}", ["loss.temperature=0"], "loss.temperature is 0; expected a number from 0.1 to 100."),
        ("{}", ["student.teacher_layers=[0,2,6]"], "student.teacher_layers holds 6"),
        ("{}", ["lost.soft=3"], "'lost.soft=3' is not a setting; write it like loss.soft=3."),
    ],
    ids=lambda value: str(value)[:20],
)
def test_bad_settings_are_refused_in_words_before_anything_is_made(
    command: str, content: str | None, assignments: list[str], says: str, tmp_path: Path, home: Path, capsys
) -> None:
    file = tmp_path / "mine.json"
    if content is not None:
        file.write_text(content)
    sets = [part for assignment in assignments for part in ("--set", assignment)]
    assert main([command, "--config", str(file), *sets]) == 2
    printed = capsys.readouterr()
    assert says in printed.err and printed.out == "" and "Traceback" not in printed.err
    assert not any(home.iterdir())


def test_every_problem_has_a_line_of_its_own(capsys) -> None:
    assert main(["distill", "--set", "loss.soft=-1", "--set", "training.epochs=0"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2


@pytest.mark.parametrize("arguments", [[], ["destil"], ["distill", "--sett", "x"], ["config", "extra"]])
def test_a_command_that_does_not_exist_is_refused(arguments: list[str], home: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2 and not any(home.iterdir())


def test_the_real_command_ends_with_2_and_makes_nothing(home: Path) -> None:
    refused = core("distill", "--set", "loss.temperature=nan")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == 'loss.temperature is "nan"; expected a number from 0.1 to 100.\n'
    assert not any(home.iterdir())


# Runs


@pytest.mark.parametrize(
    ("changes", "what"),
    [((), "24 sentences, seed 0), accuracy"), (MASKED, "masked words, seed 0), masked-word accuracy")],
    ids=["labels", "masked words"],
)
def test_a_finished_run_ends_with_0_and_says_what_was_measured(changes, what: str, capsys, home: Path) -> None:
    """The whole job on a tiny model: the folder first, the result last."""
    (home / "mine.json").write_text(json.dumps(settings_of(*changes).model_dump(mode="json")), encoding="utf-8")
    assert main(["distill", "--config", str(home / "mine.json")]) == 0
    lines = capsys.readouterr().out.splitlines()
    (folder,) = runs.list_runs()
    assert lines[0] == str(folder) and folder.parent == home / "runs"
    assert runs.read_status(folder).state == "finished"
    assert "finished: Finished: the student is trained, scored and saved." in lines
    results = runs.read_results(folder)
    line = lines[-1 - len(results["notes"])]
    assert line.startswith("Measured here on the test split (") and what in line
    assert f"student {results['student']['score']:.1%} ({results['kept']:.1%} kept)" in line


@pytest.mark.parametrize(
    ("results", "line"),
    [
        (
            WORDS_RESULTS,
            "Measured here on the test split (28412 masked words, seed 0), masked-word accuracy: teacher 31.0%, "
            "student 24.1% (77.7% kept), agreement 46.8%, majority 5.2%.",
        ),
        (
            SCORE_RESULTS,
            "Measured here on the official dev split (1500 pairs, seed 0), correlation: teacher 0.874, student 0.832 "
            "(95.2% kept), agreement 0.921.",
        ),
        (
            SCORE_RESULTS | {"student": RESULTS["student"] | {"score": None}, "kept": None, "agreement": None},
            "Measured here on the official dev split (1500 pairs, seed 0), correlation: teacher 0.874, student "
            "undefined, agreement undefined.",
        ),
    ],
    ids=["masked words", "a correlation", "an undefined one"],
)
def test_every_metric_is_said_as_it_is_read(monkeypatch: pytest.MonkeyPatch, capsys, results, line: str) -> None:
    monkeypatch.setattr(job, "run_job", lambda *_: results)
    assert main(["distill"]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [line, *results["notes"]]


@pytest.mark.parametrize("fault", [DistilleryError("Nothing to teach."), ValueError("a bug"), SystemExit(0)])
def test_a_failed_run_ends_with_1_and_its_sentence(monkeypatch: pytest.MonkeyPatch, capsys, fault) -> None:
    def fail(*_: Any) -> dict[str, Any]:
        raise fault

    monkeypatch.setattr(job, "run_job", fail)
    assert main(["distill"]) == 1
    (folder,) = runs.list_runs()
    printed = capsys.readouterr()
    assert f"failed: {runs.read_status(folder).sentence}" in printed.out
    assert "Traceback" not in printed.out + printed.err


def test_a_home_that_cannot_be_used_ends_with_1_and_names_it(monkeypatch, tmp_path: Path, capsys) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DISTILLERY_HOME", str(tmp_path / "file"))
    assert main(["distill"]) == 1
    assert "cannot be used: Not a directory." in capsys.readouterr().err


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_stops_after_the_step_keeps_what_was_learned_and_ends_with_3(name: str) -> None:
    with training() as process:
        folder = Path(read_until(process, "training"))
        process.send_signal(getattr(signal, name))
        out, err = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 3, err
    status = runs.read_status(folder)
    assert status.state == "stopped" and status.step >= 1 and (folder / "student").is_dir()
    assert "stopped: Stopped because the program was closed at step" in out
    assert err.startswith("Stopping after the current step. Press Ctrl-C again to leave at once.")


def test_a_second_ctrl_c_leaves_at_once() -> None:
    """A step that hangs: the run then reads as interrupted."""
    with training("--set", "name=deaf") as process:
        folder = Path(read_until(process, "training"))
        process.send_signal(signal.SIGINT)
        assert process.stderr.readline().startswith("Stopping")
        process.send_signal(signal.SIGINT)
        assert process.wait(LIMIT_S) == 3
    assert runs.read_status(folder).state == "interrupted"


def test_ctrl_c_while_another_run_trains_ends_the_waiting_at_once() -> None:
    with lane_lock(MACHINE), training() as process:
        folder = Path(read_until(process, "queued: Waiting for its turn."))
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=LIMIT_S)
    assert process.returncode == 3
    assert runs.read_status(folder).state == "stopped" and not (folder / "metrics.jsonl").exists()


def test_a_run_that_is_stopped_from_the_page_while_it_waits_ends_with_3() -> None:
    with lane_lock(MACHINE), training() as process:
        folder = Path(read_until(process, "queued: Waiting for its turn."))
        runs.request_stop(folder)
        process.communicate(timeout=LIMIT_S)
    assert process.returncode == 3


def test_a_killed_run_reads_as_interrupted() -> None:
    with training() as process:
        folder = Path(read_until(process, "training"))
        process.kill()
        process.wait(LIMIT_S)
    assert runs.read_status(folder).state == "interrupted"


def test_resume_goes_on_with_a_run_that_was_stopped(home: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    folder = runs.create_run(Settings(), "20261122-120000-ab12")
    runs.request_stop(folder)
    monkeypatch.setattr(job, "run_job", lambda *_: RESULTS)
    assert main(["resume", str(folder)]) == 0
    assert capsys.readouterr().out.startswith(f"{folder}\n")
    assert runs.read_status(folder).state == "finished" and not runs.stop_requested(folder)


def test_resume_of_a_finished_run_says_so_and_changes_nothing(home: Path, capsys) -> None:
    folder = make_run(home)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert main(["resume", folder.name]) == 0
    assert "nothing left to do" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


@pytest.mark.parametrize(("state", "sentence"), [("running", "nothing to resume"), (None, "no run called")])
def test_resume_refuses_what_is_under_way_and_what_is_not_there(home: Path, capsys, state, sentence: str) -> None:
    name = make_run(home, state=state).name if state else "20261122-120000-none"
    assert main(["resume", name]) == 1
    assert sentence in capsys.readouterr().err
