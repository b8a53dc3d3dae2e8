"""Serve the dashboard: `streamlit run app.py`.

Only a launcher, and nothing heavy starts here. It switches the network off, puts the guard in front of the
pages, and makes every way of ending the server (Ctrl-C, SIGTERM, a closed terminal) save the training first.
"""

from core import network, redact
from core.versions import check_versions

# Hugging Face's libraries read it once, when they are first imported: keep this above the other imports.
network.switch_off_unless_asked()
redact.install()
check_versions()

import asyncio
import atexit
import os
import signal
import sys
import threading
import time
import webbrowser
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import FrameType

import streamlit as st
from starlette.middleware import Middleware

from pages.ui import live
from pages.ui.guard import Guard

# Runs, caches and logs are for the user's eyes only, whatever library writes them.
os.umask(0o077)

SAVE_TIMEOUT_S = 8.0
LEAVE_TIMEOUT_S = 0.7

_stop_lock = threading.Lock()
_leaving = threading.Event()


def stop_training() -> None:
    """Ask the running training to stop and wait until it is saved; harmless when called again."""
    with _stop_lock:
        # Nothing was started where nobody imported the worker: it is the first visitor's page that does.
        if "core.cli.kinds" in sys.modules:
            from core.cli import kinds

            kinds.shutdown(timeout_s=SAVE_TIMEOUT_S)


def _stop_at_exit() -> None:
    """The last word of a process that ends by itself, or by a Ctrl-C that came through as KeyboardInterrupt."""
    stop_training()
    if _leaving.is_set():
        # Taking a process with torch in it apart takes seconds, and the thread that would leave is frozen by then.
        os._exit(128 + signal.SIGINT)


def _stop_and_leave(number: int) -> None:
    try:
        stop_training()
    finally:
        # uvicorn waits for open connections without limit, and a frozen browser tab never closes its own.
        time.sleep(LEAVE_TIMEOUT_S)
        os._exit(128 + number)


def install_signals() -> None:
    """Stop the training as soon as a signal arrives; a second Ctrl-C leaves at once.

    Must run on the main thread after uvicorn has set its own handlers, so from the lifespan.
    """
    end_server = signal.getsignal(signal.SIGTERM)

    def handle(number: int, frame: FrameType | None) -> None:
        if _leaving.is_set() and number == signal.SIGINT:
            os._exit(128 + number)
        if not _leaving.is_set():
            _leaving.set()
            threading.Thread(target=_stop_and_leave, args=(number,), daemon=True).start()
            if callable(end_server):
                end_server(signal.SIGINT if number == signal.SIGINT else signal.SIGTERM, frame)

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        # A signal ignored from the start (nohup) stays ignored.
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handle)


@asynccontextmanager
async def lifespan(app: st.App) -> AsyncIterator[None]:
    """Open the browser where there is a display; on the way out, stop the training."""
    atexit.register(_stop_at_exit)
    if threading.current_thread() is threading.main_thread():
        install_signals()
    if not st.get_option("server.headless"):
        url = f"http://127.0.0.1:{st.get_option('server.port')}"
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
    yield
    await asyncio.to_thread(stop_training)


# Streamlit puts the shell's folder on sys.path for every script run and takes it off again. An import on another thread
# that walks the path at that moment skips an entry and finds no torch; a folder that is there already is left alone.
sys.path.append(str(Path(__file__).resolve().parent / "pages" / "ui"))

app = st.App("pages/ui/shell.py", lifespan=lifespan, middleware=[Middleware(Guard)], routes=live.routes())
