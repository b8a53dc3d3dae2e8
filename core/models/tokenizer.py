"""A BERT tokenizer from a folder: its words and its four switches are read, everything else is BERT's own.

A tokenizer.json can describe any program of rules, some of which never end or take the whole process down. So none of
its rules is run: a WordPiece vocabulary is taken out of it, and the tokenizer is built from that. Importing this file
does not load torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.models.folder import TOKENIZER, TOKENIZER_CONFIG, VOCABULARY, ModelFolder
from core.models.weights import ModelError

if TYPE_CHECKING:
    from transformers import BertTokenizer

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PARTS = {"normalizer": "BertNormalizer", "pre_tokenizer": "BertPreTokenizer", "model": "WordPiece"}
MAX_CHARACTERS = 1000


@dataclass(frozen=True)
class WordPieces:
    """Every word piece and its number, and how a text is prepared before it is cut into them."""

    numbers: dict[str, int]
    lower_case: bool
    strip_accents: bool | None
    chinese_characters: bool


def read_word_pieces(folder: ModelFolder, vocabulary: int) -> WordPieces:
    """The folder's word pieces, checked against the model's vocabulary. Raises ModelError, naming the file."""
    name = TOKENIZER if TOKENIZER in folder else VOCABULARY
    if name not in folder:
        raise ModelError(f"The model in {folder.label}/ has no {TOKENIZER} and no {VOCABULARY}; add one of them.")
    where = folder.where(name)
    if name == TOKENIZER:
        numbers, said = _from_json(folder.read_json(TOKENIZER), where)
    else:
        numbers, said = _from_lines(folder.read(VOCABULARY), where), {}
    if TOKENIZER_CONFIG in folder:
        # Where the two differ, this file counts, as it does in Transformers.
        said |= _switches(folder.read_json(TOKENIZER_CONFIG), folder.where(TOKENIZER_CONFIG))
    if missing := [piece for piece in SPECIAL if piece not in numbers]:
        raise ModelError(f"{where} has no {', '.join(missing)}, which every BERT needs.")
    if max(numbers.values()) >= vocabulary:
        raise ModelError(
            f"{where} numbers its words up to {max(numbers.values())}, but the model knows {vocabulary} words; "
            "take the tokenizer that the model was trained with."
        )
    return WordPieces(
        numbers, said.get("do_lower_case", True), said.get("strip_accents"), said.get("tokenize_chinese_chars", True)
    )


def build_tokenizer(pieces: WordPieces, positions: int, where: str) -> BertTokenizer:
    """The tokenizer of these word pieces, for texts of at most `positions` of them. Raises ModelError."""
    from transformers import BertTokenizer

    try:
        return BertTokenizer(
            vocab=pieces.numbers,
            do_lower_case=pieces.lower_case,
            strip_accents=pieces.strip_accents,
            tokenize_chinese_chars=pieces.chinese_characters,
            model_max_length=positions,
        )
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:
        # The library's core answers some inputs with a panic, which is no Exception.
        raise ModelError(f"The tokenizer in {where}/ cannot be built: {str(error)[:200]}") from error


def load_tokenizer(folder: ModelFolder, vocabulary: int, positions: int) -> BertTokenizer:
    """The folder's tokenizer for a model with so many words and positions. Raises ModelError."""
    return build_tokenizer(read_word_pieces(folder, vocabulary), positions, folder.label)


def _from_json(content: dict[str, Any], where: str) -> tuple[dict[str, int], dict[str, Any]]:
    for part, expected in PARTS.items():
        found = content.get(part)
        if not isinstance(found, dict) or found.get("type") != expected:
            raise ModelError(f"{where}: its {part} is not a {expected}; expected the tokenizer of a BERT.")
    if content["model"].get("continuing_subword_prefix", "##") != "##":
        raise ModelError(f"{where}: continuing_subword_prefix is not ##; expected the tokenizer of a BERT.")
    numbers = _checked(content["model"].get("vocab"), where)
    added = content.get("added_tokens") or []
    if not isinstance(added, list) or not all(isinstance(one, dict) for one in added):
        raise ModelError(f"{where}: added_tokens is not a list of objects.")
    for one in added:
        piece, number = one.get("content"), one.get("id")
        if not isinstance(piece, str) or numbers.get(piece) != number:
            raise ModelError(f"{where} adds words outside its vocabulary, such as {repr(piece)[:60]}; expected none.")
    normal = content["normalizer"]
    switches = {
        "do_lower_case": normal.get("lowercase"),
        "strip_accents": normal.get("strip_accents"),
        "tokenize_chinese_chars": normal.get("handle_chinese_chars"),
    }
    return numbers, _switches(switches, where)


def _from_lines(content: bytes, where: str) -> dict[str, int]:
    try:
        lines = content.decode("utf-8").replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ModelError(f"{where} is not UTF-8 text: line {line} holds other bytes.") from error
    while lines and not lines[-1]:
        lines.pop()
    return _checked({piece: number for number, piece in enumerate(lines)}, where)


def _checked(numbers: object, where: str) -> dict[str, int]:
    """The vocabulary if every piece is a text and has a number of its own."""
    if not isinstance(numbers, dict) or not numbers:
        raise ModelError(f"{where} holds no vocabulary.")
    if not all(type(number) is int and number >= 0 for number in numbers.values()):
        raise ModelError(f"{where}: a word's number is not a whole number from 0.")
    if len(set(numbers.values())) != len(numbers):
        raise ModelError(f"{where}: two words have the same number.")
    if any(len(piece) > MAX_CHARACTERS for piece in numbers) or not _is_text("".join(numbers)):
        raise ModelError(f"{where}: a word is longer than {MAX_CHARACTERS} characters, or holds broken ones.")
    return numbers


def _switches(said: dict[str, Any], where: str) -> dict[str, Any]:
    """What is said about the three switches; None leaves one as it is."""
    if "auto_map" in said:
        raise ModelError(f"{where} asks for a program of its own (auto_map), and foreign programs are never run.")
    found = {
        name: said[name]
        for name in ("do_lower_case", "strip_accents", "tokenize_chinese_chars")
        if said.get(name) is not None
    }
    for name, value in found.items():
        if not isinstance(value, bool):
            raise ModelError(f"{where}: {name} is {repr(value)[:60]}; expected true or false.")
    return found


def _is_text(text: str) -> bool:
    """False if it holds half characters, which no tokeniser takes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
