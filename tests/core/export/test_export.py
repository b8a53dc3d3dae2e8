"""What leaves the house: the plain folder, the ONNX files, each checked first, and the card beside them."""

from __future__ import annotations

import contextlib
import csv
import errno
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt
from playwright.sync_api import expect
from streamlit.testing.v1 import AppTest

from core import numbers
from core.__main__ import main
from core.cli import FAILED, FINISHED, STOPPED, kinds
from core.cli import export as cli
from core.errors import DistilleryError
from core.export import convert, job
from core.export.archive import archive_name, write_zip
from core.export.card import model_card
from core.export.check import FASTER, LARGEST_DIFFERENCE
from core.export.facts import read_facts
from core.export.make_forms import make_forms
from core.export.onnx_forms import FILES, OnnxModel, onnx_files, read_forms
from core.export.report import report
from core.jobs import carry_out as carrying
from core.jobs import folder as jobs
from core.jobs.owner import of_folder, this_process
from core.jobs.queue import MACHINE, lane_lock
from core.models.saved import load_model
from core.models.shelf import unload_all
from core.runs import folder as runs
from core.storage import PROJECT, jobs_root, write_json
from tests.fixtures.browser import visit
from tests.fixtures.drawn_pages import words
from tests.fixtures.small_runs import GOOD, MASKED, listing, reviews, run_once, world_of
from tests.fixtures.tiny_models import finished_run

HOSTILE = "</script><img src=x onerror=alert(1)> ![x](http://192.0.2.1/x) [a](http://192.0.2.1) $x$ | `b` --- # h: {y}"
KINDS = ("labels", "words", "score")
SENTENCES = ("the film is warm and funny .", "a movie is very bad and dull and lifeless .", "good")


@pytest.fixture(scope="module", autouse=True)
def world(tmp_path_factory: pytest.TempPathFactory, teachers: Path):
    """A home with three finished runs: one that learned labels, one hidden words, one scores. Nothing is exported."""
    with world_of(tmp_path_factory.mktemp("export"), teachers) as home:
        run_once("labels", "training.epochs=1")
        run_once("words", *MASKED, "training.epochs=1")
        run_once("score", f"data.path={scores(home / 'scores.csv')}", "data.label_kind=score", "teacher.epochs=12")
        yield home
    unload_all()


def scores(path: Path) -> Path:
    """Sentences whose label is a number: how good, with a decimal that the words decide."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = [(text, f"{sum(word in GOOD for word in text.split()) + 0.25}") for text, _ in reviews()]
        csv.writer(file).writerows([("text", "label"), *rows])
    return path


def copy_of(world: Path, name: str, to: str, exported: bool = False) -> Path:
    """A run of its own for a test that changes it, without its ONNX files unless `exported`."""
    folder = world / "runs" / to
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(world / "runs" / name, folder, ignore=None if exported else shutil.ignore_patterns("export"))
    return folder


@pytest.fixture
def no_jobs(world: Path) -> None:
    """The tests of this module share a home, and with it its jobs."""
    for folder in jobs.folders_in(jobs_root()):
        jobs.remove(folder)


def zipped(folder: Path, form=None) -> bytes:
    file = io.BytesIO()
    write_zip(folder, file, form)
    return file.getvalue()


def logits_of(folder: Path) -> list:
    """What the project's own loader says to the sentences, (B, …)."""
    model, tokenizer = load_model(folder)
    encoded = tokenizer(list(SENTENCES), padding=True, return_tensors="pt", return_token_type_ids=False)
    with torch.inference_mode():
        return model(**encoded).logits.tolist()


# --- the ONNX files ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=KINDS)
def made(request: pytest.FixtureRequest, world: Path) -> Path:
    """A run of each kind with its ONNX files."""
    folder = world / "runs" / request.param
    make_forms(folder)
    return folder


def test_both_files_are_made_checked_and_offered(made):
    forms = read_forms(made)
    assert set(onnx_files(made)) == {"onnx", "int8"} == set(forms["forms"]) and not forms["refused"]
    assert listing(made / "export") == ["manifest.json", "model.onnx", "model_int8.onnx"]
    assert not list(made.glob(".export*"))
    exact, rounded = forms["forms"]["onnx"], forms["forms"]["int8"]
    assert exact["largest_difference"] <= LARGEST_DIFFERENCE
    assert exact["agreement"] == pytest.approx(1.0, abs=1e-4)
    assert rounded["largest_difference"] > exact["largest_difference"] and rounded["agreement"] > 0.5
    assert forms["student"]["score"] == pytest.approx(exact["score"], abs=1e-4)


