"""Terminals as they come: few characters, a pipe that is closed or full, Ctrl-C at any import, names that mislead."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.__main__ import main
from core.config import Settings
from core.runs import folder as runs
from core.runs.about import write_about
from core.settings_file import override, parse_settings
from tests.core.cli.test_cli import LIMIT_S, own_home, signals_as_before  # noqa: F401  used by every test here
from tests.fixtures.made_runs import RESULTS, make_run
from tests.fixtures.serving import ROOT
from tests.fixtures.small_runs import settings_of

NAME = "Läufer – 影片 🎬"
NOTE = "A note – with “quotes”, ² and 影片."
EVERYWHERE = [
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "latin-1"},
    {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
]

# The command of `python -m core` with a training that is over at once.
TRAINS_AT_ONCE = f"""
import sys, types
sys.modules["core.distill.job"] = job = types.ModuleType("core.distill.job")
job.run_job = lambda *_: {RESULTS!r}
from core.__main__ import main
from core.cli.terminal import run_in_terminal
sys.exit(run_in_terminal(main))
"""

# The same command, with a Ctrl-C at its N-th import.
INTERRUPTED = """
import os, runpy, signal, sys

class Interrupts:
    imports = 0

    def find_spec(self, name, path=None, target=None):
        if hasattr(sys.modules.get("core.cli.terminal"), "run_in_terminal"):
            self.imports += 1
            if self.imports == int(sys.argv[0]):
                os.kill(os.getpid(), signal.SIGINT)

sys.argv = sys.argv[1:]
sys.meta_path.insert(0, Interrupts())
runpy.run_module("core", run_name="__main__")
"""

# A Ctrl-C in the middle of a file.
INTERRUPTED_EXPORT = """
import os, signal, sys
from core.__main__ import main
from core.cli.terminal import run_in_terminal
from core.export import archive

def write_zip(folder, file, form=None):
    file.write(b"half")
    os.kill(os.getpid(), signal.SIGINT)

archive.write_zip = write_zip
sys.exit(run_in_terminal(main))
"""


def terminal(
    *arguments: str, options: tuple[str, ...] = ("-m", "core"), environment: dict[str, str] | None = None, **pipes
) -> subprocess.CompletedProcess[bytes]:
    """Run the command in a process of its own; what it prints stays in bytes."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | pipes
    command = [sys.executable, *options, *arguments]
    return subprocess.run(command, cwd=ROOT, env=os.environ | (environment or {}), timeout=LIMIT_S, **pipes)


