"""What an error means: the cause that a person can mend is found, however a library wraps it."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from core.errors import DistilleryError
from core.failures import is_disk_full, why_it_failed

FULL = "The disk was full at step 3. Make room, for example by deleting old runs, and start again."
MEMORY = "There was not enough memory at step 3. Choose a smaller batch or shorter inputs and start again."
BROKEN = "The disk could not be read or written at step 3: input/output error. Check the disk and start again."
REFUSED = "A file could not be opened at step 3: {}. Check who may write there and start again."
UNEXPECTED = "Something unexpected went wrong at step 3 ({}). The run's log has the details."

SAFETENSORS = "Error while serializing: I/O error: {} (os error {})"
QUOTED = "The labels are No space left on device and others."
ALLOCATOR = "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to"

ERRORS: list[tuple[BaseException, str]] = [
    (OSError(errno.ENOSPC, "No space left on device"), FULL),
    (OSError(errno.EDQUOT, "Disk quota exceeded"), FULL),
    (OSError(errno.EFBIG, "File too large"), FULL),
    (SafetensorError(SAFETENSORS.format("No space left on device", 28)), FULL),
    (SafetensorError(SAFETENSORS.format("Platz ist aus", 28)), FULL),
    (Exception("No space left on device (os error 28)"), FULL),
    (SafetensorError(SAFETENSORS.format("Input/output error", 5)), BROKEN),
    (OSError(errno.EIO, "Input/output error"), BROKEN),
    (OSError(errno.ENOMEM, "Cannot allocate memory"), MEMORY),
    (MemoryError(), MEMORY),
    (torch.OutOfMemoryError("CUDA out of memory."), MEMORY),
    (RuntimeError(ALLOCATOR), MEMORY),
    (OSError(errno.EROFS, "Read-only file system"), REFUSED.format("Read-only file system")),
    (PermissionError(errno.EACCES, "Permission denied"), REFUSED.format("Permission denied")),
    (SafetensorError("Error while deserializing header: InvalidHeader"), UNEXPECTED.format("SafetensorError")),
    (RuntimeError("shapes differ"), UNEXPECTED.format("RuntimeError")),
    (ValueError("a text that says: out of memory"), UNEXPECTED.format("ValueError")),
    (DistilleryError(QUOTED), QUOTED),
]  # fmt: skip


@pytest.mark.parametrize(("error", "sentence"), ERRORS, ids=lambda value: type(value).__name__)
def test_an_error_means_what_a_person_can_do(error: BaseException, sentence: str) -> None:
    assert why_it_failed(error, 3) == sentence
    assert why_it_failed(error) == sentence.replace(" at step 3", "")


@pytest.mark.parametrize(("error", "sentence"), ERRORS[:12], ids=lambda value: type(value).__name__)
def test_the_cause_is_found_however_deep_it_lies(error: BaseException, sentence: str) -> None:
    assert why_it_failed(_raised_from(error), 3) == sentence
    assert why_it_failed(_raised_while_handling(error), 3) == sentence


def test_what_was_said_to_be_no_cause_is_none() -> None:
    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError:
            raise KeyError("other") from None
    except KeyError as error:
        assert why_it_failed(error, 3) == UNEXPECTED.format("KeyError")


def test_a_chain_that_bites_its_tail_ends() -> None:
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    assert why_it_failed(one, 3) == UNEXPECTED.format("ValueError")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device here is always full")
def test_what_the_system_really_says_is_known() -> None:
    with pytest.raises(OSError) as system, open("/dev/full", "wb") as file:
        file.write(bytes(10))
    assert is_disk_full(system.value)


def test_what_safetensors_really_says_is_known(tmp_path: Path) -> None:
    """A limit on the size of a file is met in the same way as a full disk, and needs no mount."""
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(Exception) as said:
            save_file({"weights": torch.zeros(10_000)}, tmp_path / "weights.safetensors")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert is_disk_full(said.value), repr(said.value)


def _raised_from(cause: BaseException) -> BaseException:
    try:
        try:
            raise cause
        except BaseException as error:
            raise ValueError("a library gave up") from error
    except ValueError as error:
        return error


def _raised_while_handling(cause: BaseException) -> BaseException:
    try:
        try:
            raise cause
        except type(cause):
            raise ValueError("and then the cleaning up failed")  # noqa: B904  this is what is tried
    except ValueError as error:
        return error
