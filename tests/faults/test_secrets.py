"""What a run leaves is for its owner's eyes only, holds no program, and no secret; neither does any log or page."""

from __future__ import annotations

import json
import logging
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from websockets.sync.client import connect

from core import redact
from core.errors import DistilleryError
from core.runs import folder as runs
from core.versions import FLOORS, check_versions
from tests.conftest import StartServer
from tests.faults.session import HOOK
from tests.fixtures.serving import ROOT, server_environment
from tests.fixtures.small_runs import settings_of

CANARY = "hf_cAnArYcAnArYcAnArY12"
PROGRAMS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04", b"\x93NUMPY\x01\x00\x80", b"#!")
"""How pickles, torch's zipped pickles and scripts begin."""


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home that a run from a terminal leaves, with a secret in its environment and an open umask."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DISTILLERY_HOME", str(home))
        settings = settings_of("training.epochs=1", "name=A run")
    (home / "mine.json").write_text(json.dumps(settings.model_dump(mode="json")), encoding="utf-8")
    (home / "hooks").mkdir()
    (home / "hooks" / "sitecustomize.py").write_text(HOOK.format(log=str(home / "pickles.log")), encoding="utf-8")
    extra = {"HF_TOKEN": CANARY, "PYTHONPATH": str(home / "hooks"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "core", "distill", "--config", str(home / "mine.json")],
        cwd=ROOT, env=server_environment(home, extra), capture_output=True, text=True, timeout=300, umask=0o022,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert CANARY not in done.stdout + done.stderr
    return home


def files_of(home: Path) -> list[Path]:
    return [path for name in ("runs", "cache") for path in (home / name).rglob("*")]


def test_only_the_owner_can_read_what_a_run_leaves(left: Path) -> None:
    open_to_others = [
        str(path.relative_to(left)) for path in files_of(left) if not path.is_symlink() and path.stat().st_mode & 0o077
    ]
    assert len(files_of(left)) > 15 and open_to_others == []
    assert all(stat.S_IMODE((left / name).stat().st_mode) == 0o700 for name in ("runs", "cache"))


def test_nothing_that_a_run_leaves_is_a_program_or_a_pickle(left: Path) -> None:
    heads = {path.name: path.read_bytes()[:8] for path in files_of(left) if path.is_file()}
    assert [name for name, head in heads.items() if head.startswith(PROGRAMS)] == []
    assert not [name for name in heads if name.endswith((".bin", ".pt", ".pth", ".pkl", ".pickle", ".py", ".so"))]


def test_a_whole_run_unpickles_nothing(left: Path) -> None:
    """The hook runs in every Python process of the run before anything else; it is seen to work below."""
    log = left / "pickles.log"
    assert not log.exists() or log.read_text() == ""


def test_the_hook_sees_a_pickle(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(HOOK.format(log=str(tmp_path / "log")), encoding="utf-8")
    script = "import datetime, pickle; pickle.loads(pickle.dumps(datetime.date(2026, 1, 1)))"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=300)
    assert "datetime" in (tmp_path / "log").read_text()


def test_no_file_of_a_run_holds_a_secret_of_the_environment(left: Path) -> None:
    held = [path.name for path in files_of(left) if path.is_file() and CANARY.encode() in path.read_bytes()]
    assert held == []


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (f"token {CANARY}.", "token [removed]."),
        ("GET /x?api_key=abcdef123&page=2", "GET /x?api_key=[removed]&page=2"),
        ("key=abcdef123", "key=[removed]"),
        ('"access_token": "abcdef123"', '"access_token": "[removed]"'),
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer [removed]"),
        ("https://me:hush@hub.example/x", "https://[removed]@hub.example/x"),
        ("PASSWORD=hush1234 user=me", "PASSWORD=[removed] user=me"),
        ("max_tokens=128, KeyError: 'weights', step=7", "max_tokens=128, KeyError: 'weights', step=7"),
    ],
)
def test_secrets_are_blotted_out_and_the_rest_stays(text: str, kept: str) -> None:
    assert redact.redacted(text) == kept


def test_a_runs_log_and_sentence_hold_no_secret(home: Path) -> None:
    folder = runs.create_run(settings_of(), "one")
    runs.append_log(folder, f"it failed with {CANARY}")
    runs.write_status(folder, runs.Status("failed", f"The Hub refused {CANARY}."))
    assert "[removed]" in (folder / "log.txt").read_text() and "[removed]" in runs.read_status(folder).sentence
    assert CANARY not in (folder / "log.txt").read_text() + (folder / "status.json").read_text()


def test_no_record_of_any_logger_shows_a_secret(monkeypatch: pytest.MonkeyPatch, capsys, caplog) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    factory = logging.getLogRecordFactory()
    try:
        redact.install()
        redact.install()
        log = logging.getLogger("some.library")
        log.error("asked with %s and %d", CANARY, 7)
        log.error("asked with %(token)s", {"token": CANARY})
        try:
            raise ValueError(CANARY)
        except ValueError:
            log.exception("it failed")
        thread = threading.Thread(target=lambda: int(CANARY))
        thread.start()
        thread.join()
    finally:
        logging.setLogRecordFactory(factory)
    shown = caplog.text + capsys.readouterr().err
    assert CANARY not in shown and shown.count("[removed]") >= 4 and "and 7" in shown


BROKEN_APP = """
import sys

sys.path.insert(0, {root!r})
from core import redact

redact.install()
import streamlit as st

app = st.App("page.py")
"""
BROKEN_PAGE = f"""
import logging, streamlit as st
logging.getLogger("page").warning("key={CANARY}")
st.title("Before")
raise RuntimeError("the address was https://me:hush@hub.example with {CANARY}")
"""


def test_an_error_in_a_page_shows_no_traceback_and_logs_no_secret(start_server: StartServer, tmp_path: Path) -> None:
    (tmp_path / ".streamlit").mkdir()
    (tmp_path / ".streamlit" / "config.toml").write_bytes((ROOT / ".streamlit" / "config.toml").read_bytes())
    (tmp_path / "app.py").write_text(BROKEN_APP.format(root=str(ROOT)))
    (tmp_path / "page.py").write_text(BROKEN_PAGE)
    server = start_server(folder=tmp_path)
    received = b""
    address = f"ws://127.0.0.1:{server.port}/_stcore/stream"
    with connect(address, origin=server.url, subprotocols=["streamlit"], max_size=None, ping_interval=None) as socket:
        message = BackMsg()
        message.rerun_script.query_string = ""
        socket.send(message.SerializeToString())
        try:
            while True:
                received += socket.recv(timeout=3)
        except TimeoutError:
            pass
    assert b"Before" in received
    assert CANARY.encode() not in received and b"hush" not in received and b"Traceback" not in received
    log = server.log_text()
    assert "Traceback" in log and "RuntimeError" in log and "[removed]" in log
    assert CANARY not in log and "hush" not in log


def test_a_library_with_a_known_hole_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    check_versions()
    pins = dict(line.split("==") for line in (ROOT / "requirements.txt").read_text().split())
    assert set(FLOORS) <= set(pins)
    for old in ("1.60.2", "0.1"):
        monkeypatch.setattr("core.versions.metadata.version", lambda name, old=old: old)
        with pytest.raises(DistilleryError, match="streamlit is .*; expected 1.61 or newer"):
            check_versions()
