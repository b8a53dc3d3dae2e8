"""GLUE: each task's official layout read to the letter, and what is wrong with a file said with file and line."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, Value

from core.config import GLUE_SOURCES
from core.data import hub
from core.data.files import DataError
from core.data.glue import LEAK, TASKS, dev_file, read_glue, read_tsv, train_file
from core.data.labelled import LabelledData, load_labelled
from core.errors import DistilleryError
from core.sections import DataSettings
from tests.fixtures import glue_files

REAL = Path(__file__).resolve().parents[4] / "shared" / "glue"


def settings(root: Path, task: str, **more) -> DataSettings:
    return DataSettings(source="glue_folder", path=str(root), task=task, **more)


def parts(data: LabelledData) -> list[set[tuple[str, ...]]]:
    return [set(part.keys()) for part in (data.train, data.validation, data.test)]


def test_the_table_names_all_nine_tasks() -> None:
    assert set(TASKS) == set(DataSettings.model_json_schema()["properties"]["task"]["enum"])
    assert {name for name, task in TASKS.items() if len(task.texts) == 1} == {"CoLA", "SST-2"}
    assert [name for name, task in TASKS.items() if not task.label_names] == ["STS-B"]
    assert sum(task.train_size for task in TASKS.values()) == 949_733
    assert set(GLUE_SOURCES) == {"glue_folder", "glue_hub"}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_each_official_layout_is_read_to_the_letter(tmp_path: Path, task: str, end: str) -> None:
    glue_files.write(tmp_path / "train.tsv", glue_files.lines(task, 12), mark=task == "MRPC", end=end)
    part, notes = read_tsv(tmp_path / "train.tsv", TASKS[task])
    assert part.texts == [f'"train {number}' for number in range(12)]
    if len(TASKS[task].texts) == 2:
        assert part.pairs == [f'train "{number}" again' for number in range(12)]
    else:
        assert part.pairs is None
    names = TASKS[task].label_names
    for number, label in enumerate(part.labels):
        written = glue_files.label(task, number)
        if names:
            assert list(TASKS[task].labels)[label] == written
        else:
            assert label == pytest.approx(float(written)) and part.labels.dtype == np.float32
    assert notes == ()


def test_the_official_split_keeps_the_development_set_whole(tmp_path: Path) -> None:
    for task in TASKS:
        glue_files.write_task(tmp_path, task, train=200, dev=30)
        data = load_labelled(settings(tmp_path, task))
        assert [len(part) for part in (data.train, data.validation, data.test)] == [180, 20, 30], task
        word = "dev_matched" if task == "MNLI" else "dev"
        assert data.test.texts == [f'"{word} {number}' for number in range(30)]
        assert data.test_split == "official dev" and data.label_names == TASKS[task].label_names
        assert (LEAK in data.notes) == (task == "SST-2")
        sizes = [note for note in data.notes if "cannot be compared with published ones" in note]
        assert len(sizes) == 2 and f"{task}/train.tsv has 200 examples; the official file has" in sizes[0]
    assert dev_file(tmp_path, TASKS["MNLI"], mismatched=True).name == "dev_mismatched.tsv"


def test_the_folder_of_the_task_itself_may_be_named(tmp_path: Path) -> None:
    glue_files.write_task(tmp_path, "RTE")
    assert len(read_glue(settings(tmp_path / "RTE", "RTE")).train) == 60


def test_the_older_files_of_mrpc_are_read_and_called_what_they_are(tmp_path: Path) -> None:
    glue_files.write(tmp_path / "MRPC" / "msr_paraphrase_train.txt", glue_files.lines("MRPC", 80), mark=True)
    glue_files.write(tmp_path / "MRPC" / "msr_paraphrase_test.txt", glue_files.lines("MRPC", 20, "dev"), mark=True)
    data = load_labelled(settings(tmp_path, "MRPC"))
    assert len(data.test) == 20 and data.test_split == "MRPC test"


def test_short_rows_of_qqp_and_rows_without_a_label_are_counted(tmp_path: Path) -> None:
    lines = glue_files.lines("QQP", 10)
    lines[3:3] = ["7\t1\t2\tcut in the", "8\t1"]
    glue_files.write(tmp_path / "train.tsv", [*lines, "9\t1\t2\tone\ttwo\t"])
    part, notes = read_tsv(tmp_path / "train.tsv", TASKS["QQP"])
    assert len(part) == 10
    assert notes == (
        "QQP/train.tsv: rows without a label were left out: 1.",
        "QQP/train.tsv: rows without all columns were left out: 2.",
    )
    agreed = glue_files.lines("MNLI", 10)
    glue_files.write(tmp_path / "dev_matched.tsv", [*agreed, agreed[1].rsplit("\t", 1)[0] + "\t-"])
    assert len(read_tsv(tmp_path / "dev_matched.tsv", TASKS["MNLI"])[0]) == 10


WRONG = {
    "test file": ("SST-2", ["index\tsentence", "0\ta film"], "line 1: the tab-separated columns sentence, label"),
    "comma separated": ("SST-2", ["sentence,label", "a film,1"], "line 1: .* but the line is 'sentence,label'"),
    "cut row": ("MRPC", [*glue_files.lines("MRPC", 5), "1\t2"], "line 7: this row has 2 tab-separated columns inst"),
    "cut CoLA": ("CoLA", [*glue_files.lines("CoLA", 5), "gj04"], "CoLA/train.tsv, line 6: this row has 1"),
    "tab in text": ("MRPC", [*glue_files.lines("MRPC", 2), "1\t2\t3\ta\tb\tc"], "line 4: this row has 6"),
    "shifted": ("RTE", [*glue_files.lines("RTE", 2), "1\ta\tb\tc\tentailment"], "line 4: the label is 'c'; expected"),
    "class": ("SST-2", ["sentence\tlabel", "a film\t2"], "line 2: the label is '2'; expected 0 or 1"),
    "score": ("STS-B", [*glue_files.lines("STS-B", 1), glue_files.row("STS-B", 1, "a")[:-3] + "5.1"],
              "line 3: the label is '5.1'; expected a number from 0 to 5"),
    "header only": ("QNLI", [glue_files.HEADERS["QNLI"]], "QNLI/train.tsv: it has no rows; was it cut"),
    "empty": ("QNLI", [], "QNLI/train.tsv: it has no rows; was it cut"),
    "no labels": ("SST-2", ["sentence\tlabel", "a film\t"], "no row has a label; is it the test file"),
    "web page": ("SST-2", ["<!DOCTYPE html>", "<html>"], "SST-2/train.tsv is a web page"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_or_cut_file_says_file_line_and_reason(tmp_path: Path, case: str) -> None:
    task, lines, reason = WRONG[case]
    glue_files.write(tmp_path / "train.tsv", lines)
    with pytest.raises(DataError, match=reason) as caught:
        read_tsv(tmp_path / "train.tsv", TASKS[task])
    assert str(caught.value).startswith(f"{task}/train.tsv")


@pytest.mark.parametrize("task", TASKS)
def test_a_file_cut_anywhere_is_read_or_refused_with_its_line(tmp_path: Path, task: str) -> None:
    glue_files.write(tmp_path / "whole.tsv", glue_files.lines(task, 4), mark=task == "MRPC")
    content = (tmp_path / "whole.tsv").read_bytes()
    refused = 0
    for end in range(len(content)):
        (tmp_path / "train.tsv").write_bytes(content[:end])
        try:
            assert len(read_tsv(tmp_path / "train.tsv", TASKS[task])[0]) <= 4
        except DataError as error:
            refused += 1
            if b"\n" in content[:end].rstrip():
                line = content[:end].count(b"\n") + 1
                said = (
                    f"{task}/train.tsv, line {line}: ",
                    f"{task}/train.tsv: it has no rows",
                    f"{task}/train.tsv: no row has",
                )
                assert str(error).startswith(said), (end, str(error))
    # Short rows of QQP are counted, not refused; a cut within the last field of a row may leave a valid one.
    assert refused > (20 if task == "QQP" else len(content) / 3)


def test_short_rows_are_an_error_everywhere_but_in_qqp(tmp_path: Path) -> None:
    for task in TASKS:
        lines = glue_files.lines(task, 6)
        lines[4] = lines[4].rsplit("\t", 1)[0] if task != "CoLA" else "gj04\t1\t*"
        glue_files.write(tmp_path / "train.tsv", lines)
        if task == "QQP":
            assert len(read_tsv(tmp_path / "train.tsv", TASKS[task])[0]) == 5
            continue
        with pytest.raises(DataError, match=rf"{task}/train.tsv, line 5: this row has \d+ tab-separated columns inst"):
            read_tsv(tmp_path / "train.tsv", TASKS[task])


def test_cola_has_no_header_and_one_that_was_added_is_named(tmp_path: Path) -> None:
    rows = glue_files.lines("CoLA", 3)
    assert rows[0].startswith("gj04\t1\t*\t")
    glue_files.write(tmp_path / "train.tsv", rows, mark=True)
    part, _ = read_tsv(tmp_path / "train.tsv", TASKS["CoLA"])
    assert len(part) == 3 and part.texts[0] == '"train 0' and list(part.labels) == [1, 0, 1]
    glue_files.write(tmp_path / "train.tsv", ["source\tlabel\tmark\tsentence", *rows])
    with pytest.raises(DataError, match="CoLA/train.tsv, line 1: the label is 'label'; expected 0 or 1"):
        read_tsv(tmp_path / "train.tsv", TASKS["CoLA"])


@pytest.mark.parametrize("task", TASKS)
def test_what_may_stand_in_a_text_does_not_end_it(tmp_path: Path, task: str) -> None:
    texts = [
        '"',
        '""',
        '"quoted"',
        "'",
        "a, b",
        "a\u2028b",
        "a\x85b",
        "a\x0bb\x1cb",
        "\\",
        "#",
        "NA",
        "null",
        "0",
        "ünï 🙂",
    ]
    rows = []
    for number, text in enumerate(texts):
        fields = glue_files.row(task, number, "x").split("\t")
        for place, field in enumerate(fields):
            fields[place] = text if "x " in field else field
        rows.append("\t".join(fields))
    header = glue_files.lines(task, 0)
    glue_files.write(tmp_path / "train.tsv", [*header, *rows])
    part, notes = read_tsv(tmp_path / "train.tsv", TASKS[task])
    assert part.texts == texts and notes == ()
    assert part.pairs == (texts if len(TASKS[task].texts) == 2 else None)


def test_both_development_sets_of_mnli_are_read_in_their_own_layout(tmp_path: Path) -> None:
    glue_files.write_task(tmp_path, "MNLI", train=30, dev=9)
    first = (tmp_path / "MNLI" / "dev_matched.tsv").read_text(encoding="utf-8").splitlines()[0].split("\t")
    assert len(first) == 16 and first[-1] == "gold_label" and first[8:10] == ["sentence1", "sentence2"]
    assert len(glue_files.HEADERS["MNLI"].split("\t")) == 12
    for mismatched, word in ((False, "dev_matched"), (True, "dev_mismatched")):
        part, _ = read_tsv(dev_file(tmp_path, TASKS["MNLI"], mismatched), TASKS["MNLI"])
        assert part.texts == [f'"{word} {number}' for number in range(9)]
        assert part.pairs == [f'{word} "{number}" again' for number in range(9)]
        assert list(part.labels) == [2, 0, 1] * 3
    (tmp_path / "MNLI" / "dev_mismatched.tsv").unlink()
    with pytest.raises(DataError, match="There is no MNLI/dev_mismatched.tsv"):
        dev_file(tmp_path, TASKS["MNLI"], mismatched=True)


def test_what_is_missing_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no folder .*nowhere'. Name the one that holds CoLA/ in data.path"):
        train_file(tmp_path / "nowhere", TASKS["CoLA"])
    with pytest.raises(DataError, match="has no GLUE task at all. Put the official files of CoLA there"):
        train_file(tmp_path, TASKS["CoLA"])
    glue_files.write_task(tmp_path, "RTE")
    with pytest.raises(DataError, match="has no CoLA/; it has RTE. Put"):
        train_file(tmp_path, TASKS["CoLA"])
    (tmp_path / "RTE" / "dev.tsv").unlink()
    with pytest.raises(DataError, match="There is no RTE/dev.tsv in the GLUE folder"):
        load_labelled(settings(tmp_path, "RTE"))
    assert len(load_labelled(settings(tmp_path, "RTE", split="random")).test) == 6


def test_the_switch_is_named_at_once_where_the_network_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*_: object) -> None:
        raise AssertionError("a connection was attempted")

    monkeypatch.delenv("DISTILLERY_NETWORK", raising=False)
    monkeypatch.setattr(socket.socket, "connect", connect)
    with pytest.raises(DistilleryError, match="DISTILLERY_NETWORK=1"):
        load_labelled(DataSettings(source="glue_hub", task="RTE"))


HUB_NAMES = {"MNLI": ["entailment", "neutral", "contradiction"]}
"""The Hub's own order of classes, where it is not ours."""


