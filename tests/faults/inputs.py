"""Bad input by the hundred, and mutated input by the thousand: whatever is given, the answer is a result or a sentence.

A `Tally` counts what came out that is neither, BaseException included, and how long the slowest took (time of this
process, so that a busy machine says nothing). The cases are those that the tests of each reader hold, and those below.
"""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from core.data.csv_file import parse_csv
from core.data.csv_labels import labelled_csv
from core.errors import DistilleryError
from core.models.saved import load_model
from core.scoring.answers import answers, read_lines
from core.sections import DataSettings
from core.settings_file import override, parse_settings, read_settings_file
from tests.core import test_settings
from tests.core.data import test_csv_file
from tests.core.models import test_saved, test_teacher
from tests.fixtures.tiny_models import finished_run

LIMIT_S = 1.0


@dataclass
class Tally:
    """What became of so many inputs of a kind; `escapes` holds what came out that is no sentence of ours."""

    kind: str
    tried: int = 0
    refused: int = 0
    slowest_s: float = 0.0
    escapes: list[str] = field(default_factory=list)

    def take(self, name: str, use: Callable[[], Any]) -> None:
        """Use one input and count what happens."""
        begun = time.process_time()
        try:
            use()
        except DistilleryError as error:
            self.refused += 1
            if not str(error) or len(str(error)) > 1_000 or "Traceback" in str(error):
                self.escapes.append(f"{name}: says {str(error)[:200]!r}")
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001  what escapes is what is looked for
            self.escapes.append(f"{name}: {type(error).__name__}: {str(error)[:200]}")
        self.tried += 1
        self.slowest_s = max(self.slowest_s, time.process_time() - begun)


def _rows(count: int, row: Callable[[int], str]) -> str:
    return "text,label\n" + "".join(row(number) + "\n" for number in range(count))


MARK = "\u0301"
CSVS: dict[str, bytes] = {
    "texts that look like nothing": _rows(60, lambda n: f"{('NA', 'null', 'None', 'nan')[n % 4]} {n},{n % 2}").encode(),
    "texts that look like numbers": _rows(60, lambda n: f"{n * 10**6},{n % 2}").encode(),
    "texts that look like truth": _rows(60, lambda n: f"{'True' if n % 3 else 'False'} {n},{n % 2}").encode(),
    "formulas": _rows(60, lambda n: f"={n}+cmd|' /C calc'!A0,{n % 2}").encode(),
    "html": _rows(60, lambda n: f"<script>alert({n})</script>,{n % 2}").encode(),
    "a million characters in a cell": _rows(40, lambda n: f"{'word ' * 25_000}{n},{n % 2}").encode(),
    "one word of a million characters": ("text,label\n" + "x" * 1_000_000 + ",1\n").encode(),
    "chinese without spaces": _rows(40, lambda n: f"{'漢' * 10_000}{n},{n % 2}").encode(),
    "right to left": _rows(40, lambda n: f"\u202egood\u202c {n},{n % 2}").encode(),
    "combining marks": _rows(40, lambda n: f"e{MARK * 5_000}{n},{n % 2}").encode(),
    "emoji families": _rows(40, lambda n: f"{'👩‍👩‍👧' * 200}{n},{n % 2}").encode(),
    "control characters": _rows(40, lambda n: f"a\x01\x02\x1b[31m{n},{n % 2}").encode(),
    "control tokens": _rows(40, lambda n: f"[CLS] [SEP] [PAD] [MASK] {n},{n % 2}").encode(),
    "carriage returns only": _rows(40, lambda n: f"a {n},{n % 2}").replace("\n", "\r").encode(),
    "mixed line ends": b"text,label\r\n" + b"".join(b"a %d,%d" % (n, n % 2) + b"\r\n\n"[n % 2 :] for n in range(40)),
    "no line end": b"text,label",
    "only delimiters": b",,,,\n,,,,\n",
    "only quotes": b'"""""""\n',
    "one quote": b'"',
    "a quote in the header": b'text,"lab\nel"\na,1\n',
    "a header of nothing": b",\na,b\n",
    "a column without a name": b"text,label,\na,1,\n",
    "names with spaces": b" text , label \na,1\n",
    "a name of 10,000 characters": b"t" * 10_000 + b",label\na,1\n",
    "names that differ in case": b"text,Text,label\na,b,1\n",
    "hostile names": b"![x](http://192.0.2.1/),<img src=x>,=1+1\na,b,c\n",
    "semicolons with commas inside": b"text;label\n" + b"".join(b"a, b, %d;%d\n" % (n, n % 2) for n in range(40)),
    "tabs": b"text\tlabel\n" + b"".join(b"a %d\t%d\n" % (n, n % 2) for n in range(40)),
    "pipes": b"text|label\n" + b"".join(b"a %d|%d\n" % (n, n % 2) for n in range(40)),
    "longer rows from the first": b"text,label\n" + b"a,1,2\n" * 40,
    "one longer row at the end": _rows(40, lambda n: f"a {n},{n % 2}").encode() + b"a,1,2,3\n",
    "labels 1.0, 2.0 and nothing": _rows(60, lambda n: f"a {n},{('1.0', '2.0', '')[n % 3]}").encode(),
    "labels with spaces": _rows(60, lambda n: f"a {n}, {'ab'[n % 2]} ").encode(),
    "labels not a number": _rows(60, lambda n: f"a {n},{('nan', 'inf', '-inf')[n % 3]}").encode(),
    "labels beyond floats": _rows(60, lambda n: f"a {n},{('1e999', '-1e999')[n % 2]}").encode(),
    "labels of 5,000 digits": _rows(60, lambda n: f"a {n},{'9' * 5_000}{n % 2}").encode(),
    "one label": _rows(60, lambda n: f"a {n},same").encode(),
    "a label for every row": _rows(120, lambda n: f"a {n},label {n}").encode(),
    "the same text everywhere": _rows(60, lambda n: f"same,{n % 2}").encode(),
    "texts of nothing": _rows(60, lambda n: f" ,{n % 2}").encode(),
    "100,000 columns": b",".join(b"c%d" % n for n in range(100_000)) + b"\n",
    "50,001 rows": b"text,label\n" + b"a,1\n" * 50_001,
    "a bomb, zipped": test_csv_file.gzip.compress(b"text,label\n" + b"a,1\n" * 500_000),
    "utf-7": b"text,label\n+AGEAYg-,1\n",
    "utf-16 big without its mark": "text,label\nab,1\n".encode("utf-16-be"),
    "a mark in the middle": "text,label\na\ufeffb,1\n".encode(),
    "an overlong encoding": b"text,label\n\xc0\xaf,1\n",
    "a json file": b'[{"text": "a", "label": 1}]',
    "a pickle": b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94.",
    "a program": b"#!/bin/sh\nrm -rf /\n",
    "zeros": bytes(10_000),
    "noise": random.Random(7).randbytes(10_000),
}
"""Besides `test_csv_file.BAD`."""

