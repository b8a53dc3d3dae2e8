"""However the server is asked to leave, it stops the training first and is gone within ten seconds."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import termios
from pathlib import Path

import pytest
import streamlit
from playwright.sync_api import Browser

from tests.conftest import StartServer
from tests.fixtures.browser import open_page, visit
from tests.fixtures.serving import ROOT, START_LIMIT_S, STOP_LIMIT_S, Server, server_environment

LIMIT_S = 10.0
SIGNALS = pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name
)

# In place of core.cli.kinds before the server starts, so that each way of leaving is timed alone.
STAND_IN = """
import sys, time, types

def shutdown(timeout_s):
    open({log!r}, "a").write(f"asked to save within {{timeout_s:g}} s\\n")
    time.sleep(min(timeout_s, {save_s}))
    open({log!r}, "a").write("saved\\n")

sys.modules["core.cli.kinds"] = kinds = types.ModuleType("core.cli.kinds")
kinds.shutdown = shutdown
"""


class Worker:
    """A stand-in worker for a server: `environment` puts it in place, `lines()` tells what it was asked."""

    def __init__(self, folder: Path, save_s: float) -> None:
        self.log = folder / "worker.log"
        self.log.touch()
        source = STAND_IN.format(log=str(self.log), save_s=save_s)
        (folder / "sitecustomize.py").write_text(source, encoding="utf-8")
        self.environment = {"PYTHONPATH": str(folder)}

    def lines(self) -> list[str]:
        return self.log.read_text().splitlines()


def begin(server: Server, number: signal.Signals, worker: Worker) -> None:
    """Send a signal and return as soon as the worker has been asked to stop."""
    server.process.send_signal(number)
    # A wait on the process, cut short as soon as the line is there: nothing here waits for a fixed time.
    for _ in range(200):
        if worker.lines():
            return
        try:
            server.process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
    raise AssertionError("the worker was not asked to stop within 10 s")


@SIGNALS
def test_an_idle_server_leaves_at_once(start_server: StartServer, number: signal.Signals) -> None:
    assert start_server().end(number) < LIMIT_S / 2


@SIGNALS
def test_training_is_saved_before_the_server_leaves(
    start_server: StartServer, tmp_path: Path, number: signal.Signals
) -> None:
    worker = Worker(tmp_path, save_s=1.0)
    server = start_server(environment=worker.environment)
    assert server.end(number) < LIMIT_S
    assert worker.lines()[:2] == ["asked to save within 8 s", "saved"]


def test_a_save_that_never_ends_does_not_hold_the_server(start_server: StartServer, tmp_path: Path) -> None:
    worker = Worker(tmp_path, save_s=60)
    server = start_server(environment=worker.environment)
    assert server.end(signal.SIGTERM) < LIMIT_S


def test_a_frozen_browser_does_not_hold_the_server(start_server: StartServer, tmp_path: Path) -> None:
    worker = Worker(tmp_path, save_s=0.1)
    server = start_server(environment=worker.environment)
    large = next((Path(streamlit.__file__).parent / "static" / "static" / "js").glob("PlotlyChart.*.js"))
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as frozen:
        host = f"127.0.0.1:{server.port}"
        frozen.sendall(f"GET /static/js/{large.name} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert frozen.recv(12) == b"HTTP/1.1 200"  # and not a byte more is ever read
        assert server.end(signal.SIGTERM) < LIMIT_S
    assert worker.lines()[:2] == ["asked to save within 8 s", "saved"]


def test_an_open_page_does_not_hold_the_server(start_server: StartServer, browser: Browser) -> None:
    server = start_server()
    with open_page(browser, []) as page:
        visit(page, server.url)
        assert server.end(signal.SIGTERM) < LIMIT_S / 2


def test_a_second_interrupt_leaves_at_once(start_server: StartServer, tmp_path: Path) -> None:
    worker = Worker(tmp_path, save_s=60)
    server = start_server(environment=worker.environment)
    begin(server, signal.SIGINT, worker)
    assert server.end(signal.SIGINT) < 2.0
    assert "saved" not in worker.lines()


def test_a_hangup_after_a_termination_cuts_no_save(start_server: StartServer, tmp_path: Path) -> None:
    worker = Worker(tmp_path, save_s=1.0)
    server = start_server(environment=worker.environment)
    begin(server, signal.SIGTERM, worker)
    assert server.end(signal.SIGHUP) < LIMIT_S
    assert "saved" in worker.lines()


def test_closing_the_terminal_saves_and_leaves(tmp_path: Path) -> None:
    worker = Worker(tmp_path, save_s=0.5)
    master, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", "0"],
        cwd=ROOT,
        env=server_environment(tmp_path, worker.environment),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(terminal)
    try:
        port = _port_shown(master)
        # The socket listens before the launcher has run; an answer means that its signals are in place.
        _ask_for_health(port)
        os.close(master)
        process.wait(LIMIT_S)
        assert worker.lines()[:2] == ["asked to save within 8 s", "saved"]
    finally:
        process.kill()
        process.wait(STOP_LIMIT_S)


def _port_shown(master: int) -> int:
    shown = ""
    while select.select([master], [], [], START_LIMIT_S)[0]:
        shown += os.read(master, 4096).decode(errors="replace")
        if found := re.search(r"URL: .*?:(\d+)\D", shown):
            return int(found.group(1))
    raise AssertionError(f"no address within {START_LIMIT_S:g} s, only: {shown}")


def _ask_for_health(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=START_LIMIT_S) as connection:
        connection.sendall(f"GET /_stcore/health HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        assert connection.recv(12) == b"HTTP/1.1 200"


def test_a_server_started_with_nohup_outlives_its_terminal(start_server: StartServer) -> None:
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # children inherit an ignored signal
    try:
        server = start_server()
    finally:
        signal.signal(signal.SIGHUP, previous)
    with pytest.raises(subprocess.TimeoutExpired):
        server.end(signal.SIGHUP, limit_s=3)
    _ask_for_health(server.port)
    server.close()
