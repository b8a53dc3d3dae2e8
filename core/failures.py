"""What an error means to the person whose work it ended: one sentence, with what to do next.

Libraries hide what the system said: safetensors, tokenizers and torch's allocator carry it only in their texts. So the
whole chain of an error is asked, and its texts where there is no number.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator

from core.errors import DistilleryError

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG} if hasattr(errno, "EDQUOT") else {errno.ENOSPC, errno.EFBIG}
REFUSED = {errno.EROFS, errno.EACCES}

# With the numbers that Rust's libraries add: of Linux and macOS, and 112 of Windows.
_FULL_SAID = re.compile(r"No space left on device|Disk quota exceeded|File too large|\(os error (28|69|112|122)\)")
_BROKEN_SAID = re.compile(r"Input/output error|\(os error 5\)")
_NO_MEMORY_SAID = re.compile(r"[Cc]annot allocate memory|can't allocate memory|bad_alloc|out of memory")


def why_it_failed(error: BaseException, step: int | None = None, log: str = "The run's log") -> str:
    """The sentence for an error that ended a piece of work, at a step where it has steps. `log` has the details.

    An error of ours says it itself. Of all others the deepest cause counts that a person can mend.
    """
    at = "" if step is None else f" at step {step}"
    if isinstance(error, DistilleryError):
        return str(error)
    chain = list(_chain(error))
    if any(map(is_disk_full, chain)):
        return f"The disk was full{at}. Make room, for example by deleting old runs, and start again."
    if any(map(_is_out_of_memory, chain)):
        return f"There was not enough memory{at}. Choose a smaller batch or shorter inputs and start again."
    if any(map(_is_broken_disk, chain)):
        return f"The disk could not be read or written{at}: input/output error. Check the disk and start again."
    for cause in chain:
        if isinstance(cause, OSError) and cause.errno in REFUSED:
            return f"A file could not be opened{at}: {cause.strerror}. Check who may write there and start again."
    return f"Something unexpected went wrong{at} ({type(error).__name__}). {log} has the details."


def may_pass(sentence: str) -> bool:
    """True for a sentence of `why_it_failed` about something outside a run, which may be mended: then it can go on."""
    return sentence.startswith(("The disk ", "A file could not be opened"))


def is_disk_full(error: BaseException) -> bool:
    """True if the system said that there is no room left, by number or in the text of a library."""
    return _has_number(error, FULL) or _says(error, _FULL_SAID)


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return _has_number(error, {errno.ENOMEM}) or (isinstance(error, RuntimeError) and _says(error, _NO_MEMORY_SAID))


def _is_broken_disk(error: BaseException) -> bool:
    return _has_number(error, {errno.EIO}) or _says(error, _BROKEN_SAID)


def _has_number(error: BaseException, numbers: set[int]) -> bool:
    return isinstance(error, OSError) and error.errno in numbers


def _says(error: BaseException, words: re.Pattern[str]) -> bool:
    # Not an error of ours: it may quote what a person wrote.
    return isinstance(error, Exception) and not isinstance(error, DistilleryError) and bool(words.search(str(error)))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was raised from or while handling, each once."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
