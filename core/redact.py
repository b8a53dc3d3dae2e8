"""Keep secrets out of logs: tokens, keys and passwords are blotted out wherever this program writes a line.

Whatever is logged, a message, its arguments or a traceback, goes through `redacted` first. This loads nothing.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

BLOT = "[removed]"

_VALUE = r"[^\s\"'&,;)}]{4,}"
_SECRETS = (
    # Tokens of Hugging Face and of other hosts that are known by how they begin.
    re.compile(r"()\b(?:(?:hf|ghp|gho|github_pat)_\w{6,}|sk-[\w-]{16,}|AKIA[A-Z0-9]{12,})"),
    re.compile(
        r"(?i)\b(\w*(?:api_?key|secret|access_token|auth_token|hf_token|passw(?:or)?d)[\"']?\s*[=:]\s*[\"']?)" + _VALUE
    ),
    re.compile(r"(?i)\b(key\s*=\s*[\"']?)" + _VALUE),
    re.compile(r"(?i)\b((?:bearer|basic)\s+)[\w+/.~=-]{8,}"),
    # https://name:password@host
    re.compile(r"(://)[^/\s:@]+:[^/\s@]+(?=@)"),
)


def redacted(text: str) -> str:
    """The text with everything that looks like a secret replaced by "[removed]"."""
    for secret in _SECRETS:
        text = secret.sub(rf"\1{BLOT}", text)
    return text


def install() -> None:
    """From now on no log record and no uncaught error of this process shows a secret. Harmless when called again."""
    make = logging.getLogRecordFactory()
    if getattr(make, "is_redacting", False):
        return
    logging.setLogRecordFactory(_Redacting(make))
    sys.excepthook = lambda *error: _print(error)
    threading.excepthook = lambda hook: _print((hook.exc_type, hook.exc_value, hook.exc_traceback))


@dataclass(frozen=True)
class _Redacting:
    """Makes log records as `make` does, without their secrets."""

    make: Callable[..., logging.LogRecord]
    is_redacting: ClassVar[bool] = True

    def __call__(self, *arguments: Any, **options: Any) -> logging.LogRecord:
        made = self.make(*arguments, **options)
        made.msg, made.args = _clean(made.msg), _clean(made.args)
        if made.exc_info and made.exc_info[1] is not None:
            # Formatters take this text where it is there, and do not look at the error again.
            made.exc_text = redacted("".join(traceback.format_exception(*made.exc_info)).rstrip("\n"))
        return made


def _clean(value: Any) -> Any:
    """A part of a log record; what is no text is left as it is unless a secret would show when it is written."""
    if isinstance(value, tuple):
        return tuple(_clean(item) for item in value)
    if isinstance(value, dict):
        return {name: _clean(item) for name, item in value.items()}
    if value is None or isinstance(value, int | float):
        return value
    text = str(value)
    cleaned = redacted(text)
    return value if cleaned == text else cleaned


def _print(error: tuple[Any, Any, Any]) -> None:
    if error[0] is not SystemExit and sys.stderr is not None:
        sys.stderr.write(redacted("".join(traceback.format_exception(*error))))
