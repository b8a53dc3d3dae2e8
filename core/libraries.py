"""Loading torch and transformers, which takes seconds: late, and on one thread at a time."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from core.models import families

_one_at_a_time = threading.Lock()


def load() -> None:
    """Import both, or wait until another thread has. Call it before importing what needs them on a thread.

    transformers imports its parts when they are first asked for; two threads that ask at the same moment can get
    "cannot import name", or wait for each other for ever.
    """
    with _one_at_a_time, _nothing_collected():
        import torch  # noqa: F401
        from transformers import (  # noqa: F401  everything that core uses of it by name
            AddedToken,
            BertTokenizer,
            PreTrainedConfig,
            PreTrainedModel,
            PreTrainedTokenizerBase,
        )

        families.load_classes()


def load_metrics() -> None:
    """The same for the evaluate package, which loads parts of transformers when it is imported."""
    load()
    with _one_at_a_time:
        import evaluate  # noqa: F401


def load_hub() -> None:
    """The same for the Hub's library, which is quick to load but shares parts with transformers."""
    with _one_at_a_time:
        import huggingface_hub.errors
        import huggingface_hub.utils  # noqa: F401
        from huggingface_hub import (  # noqa: F401  everything that core uses of it
            hf_hub_download,
            hf_hub_url,
            snapshot_download,
            try_to_load_from_cache,
        )


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """Imports make hundreds of thousands of objects and no garbage: looking for some would take a fifth of the time.

    They stay for good, so no later collection looks at them either.
    """
    if "transformers.modeling_utils" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()
