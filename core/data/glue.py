"""The nine tasks of GLUE in one table, and their official files: tab separated, where a quotation mark means nothing.

Sizes, columns and labels are those of the official download; files of another size are read, with a note.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from core.data.csv_file import lines_of
from core.data.csv_labels import number
from core.data.files import (
    Beginning,
    DataError,
    as_path,
    decode,
    is_folder,
    is_there,
    read_beginning,
    read_bytes,
    shown,
)
from core.data.part import Part, numbers_of
from core.sections import DataSettings, GlueTask

ACCURACY = "accuracy"
NO_LABEL = ("", "-")
"""How a file says that annotators could not agree, or that a row has no label."""

LEAK = (
    "The SST-2 sentences come from the same reviews as the bundled movie sentences: 725 of its 872 development "
    "sentences are whole snippets of them. A model that has learned from the bundled sentences has seen this test."
)


@dataclass(frozen=True)
class Task:
    """One task. `labels` maps what the file holds to the class names, in order; a task without labels has scores 0–5.

    `pieces` is about how many word pieces of bert-base-uncased an example has, [CLS] and [SEP] included.
    """

    name: GlueTask
    texts: tuple[str, ...]
    label: str
    labels: dict[str, str]
    metric: str
    train_size: int
    dev_size: int
    pieces: float
    hub: str
    header: tuple[str, ...] | None = None
    train_files: tuple[str, ...] = ("train.tsv",)
    dev_files: tuple[str, ...] = ("dev.tsv",)
    has_short_rows: bool = False
    hub_texts: tuple[str, ...] = field(default=())

    @property
    def label_names(self) -> tuple[str, ...]:
        """Names of the classes in the order of their numbers; empty for scores."""
        return tuple(self.labels.values())


@dataclass(frozen=True)
class GlueTexts:
    """One task as it was read. `dev` is None where it was not asked for; `dev_name` says which test set it is."""

    task: Task
    train: Part
    dev: Part | None
    notes: tuple[str, ...]
    dev_name: str = "official dev"


def _yes_no(no: str, yes: str) -> dict[str, str]:
    return {"0": no, "1": yes}


_SENTENCES = ("sentence1", "sentence2")
_QUESTIONS = ("question1", "question2")
_ENTAILMENT = {"entailment": "entailment", "not_entailment": "not_entailment"}
_NLI = {name: name for name in ("contradiction", "entailment", "neutral")}
_MATTHEWS, _F1, _CORRELATION = "Matthews correlation", "mean of accuracy and F1", "mean of Pearson and Spearman"

_ALL = (
    Task("CoLA", ("sentence",), "label", _yes_no("unacceptable", "acceptable"), _MATTHEWS, 8_551, 1_043, 11, "cola",
         header=("source", "label", "mark", "sentence")),
    Task("SST-2", ("sentence",), "label", _yes_no("negative", "positive"), ACCURACY, 67_349, 872, 13.3, "sst2"),
    Task("MRPC", ("#1 String", "#2 String"), "Quality", _yes_no("not_equivalent", "equivalent"), _F1, 3_668, 408, 53,
         "mrpc", train_files=("train.tsv", "msr_paraphrase_train.txt"),
         dev_files=("dev.tsv", "msr_paraphrase_test.txt"), hub_texts=_SENTENCES),
    Task("STS-B", _SENTENCES, "score", {}, _CORRELATION, 5_749, 1_500, 28, "stsb"),
    Task("QQP", _QUESTIONS, "is_duplicate", _yes_no("not_duplicate", "duplicate"), _F1, 363_846, 40_430, 30, "qqp",
         has_short_rows=True),
    Task("MNLI", _SENTENCES, "gold_label", _NLI, ACCURACY, 392_702, 9_815, 40, "mnli", dev_files=("dev_matched.tsv",),
         hub_texts=("premise", "hypothesis")),
    Task("QNLI", ("question", "sentence"), "label", _ENTAILMENT, ACCURACY, 104_743, 5_463, 50, "qnli"),
    Task("RTE", _SENTENCES, "label", _ENTAILMENT, ACCURACY, 2_490, 277, 70, "rte"),
    Task("WNLI", _SENTENCES, "label", _yes_no("not_entailment", "entailment"), ACCURACY, 635, 71, 37, "wnli"),
)  # fmt: skip
TASKS: dict[str, Task] = {task.name: task for task in _ALL}

MNLI_MISMATCHED = "dev_mismatched.tsv"


def read_glue(settings: DataSettings, with_dev: bool = True) -> GlueTexts:
    """The task of the settings from the GLUE folder of the settings; MNLI with its matched development set.

    Raises DataError, naming file, line and reason, where a file is missing or is not what it should be.
    """
    task, root = TASKS[settings.task], as_path(settings.path)
    # Both before reading: the training file of MNLI takes seconds.
    train_path, dev_path = train_file(root, task), dev_file(root, task) if with_dev else None
    train, notes = read_tsv(train_path, task)
    notes += _size_note(train_path, task, len(train), task.train_size)
    if dev_path is None:
        return GlueTexts(task, train, None, notes)
    dev, more = read_tsv(dev_path, task)
    notes += more + _size_note(dev_path, task, len(dev), task.dev_size)
    name = "official dev" if dev_path.name == task.dev_files[0] else f"{task.name} test"
    return GlueTexts(task, train, dev, notes, name)


def task_folder(root: Path, task: Task) -> Path:
    """The task's folder below the GLUE folder, or the GLUE folder itself if it is called like the task."""
    if is_folder(root / task.name):
        return root / task.name
    if root.name == task.name and is_folder(root):
        return root
    if not is_folder(root):
        raise DataError(
            f"There is no folder {shown(str(root), 300)}. Name the one that holds {task.name}/ in data.path."
        )
    present = [name for name in TASKS if is_folder(root / name)]
    has = f"it has {', '.join(present)}" if present else "it has no GLUE task at all"
    raise DataError(
        f"The GLUE folder {shown(str(root), 300)} has no {task.name}/; {has}. "
        f"Put the official files of {task.name} there, or choose another task."
    )