@contextmanager
def nobody_reads() -> Iterator[int]:
    """A pipe whose reader has gone, as `head -1` does when it has its line."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


# What is printed


@pytest.mark.parametrize("environment", EVERYWHERE, ids=str)
def test_settings_are_json_in_every_encoding(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "mine.json").write_text(json.dumps({"name": NAME}), encoding="utf-8")
    printed = terminal("config", "--config", str(tmp_path / "mine.json"), environment=environment)
    assert (printed.returncode, printed.stderr) == (0, b"")
    assert parse_settings(json.loads(printed.stdout.decode("ascii"))) == override(Settings(), [f"name={NAME}"])


@pytest.mark.parametrize("environment", EVERYWHERE, ids=str)
def test_a_result_and_its_notes_are_said_in_every_encoding(home: Path, environment: dict[str, str]) -> None:
    folder = make_run(home, results=RESULTS | {"notes": [NOTE]})
    printed = terminal("resume", folder.name, environment=environment)
    assert (printed.returncode, printed.stderr) == (0, b"")
    encoding = environment.get("PYTHONIOENCODING", "ascii")
    *_, measured, note = printed.stdout.decode(encoding).splitlines()
    assert measured.startswith("Measured here on the test split")
    assert note == NOTE.encode(encoding, "backslashreplace").decode(encoding)


@pytest.mark.parametrize(("arguments", "code"), [(["glue", "--help"], 0), (["resume", NAME], 1), ([NAME], 2)])
def test_help_and_complaints_are_said_without_the_characters_too(arguments: list[str], code: int) -> None:
    printed = terminal(*arguments, environment=EVERYWHERE[0])
    assert printed.returncode == code and printed.stdout + printed.stderr
    assert b"Traceback" not in printed.stderr and b"UnicodeEncodeError" not in printed.stderr


# Where it is printed to


@pytest.mark.parametrize("options", [("-m", "core"), ("-u", "-m", "core")], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("arguments", [["config"], ["resume", "20261122-120000-ab12"]], ids=str)
def test_who_stops_reading_hears_nothing_and_changes_nothing(home: Path, arguments, options: tuple[str, ...]) -> None:
    make_run(home)
    with nobody_reads() as closed:
        printed = terminal(*arguments, options=options, stdout=closed)
    assert (printed.returncode, printed.stderr) == (0, b"")


def test_a_complaint_that_nobody_reads_keeps_its_exit_code() -> None:
    with nobody_reads() as closed:
        assert terminal("distill", "--set", "loss.soft=-1", stderr=closed).returncode == 2


def test_a_run_goes_on_when_nobody_reads_any_more() -> None:
    with nobody_reads() as closed:
        done = terminal("distill", options=("-c", TRAINS_AT_ONCE), stdout=closed)
    (folder,) = runs.list_runs()
    assert runs.read_status(folder).state == "finished"
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device here is always full")
def test_output_that_is_lost_is_said_and_a_run_goes_on_all_the_same() -> None:
    with open("/dev/full", "wb") as full:
        lost = terminal("config", stdout=full)
        done = terminal("distill", options=("-c", TRAINS_AT_ONCE), stdout=full)
    (folder,) = runs.list_runs()
    assert runs.read_status(folder).state == "finished"
    for process in (lost, done):
        assert process.returncode == 1
        assert process.stderr.decode() == "The output could not be written: No space left on device.\n"


def test_streams_that_are_closed_from_the_start_cost_nothing() -> None:
    script = f'"{sys.executable}" -m core config'
    for closed, code in ((">&-", 0), ("--set loss.soft=-1 2>&-", 2)):
        assert subprocess.run(["sh", "-c", f"{script} {closed}"], cwd=ROOT, capture_output=True).returncode == code


# Ctrl-C


@pytest.mark.parametrize("at", [1, 10, 60, 180])
def test_ctrl_c_during_the_imports_ends_with_3_and_one_line(at: int, home: Path) -> None:
    done = terminal(str(at), "distill", options=("-c", INTERRUPTED))
    assert (done.returncode, done.stdout) == (3, b"")
    assert done.stderr == b"Interrupted before anything began.\n"
    assert not any(home.iterdir())


def test_ctrl_c_during_the_imports_of_a_run_that_has_begun_stops_it(home: Path) -> None:
    config = home / "mine.json"
    config.write_text(json.dumps(settings_of().model_dump(mode="json")), encoding="utf-8")
    done = terminal("1500", "distill", "--config", str(config), options=("-c", INTERRUPTED))
    (folder,) = runs.list_runs()
    assert done.returncode == 3 and runs.read_status(folder).state == "stopped"
    assert b"Traceback" not in done.stderr


def test_ctrl_c_during_an_export_leaves_nothing_half(home: Path) -> None:
    folder, out = make_run(home), home / "out"
    done = terminal("export", folder.name, "--to", str(out), options=("-c", INTERRUPTED_EXPORT))
    assert (done.returncode, done.stdout, done.stderr) == (3, b"", b"Interrupted.\n")
    assert list(out.iterdir()) == []


# What is not a settings file


@pytest.mark.parametrize("command", ["config", "distill", "ablation"])
@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "folder", "huge", "empty", "missing"])
@pytest.mark.timeout(60)
def test_what_is_no_settings_file_is_refused_at_once(
    command: str, kind: str, home: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    path = Path("mine.json")
    with socket.socket(socket.AF_UNIX) as listener:
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "socket":
            listener.bind(str(path))
        elif kind == "device":
            path.symlink_to("/dev/zero")
        elif kind == "folder":
            path.mkdir()
        elif kind in ("huge", "empty"):
            with path.open("wb") as file:
                file.truncate(50_000_000_000 if kind == "huge" else 0)
        assert main([command, "--config", str(path)]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.startswith("mine.json ") and len(printed.err.splitlines()) == 1
    assert not any(home.iterdir())


# Which run is meant


@pytest.fixture
def world(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished run called "Mine" and two that share a name; folders elsewhere that are called like the first."""
    make_run(home, "one", settings=override(Settings(), ["name=Mine"]))
    for run_id in ("two", "three"):
        write_about(make_run(home, run_id), "Läufer", "")
    elsewhere = tmp_path / "elsewhere"
    for folder in ("one", "runs/one", "scores/one", "Mine"):
        (elsewhere / folder).mkdir(parents=True)
    (home / "scores").mkdir()
    (elsewhere / "linked").symlink_to(home / "runs")
    monkeypatch.chdir(elsewhere)
    return home


