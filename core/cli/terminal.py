"""A terminal as it comes: one that knows few characters, one that nobody reads any more, and Ctrl-C at any moment.

Imports nothing of the engine: it has to be in place before the first of those imports begins.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, NoReturn, TextIO

from core.cli import FAILED, FINISHED, STOPPED

if TYPE_CHECKING:
    from typing_extensions import Buffer


SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""By which a person or the system asks a command to end; Windows has no SIGHUP."""


def run_in_terminal(main: Callable[[], int]) -> int:
    """Carry out `main` as the whole work of this process; returns its exit code.

    What cannot be printed costs neither the work nor, where nobody reads it any more (`| head -1`), the exit code;
    what is lost otherwise, on a full disk say, makes a finished command a failed one.
    """
    # Ignored from the start (nohup, a job in the background), it stays ignored.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave_at_once)
    sys.stdout, sys.stderr = out, _ = _lasting(sys.stdout, 1), _lasting(sys.stderr, 2)
    try:
        code = main()
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return STOPPED
    lost = out.lost if isinstance(out, _Output) else ""
    if lost:
        print(f"The output could not be written: {lost}.", file=sys.stderr)
    return FAILED if lost and code == FINISHED else code


def leave(code: int) -> NoReturn:
    """End this process, whose work is done: Python would take another second to take torch and the rest apart."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def clean_up_on_ctrl_c() -> None:
    """From now on Ctrl-C raises KeyboardInterrupt: something is being written that must not be left behind half."""
    if signal.getsignal(signal.SIGINT) is _leave_at_once:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def takes_every_character(stream: TextIO) -> bool:
    """True if whatever is printed arrives as it is, and not in escapes like \\u2013."""
    return (stream.encoding or "").lower().replace("-", "").startswith("utf")


class _Sink(io.RawIOBase):
    """Where the bytes go. `lost` is why some did not arrive, empty while nobody misses any."""

    def __init__(self, raw: io.RawIOBase) -> None:
        super().__init__()
        self._raw, self.lost = raw, ""

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._raw.fileno()

    def isatty(self) -> bool:
        return self._raw.isatty()

    def write(self, data: Buffer, /) -> int | None:
        try:
            return self._raw.write(data)
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.ECONNRESET):
                self.lost = error.strerror or "unknown reason"
            return memoryview(data).nbytes


class _Output(io.TextIOWrapper):
    """Text to such a sink, line by line; what the encoding lacks is written as an escape."""

    def __init__(self, raw: io.RawIOBase, encoding: str) -> None:
        self._sink = _Sink(raw)
        super().__init__(io.BufferedWriter(self._sink), encoding, "backslashreplace", line_buffering=True)

    @property
    def lost(self) -> str:
        return self._sink.lost


def _lasting(stream: TextIO | None, descriptor: int) -> TextIO:
    if stream is None:  # closed from the start: the next file that is opened would get what is printed
        nowhere = open(os.devnull, "w", encoding="utf-8")
        os.dup2(nowhere.fileno(), descriptor)
        return nowhere
    buffer = getattr(stream, "buffer", None)
    # Python's -u leaves the buffer out.
    raw = getattr(buffer, "raw", buffer)
    if not isinstance(raw, io.RawIOBase):
        return stream
    return _Output(raw, stream.encoding)


def _leave_at_once(_number: int, _frame: FrameType | None) -> None:
    # Not KeyboardInterrupt: in the middle of an import some libraries swallow it, others make another error of it.
    os.write(2, b"Interrupted before anything began.\n")
    os._exit(STOPPED)
