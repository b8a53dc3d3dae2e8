"""Opening what a name may lead to: never waiting for it, and only where it is a plain file."""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path


class NotPlain(ValueError):
    """It is a pipe, a socket or a device, which may have no end or nobody who writes to it."""


def open_plain_file(path: Path, follow: bool = True) -> BufferedReader:
    """The file, open for reading. Raises OSError, a folder included, NotPlain, or ValueError for what is no path.

    Without `follow` a link is an OSError too, where the system can tell.
    """
    # Not waiting: opening a pipe that nobody writes to would never return.
    flags = ("O_NONBLOCK", "O_BINARY") if follow else ("O_NONBLOCK", "O_BINARY", "O_NOFOLLOW")
    descriptor = os.open(path, os.O_RDONLY | sum(getattr(os, flag, 0) for flag in flags))
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise NotPlain("it is a pipe or a device, not a plain file")