def test_eight_bits_are_called_faster_only_where_that_was_measured(made):
    rounded = read_forms(made)["forms"]["int8"]
    assert set(rounded["times_as_fast"]) == {"torch", "onnx"}
    assert rounded["faster"] == (min(rounded["times_as_fast"].values()) >= FASTER)


def test_the_score_of_the_student_is_that_of_the_run(made):
    """Asked again on the same test texts; a run of hidden words hides others, so it is only near."""
    results, student = runs.read_results(made), read_forms(made)["student"]
    tolerance = 0.3 if made.name == "words" else 1e-3
    assert student["score"] == pytest.approx(results["student"]["score"], abs=tolerance)
    assert read_forms(made)["measured_on"]["metric"] == results["metric"]


@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (4, 2), (3, 64)])
def test_any_number_of_texts_of_any_length(made, shape):
    model, _ = load_model(made / "student")
    ids = torch.from_numpy(np.random.default_rng(0).integers(5, model.config.vocab_size, shape))
    mask = torch.ones_like(ids)
    mask[-1, max(1, shape[1] // 2) :] = 0
    with torch.inference_mode():
        wanted = model(ids, attention_mask=mask).logits.numpy()
    found = OnnxModel(onnx_files(made)["onnx"]).logits(ids.numpy(), mask.numpy())
    read = mask.numpy().astype(bool) if found.ndim == 3 else ...
    assert found.shape == wanted.shape
    assert np.abs(found - wanted)[read].max() <= LARGEST_DIFFERENCE


def test_a_second_call_finds_them_made(made):
    before = (made / "export" / FILES["onnx"]).stat().st_mtime_ns
    said = []
    assert make_forms(made, said.append) == read_forms(made)
    assert not said and (made / "export" / FILES["onnx"]).stat().st_mtime_ns == before


def test_a_file_that_is_not_the_student_is_refused_with_the_number(world, monkeypatch):
    folder = copy_of(world, "labels", "refused")
    write = convert.write_onnx

    def write_another(model, to):
        with torch.no_grad():
            model.classifier.bias.add_(0.01)
            write(model, to)
            model.classifier.bias.sub_(0.01)

    monkeypatch.setattr(convert, "write_onnx", write_another)
    made = make_forms(folder)
    assert onnx_files(folder) == {} and listing(folder / "export") == ["manifest.json"]
    assert "differ from the student's by up to 0.01" in made["refused"]["onnx"]
    with pytest.raises(DistilleryError, match="not been made"):
        zipped(folder, "int8")


def test_files_of_another_student_or_changed_files_are_not_offered(world):
    make_forms(world / "runs" / "labels")
    folder = copy_of(world, "labels", "changed", exported=True)
    assert set(onnx_files(folder)) == {"onnx", "int8"}
    file = folder / "export" / FILES["int8"]
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    assert onnx_files(folder) == {}
    folder = copy_of(world, "labels", "changed", exported=True)
    (folder / "student" / "model.safetensors").write_bytes(b"others")
    assert onnx_files(folder) == {}
    with pytest.raises(DistilleryError, match="not the file that was saved"):
        zipped(folder)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"forms": {"onnx": {}}}', '{"student": 1, "forms": {"x": 2}}'])
def test_a_manifest_that_somebody_broke_offers_nothing(world, content):
    folder = copy_of(world, "labels", "broken")
    (folder / "export").mkdir(exist_ok=True)
    raw = content.replace('{"forms', f'{{"student_sha256": "{_sha(folder)}", "files": {{}}, "forms')
    (folder / "export" / "manifest.json").write_text(raw)
    assert read_forms(folder) is None and onnx_files(folder) == {}
    model_card(read_facts(folder))


def _sha(folder: Path) -> str:
    return hashlib.sha256((folder / "student" / "model.safetensors").read_bytes()).hexdigest()


def test_those_who_ask_at_once_make_them_once(world, no_jobs, monkeypatch):
    """Two tabs have one job; a terminal has its own, whose turn comes later, and finds them made."""
    folder = copy_of(world, "labels", "twice")
    written, write = [], convert.write_onnx
    monkeypatch.setattr(convert, "write_onnx", lambda model, to: (written.append(to), write(model, to)))
    with ThreadPoolExecutor(8) as tabs:
        (page,) = set(tabs.map(lambda _: job.start(folder), range(8)))
    terminal = job.start(folder, owner=this_process())
    assert terminal != page and kinds.queue.waiting(MACHINE) == [page]
    with kinds.queue.turn(page) as is_first, kinds.queue.turn(terminal) as is_second:
        assert is_first and not is_second
    assert [kinds.carry_out(each) for each in (page, terminal)] == ["finished", "finished"]
    assert len(written) == 1 and set(onnx_files(folder)) == {"onnx", "int8"}
    assert job.status_of(folder) is None, "there is nothing to say of what is made"


def test_a_page_looks_once_and_draws_what_it_saw(world, monkeypatch):
    """Drawn while the job ends, a page that shows the button below its clock would lose the next click."""
    folder = copy_of(world, "labels", "ends-now")
    making = jobs.Status("running", "The model is converted.", owner=this_process())
    seen = iter([making, making])
    monkeypatch.setattr(job, "status_of", lambda run: next(seen, None))
    at = AppTest.from_function(_panel, kwargs={"folder": folder}).run()
    assert not at.exception and [button.label for button in at.button] == ["Cancel"]


def _panel(folder):
    from pages.ui.export import export_panel

    export_panel(folder)


def test_while_a_run_trains_it_waits_and_says_so(world, no_jobs, monkeypatch):
    folder = copy_of(world, "labels", "waits")
    before, leaving = listing(folder), threading.Event()
    monkeypatch.setattr(carrying, "RETRY_S", 0.01)
    mine = job.start(folder)
    with lane_lock(MACHINE):
        assert job.status_of(folder).sentence == "Waiting for its turn."
        leaving.set()
        assert carrying.wait_and_carry_out(kinds.queue, mine, leaving) is None
    assert jobs.read_status(mine).sentence == "Stopped before it began."
    assert listing(folder) == before


def test_a_run_that_has_not_finished_has_nothing_to_export(tmp_path):
    folder = finished_run(tmp_path, state="stopped")
    for ask in (make_forms, zipped, read_facts):
        with pytest.raises(DistilleryError, match="The run is stopped; only"):
            ask(folder)


def test_texts_that_are_gone_are_named(world):
    folder = copy_of(world, "labels", "no-texts")
    without_texts(folder, world)
    with pytest.raises(DistilleryError, match="gone.csv"):
        make_forms(folder)
    assert not (folder / "export").exists()


# --- the zip ----------------------------------------------------------------------------------------------------

FRESH = """
import json, os, sys
from transformers import AutoModelForMaskedLM, AutoModelForSequenceClassification, AutoTokenizer
for folder in json.loads(sys.argv[1]):
    os.chdir(folder)
    kind = AutoModelForMaskedLM if folder.endswith("words") else AutoModelForSequenceClassification
    tokenizer, model = AutoTokenizer.from_pretrained("."), kind.from_pretrained(".")
    inputs = tokenizer(json.loads(sys.argv[2]), padding=True, return_tensors="pt", return_token_type_ids=False)
    print(json.dumps(model(**inputs).logits.tolist()))
    exec(open("README.md", encoding="utf-8").read().split("```python")[1].split("```")[0], {})
assert not any(name.split(".")[0] in ("core", "pages") for name in sys.modules)
"""
"""A program that knows nothing of this project: the logits of each folder, and then what its card shows."""


def test_transformers_alone_gives_the_same_logits(world, tmp_path):
    folders = [world / "runs" / name for name in KINDS]
    for folder in folders:
        with zipfile.ZipFile(io.BytesIO(zipped(folder))) as archive:
            archive.extractall(tmp_path)
    places = json.dumps([str(tmp_path / archive_name(folder)) for folder in folders])
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", FRESH, places, json.dumps(SENTENCES)]
    answer = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    for line, folder in zip(answer.stdout.splitlines(), folders, strict=True):
        assert np.abs(np.array(json.loads(line)) - np.array(logits_of(folder / "student"))).max() <= 1e-6, folder.name


def example_in(place: Path) -> str:
    """The program that the card of an unpacked zip shows."""
    return (place / "README.md").read_text(encoding="utf-8").split("```python")[1].split("```")[0]


def test_the_zip_is_the_same_bytes_whenever_it_is_written(world):
    folder = world / "runs" / "labels"
    first = zipped(folder)
    os.utime(folder / "student" / "config.json")
    assert zipped(folder) == first
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        names = ["README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
        assert archive.namelist() == [f"student-labels/{name}" for name in (*names, "manifest.json")]
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_what_somebody_put_beside_the_model_stays_here(world, tmp_path):
    folder = copy_of(world, "labels", "visitors")
    (folder / "student" / "notes.txt").write_text("private")
    (tmp_path / "secret").write_text("secret")
    (folder / "student" / "vocab.txt").symlink_to(tmp_path / "secret")
    with zipfile.ZipFile(io.BytesIO(zipped(folder))) as archive:
        assert not [name for name in archive.namelist() if name.endswith((".txt", "secret"))]


def test_the_zip_of_an_onnx_file_answers_as_the_student_does(made, tmp_path, monkeypatch):
    with zipfile.ZipFile(io.BytesIO(zipped(made, "onnx"))) as archive:
        archive.extractall(tmp_path)
    place = tmp_path / archive_name(made, "onnx")
    assert listing(place) == ["README.md", "config.json", "model.onnx", "tokenizer.json", "tokenizer_config.json"]
    monkeypatch.chdir(place)
    exec(example_in(place), {})
    _, tokenizer = load_model(made / "student")
    encoded = tokenizer(list(SENTENCES), padding=True, return_tensors="np", return_token_type_ids=False)
    found = OnnxModel(place / "model.onnx").logits(encoded["input_ids"], encoded["attention_mask"])
    wanted = np.array(logits_of(made / "student"))
    read = encoded["attention_mask"].astype(bool) if wanted.ndim == 3 else ...
    assert np.abs(found - wanted)[read].max() <= LARGEST_DIFFERENCE


# --- the card ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KINDS)
def test_the_card_has_the_numbers_of_the_run(world, name):
    folder = world / "runs" / name
    results, text = runs.read_results(folder), model_card(read_facts(folder))
    card = ModelCard(text)
    (entry,) = card.data.eval_results[:1]
    assert entry.metric_value == results["student"]["score"] and entry.dataset_split == results["split"]
    rows = {cells[1].strip(): cells[2:4] for line in text.splitlines() if len(cells := line.split("|")) == 6}
    shares = {"Kept of the teacher's score": results["kept"]}
    if results["metric"] != "correlation":
        shares |= {"Agreement with the teacher": results["agreement"]}
        shares[results["metric"].capitalize()] = results["student"]["score"]
    for label, share in shares.items():
        assert float(rows[label][1].replace("%", "")) / 100 == pytest.approx(share, abs=0.0005), label
    for place, model in enumerate(("teacher", "student")):
        assert int("".join(filter(str.isdigit, rows["Parameters"][place]))) == results[model]["parameters"]
    for said in (
        f"{results['examples']} {results['counted']}",
        f"seed {results['seed']}",
        results["compute"]["device"],
    ):
        assert said in text


def test_card_and_report_tell_what_was_measured_of_the_files(made):
    facts, found = read_facts(made), read_forms(made)["forms"]["int8"]
    page, card = report(facts), model_card(facts, "int8")
    for value in (found["agreement"], found["largest_difference"], found["ms_per_text"], found["size_mb"]):
        assert f'data-value="{value!r}"' in page
    assert f"{found['largest_difference']:.2g}" in card
    assert ("not faster than the 32-bit forms here" in card) != found["faster"]


def test_the_card_names_licences_and_the_paper(world, tmp_path):
    foreign, bundled = model_card(read_facts(world / "runs" / "labels")), model_card(read_facts(finished_run(tmp_path)))
    assert ModelCard(foreign).data.license == "other" and "Teacher: as its source says" in foreign
    assert ModelCard(bundled).data.license == "apache-2.0"
    assert "Teacher: Apache-2.0" in bundled and "Data: MIT" in bundled
    for text in (foreign, bundled):
        assert "Sanh et al. 2019" in text and "1910.01108" in text


def test_foreign_text_stays_text_in_the_card(world):
    folder = copy_of(world, "labels", "hostile")
    settings = runs.read_settings(folder).model_dump(mode="json")
    settings |= {"name": HOSTILE[:80], "probes": [HOSTILE]}
    settings["data"]["path"] = f"/home/somebody/private/{HOSTILE.replace('/', '')}.csv"
    settings["teacher"]["path"] = "/home/somebody/private/<b>teacher</b>"
    settings["data"]["text_column"] = "text\n---\nlicense: mit\n| x |"
    write_json(folder / "config.json", settings)
    results = runs.read_results(folder)
    write_json(folder / "results.json", results | {"notes": [HOSTILE, f"In {settings['data']['path']}."]})
    text = model_card(read_facts(folder))
    card = ModelCard(text)
    assert card.data.license == "other" and card.data.model_name == HOSTILE[:80].strip()
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(card.text)
    kinds = {child.type for token in tokens for child in (token, *(token.children or ()))}
    assert not {"html_block", "html_inline", "image", "link_open", "hr", "code_inline"} & kinds
    assert [t.tag for t in tokens if t.type == "heading_open"].count("h1") == 1
    assert "/home/somebody" not in text and "private" not in text and str(PROJECT) not in text


# --- the terminal and the page ----------------------------------------------------------------------------------


def test_the_command_writes_everything_that_was_asked_for(world, tmp_path, capsys):
    assert main(["export", "score", "--onnx", "--report", "--to", str(tmp_path / "out")]) == 0
    assert listing(tmp_path / "out") == [
        "report-score.html", "student-score-int8.zip", "student-score-onnx.zip", "student-score.zip",
    ]  # fmt: skip
    said = capsys.readouterr().out
    assert "ONNX, 8-bit: largest difference of a logit" in said and str(tmp_path / "out" / "student-score.zip") in said


def test_the_command_uses_what_is_made_and_makes_no_job_of_it(made, tmp_path, no_jobs, monkeypatch):
    monkeypatch.setattr(cli, "carry_out", None)
    assert main(["export", made.name, "--onnx", "--to", str(tmp_path)]) == FINISHED
    assert len(listing(tmp_path)) == 3 and jobs.folders_in(jobs_root()) == []


def test_the_command_that_is_stopped_says_so_with_its_exit_code_and_leaves_nothing(
    world, tmp_path, no_jobs, monkeypatch, capsys
):
    folder = copy_of(world, "labels", "command-stopped")
    before, leaving = listing(folder), threading.Event()
    leaving.set()
    monkeypatch.setattr(cli, "leave_on_signals", lambda: leaving)
    assert main(["export", folder.name, "--onnx", "--to", str(tmp_path / "out")]) == STOPPED
    assert "Stopped because the program was closed. Nothing was kept." in capsys.readouterr().err
    assert listing(folder) == before and not (tmp_path / "out").exists() and jobs.folders_in(jobs_root()) == []


def test_after_the_files_are_made_ctrl_c_means_again_what_it_did(world, tmp_path, no_jobs, monkeypatch):
    folder = copy_of(world, "labels", "command-signals")
    monkeypatch.setattr(cli, "carry_out", lambda *_, **__: FINISHED)
    before = [signal.getsignal(number) for number in cli.SIGNALS]
    assert main(["export", folder.name, "--onnx", "--to", str(tmp_path)]) == FINISHED
    assert [signal.getsignal(number) for number in cli.SIGNALS] == before


def test_the_command_that_fails_says_why(world, tmp_path, no_jobs, capsys):
    folder = copy_of(world, "labels", "command-fails")
    without_texts(folder, world)
    assert main(["export", folder.name, "--onnx", "--to", str(tmp_path)]) == FAILED
    assert "gone.csv" in capsys.readouterr().err and listing(tmp_path) == [] and not jobs.folders_in(jobs_root())


def test_the_command_refuses_a_run_that_has_not_finished_at_once(world, tmp_path, no_jobs, capsys):
    folder = copy_of(world, "labels", "command-unfinished")
    runs.write_status(folder, runs.Status("stopped", "Stopped by you."))
    assert main(["export", folder.name, "--onnx", "--to", str(tmp_path)]) == FAILED
    assert "The run is stopped; only the student of a finished run" in capsys.readouterr().err
    assert not jobs.folders_in(jobs_root())


def panel(folder: Path) -> AppTest:
    script = f"""
from pathlib import Path
from pages.ui.export import export_panel
export_panel(Path({str(folder)!r}))
"""
    at = AppTest.from_string(script, default_timeout=60).run()
    assert not at.exception, at.exception
    return at


def test_what_was_measured_stands_beside_each_download(made):
    at = panel(made)
    said = words(at)
    assert "Raw outputs (logits) differ by at most" in said and "times that of 32-bit ONNX" in said
    student_ms = numbers.milliseconds(read_forms(made)["student"]["ms_per_text"])
    assert said.count(f"the student in PyTorch, timed beside it, takes {student_ms}: ") == 2, "of the same go"
    assert "compare these times with each other" in said and "measured at another moment" in said
    faster = read_forms(made)["forms"]["int8"]["faster"]
    assert (" a text: faster;" in said) == faster and (" a text: smaller, not faster;" in said) != faster
    labels = [each.proto.label for each in at.get("download_button")]
    assert labels == ["Download student", "Download ONNX", "Download ONNX, 8-bit", "Download report"]
    assert not [each for each in at.button if each.key == "export-make"]


def test_made_and_downloaded_in_a_browser(world, start_server, page):
    folder = copy_of(world, "labels", "20261122-120000-ab12")
    visit(page, f"{start_server(home=world).url}/runs?run={folder.name}")
    page.get_by_role("button", name="Make the ONNX files").click()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Make the ONNX files").click()
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    expect(page.get_by_role("button", name="Download ONNX, 8-bit")).to_be_visible(timeout=90_000)
    assert read_forms(folder) is not None
    with page.expect_download() as download:
        page.get_by_role("button", name="Download student").click()
    assert download.value.suggested_filename == f"{archive_name(folder)}.zip"
    assert Path(download.value.path()).read_bytes() == zipped(folder)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download report").click()
    assert b"The exported files" in Path(download.value.path()).read_bytes()


def test_a_job_cancelled_in_the_middle_of_the_exporter_leaves_nothing_behind(world, no_jobs, monkeypatch):
    folder = copy_of(world, "labels", "cancelled")
    before, deadline, came_to_its_end = listing(folder), time.monotonic() + 60, []

    def write_for_ever(_model, to):
        """As torch's exporter: long, never asks whether it should stop, and passes over errors."""
        to.write_bytes(b"half")
        job.stop(folder)
        while time.monotonic() < deadline:
            with contextlib.suppress(Exception):
                hash(to)
        came_to_its_end.append(to)

    monkeypatch.setattr(convert, "write_onnx", write_for_ever)
    mine = job.start(folder)
    assert kinds.carry_out(mine) == "stopped" and not came_to_its_end
    assert jobs.read_status(mine).sentence == "Stopped by you. Nothing was kept." and job.status_of(folder) is None
    assert listing(folder) == before and not list(folder.glob(".export*"))
    assert jobs.state_of(job.start(folder)) == "queued", "it can begin again"


def test_a_job_cancelled_before_its_turn_never_begins(world, no_jobs):
    folder = copy_of(world, "labels", "cancelled-early")
    mine = job.start(folder)
    job.stop(folder)
    assert jobs.state_of(mine) == "stopped" and job.status_of(folder) is None
    job.start(folder)
    assert jobs.state_of(mine) == "queued"


def without_texts(folder: Path, world: Path) -> None:
    """The run's settings name texts that are no longer there."""
    settings = runs.read_settings(folder).model_dump(mode="json")
    settings["data"]["path"] = str(world / "gone.csv")
    write_json(folder / "config.json", settings)


def test_what_went_wrong_is_said_on_the_page_and_it_can_be_tried_again(world, no_jobs):
    folder = copy_of(world, "labels", "page-fails")
    without_texts(folder, world)
    assert kinds.carry_out(job.start(folder)) == "failed"
    at = panel(folder)
    assert "The ONNX files were not made. There is no file" in words(at).replace("\\", "") and "gone" in words(at)
    at.button(key="export-make").click().run()
    assert job.status_of(folder).state == "queued" and "Waiting for its turn" in words(at)
    at.button(key="export-cancel").click().run()
    assert job.status_of(folder) is None and at.button(key="export-make")


def test_a_killed_job_says_so_on_the_page_and_can_be_tried_again(world, no_jobs):
    folder = copy_of(world, "labels", "page-killed")
    mine = job.start(folder)
    gone = of_folder(this_process(), mine) | {"started": "1"}
    jobs.write_status(mine, jobs.Status("running", "Writing the ONNX file.", owner=gone))
    at = panel(folder)
    assert "The ONNX files were not made. The process that worked on it ended" in words(at).replace("\\", "")
    at.button(key="export-make").click().run()
    assert job.status_of(folder).state == "queued"


def test_what_once_went_wrong_is_not_said_of_files_that_are_there(made, no_jobs):
    """A terminal has made them since."""
    jobs.write_status(job.start(made), jobs.Status("failed", "There is no file."))
    assert job.status_of(made).state == "failed" and "were not made" not in words(panel(made))


def test_a_full_disk_is_said_when_it_cannot_be_begun(world, no_jobs, monkeypatch):
    folder = copy_of(world, "labels", "page-full")

    def full(*_args, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    at = panel(folder)
    monkeypatch.setattr(jobs, "create", full)
    at.button(key="export-make").click().run()
    assert not at.exception and "No space left on device" in words(at)
