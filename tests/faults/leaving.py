"""A real server that really trains is asked to leave, or its run to stop: saved, right status, within ten seconds."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from streamlit.proto.BackMsg_pb2 import BackMsg
from websockets.sync.client import connect

from core.cli.kinds import carry_out
from core.distill.checkpoint import newest_checkpoint
from core.models.saved import load_model
from core.runs import folder as runs
from tests.fixtures.serving import Server, launch
from tests.fixtures.small_runs import settings_of

LIMIT_S = 10.0
PATIENCE_S = 90.0
LONG = ("training.epochs=100", "training.batch_size=1", "training.checkpoint_every=200")
"""19,200 updates: long enough for every signal to find it training."""

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@dataclass
class Report:
    """Seconds from the request to its end, by how it was asked, and what was wrong."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    bad: list[str] = field(default_factory=list)

    def add(self, how: str, seconds: float, folder: Path) -> None:
        """Check what one try has left behind."""
        self.seconds.setdefault(how, []).append(round(seconds, 2))
        if problem := wrong_with(folder):
            self.bad.append(f"{how}: {problem}")
        if seconds > LIMIT_S:
            self.bad.append(f"{how}: took {seconds:.1f} s")


def wrong_with(folder: Path) -> str:
    """What is wrong with a run that was stopped; empty if it is saved and says so."""
    status, kept = runs.read_status(folder), newest_checkpoint(folder / "checkpoints")
    if status.state != "stopped":
        return f"it reads as {status.state}: {status.sentence}"
    if kept is None or kept.step != status.step:
        return f"it says step {status.step}, the newest checkpoint is {kept and kept.step}"
    load_model(folder / "student")
    return ""


def prepare(home: Path) -> None:
    """Train the teacher that all runs of this home find, in the home of the moment."""
    if carry_out(runs.create_run(settings_of("training.epochs=1"), "teacher-first")) != "finished":
        raise AssertionError("the teacher could not be trained")


@contextmanager
def session(server: Server) -> Iterator[None]:
    """Somebody has the first page open: the server then works off its queue."""
    address = f"ws://127.0.0.1:{server.port}/_stcore/stream"
    with connect(address, origin=server.url, subprotocols=["streamlit"], max_size=None, ping_interval=None) as socket:
        message = BackMsg()
        message.rerun_script.query_string = ""
        socket.send(message.SerializeToString())
        socket.recv(timeout=PATIENCE_S)
        yield


def signal_servers(home: Path, times: int, report: Report) -> None:
    """Start a server that trains, send it a signal, and look at what is left; so many times each."""
    for number in range(times):
        for sent in SIGNALS:
            folder = runs.create_run(settings_of(*LONG), f"{sent.name.lower()}-{number}")
            server = launch(home)
            try:
                with session(server):
                    _until(lambda folder=folder: runs.read_status(folder).step >= 3)
                    if runs.read_status(folder).state != "running":
                        report.bad.append(f"{sent.name}: the run was over before the signal was sent")
                    seconds = server.end(sent, limit_s=2 * LIMIT_S)
            finally:
                server.close()
            report.add(sent.name, seconds, folder)
            # Any other status: the process took itself apart, torch and all, which takes seconds.
            if sent == signal.SIGINT and server.process.returncode != 128 + sent:
                report.bad.append(f"{sent.name}: ended with {server.process.returncode}")


def stop_runs(home: Path, times: int, report: Report) -> None:
    """Stop so many runs, one after the other, that one server works off."""
    folders = [runs.create_run(settings_of(*LONG), f"stop-{number:02}") for number in range(times)]
    server = launch(home)
    try:
        with session(server):
            for folder in folders:
                _until(lambda folder=folder: runs.read_status(folder).step >= 3)
                begun = time.monotonic()
                runs.request_stop(folder)
                _until(lambda folder=folder: runs.read_status(folder).state in runs.ENDED)
                report.add("Stop", time.monotonic() - begun, folder)
    finally:
        server.close()


def _until(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_true():
        if time.monotonic() > deadline:
            raise AssertionError(f"nothing happened for {PATIENCE_S:g} s")
        time.sleep(0.02)
