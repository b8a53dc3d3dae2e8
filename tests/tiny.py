"""Real models so small that a test makes them in a moment, and a finished run made of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

from core.config import Settings, StudentSettings
from core.models.saved import save_model
from core.models.student import build_student
from core.runs import folder as runs
from tests.made_runs import RESULTS

LABELS = ("negative", "positive", "neutral")
KEY = "0123456789abcdef"
WORDS = "a an it is not and but the film movie story warm funny dull lifeless mess moving good bad very charm without"
SIGNS = ". , ! ? ' [ ] CLS SEP MASK PAD cls sep mask pad"


def tiny_tokenizer() -> BertTokenizer:
    """A WordPiece vocabulary of a few words, every letter and some signs."""
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS.split(), *SIGNS.split(), *letters]
    pieces += [f"##{letter}" for letter in letters]
    unique = list(dict.fromkeys(pieces))
    return BertTokenizer(vocab={piece: i for i, piece in enumerate(unique)}, do_lower_case=True, model_max_length=64)


def tiny_teacher(labels: int = 2, layers: int = 2) -> BertForSequenceClassification:
    """A BERT of width 32 with random weights, the same at every call, large enough to make answers differ."""
    names = dict(enumerate(LABELS[:labels]))
    config = BertConfig(
        vocab_size=len(tiny_tokenizer()),
        hidden_size=32,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.3,
        id2label=names,
        label2id={name: i for i, name in names.items()},
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return BertForSequenceClassification(config).eval()


def finished_run(
    home: Path, run_id: str = "20261122-120000-ab12", name: str = "", state: runs.State = "finished", key: str = KEY
) -> Path:
    """A run folder as a finished training leaves it, with its teacher in the cache; returns the folder.

    The student is the teacher's first layer with a random head. Other states have no results.json.
    """
    settings = Settings(name=name, student=StudentSettings(layers=1))
    teacher, tokenizer = tiny_teacher(), tiny_tokenizer()
    teacher_folder = home / "cache" / "teachers" / key / "model"
    if not teacher_folder.exists():
        teacher_folder.parent.mkdir(parents=True)
        save_model(teacher, tokenizer, teacher_folder)
    folder = home / "runs" / run_id
    folder.mkdir(parents=True)
    runs.write_json(folder / "config.json", settings.model_dump(mode="json"))
    runs.write_json(folder / "teacher.json", {"key": key})
    save_model(build_student(teacher, settings.student, seed=0), tokenizer, folder / "student")
    (folder / "metrics.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events()), encoding="utf-8")
    if state == "finished":
        runs.write_json(folder / "results.json", RESULTS)
    runs.write_status(folder, runs.Status(state, f"The run is {state}.", stage="student", step=2, total_steps=2))
    return folder


def events() -> list[dict[str, Any]]:
    """What a run of one teacher step and two student steps writes to metrics.jsonl."""
    facts = {"teacher_accuracy": 0.86, "majority": 0.5, "weights": {"soft": 5.0, "hard": 2.0, "cosine": 1.0}}
    terms = {"loss": 3.9, "soft": 0.31, "hard": 0.7, "cosine": 0.95, "lr": 1e-4}
    probes = len(Settings().probes)
    probe = {"event": "probe", "stage": "student", "student": [[0.4, 0.6]] * probes, "teacher": [[0.1, 0.9]] * probes}
    return [
        {"event": "stage", "stage": "teacher", "total_steps": 1, "elapsed_s": 0.0},
        {"event": "step", "stage": "teacher", "step": 1, "loss": 0.69, "lr": 1e-5, "sentences": 32, "elapsed_s": 0.4},
        {"event": "score", "stage": "teacher", "step": 1, "accuracy": 0.86, "elapsed_s": 0.5},
        {"event": "stage", "stage": "student", "total_steps": 2, "elapsed_s": 0.0, **facts},
        probe | {"step": 0},
        {"event": "score", "stage": "student", "step": 0, "accuracy": 0.51, "agreement": 0.52, "elapsed_s": 0.0},
        {"event": "step", "stage": "student", "step": 1, **terms, "sentences": 32, "elapsed_s": 0.2},
        {"event": "step", "stage": "student", "step": 2, **terms, "sentences": 64, "elapsed_s": 0.4},
        probe | {"step": 2},
        {"event": "score", "stage": "student", "step": 2, "accuracy": 0.85, "agreement": 0.95, "elapsed_s": 0.5},
    ]
