"""A whole session where there is no network: train, score, compare, export, in a browser and from a terminal.

    unshare -n python -m tests.faults.session HOME [--onnx]

Needs a network namespace of its own, in which only the loopback is up. The server is followed by strace: every address
it, or any process it starts, tries to connect to is counted, and so is every class that is unpickled. Prints one line
of JSON.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from core.runs import folder as runs
from tests.faults.saves import may_trace
from tests.fixtures.browser import chromium, find_chromium, open_page, visit
from tests.fixtures.serving import ROOT, Server, launch, server_environment
from tests.fixtures.small_runs import settings_of

LIMIT_S = 300
IFF_UP, SIOCSIFFLAGS = 1, 0x8914

# Runs in every Python process of the session, before anything else: tells of each class that a pickle names.
HOOK = """
import os, sys
def listen(event, arguments):
    if event == "pickle.find_class":
        with open({log!r}, "a") as file:
            file.write(f"{{os.getpid()}} {{arguments}}\\n")
sys.addaudithook(listen)
"""

# One connect to the loopback by every process: if the log has none, it was not written, and proves nothing.
KNOCK = """
import socket
with socket.socket() as knocking:
    knocking.settimeout(1)
    knocking.connect_ex(("127.0.0.1", 9))
"""


def may_leave_network() -> str:
    """Empty where a process may have a network of its own, followed by strace; otherwise the reason why not."""
    if reason := may_trace():
        return reason
    if shutil.which("unshare") is None:
        return "unshare is not installed"
    done = subprocess.run(["unshare", "-n", "true"], capture_output=True, text=True, timeout=60)
    return "" if done.returncode == 0 else f"no network namespace can be made: {done.stderr.strip()[:100]}"


def main(home: str, *forms: str) -> None:
    """Go through a session; exits with a sentence where a step of it fails."""
    bring_loopback_up()
    if can_reach_out():
        raise SystemExit("there is a network here: start it under unshare -n")
    folder = Path(home)
    os.environ["DISTILLERY_HOME"] = home
    hooks, pickles, calls = folder / "hooks", folder / "pickles.log", folder / "connect.log"
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(HOOK.format(log=str(pickles)) + KNOCK, encoding="utf-8")
    python = _traced_python(hooks, calls)
    run = runs.create_run(settings_of(), "session")
    problems: list[str] = []
    done = ["train", "score"]
    done += _in_the_browser(folder, run.name, python, problems)
    done += _from_a_terminal(folder, run.name, python, forms)
    report = {
        "done": done,
        "outside": outside(calls.read_text(errors="replace")),
        "connects": calls.read_text(errors="replace").count("connect("),
        "browser": problems,
        "pickles": pickles.read_text().splitlines()[:20] if pickles.exists() else [],
    }
    print(json.dumps(report))


def bring_loopback_up() -> None:
    """Switch the loopback on: in a new network namespace it is off."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        fcntl.ioctl(asking, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


def can_reach_out() -> bool:
    """True if a packet could leave this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(("192.0.2.1", 9))
        except OSError:
            return False
    return True


def outside(log: str) -> list[str]:
    """The connects in a log of strace that aim outside this machine."""
    found = re.findall(r"connect\(.*?\{(sa_family=AF_INET6?.*?)\}", log)
    return [line for line in found if not re.search(r'inet_addr\("127\.|"::1"|"::ffff:127\.', line)]


def _in_the_browser(home: Path, run: str, python: Path, problems: list[str]) -> list[str]:
    """Train what waits, read its result, and ask both models; returns what was done."""
    server = _traced_server(home, python)
    done = []
    try:
        with chromium(find_chromium() or "") as browser, open_page(browser, problems) as page:
            page.set_default_timeout(LIMIT_S * 1000)
            page.goto(f"{server.url}/distill?run={run}")
            expect(page.get_by_role("button", name="Talk to both")).to_be_visible(timeout=LIMIT_S * 1000)
            done += ["result"]
            visit(page, f"{server.url}/compare?run={run}")
            _ask(page)
            done += ["compare"]
            for link in page.locator("[data-testid=stTopNavLink]").evaluate_all("all => all.map(one => one.href)"):
                visit(page, link)
                done.append(link.rpartition("/")[2])
    finally:
        server.close()
    return done


def _ask(page: Page) -> None:
    box = page.locator("textarea").first
    box.fill("A warm and funny film, told with charm.")
    box.press("Control+Enter")
    expect(page.locator("[data-testid=stApp]")).to_contain_text("told with charm")


def _traced_python(hooks: Path, calls: Path) -> Path:
    """A Python that strace follows from its first instruction on."""
    traced = hooks / "traced-python"
    traced.write_text(f'#!/bin/sh\nexec strace -D -A -f -qq -e trace=connect -o {calls} {sys.executable} "$@"\n')
    traced.chmod(0o700)
    return traced


def _traced_server(home: Path, python: Path) -> Server:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "executable", str(python))
        return launch(home, environment={"PYTHONPATH": str(python.parent)})


def _from_a_terminal(home: Path, run: str, python: Path, forms: tuple[str, ...]) -> list[str]:
    """The same engine without a browser: a run with other settings, and everything that can be exported."""
    settings = home / "mine.json"
    settings.write_text(json.dumps(settings_of("training.epochs=1").model_dump(mode="json")), encoding="utf-8")
    commands = {
        "distill in a terminal": ("-m", "core", "distill", "--config", str(settings)),
        "export": ("-m", "core", "export", run, *forms, "--report", "--to", str(home / "out")),
    }
    environment = server_environment(home, {"PYTHONPATH": str(python.parent)})
    for name, arguments in commands.items():
        command = [str(python), *arguments]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=LIMIT_S)
        if done.returncode != 0:
            raise SystemExit(f"{name} ended with {done.returncode}: {done.stderr[-500:]}")
    return list(commands)


if __name__ == "__main__":
    main(*sys.argv[1:])
