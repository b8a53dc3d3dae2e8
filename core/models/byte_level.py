"""A RoBERTa tokenizer from a folder: pieces of bytes, and which two become one, read as data and never as rules.

Texts are bytes here, each written as one sign; a space is written Ġ and begins the word behind it. Importing this file
does not load torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.models.folder import BYTE_VOCABULARY, MERGES, TOKENIZER, ModelFolder, parse_json
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
    from transformers import RobertaTokenizer

MASK, PADDING = "<mask>", "<pad>"
SPECIAL = ("<s>", PADDING, "</s>", "<unk>", MASK)
SWITCHES = ("add_prefix_space",)
PLAIN = {"dropout": None, "continuing_subword_prefix": "", "end_of_word_suffix": "", "byte_fallback": False}
"""Settings of the pieces that would make another tokenizer of them, and what they have to be, if anything is said."""

Merges = list[tuple[str, str]]


@dataclass(frozen=True)
class BytePieces:
    """Every piece and its number, which two pieces become one, the earlier the sooner, and how a text begins."""

    numbers: dict[str, int]
    merges: Merges
    space_first: bool


def load_byte_level(folder: ModelFolder, room: Room) -> RobertaTokenizer:
    """The folder's tokenizer, checked against the model. Raises ModelError, naming the file."""
    pieces = _read(folder, room)
    from transformers import AddedToken, RobertaTokenizer

    # Both are what the library takes, and not what it announces.
    untyped: dict[str, Any] = {
        "merges": pieces.merges,
        # The space before a hidden word belongs to it, as it does in the word's own piece.
        "mask_token": AddedToken(MASK, lstrip=True, special=True),
    }
    with building(folder.label):
        return RobertaTokenizer(
            vocab=pieces.numbers,
            add_prefix_space=pieces.space_first,
            model_max_length=room.longest,
            **untyped,
        )


def _read(folder: ModelFolder, room: Room) -> BytePieces:
    names = BYTE_LEVEL.files_in(folder)
    where = folder.where(names[0])
    if names == (TOKENIZER,):
        numbers, merges, said = _from_json(folder.read_json(TOKENIZER), where)
    else:
        numbers = checked_vocabulary(parse_json(folder.read(BYTE_VOCABULARY), where), where)
        merges, said = _from_lines(folder.read(MERGES), numbers, folder.where(MERGES)), {}
    said |= said_beside(folder, SWITCHES)
    check_fits(numbers, SPECIAL, "RoBERTa", room, where)
    if numbers[PADDING] != room.padding:
        raise ModelError(
            f"{where} numbers {PADDING} {numbers[PADDING]}, but config.json says pad_token_id {room.padding}, from "
            "which positions are counted; take the tokenizer that the model was trained with."
        )
    return BytePieces(numbers, merges, said.get("add_prefix_space", False))


def _from_json(content: dict[str, Any], where: str) -> tuple[dict[str, int], Merges, dict[str, bool]]:
    if content.get("normalizer") is not None:
        raise ModelError(f"{where}: it has a normalizer; expected the tokenizer of a RoBERTa.")
    for part, expected in {"pre_tokenizer": "ByteLevel", "model": "BPE"}.items():
        found = content.get(part)
        if not isinstance(found, dict) or found.get("type") != expected:
            raise ModelError(f"{where}: its {part} is not a {expected}; expected the tokenizer of a RoBERTa.")
    before, model = content["pre_tokenizer"], content["model"]
    if before.get("use_regex", True) is not True:
        raise ModelError(f"{where}: use_regex is not true; expected the tokenizer of a RoBERTa.")
    for name, plain in PLAIN.items():
        if (model.get(name) or plain) != plain:
            raise ModelError(f"{where}: {name} is {repr(model[name])[:60]}; expected the tokenizer of a RoBERTa.")
    numbers = checked_vocabulary(model.get("vocab"), where)
    check_added(content.get("added_tokens"), numbers, where)
    return numbers, _checked_merges(model.get("merges"), numbers, where), switches(before, SWITCHES, where)


def _from_lines(content: bytes, numbers: dict[str, int], where: str) -> Merges:
    try:
        lines = content.decode("utf-8").replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ModelError(f"{where} is not UTF-8 text: line {line} holds other bytes.") from error
    lines = lines[1:] if lines[0].startswith("#version") else lines
    return _checked_merges([line for line in lines if line], numbers, where)


def _checked_merges(found: object, numbers: dict[str, int], where: str) -> Merges:
    """Pairs of pieces, written in one text or two, each in the vocabulary as both become in one."""
    if not isinstance(found, list):
        raise ModelError(f"{where} holds no list of merges.")
    merges: Merges = []
    for place, entry in enumerate(found):
        pair = entry.split(" ") if isinstance(entry, str) else entry
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(piece, str) for piece in pair):
            raise ModelError(f"{where}: merge {place} is {repr(entry)[:60]}; expected two pieces.")
        first, second = pair
        if not {first, second, first + second} <= numbers.keys():
            raise ModelError(f"{where}: merge {place}, {repr(entry)[:60]}, is of pieces outside the vocabulary.")
        merges.append((first, second))
    return merges


BYTE_LEVEL = TokenizerKind("RobertaTokenizer", MASK, (BYTE_VOCABULARY, MERGES), load_byte_level)
