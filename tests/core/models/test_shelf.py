"""The shelf: no model twice, no stale model, few models, and a clear word when there is none."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import BertForMaskedLM, DistilBertForMaskedLM

from core.errors import DistilleryError
from core.models import shelf
from core.models.shelf import Shelf
from tests.fixtures.serving import ROOT
from tests.fixtures.tiny_models import KEY, finished_run

WAIT_S = 20


class Loader:
    """Counts its calls; with `hold`, every load lasts until `release` is set."""

    def __init__(self, hold: bool = False) -> None:
        self.folders: list[str] = []
        self.begun, self.release = threading.Event(), threading.Event()
        if not hold:
            self.release.set()

    def __call__(self, folder: Path) -> object:
        self.folders.append(folder.name)
        self.begun.set()
        assert self.release.wait(WAIT_S)
        return object()


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[str], Path]:
    def make(name: str, weights: bytes = b"weights") -> Path:
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / shelf.WEIGHTS).write_bytes(weights)
        return tmp_path / name

    return make


def test_the_same_model_is_loaded_once_even_if_eight_threads_ask_at_once(folder, monkeypatch):
    load, asked, stamp = Loader(hold=True), threading.Semaphore(0), shelf._stamp
    models, path, got = Shelf(load), folder("a"), []
    monkeypatch.setattr(shelf, "_stamp", lambda place: (stamp(place), asked.release())[0])
    threads = [threading.Thread(target=lambda: got.append(models.get(path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert all(asked.acquire(timeout=WAIT_S) for _ in threads)
    load.release.set()
    for thread in threads:
        thread.join(WAIT_S)
    assert load.folders == ["a"]
    assert len(got) == 8 and len({id(model) for model in got}) == 1


def test_models_of_words_are_opened_too(home):
    run = finished_run(home, objective="masked_words")
    loaded = shelf.get(run / "student")
    assert isinstance(loaded.model, DistilBertForMaskedLM)
    assert isinstance(shelf.get(home / "cache" / "teachers" / KEY / "model").model, BertForMaskedLM)
    ids = loaded.tokenizer("a warm film", return_tensors="pt")["input_ids"]
    assert loaded.model(ids).logits.shape == (1, 5, loaded.model.config.vocab_size)
    shelf.unload_all()


def test_at_most_four_models_are_kept_and_the_one_not_used_longest_goes(folder):
    load = Loader()
    models = Shelf(load)
    paths = {name: folder(name) for name in "abcde"}
    for name in "abcdae":
        models.get(paths[name])
    assert [name for name, path in paths.items() if models.holds(path)] == ["a", "c", "d", "e"]
    assert load.folders == list("abcde")


def test_a_replaced_folder_is_loaded_again(folder):
    models = Shelf(Loader())
    old = models.get(folder("a"))
    path = folder("a", b"other weights")
    assert not models.holds(path)
    assert models.get(path) is not old
    assert models.holds(path)


def test_unload_all_lets_go_of_everything(folder):
    models, path = Shelf(Loader()), folder("a")
    first = models.get(path)
    models.unload_all()
    assert not models.holds(path)
    assert models.get(path) is not first


def test_a_load_that_fails_is_told_to_all_and_tried_again_next_time(folder):
    answers: list[object] = [DistilleryError("no"), "model"]

    def load(_folder: Path) -> object:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    models, path = Shelf(load), folder("a")
    with pytest.raises(DistilleryError, match="no"):
        models.get(path)
    assert not models.holds(path)
    assert models.get(path) == "model"


def test_a_missing_model_is_named(tmp_path):
    with pytest.raises(DistilleryError, match=r"student/ has no model.safetensors"):
        Shelf(Loader()).get(tmp_path / "student")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.safetensors", b""),
        ("model.safetensors", b"\xff" * 5000),
        ("config.json", b'{"model_type": "distilbert", "dim": "x"}'),
        ("config.json", b"{"),
        ("tokenizer.json", b"{"),
        ("tokenizer.json", None),
    ],
)
def test_a_damaged_model_is_refused_in_words(home, name, content):
    student = finished_run(home) / "student"
    (student / name).unlink() if content is None else (student / name).write_bytes(content)
    with pytest.raises(DistilleryError, match="student/"):
        shelf.get(student)


def test_a_loaded_model_is_at_rest_and_outlives_its_file(home):
    student = finished_run(home) / "student"
    loaded = shelf.get(student)
    assert not loaded.model.training
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())
    before = loaded.model.state_dict()["classifier.weight"].clone()
    (student / shelf.WEIGHTS).write_bytes(b"")
    assert loaded.model.state_dict()["classifier.weight"].equal(before)
    shelf.unload_all()


def test_importing_the_shelf_does_not_load_torch():
    code = "import core.models.shelf, core.scoring.answers, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=300).returncode == 0
