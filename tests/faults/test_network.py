"""A whole session where there is no network: nothing is missing, and nobody even asks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.session import may_leave_network, outside
from tests.fixtures.serving import ROOT


def test_a_whole_session_needs_and_seeks_no_network(tmp_path: Path, chromium_path: str) -> None:
    if reason := may_leave_network():
        pytest.skip(reason)
    done = subprocess.run(
        ["unshare", "-n", sys.executable, "-m", "tests.faults.session", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert {"train", "score", "compare", "distill in a terminal", "export"} <= set(found["done"])
    assert found["connects"] >= 3 and found["outside"] == []
    assert found["browser"] == [] and found["pickles"] == []


@pytest.mark.parametrize(
    ("line", "is_outside"),
    [
        ('7 connect(3, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("192.0.2.1")}, 16) = 0', True),
        (
            'connect(3, {sa_family=AF_INET6, sin6_port=htons(443), inet_pton(AF_INET6, "2001:db8::1", &s)}, 28) = 0',
            True,
        ),
        ('connect(3, {sa_family=AF_INET, sin_port=htons(9), sin_addr=inet_addr("127.0.0.1")}, 16) = -1', False),
        ('connect(3, {sa_family=AF_INET6, sin6_port=htons(9), inet_pton(AF_INET6, "::1", &s)}, 28) = 0', False),
        ('connect(3, {sa_family=AF_UNIX, sun_path="/run/nscd/socket"}, 110) = -1', False),
    ],
)
def test_the_log_tells_what_leads_outside(line: str, is_outside: bool) -> None:
    assert bool(outside(line)) == is_outside
