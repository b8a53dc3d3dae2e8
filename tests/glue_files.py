"""Small files in the official layout of each GLUE task, made up here."""

from __future__ import annotations

from pathlib import Path

HEADERS = {
    "SST-2": "sentence\tlabel",
    "MRPC": "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String",
    "STS-B": "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore",
    "QQP": "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate",
    "MNLI": "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse\t"
    "sentence2_parse\tsentence1\tsentence2\tlabel1\tgold_label",
    "QNLI": "index\tquestion\tsentence\tlabel",
    "RTE": "index\tsentence1\tsentence2\tlabel",
    "WNLI": "index\tsentence1\tsentence2\tlabel",
}
"""First lines; CoLA has none. MNLI's development files have another, with five annotators' labels."""

MNLI_DEV = HEADERS["MNLI"].replace("label1", "label1\tlabel2\tlabel3\tlabel4\tlabel5")

LABELS = {
    "STS-B": ("0.000", "2.5", "5.000"),
    "MNLI": ("neutral", "contradiction", "entailment"),
    "QNLI": ("not_entailment", "entailment"),
    "RTE": ("entailment", "not_entailment"),
}
"""What stands in the label column, where it is not 0 and 1."""


def label(task: str, number: int) -> str:
    """The label of row `number` of a made-up file."""
    labels = LABELS.get(task, ("1", "0"))
    return labels[number % len(labels)]


def row(task: str, number: int, word: str) -> str:
    """A row whose texts are `"word number` and `word "number" again`, quotation marks unbalanced on purpose."""
    first, second, value = f'"{word} {number}', f'{word} "{number}" again', label(task, number)
    annotators = "\t".join("abcde") if word.startswith("dev") else "x"
    return {
        "CoLA": f"gj04\t{value}\t*\t{first}",
        "SST-2": f"{first} \t{value}",
        "MRPC": f"{value}\t70{number}\t71{number}\t{first}\t{second}",
        "STS-B": f"{number}\tmain\tMSRvid\t2012\t0{number}\tnone\tnone\t{first}\t{second}\t{value}",
        "QQP": f"{number}\t1\t2\t{first}\t{second}\t{value}",
        "MNLI": f"{number}\t1\t1n\tfiction\t( a )\t( b )\t(ROOT a)\t(ROOT b)\t{first}\t{second}\t{annotators}\t{value}",
    }.get(task, f"{number}\t{first}\t{second}\t{value}")


def lines(task: str, count: int, word: str = "train") -> list[str]:
    """A whole file, its header first where the task has one; a development file if `word` begins with "dev"."""
    header = MNLI_DEV if task == "MNLI" and word.startswith("dev") else HEADERS.get(task)
    return [header] * bool(header) + [row(task, number, word) for number in range(count)]


def write(path: Path, file_lines: list[str], mark: bool = False, end: str = "\n") -> None:
    """Write a file of these lines, with a byte-order mark if `mark`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = "".join(line + end for line in file_lines)
    path.write_bytes(content.encode("utf-8-sig" if mark else "utf-8"))


def write_task(root: Path, task: str, train: int = 60, dev: int = 20) -> None:
    """The training and development files of a task, as the official download names them."""
    write(root / task / "train.tsv", lines(task, train))
    for name in ("dev_matched.tsv", "dev_mismatched.tsv") if task == "MNLI" else ("dev.tsv",):
        write(root / task / name, lines(task, dev, name.split(".")[0]))