@pytest.fixture
def hub_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a task in a folder of parquet files, in the Hub's layout and columns, in place of the Hub."""
    monkeypatch.setenv("DISTILLERY_NETWORK", "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(hub, "REPOSITORY", str(tmp_path / "glue"))

    def put(name: str) -> None:
        task = TASKS[name]
        kind = ClassLabel(names=HUB_NAMES.get(name, list(task.label_names))) if task.labels else Value("float32")
        columns = task.hub_texts or task.texts
        features = Features({column: Value("string") for column in columns} | {"label": kind, "idx": Value("int32")})
        dev = "validation_matched" if name == "MNLI" else "validation"
        folder = tmp_path / "glue" / task.hub
        folder.mkdir(parents=True)
        for split, count in (("train", 60), (dev, 20)):
            classes = len(task.labels) or 5
            table = {column: [f"{split} {column} {i} " for i in range(count)] for column in columns}
            table |= {"label": [i % classes for i in range(count)], "idx": list(range(count))}
            if split == "train":
                table = {column: [*values, values[0]] for column, values in table.items()}
                table["label"][-1] = -1
            Dataset.from_dict(table, features).to_parquet(folder / f"{split}-00000-of-00001.parquet")
        files = "".join(f"  - split: {split}\n    path: {task.hub}/{split}-*\n" for split in ("train", dev))
        readme = f"---\nconfigs:\n- config_name: {task.hub}\n  data_files:\n{files}---\n"
        (tmp_path / "glue" / "README.md").write_text(readme)

    return put


@pytest.mark.parametrize("task", ["SST-2", "MNLI", "STS-B", "MRPC"])
def test_the_hubs_form_becomes_the_same(hub_folder: Callable[[str], None], task: str) -> None:
    hub_folder(task)
    data = load_labelled(DataSettings(source="glue_hub", task=task))
    names, column = data.label_names, (TASKS[task].hub_texts or TASKS[task].texts)[0]
    assert names == TASKS[task].label_names and data.test_split == "official dev"
    assert [len(part) for part in (data.train, data.validation, data.test)] == [54, 6, 20]
    dev = "validation_matched" if task == "MNLI" else "validation"
    assert data.test.texts == [f"{dev} {column} {i}" for i in range(20)]
    hub_names = HUB_NAMES.get(task, list(names))
    for i, label in enumerate(data.test.labels):
        assert (names[label] == hub_names[i % len(names)]) if names else (label == i % 5)
    assert f"{task} from the Hub: rows without a label were left out: 1." in data.notes


def test_a_hub_that_fails_is_said_in_a_sentence(hub_folder: Callable[[str], None]) -> None:
    with pytest.raises(DataError, match="RTE could not be fetched from .*choose a GLUE folder"):
        load_labelled(DataSettings(source="glue_hub", task="RTE"))


@pytest.mark.skipif(not REAL.is_dir(), reason="The official files are not on this machine.")
@pytest.mark.parametrize(("task", "merged"), [("SST-2", 67_850), ("MRPC", 4_076), ("STS-B", 7_197)])
def test_the_official_files_have_the_official_sizes(task: str, merged: int) -> None:
    texts = read_glue(settings(REAL, task))
    assert (len(texts.train), len(texts.dev)) == (TASKS[task].train_size, TASKS[task].dev_size)
    assert texts.notes == ()
    data = load_labelled(settings(REAL, task, split="merged"))
    assert sum(map(len, parts(data))) == merged and data.test_split == "merged test"
