"""What every part of one job works with: its settings, its device, and whom it reports to."""

from __future__ import annotations

from dataclasses import dataclass

from core.config import Settings
from core.distill.checkpoint import Keeper
from core.distill.device import Compute
from core.distill.recorder import Recorder


@dataclass(frozen=True)
class Session:
    """One job under way. Without a keeper it leaves no checkpoints."""

    settings: Settings
    compute: Compute
    recorder: Recorder
    keeper: Keeper | None = None