@pytest.mark.parametrize("command", ["resume", "export", "tensorboard"])
@pytest.mark.parametrize(
    "typed",
    ["/etc/one", "./one", "runs/one", "scores/one", "../one", "one/", "runs/../one", "~nobody/one", "/", ".", ".."],
)
def test_a_folder_elsewhere_is_refused_by_its_name(world: Path, capsys, command: str, typed: str) -> None:
    before = sorted(world.rglob("*"))
    assert main([command, typed]) == 1
    printed = capsys.readouterr()
    assert printed.out == "" and f"'{typed}' does not lie in runs/" in printed.err
    assert sorted(world.rglob("*")) == before


@pytest.mark.parametrize("typed", ["one", "Mine", " Mine ", "{home}/runs/one", "{home}/runs/./one/", "linked/one"])
def test_a_run_is_meant_by_its_id_its_name_or_its_folder(world: Path, capsys, typed: str) -> None:
    assert main(["resume", typed.format(home=world)]) == 0
    assert "nothing left to do" in capsys.readouterr().out


def test_a_short_path_means_the_home_where_it_names_nothing_else(world: Path, capsys, monkeypatch) -> None:
    monkeypatch.chdir("/")
    assert main(["resume", "runs/one"]) == 0
    monkeypatch.chdir(world / "runs" / "one")
    assert main(["resume", "."]) == 0


@pytest.mark.parametrize("command", ["resume", "export", "tensorboard"])
@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("Läufer", "2 runs are called 'Läufer': two, three. Give the id of one."),
        ("", "There is no run called ''."),
        ("läufer", "There is no run called 'läufer'."),
        ("x" * 500, "There is no run called 'xxx"),
        ("\udcff", "There is no run called"),
    ],
)
def test_a_name_that_is_nobodys_or_anybodys_is_refused(world: Path, capsys, command: str, typed: str, says) -> None:
    assert main([command, typed]) == 1
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("Läufer", "--model: 2 runs are called 'Läufer': two, three."),
        ("Mine", "--model 'Mine' is a run and a folder here; give the run's id, one, or ./Mine."),
        ("~no-such-user/x", "--model: '~no-such-user/x' is not a path that can exist."),
        ("~no-such-user", "--model '~no-such-user' is no run in runs/ and no folder"),
        ("x" * 500, "is no run in runs/ and no folder"),
        ("/etc/" + "x" * 500, "cannot be read: File name too long."),
        ("/etc/one", "--model '/etc/one' is no run in runs/ and no folder"),
        ("", "--model '' is no run in runs/ and no folder"),
    ],
)
def test_a_model_that_is_none_is_refused_in_words(world: Path, capsys, typed: str, says: str) -> None:
    assert main(["glue", "--glue", "x", "--model", typed]) == 2
    printed = capsys.readouterr()
    assert says in printed.err and "Traceback" not in printed.err and not runs.list_jobs()


def test_a_model_is_meant_by_the_name_a_run_was_given(world: Path) -> None:
    from core.__main__ import _parser
    from core.cli.glue import job_settings

    write_about(runs.run_folder("one"), "My best", "")
    options = _parser().parse_args(["glue", "--glue", "x", "--model", "My best", "--model", "./Mine"])
    first, second = job_settings(options).models
    assert (first.kind, first.run, second.kind) == ("student", "one", "teacher")
