"""What a kind of tokenizer is: files of a folder that are read as data, and the tokenizer that is built from them.

A tokenizer.json can describe any program of rules, some of which never end or take the whole process down. So none of
its rules is run: the vocabulary is taken out of it, and the tokenizer is built from that. Importing this file does not
load torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.models.folder import TOKENIZER, TOKENIZER_CONFIG, ModelFolder
from core.models.weights import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MAX_CHARACTERS = 1000


@dataclass(frozen=True)
class Room:
    """What a model can take in: so many words, and so many word pieces of a text; and the number that pads it."""

    vocabulary: int
    longest: int
    padding: int | None


@dataclass(frozen=True)
class TokenizerKind:
    """One way to cut texts into pieces. `class_name` is Transformers' class of it, `mask` its hidden word.

    Beside tokenizer.json a vocabulary may lie in `files`, all of them together. `load` raises ModelError, naming the
    file. How pieces are shown and grouped to words is in `core/data/pieces.py`.
    """

    class_name: str
    mask: str
    files: tuple[str, ...]
    load: Callable[[ModelFolder, Room], PreTrainedTokenizerBase]

    def files_in(self, folder: ModelFolder) -> tuple[str, ...]:
        """Where the folder's vocabulary lies. Raises ModelError if it has none."""
        if TOKENIZER in folder:
            return (TOKENIZER,)
        if missing := [name for name in self.files if name not in folder]:
            raise ModelError(
                f"The model in {folder.label}/ has no {TOKENIZER} and no {' and '.join(missing)}; add one of them."
            )
        return self.files


def checked_vocabulary(numbers: object, where: str) -> dict[str, int]:
    """The vocabulary if every piece is a text and has a number of its own. Raises ModelError."""
    if not isinstance(numbers, dict) or not numbers:
        raise ModelError(f"{where} holds no vocabulary.")
    if not all(type(number) is int and number >= 0 for number in numbers.values()):
        raise ModelError(f"{where}: a word's number is not a whole number from 0.")
    if len(set(numbers.values())) != len(numbers):
        raise ModelError(f"{where}: two words have the same number.")
    if any(len(piece) > MAX_CHARACTERS for piece in numbers) or not _is_text("".join(numbers)):
        raise ModelError(f"{where}: a word is longer than {MAX_CHARACTERS} characters, or holds broken ones.")
    return numbers


def check_added(added: object, numbers: dict[str, int], where: str) -> None:
    """Raise ModelError if a tokenizer.json adds words outside its vocabulary."""
    added = added or []
    if not isinstance(added, list) or not all(isinstance(one, dict) for one in added):
        raise ModelError(f"{where}: added_tokens is not a list of objects.")
    for one in added:
        piece, number = one.get("content"), one.get("id")
        if not isinstance(piece, str) or numbers.get(piece) != number:
            raise ModelError(f"{where} adds words outside its vocabulary, such as {repr(piece)[:60]}; expected none.")


def check_fits(numbers: dict[str, int], needed: tuple[str, ...], kind: str, room: Room, where: str) -> None:
    """Raise ModelError if a piece that is needed is missing, or one has a number that the model does not know."""
    if missing := [piece for piece in needed if piece not in numbers]:
        raise ModelError(f"{where} has no {', '.join(missing)}, which every {kind} needs.")
    if max(numbers.values()) >= room.vocabulary:
        raise ModelError(
            f"{where} numbers its words up to {max(numbers.values())}, but the model knows {room.vocabulary} words; "
            "take the tokenizer that the model was trained with."
        )


def said_beside(folder: ModelFolder, names: tuple[str, ...]) -> dict[str, bool]:
    """What tokenizer_config.json says about switches; it counts where the two files differ, as in Transformers."""
    if TOKENIZER_CONFIG not in folder:
        return {}
    return switches(folder.read_json(TOKENIZER_CONFIG), names, folder.where(TOKENIZER_CONFIG))


def switches(said: dict[str, Any], names: tuple[str, ...], where: str) -> dict[str, bool]:
    """What is said about switches of these names; None leaves one as it is. Raises ModelError."""
    if "auto_map" in said:
        raise ModelError(f"{where} asks for a program of its own (auto_map), and foreign programs are never run.")
    found = {name: said[name] for name in names if said.get(name) is not None}
    for name, value in found.items():
        if not isinstance(value, bool):
            raise ModelError(f"{where}: {name} is {repr(value)[:60]}; expected true or false.")
    return found


@contextmanager
def building(where: str) -> Iterator[None]:
    """Say in a ModelError what the tokenizers' library could not build."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:
        # The library's core answers some inputs with a panic, which is no Exception.
        raise ModelError(f"The tokenizer in {where}/ cannot be built: {str(error)[:200]}") from error


def _is_text(text: str) -> bool:
    """False if it holds half characters, which no tokeniser takes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