def train_file(root: Path, task: Task) -> Path:
    """The task's training file. Raises DataError, with what to do, if it is not there."""
    return _one_of(task_folder(root, task), task, task.train_files)


def dev_file(root: Path, task: Task, mismatched: bool = False) -> Path:
    """The task's development file; of MNLI the matched one unless `mismatched`. Errors as `train_file`."""
    return _one_of(task_folder(root, task), task, (MNLI_MISMATCHED,) if mismatched else task.dev_files)


def read_tsv(path: Path, task: Task) -> tuple[Part, tuple[str, ...]]:
    """The examples of one file, and a note on those that were left out.

    Raises DataError, naming file, line and reason, at a row that is cut or whose label does not belong to the task.
    """
    name = f"{task.name}/{path.name}"
    return parse_tsv(decode(read_bytes(path), name), name, task)


def parse_tsv(text: str, name: str, task: Task) -> tuple[Part, tuple[str, ...]]:
    """The examples in the text of a file, with errors and notes as `read_tsv`."""
    reader = _Rows.of(text, name, task)
    return reader.part(), reader.notes()


def sample_tsv(path: Path, task: Task, count: int) -> tuple[Part, Beginning]:
    """The examples in about the first `count` bytes of a file, at least one; errors as `read_tsv`."""
    name = f"{task.name}/{path.name}"
    while True:
        beginning = read_beginning(path, count, name, whole_lines=True)
        reader = _Rows.of(beginning.text, name, task)
        if beginning.is_whole or reader.has_any:
            return reader.part(), beginning
        count = 4 * max(count, beginning.read)


