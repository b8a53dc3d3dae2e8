"""Start and end real dashboard servers, the way a person starts them: `streamlit run app.py`."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parent.parent
START_LIMIT_S = 60.0
STOP_LIMIT_S = 15.0


@dataclass
class Server:
    """A running server: `url` without a closing slash, its `home` folder, its `log` file and its process."""

    process: subprocess.Popen[bytes]
    port: int
    home: Path
    log: Path

    @property
    def url(self) -> str:
        """The address of the first page, without a closing slash."""
        return f"http://127.0.0.1:{self.port}"

    def log_text(self) -> str:
        """Everything the server has printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def end(self, number: int = signal.SIGTERM, limit_s: float = STOP_LIMIT_S) -> float:
        """Send a signal and return the seconds until the process is gone; TimeoutExpired past the limit."""
        begun = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(limit_s)
        return time.monotonic() - begun

    def close(self) -> None:
        """End the server if it still runs, by force if it must be."""
        if self.process.poll() is None:
            try:
                self.end()
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(STOP_LIMIT_S)


def server_environment(home: Path, extra: dict[str, str] | None = None) -> dict[str, str]:
    """The environment of a fresh user: no settings, no display, its own HOME and DISTILLERY_HOME."""
    dropped = ("STREAMLIT_", "DISTILLERY_", "HF_HUB_")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        kept.pop(name, None)
    return kept | {"HOME": str(home), "DISTILLERY_HOME": str(home)} | (extra or {})


def launch(
    home: Path,
    *arguments: str,
    folder: Path = ROOT,
    environment: dict[str, str] | None = None,
    limit_s: float = START_LIMIT_S,
) -> Server:
    """Run `streamlit run app.py` in `folder` on a free port and return it once it answers.

    `arguments` are further flags of `streamlit run`. Raises RuntimeError with the log when the server ends
    early or does not answer within `limit_s` seconds.
    """
    home.mkdir(parents=True, exist_ok=True)
    log = home / "server.log"
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", "0", *arguments]
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=server_environment(home, environment),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Server(process, 0, home, log)
    try:
        _wait_until_healthy(server, limit_s)
    except BaseException:
        server.close()
        raise
    return server


def _wait_until_healthy(server: Server, limit_s: float) -> None:
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline and server.process.poll() is None:
        # Port 0 lets the kernel choose, so no two servers race for one; the address line tells which it was.
        found = re.search(r"URL: .*?:(\d+)", server.log_text())
        if found:
            server.port = int(found.group(1))
            if _healthy(server):
                return
        time.sleep(0.05)
    raise RuntimeError(f"the server did not answer within {limit_s:g} s; it printed:\n{server.log_text()}")


def _healthy(server: Server) -> bool:
    try:
        with urlopen(f"{server.url}/_stcore/health", timeout=5) as answer:
            return answer.status == 200
    except (URLError, ConnectionError, TimeoutError):
        return False