TEXTS: list[str] = [
    "", " ", "\n", "\t", "\0", "a\0b", "\x01\x02\x03", "\x1b[31mred\x1b[0m", "\x7f", "\x80\x9f",
    "\ud800", "a\udfffb", "\ud83d", "\ufffd", "\ufeff", "\uffff", "\U0010ffff", "\u202egood\u202c", "\u2066a\u2069",
    "\u200b\u200d", "e" + "\u0301" * 10_000, "👩‍👩‍👧‍👦" * 500, "😀", "漢字仮名" * 2_500, "x" * 10_000, "x" * 1_000_000,
    "word " * 100_000, "漢" * 100_000, "[MASK]", "[CLS] [SEP] [PAD] [UNK]", "##ing ##ed", "NA", "null", "nan", "True",
    "-1e999", "=1+1", "<script>alert(1)</script>", "![x](http://192.0.2.1/x)", "$\\rule{100000px}{100000px}$",
    "'; DROP TABLE runs; --", "../../etc/passwd", "%s%s%s%n", "{0.__class__}", "{{7*7}}", "\\N{BULLET} \\u0000",
]  # fmt: skip


def bad_csvs(folder: Path) -> Tally:
    """Every CSV, from bytes and from a file, as the table to learn from."""
    tally, path = Tally("CSV files"), folder / "mine.csv"
    for name, content in {**CSVS, **{case: bad[0] for case, bad in test_csv_file.BAD.items()}}.items():
        path.write_bytes(content)
        tally.take(name, partial(parse_csv, content, "mine.csv"))
        tally.take(f"{name}, learned", lambda: labelled_csv(DataSettings(source="csv", path=str(path))))
    tally.tried //= 2
    return tally


