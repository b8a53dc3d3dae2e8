"""Real models so small that a test makes them in a moment, and a finished run made of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

import torch
from transformers import BertConfig, BertForMaskedLM, BertForSequenceClassification, BertPreTrainedModel, BertTokenizer

from core.config import Objective, starting_point
from core.models.saved import save_model
from core.models.student import student_for_labels, student_for_words
from core.runs import folder as runs
from core.sections import StudentSettings
from tests.made_runs import RESULTS, WORDS_RESULTS

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
    return _tiny(BertForSequenceClassification, labels, layers)


def tiny_word_teacher(layers: int = 2) -> BertForMaskedLM:
    """The same with a head for words."""
    return _tiny(BertForMaskedLM, 2, layers)


Model = TypeVar("Model", bound=BertPreTrainedModel)


def _tiny(kind: type[Model], labels: int, layers: int) -> Model:
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
        return kind(config).eval()


def finished_run(
    home: Path,
    run_id: str = "20261122-120000-ab12",
    name: str = "",
    state: runs.State = "finished",
    key: str = KEY,
    objective: Objective = "labels",
) -> Path:
    """A run folder as a finished training leaves it, with its teacher in the cache; returns the folder.

    The student is the teacher's first layer, for labels with a random head. Other states have no results.json.
    """
    settings = starting_point(objective).model_copy(update={"name": name, "student": StudentSettings(layers=1)})
    is_for_words = objective == "masked_words"
    teacher, tokenizer = tiny_word_teacher() if is_for_words else tiny_teacher(), tiny_tokenizer()
    student = (student_for_words if is_for_words else student_for_labels)(teacher, settings.student, seed=0)
    teacher_folder = home / "cache" / "teachers" / key / "model"
    if not teacher_folder.exists():
        teacher_folder.parent.mkdir(parents=True)
        save_model(teacher, tokenizer, teacher_folder)
    folder = home / "runs" / run_id
    folder.mkdir(parents=True)
    runs.write_json(folder / "config.json", settings.model_dump(mode="json"))
    runs.write_json(folder / "teacher.json", {"key": key})
    save_model(student, tokenizer, folder / "student")
    (folder / "metrics.jsonl").write_text(
        "".join(json.dumps(event) + "\n" for event in events(objective)), encoding="utf-8"
    )
    if state == "finished":
        runs.write_json(folder / "results.json", WORDS_RESULTS if is_for_words else RESULTS)
    runs.write_status(folder, runs.Status(state, f"The run is {state}.", stage="student", step=2, total_steps=2))
    return folder


def events(objective: Objective = "labels") -> list[dict[str, Any]]:
    """What a run of one teacher step and two student steps writes to metrics.jsonl."""
    is_for_words = objective == "masked_words"
    metric = {"metric": "masked-word accuracy" if is_for_words else "accuracy"}
    facts = metric | {"teacher_score": 0.86, "majority": 0.5, "weights": {"soft": 5.0, "hard": 2.0, "cosine": 1.0}}
    terms = {"loss": 3.9, "soft": 0.31, "hard": 0.7, "cosine": 0.95, "lr": 1e-4}
    said = ([0.4, 0.6], [0.1, 0.9])
    if is_for_words:
        said = tuple([[word, share / 2] for word in ("good", "bad", "warm", "funny", "dull")] for share in (0.2, 0.4))
    probes = len(starting_point(objective).probes)
    probe = {"event": "probe", "stage": "student", "student": [said[0]] * probes, "teacher": [said[1]] * probes}
    return [
        {"event": "stage", "stage": "teacher", "total_steps": 1, "elapsed_s": 0.0, **metric},
        {"event": "step", "stage": "teacher", "step": 1, "loss": 0.69, "lr": 1e-5, "sentences": 32, "elapsed_s": 0.4},
        {"event": "score", "stage": "teacher", "step": 1, "score": 0.86, "elapsed_s": 0.5},
        {"event": "stage", "stage": "student", "total_steps": 2, "elapsed_s": 0.0, **facts},
        probe | {"step": 0},
        {"event": "score", "stage": "student", "step": 0, "score": 0.51, "agreement": 0.52, "elapsed_s": 0.0},
        {"event": "step", "stage": "student", "step": 1, **terms, "sentences": 32, "elapsed_s": 0.2},
        {"event": "step", "stage": "student", "step": 2, **terms, "sentences": 64, "elapsed_s": 0.4},
        probe | {"step": 2},
        {"event": "score", "stage": "student", "step": 2, "score": 0.85, "agreement": 0.95, "elapsed_s": 0.5},
    ]
