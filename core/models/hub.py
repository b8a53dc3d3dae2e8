"""Models of the Hugging Face Hub: those that were fetched before, and fetching one, only where the network is on.

A model that was fetched once is used as it is, without asking again, so that a run can be repeated. Importing this
file loads neither torch nor the Hub's library.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from core import libraries, network
from core.models.announced import check_as_announced
from core.models.folder import BYTE_VOCABULARY, CONFIG, NEEDED, TOKENIZER, VOCABULARY, WEIGHTS
from core.models.weights import ModelError

TIMEOUT_S = 5.0
"""So long the Hub may take to answer at all; its own library would try for minutes."""

NO_TOKEN = False
"""Models that are open to everybody need no token, so the user's is never sent."""

ASK_AGAIN_S = 30.0

_silent: dict[str, tuple[float, str]] = {}
"""What the Hub was last asked for in vain, when, and what is said about it: a form that is redrawn must not wait."""


T = TypeVar("T")


class NotFetchedError(ModelError):
    """A model of the Hub that is not on this machine yet, and has to be fetched first."""


def cached_file(hub_id: str, name: str) -> Path | None:
    """Where a file that was fetched before lies."""
    libraries.load_hub()
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(hub_id, name)
    except HFValidationError as error:
        raise ModelError(f"teacher.hub_id: {hub_id} is no id of the Hub; expected owner/name.") from error
    return Path(found) if isinstance(found, str) and Path(found).is_file() else None


def cached_model(hub_id: str) -> Path | None:
    """The folder of a model that was fetched whole, or None."""
    config, weights = cached_file(hub_id, CONFIG), cached_file(hub_id, WEIGHTS)
    kinds = (TOKENIZER, VOCABULARY, BYTE_VOCABULARY)
    words = next((found for name in kinds if (found := cached_file(hub_id, name))), None)
    if config and weights and words and config.parent == weights.parent == words.parent:
        return config.parent
    return None


def fetch_file(hub_id: str, name: str) -> Path:
    """One small file, fetched unless it is here. Raises ModelError if the network is off or the Hub does not have it.

    An answer that did not come is remembered for half a minute.
    """
    if found := cached_file(hub_id, name):
        return found
    from huggingface_hub import hf_hub_download

    _ask_first(hub_id)
    return Path(_told(hub_id, lambda: hf_hub_download(hub_id, name, etag_timeout=TIMEOUT_S, token=NO_TOKEN)))


def fetch_model(hub_id: str) -> Path:
    """The folder of a model, fetched unless it is here: configuration, safetensors and tokenizer, nothing else.

    Raises ModelError if the network is off, the Hub is silent, the model has no safetensors, or a file is not the one
    that was announced.
    """
    if found := cached_model(hub_id):
        return found
    from huggingface_hub import snapshot_download

    def fetch() -> str:
        # The weights last: where they are, a download that was cut off has left nothing out.
        small = [name for name in NEEDED if name != WEIGHTS]
        first = snapshot_download(hub_id, allow_patterns=small, etag_timeout=TIMEOUT_S, token=NO_TOKEN)
        return snapshot_download(
            hub_id, revision=Path(first).name, allow_patterns=[WEIGHTS], etag_timeout=TIMEOUT_S, token=NO_TOKEN
        )

    _ask_first(hub_id)
    folder = Path(_told(hub_id, fetch))
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise ModelError(f"The model {hub_id} on the Hub has no {name}; choose one that has.")
    check_as_announced([folder / name for name in NEEDED if (folder / name).is_file()], hub_id)
    if found := cached_model(hub_id):
        return found
    raise ModelError(f"The model {hub_id} on the Hub has no {TOKENIZER} and no {VOCABULARY}; choose one that has.")


def why_not_here(hub_id: str) -> str:
    """One sentence for a model that is not on this machine while the network is off."""
    return f"The model {hub_id} is not on this machine, and the network is off. {network.HOW_TO_SWITCH_ON}"


def _ask_first(hub_id: str) -> None:
    """Raise ModelError unless the network is on, and the Hub has the model and answers within a few seconds."""
    if not network.is_on():
        raise ModelError(why_not_here(hub_id))
    when, sentence = _silent.get(hub_id, (-math.inf, ""))
    if time.monotonic() - when < ASK_AGAIN_S:
        raise ModelError(sentence)
    from huggingface_hub import hf_hub_url
    from huggingface_hub.utils import get_session, hf_raise_for_status

    address = hf_hub_url(hub_id, CONFIG)
    try:
        _told(hub_id, lambda: hf_raise_for_status(get_session().head(address, timeout=TIMEOUT_S)))
    except ModelError as error:
        _silent[hub_id] = (time.monotonic(), str(error))
        raise


def _told(hub_id: str, ask: Callable[[], T]) -> T:
    """What the Hub answers; a refusal or silence becomes a ModelError that says what to do."""
    from huggingface_hub.errors import EntryNotFoundError, HTTPError, OfflineModeIsEnabled, RepositoryNotFoundError

    try:
        return ask()
    except OfflineModeIsEnabled as error:
        raise ModelError(
            f"The model {hub_id} is not on this machine, and HF_HUB_OFFLINE is set in the environment; remove it there."
        ) from error
    except RepositoryNotFoundError as error:
        raise ModelError(f"The Hub has no model {hub_id} that is open to everybody; check teacher.hub_id.") from error
    except EntryNotFoundError as error:
        raise ModelError(
            f"The model {hub_id} on the Hub has no {CONFIG}; choose one that Transformers can open."
        ) from error
    except (HTTPError, OSError, ValueError) as error:
        reason = str(error).partition("\n")[0][:200] or type(error).__name__
        raise ModelError(
            f"The model {hub_id} could not be fetched from the Hub: {reason}. Check the connection and try again."
        ) from error
