"""The network: off unless asked for, and then a teacher of the Hub is fetched once, and only its plain files."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from transformers import BertForPreTraining

from core import network
from core.models.announced import is_as_announced
from tests.core.models.test_teacher import as_on_the_hub, write
from tests.fixtures.serving import ROOT, server_environment

MODEL = "someone/tiny-bert"
COMMIT = "0123456789abcdef0123456789abcdef01234567"

GIVEN_UP_S = 15
"""The library alone would try for 23 s or more. Loading it is not counted."""

Answer = dict[str, Any]

OUTLINE = "from core.models import outline\nanswer(depth=outline.teacher_outline(t).depth)"
READY = """
from core.config import Settings
from core.models import outline
s = Settings(teacher=t, data=Settings().data.model_copy(update={"max_tokens": 64}), student={"layers": 1})
answer(depth=outline.ready_teacher(s).depth, fingerprint=outline.teacher_fingerprint(t))
"""
LOAD = """
from core.models.outline import teacher_fingerprint
from core.models.teacher import teacher_for_labels, teacher_for_words, teacher_tokenizer
words = len(teacher_tokenizer(t))
teacher_for_labels(t, ("no", "yes")), teacher_for_words(t)
answer(words=words, fingerprint=teacher_fingerprint(t))
"""


class Hub:
    """A server on this machine that answers as the Hub does, for one model, and notes what it is asked."""

    def __init__(self, files: Path) -> None:
        self.files, self.asked, self.tokens = files, [], []
        self.changed = ""
        """The file that is not sent as it was announced."""
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.answer(with_body=False)

            def do_GET(self) -> None:
                self.answer(with_body=True)

            def answer(self, with_body: bool) -> None:
                path = self.path.partition("?")[0]
                hub.asked.append(path)
                hub.tokens += self.headers.get_all("Authorization", [])
                found = hub.content(path)
                self.send_response(200 if found else 404)
                if found:
                    self.send_header("X-Repo-Commit", COMMIT)
                    self.send_header("ETag", f'"{hashlib.sha256(found).hexdigest()}"')
                else:
                    self.send_header("X-Error-Code", "EntryNotFound" if MODEL in path else "RepoNotFound")
                self.send_header("Content-Length", str(len(found)))
                self.end_headers()
                if with_body:
                    is_changed = path.rpartition("/")[2] == hub.changed
                    self.wfile.write(found[:-1] + bytes([found[-1] ^ 1]) if is_changed else found)

            def log_message(self, *arguments: object) -> None:
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def content(self, path: str) -> bytes:
        names = sorted(path.name for path in self.files.iterdir())
        if path.startswith(f"/api/models/{MODEL}/tree/"):
            sizes = {name: (self.files / name).stat().st_size for name in names}
            tree = [{"type": "file", "path": name, "size": sizes[name], "oid": "0" * 40} for name in names]
            return json.dumps(tree).encode()
        if path.startswith(f"/api/models/{MODEL}"):
            siblings = [{"rfilename": name} for name in names]
            return json.dumps({"id": MODEL, "sha": COMMIT, "siblings": siblings}).encode()
        name = path.rpartition("/")[2]
        is_file = path.startswith(f"/{MODEL}/resolve/") and name in names
        return (self.files / name).read_bytes() if is_file else b""

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def hub(tmp_path) -> Iterator[Hub]:
    """A Hub with one model, laid out as bert-base-uncased is, and files beside it that nobody may want."""
    folder = tmp_path / "on the hub"
    write(BertForPreTraining, folder)
    as_on_the_hub(folder)
    for name in ("pytorch_model.bin", "tf_model.h5", "modeling_evil.py", "README.md"):
        (folder / name).write_bytes(b"not for us")
    running = Hub(folder)
    yield running
    running.close()


@pytest.fixture
def ask(tmp_path) -> Callable[..., Answer]:
    """Run a script in a fresh process that has a cache of its own; `answer(...)` in it gives facts back."""

    def run(script: str, hub_id: str = MODEL, **environment: str) -> Answer:
        head = (
            "import json, sys, time\nfrom core import network\nnetwork.switch_off_unless_asked()\n"
            "from core.errors import DistilleryError\nfrom core.sections import TeacherSettings\n"
            f"t = TeacherSettings(source='hub', hub_id={hub_id!r})\n"
            "def answer(**facts): print(json.dumps(facts))\n"
            # Loading takes as long as the machine is busy, and says nothing about whom the Hub keeps waiting.
            f"from core import libraries\n{'libraries.load()' if script == LOAD else ''}\nlibraries.load_hub()\n"
            "begin = time.monotonic()\ntry:\n"
        )
        body = "".join(f"    {line}\n" for line in script.strip().splitlines())
        tail = "except DistilleryError as error:\n    answer(error=str(error), took=time.monotonic() - begin)\n"
        tail += "from core.cli.terminal import leave\nleave(0)\n"
        settings = {"HF_HOME": str(tmp_path / "hf"), "OMP_NUM_THREADS": "1", "HF_HUB_DISABLE_XET": "1"} | environment
        done = subprocess.run(
            [sys.executable, "-c", head + body + tail],
            cwd=ROOT,
            env=server_environment(tmp_path, settings),
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1])

    return run


@pytest.mark.parametrize(("value", "is_on"), [("1", True), ("0", False), ("", False), ("true", False), (None, False)])
def test_only_a_1_switches_it_on(monkeypatch, value, is_on) -> None:
    monkeypatch.delenv(network.SWITCH, raising=False)
    if value is not None:
        monkeypatch.setenv(network.SWITCH, value)
    assert network.is_on() == is_on
    assert f"{network.SWITCH}=1" in network.HOW_TO_SWITCH_ON


def test_the_libraries_are_told_before_they_are_loaded(monkeypatch) -> None:
    """Also where somebody's environment says otherwise: the one switch decides."""
    monkeypatch.setattr(os, "environ", {"HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_TELEMETRY": "0"})
    network.switch_off_unless_asked()
    assert os.environ["HF_HUB_OFFLINE"] == os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1"
    monkeypatch.setattr(os, "environ", {network.SWITCH: "1"})
    network.switch_off_unless_asked()
    assert "HF_HUB_OFFLINE" not in os.environ and os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1"