class _Rows:
    """The rows of one file so far."""

    def __init__(self, name: str, task: Task) -> None:
        self._name, self._task = name, task
        self._find(list(task.header or ()))
        self._texts: list[list[str]] = [[] for _ in task.texts]
        self._labels: list[float] = []
        self._numbers = {value: i for i, value in enumerate(task.labels)}
        self._unlabelled = self._short = 0

    @classmethod
    def of(cls, text: str, name: str, task: Task) -> _Rows:
        rows = cls(name, task)
        for line, row in enumerate(lines_of(text), 1):
            if row := row.rstrip("\r\n"):
                rows.add(line, row.split("\t"))
        return rows

    @property
    def has_any(self) -> bool:
        return bool(self._labels)

    def add(self, line: int, fields: list[str]) -> None:
        if not self._columns:
            self._read_header(line, fields)
        elif self._is_whole(line, fields):
            label = fields[self._label].strip()
            if label in NO_LABEL:
                self._unlabelled += 1
                return
            self._labels.append(self._value(line, label))
            for texts, place in zip(self._texts, self._places, strict=True):
                texts.append(fields[place].strip())

    def part(self) -> Part:
        if not self._labels:
            reason = "no row has a label; is it the test file" if self._unlabelled else "it has no rows; was it cut"
            raise DataError(f"{self._name}: {reason}? Put the official file of {self._task.name} there.")
        labels = numbers_of(self._labels, are_classes=bool(self._task.labels))
        return Part(self._texts[0], labels, self._texts[1] if len(self._texts) > 1 else None)

    def notes(self) -> tuple[str, ...]:
        counts = {"a label": self._unlabelled, "all columns": self._short}
        return tuple(
            f"{self._name}: rows without {what} were left out: {count:,}." for what, count in counts.items() if count
        )

    def _find(self, columns: list[str]) -> None:
        self._columns = columns
        self._label = columns.index(self._task.label) if columns else -1
        self._places = [columns.index(text) for text in self._task.texts if columns]

    def _read_header(self, line: int, fields: list[str]) -> None:
        wanted = (*self._task.texts, self._task.label)
        if not set(wanted) <= set(fields):
            raise DataError(
                f"{self._name}, line {line}: the tab-separated columns {', '.join(wanted)} were expected, "
                f"but the line is {shown(chr(9).join(fields))}. Put the official training or development file there."
            )
        self._find(fields)

    def _is_whole(self, line: int, fields: list[str]) -> bool:
        width = len(self._columns)
        # A label in the last column gives a tab too many away; elsewhere texts would be cut in silence.
        if len(fields) == width or (len(fields) > width and self._label == width - 1):
            return True
        if len(fields) < width and self._task.has_short_rows:
            self._short += 1
            return False
        raise DataError(
            f"{self._name}, line {line}: this row has {len(fields)} tab-separated columns instead of {width}. "
            "The file may have been cut or changed; put the official one there."
        )

    def _value(self, line: int, label: str) -> float:
        value: float | None
        if self._task.labels:
            value = self._numbers.get(label)
            expected = " or ".join(self._numbers)
        else:
            value = number(label)
            value = value if value is not None and 0 <= value <= 5 else None
            expected = "a number from 0 to 5"
        if value is None:
            raise DataError(f"{self._name}, line {line}: the label is {shown(label)}; expected {expected}.")
        return value


def _one_of(folder: Path, task: Task, names: tuple[str, ...]) -> Path:
    for name in names:
        if is_there(folder / name):
            return folder / name
    raise DataError(
        f"There is no {task.name}/{names[0]} in the GLUE folder {shown(str(folder.parent), 300)}. "
        f"Put the official file of {task.name} there, or choose another task."
    )


def _size_note(path: Path, task: Task, found: int, official: int) -> tuple[str, ...]:
    if found == official:
        return ()
    return (
        f"{task.name}/{path.name} has {found:,} examples; the official file has {official:,}, "
        "so a score cannot be compared with published ones.",
    )
