"""The one switch for the network: off, unless the user starts the program with DISTILLERY_NETWORK=1.

Importing this file loads nothing. What uses the Hub asks `is_on` first.
"""

from __future__ import annotations

import os

SWITCH = "DISTILLERY_NETWORK"
HOW_TO_SWITCH_ON = f"To use the network, end the program and start it again with {SWITCH}=1 in its environment."


def is_on() -> bool:
    """True if the user has switched the network on."""
    return os.environ.get(SWITCH) == "1"


def switch_off_unless_asked() -> None:
    """Tell Hugging Face's libraries, through the environment, to stay offline and never to report usage.

    They read it once, when they are first imported: call this before.
    """
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if not is_on():
        os.environ["HF_HUB_OFFLINE"] = "1"
