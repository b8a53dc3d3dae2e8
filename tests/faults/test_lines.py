"""Nothing that a run has written is lost, and nothing that is half written is read."""

from __future__ import annotations

import errno
import os
import resource
import signal
from pathlib import Path

import pytest

from core.jobs.events import EventWriter, read_events
from tests.faults import lines


def test_a_file_cut_at_every_byte_is_read_line_by_line(home: Path) -> None:
    report = lines.cut_everywhere(home, 12)
    assert report.tried > 1_000 and report.bad == 0


def test_no_acknowledged_line_is_lost_to_a_kill(tmp_path: Path) -> None:
    report = lines.kill_writers(tmp_path, 5_000)
    assert report.tried >= 5_000 and report.kills >= 3 and report.bad == 0


def test_the_same_kills_find_a_writer_with_a_buffer(tmp_path: Path) -> None:
    assert lines.kill_writers(tmp_path, 5_000, lines.Buffered).bad > 0


def test_a_line_that_the_disk_takes_only_half_of_is_an_error(tmp_path: Path) -> None:
    """A limit on the file's size stands for a full disk: the first write is short, only the next one fails."""
    writer, before = EventWriter(tmp_path / "metrics.jsonl"), resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (250, before[1]))
        with pytest.raises(OSError) as caught:
            for step in range(1, 4):
                writer.append(lines.event(step))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
        writer.close()
    assert caught.value.errno == errno.EFBIG
    assert os.path.getsize(tmp_path / "metrics.jsonl") == 250
    assert [event["step"] for event in read_events(tmp_path / "metrics.jsonl")[0]] == [1, 2]
