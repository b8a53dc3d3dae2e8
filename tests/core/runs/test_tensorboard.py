"""A real run's curves as TensorBoard reads them: every value of metrics.jsonl, read back with tensorboardX."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.record_writer import masked_crc32c

from core.__main__ import main
from core.cli.kinds import carry_out
from core.errors import DistilleryError
from core.jobs.events import read_events
from core.runs.folder import read_status
from core.runs.resume import request_resume
from core.runs.tensorboard import is_fresh, is_written, refresh_tensorboard, remove_tensorboard, write_tensorboard
from tests.fixtures.made_runs import make_run
from tests.fixtures.small_runs import run_once, world_of


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A real small run of labels."""
    with world_of(tmp_path_factory.mktemp("tensorboard")):
        yield run_once("a-run")


def read_back(folder: Path) -> list[Event]:
    """The records of the one event file in a folder, each checked by its two check sums."""
    (path,) = folder.glob("events.out.tfevents.*")
    data, place, found = path.read_bytes(), 0, []
    while place < len(data):
        (length,) = struct.unpack_from("<Q", data, place)
        body = data[place + 12 : place + 12 + length]
        sums = struct.unpack_from("<I", data, place + 8) + struct.unpack_from("<I", data, place + 12 + length)
        assert sums == (masked_crc32c(data[place : place + 8]), masked_crc32c(body))
        found.append(Event.FromString(body))
        place += 16 + length
    return found


def scalars(folder: Path) -> dict[tuple[str, int], float]:
    """Every value by its tag and step; none comes twice."""
    listed = [
        ((value.tag, record.step), value.simple_value) for record in read_back(folder) for value in record.summary.value
    ]
    assert len(listed) == len(dict(listed))
    return dict(listed)


def test_every_recorded_value_is_read_back(finished):
    folder = write_tensorboard(finished)
    assert folder == finished / "tensorboard"
    found = scalars(folder)
    recorded = {
        (f"{event['stage']}/{name}", event["step"]): float(np.float32(value))
        for event in read_events(finished / "metrics.jsonl")[0]
        if event["event"] in ("step", "score")
        for name, value in event.items()
        if name not in ("event", "stage", "step", "elapsed_s")
    }
    assert found == recorded
    tags = {tag for tag, _ in found}
    assert {"teacher/loss", "teacher/score", "student/loss", "student/soft", "student/hard", "student/cosine"} <= tags
    assert {"student/score", "student/agreement", "student/lr"} <= tags


def test_the_file_begins_with_its_version_and_time_runs_on(finished):
    records = read_back(write_tensorboard(finished))
    assert records[0].file_version == "brain.Event:2"
    begun = (finished / "config.json").stat().st_mtime
    assert all(begun <= record.wall_time <= begun + 600 for record in records)


def test_written_again_it_is_the_same_file_and_only_one(finished):
    (first,) = write_tensorboard(finished).iterdir()
    before = first.read_bytes()
    (finished / "tensorboard" / "events.out.tfevents.1.older").write_bytes(b"")
    (again,) = write_tensorboard(finished).iterdir()
    assert again == first and again.read_bytes() == before


def test_it_is_stale_once_the_run_has_gone_on(home):
    folder = make_run(home)
    write_tensorboard(folder)
    assert is_written(folder) and is_fresh(folder)
    later = (folder / "metrics.jsonl").stat().st_mtime + 5
    line = {"event": "step", "stage": "student", "step": 41, "loss": 0.25, "elapsed_s": 5.0}
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
    os.utime(folder / "metrics.jsonl", (later, later))
    assert not is_fresh(folder)
    refresh_tensorboard(folder)
    assert is_fresh(folder) and scalars(folder / "tensorboard")["student/loss", 41] == 0.25
    remove_tensorboard(folder)
    refresh_tensorboard(folder)
    assert not is_written(folder) and not (folder / "tensorboard").exists()


def test_a_run_that_goes_on_and_ends_has_all_its_curves_there(tmp_path):
    with world_of(tmp_path):
        calls = iter(range(1000))
        folder = run_once("goes-on", leaving=lambda: next(calls) > 20)
        assert read_status(folder).state == "stopped"
        write_tensorboard(folder)
        request_resume(folder)
        assert carry_out(folder) == "finished"
        last = max(step for tag, step in scalars(folder / "tensorboard") if tag == "student/loss")
        assert is_fresh(folder) and last == read_status(folder).step


def test_the_command_writes_the_file_and_says_where(home, capsys):
    folder = make_run(home)
    assert main(["tensorboard", folder.name]) == 0
    assert capsys.readouterr().out == f"{folder / 'tensorboard'}\n" and is_fresh(folder)


FOREIGN = ["{", "[]", '{"event": "step", "stage": "x", "step": 1, "loss": 1}', '{"event": "step", "stage": "student"}',
           '{"event": "score", "stage": "student", "step": 1, "score": "much"}',
           '{"event": "step", "stage": "student", "step": 9, "loss": true}']  # fmt: skip


@pytest.mark.parametrize("line", FOREIGN)
def test_a_foreign_line_is_passed_over(home, line):
    folder = make_run(home)
    whole = scalars(write_tensorboard(folder))
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(line + "\n")
    assert scalars(write_tensorboard(folder)) == whole


def test_a_step_written_twice_is_drawn_once_as_it_was_written_last(home):
    folder = make_run(home)
    line = {"event": "step", "stage": "student", "step": 40, "loss": 0.125, "elapsed_s": 4.0}
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
    assert scalars(write_tensorboard(folder))["student/loss", 40] == 0.125


def test_a_run_without_curves_is_a_sentence_and_leaves_no_file(home):
    folder = make_run(home, state="queued")
    with pytest.raises(DistilleryError, match="no curves yet"):
        write_tensorboard(folder)
    assert not (folder / "tensorboard").exists()
