"""Word pieces of any tokenizer in one way of writing, that of BERT's vocabulary: "##" goes on with a word.

Importing this file does not load torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def word_pieces_of(tokenizer: PreTrainedTokenizerBase, ids: list[int], is_text: bool = False) -> list[str]:
    """The word pieces of numbers as BERT's vocabulary would write them.

    With `is_text` they follow each other with their marks, so that what comes after a mark begins a word.
    """
    from tokenizers.pre_tokenizers import ByteLevel

    found = tokenizer.convert_ids_to_tokens(ids)
    pieces = [found] if isinstance(found, str) else found
    if not isinstance(tokenizer.backend_tokenizer.pre_tokenizer, ByteLevel):
        return pieces
    marks, frame = set(tokenizer.all_special_tokens), {tokenizer.cls_token, tokenizer.sep_token}
    return [
        piece if piece in marks else of_bytes(piece, is_text and place > 0 and pieces[place - 1] in frame)
        for place, piece in enumerate(pieces)
    ]


def of_bytes(piece: str, begins: bool = False) -> str:
    """A piece of bytes: "Ġgood" as "good", "ing" as "##ing", signs as they are.

    With `begins` it is the first of its text, so that it begins a word without a space before it. A piece that is no
    text by itself, such as half a character, stays as it is.
    """
    try:
        text = bytes(BYTES[sign] for sign in piece).decode()
    except (KeyError, UnicodeDecodeError):
        return piece
    if not text.strip():
        return piece
    if text[0].isspace():
        return text.lstrip()
    return f"##{text}" if text[0].isalnum() and not begins else text


def _byte_of_sign() -> dict[str, int]:
    """The byte that each sign stands for: printable ones for themselves, the rest for signs from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + place): byte for place, byte in enumerate(others)}


BYTES = _byte_of_sign()