def bad_texts(home: Path) -> Tally:
    """Every text as the sentence that a finished run's models are asked about."""
    tally, run = Tally("texts"), finished_run(home)
    models = {"teacher": home / "cache" / "teachers" / "0123456789abcdef" / "model", "student": run / "student"}
    answers(models, ["a film"], 64)
    for text in TEXTS:
        tally.take(repr(text)[:40], lambda text=text: answers(models, read_lines(text).sentences or ("-",), 64))
    return tally


def bad_settings(folder: Path) -> Tally:
    """Every bad field, file and assignment."""
    tally = Tally("settings")
    for path, value, _ in test_settings.BAD_FIELDS:
        tally.take(f"{path}={value!r}"[:60], lambda p=path, v=value: parse_settings(test_settings.nested(p, v)))
    for name, (content, _) in test_settings.BAD_FILES.items():
        (folder / "mine.json").write_bytes(content)
        tally.take(name, lambda: read_settings_file(folder / "mine.json"))
    for text in ("", "=", "loss", "loss.soft", "loss.soft.x=1", "loss..soft=1", "loss.soft=" + "[" * 10_000, "a=b"):
        tally.take(text[:30], lambda text=text: override(parse_settings({}), [text]))
    return tally


def bad_models(folder: Path) -> Tally:
    """Every model folder that is not sound: students, and teachers of the user's."""
    tally = Tally("model folders")
    foreign = test_saved.keep(folder / "sound")
    (foreign / "manifest.json").unlink()
    load_model(foreign)
    cases = {**test_saved.HOSTILE, **{f"teacher: {name}": case for name, case in test_teacher.REFUSED.items()}}
    for name, (change, _) in cases.items():
        spoilt = folder / "spoilt"
        shutil.rmtree(spoilt, ignore_errors=True)
        if name.startswith("teacher: "):
            test_teacher.write(test_teacher.BertForSequenceClassification, spoilt)
        else:
            shutil.copytree(foreign, spoilt)
        change(spoilt)
        tally.take(name, lambda spoilt=spoilt, name=name: _open(spoilt, is_teacher=name.startswith("teacher: ")))
    return tally


def _open(folder: Path, is_teacher: bool) -> None:
    if is_teacher:
        chosen = test_teacher.teacher(folder)
        test_teacher.teacher_outline(chosen)
        test_teacher.teacher_for_labels(chosen, test_teacher.NAMES)
        test_teacher.teacher_tokenizer(chosen)
    else:
        load_model(folder)


def mutated_csvs(count: int) -> Tally:
    """Tables with bytes changed, taken out and put in."""
    tally, chance = Tally("mutated CSV files"), random.Random(2)
    seed = b'text,label\n"one, two",a\nthree,b\n"fo""ur\nfive",a\n' * 3
    splinters = [b'"', b",", b"\n", b"\r", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b";", b"\t", b""]
    for number in range(count):
        content = bytearray(seed)
        for _ in range(chance.randint(1, 6)):
            place = chance.randrange(len(content))
            content[place : place + chance.randint(0, 3)] = chance.choice([*splinters, bytes([chance.randrange(256)])])
        tally.take(str(number), partial(parse_csv, bytes(content), "mine.csv"))
    return tally


def mutated_models(folder: Path, counts: dict[str, int]) -> Iterable[Tally]:
    """A sound foreign model with one of its files mutated, so many times each."""
    foreign = test_saved.keep(folder / "mutated")
    (foreign / "manifest.json").unlink()
    for name, count in counts.items():
        intact, chance, tally = (foreign / name).read_bytes(), random.Random(3), Tally(f"mutated {name}")
        for number in range(count):
            (foreign / name).write_bytes(test_saved.damage(intact, chance))
            tally.take(str(number), lambda: load_model(foreign))
        (foreign / name).write_bytes(intact)
        yield tally


def try_all(home: Path, csvs: int, weights: int, tokenizers: int, configs: int) -> list[Tally]:
    """Every kind of input, with so many mutations of each."""
    folder = home / "inputs-tried"
    folder.mkdir()
    # tokenizer_config.json is a configuration too: half of the configurations are of that file.
    counts = {
        "model.safetensors": weights,
        "tokenizer.json": tokenizers,
        "config.json": configs - configs // 2,
        "tokenizer_config.json": configs // 2,
    }
    return [
        bad_csvs(folder),
        bad_texts(home),
        bad_settings(folder),
        bad_models(folder),
        mutated_csvs(csvs),
        *mutated_models(folder, counts),
    ]