def test_the_switch_itself_loads_nothing() -> None:
    code = "import core.network, sys; sys.exit(bool({'torch', 'huggingface_hub', 'streamlit'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=300).returncode == 0


def test_switched_off_the_hub_is_never_asked_and_the_sentence_says_how_to_switch_it_on(hub, ask) -> None:
    for script in (OUTLINE, LOAD):
        said = ask(script, HF_ENDPOINT=hub.address)
        assert said["error"].startswith(f"The model {MODEL} is not on this machine, and the network is off.")
        assert network.HOW_TO_SWITCH_ON in said["error"] and said["took"] < GIVEN_UP_S
    assert hub.asked == []


def test_the_preset_is_known_without_the_network_but_cannot_be_used(ask) -> None:
    preset = "google-bert/bert-base-uncased"
    assert ask(OUTLINE, preset)["depth"] == 12
    assert network.HOW_TO_SWITCH_ON in ask(READY.replace('"max_tokens": 64', '"max_tokens": 128'), preset)["error"]


def test_a_teacher_is_fetched_once_and_only_its_plain_files(hub, ask, tmp_path) -> None:
    switched_on = {"HF_ENDPOINT": hub.address, "HF_TOKEN": "hf_secret", network.SWITCH: "1"}
    assert ask(OUTLINE, **switched_on) == {"depth": 2}
    assert {path.rpartition("/")[2] for path in hub.asked} == {"config.json"}
    fetched = ask(READY, **switched_on)
    wanted = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    names = {path.rpartition("/")[2] for path in hub.asked if path.startswith(f"/{MODEL}/resolve/")}
    assert fetched["depth"] == 2 and names == wanted
    asked = [path.rpartition("/")[2] for path in hub.asked]
    last = max(place for place, name in enumerate(asked) if name in wanted - {"model.safetensors"})
    assert asked.index("model.safetensors") > last, "a download that is cut off could look complete"
    stored = {path.name for path in (tmp_path / "hf" / "hub").rglob("snapshots/*/*")}
    assert stored == wanted
    assert hub.tokens == [], "the user's token was sent"
    before = len(hub.asked)
    assert ask(READY, **switched_on) == fetched
    assert len(hub.asked) == before, "what was fetched is asked for again"
    hub.close()
    loaded = ask(LOAD)
    assert loaded["fingerprint"] == fetched["fingerprint"] and loaded["words"] > 50


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_a_file_that_is_not_the_announced_one_is_refused_and_fetched_anew(hub, ask, name) -> None:
    switched_on = {"HF_ENDPOINT": hub.address, network.SWITCH: "1"}
    hub.changed = name
    said = ask(LOAD, **switched_on)
    assert said["error"].startswith(f"The file {name} of {MODEL} is not the one that the Hub announced")
    hub.changed = ""
    assert ask(LOAD, **switched_on)["words"] > 50


def test_small_files_are_held_against_the_hash_of_git(tmp_path) -> None:
    (tmp_path / "ce013625030ba8dba906f756967f9e9ca394464a").write_bytes(b"hello\n")
    (tmp_path / "ce013625030ba8dba906f756967f9e9ca394464b").write_bytes(b"hello\n")
    assert [is_as_announced(path) for path in sorted(tmp_path.iterdir())] == [True, False]


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        ("model.safetensors", "has no model.safetensors"),
        ("config.json", "has no config.json"),
        ("tokenizer.json", "has no tokenizer.json and no vocab.txt"),
    ],
)
def test_a_model_of_the_hub_that_lacks_a_file_is_refused_in_words(hub, ask, missing, reason) -> None:
    (hub.files / missing).unlink()
    said = ask(READY, HF_ENDPOINT=hub.address, **{network.SWITCH: "1"})
    assert f"The model {MODEL} on the Hub {reason}" in said["error"]


def test_a_model_that_the_hub_does_not_have_is_refused_in_words(hub, ask) -> None:
    said = ask(OUTLINE, "someone/else", HF_ENDPOINT=hub.address, **{network.SWITCH: "1"})
    assert said["error"].startswith("The Hub has no model someone/else") and said["took"] < GIVEN_UP_S


@pytest.mark.parametrize("answers", [False, True])
def test_a_hub_that_is_silent_is_given_up_within_seconds(ask, answers) -> None:
    """Refused, or accepted and never answered: the library alone would try for 23 s, or for minutes."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if answers:
            listener.listen()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        script = """
            from core.models.outline import teacher_outline
            try:
                teacher_outline(t)
            except DistilleryError:
                first, begin = time.monotonic() - begin, time.monotonic()
            try:
                teacher_outline(t)
            except DistilleryError as error:
                answer(error=str(error), first=first, again=time.monotonic() - begin)
        """
        said = ask(dedent(script), HF_ENDPOINT=address, **{network.SWITCH: "1"})
    assert "could not be fetched from the Hub" in said["error"] and "Check the connection" in said["error"]
    assert said["first"] < GIVEN_UP_S
    assert said["again"] < 2, "a form that is redrawn waits again"
