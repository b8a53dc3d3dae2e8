"""A BERT tokenizer from a folder: its words and its four switches are read, everything else is BERT's own.

Importing this file does not load torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.models.folder import TOKENIZER, VOCABULARY, ModelFolder
from core.models.tokenizer import (
    Room,
    TokenizerKind,
    building,
    check_added,
    check_fits,
    checked_vocabulary,
    said_beside,
    switches,
)
from core.models.weights import ModelError

if TYPE_CHECKING:
    from transformers import BertTokenizer

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PARTS = {"normalizer": "BertNormalizer", "pre_tokenizer": "BertPreTokenizer", "model": "WordPiece"}
SWITCHES = ("do_lower_case", "strip_accents", "tokenize_chinese_chars")


@dataclass(frozen=True)
class WordPieces:
    """Every word piece and its number, and how a text is prepared before it is cut into them."""

    numbers: dict[str, int]
    lower_case: bool
    strip_accents: bool | None
    chinese_characters: bool


def load_word_pieces(folder: ModelFolder, room: Room) -> BertTokenizer:
    """The folder's tokenizer, checked against the model. Raises ModelError, naming the file."""
    pieces = _read(folder, room)
    from transformers import BertTokenizer

    with building(folder.label):
        return BertTokenizer(
            vocab=pieces.numbers,
            do_lower_case=pieces.lower_case,
            strip_accents=pieces.strip_accents,
            tokenize_chinese_chars=pieces.chinese_characters,
            model_max_length=room.longest,
        )


def _read(folder: ModelFolder, room: Room) -> WordPieces:
    (name,) = WORD_PIECES.files_in(folder)
    where = folder.where(name)
    if name == TOKENIZER:
        numbers, said = _from_json(folder.read_json(TOKENIZER), where)
    else:
        numbers, said = _from_lines(folder.read(VOCABULARY), where), {}
    said |= said_beside(folder, SWITCHES)
    check_fits(numbers, SPECIAL, "BERT", room, where)
    return WordPieces(
        numbers, said.get("do_lower_case", True), said.get("strip_accents"), said.get("tokenize_chinese_chars", True)
    )


def _from_json(content: dict[str, Any], where: str) -> tuple[dict[str, int], dict[str, bool]]:
    for part, expected in PARTS.items():
        found = content.get(part)
        if not isinstance(found, dict) or found.get("type") != expected:
            raise ModelError(f"{where}: its {part} is not a {expected}; expected the tokenizer of a BERT.")
    if content["model"].get("continuing_subword_prefix", "##") != "##":
        raise ModelError(f"{where}: continuing_subword_prefix is not ##; expected the tokenizer of a BERT.")
    numbers = checked_vocabulary(content["model"].get("vocab"), where)
    check_added(content.get("added_tokens"), numbers, where)
    normal = content["normalizer"]
    said = {
        "do_lower_case": normal.get("lowercase"),
        "strip_accents": normal.get("strip_accents"),
        "tokenize_chinese_chars": normal.get("handle_chinese_chars"),
    }
    return numbers, switches(said, SWITCHES, where)


def _from_lines(content: bytes, where: str) -> dict[str, int]:
    try:
        lines = content.decode("utf-8").replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ModelError(f"{where} is not UTF-8 text: line {line} holds other bytes.") from error
    while lines and not lines[-1]:
        lines.pop()
    return checked_vocabulary({piece: number for number, piece in enumerate(lines)}, where)


WORD_PIECES = TokenizerKind("BertTokenizer", "[MASK]", (VOCABULARY,), load_word_pieces)
