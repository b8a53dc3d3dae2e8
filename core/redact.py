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

# Names and values are bounded in front, and what was blotted out stays as it is when it comes by again.
_QUOTE = r"(?:\\?[\"'])?+"
_IS = rf"{_QUOTE}\s*+(?:=>|[=:])\s*+{_QUOTE}"
_NEW = r"(?!\[removed\])"
_SIGN = r"[^\s\"'\\&,;)}\]<>]"
_VALUE = rf"{_NEW}(?:(?<=\")[^\"\n]{{4,}}?(?=\\?\")|(?<=')[^'\n]{{4,}}?(?=\\?')|{_SIGN}{{4,}})"
_LINE = rf"{_NEW}[^\"'\n]{{4,}}"
_BEGIN = r"(?<![\w.-])"

_KINDS = "api|access|secret|private|account|encryption|signing|master|auth|service|storage|shared"
_NAMES = rf"(?:(?:{_KINDS})[_.-]?(?:access[_.-]?)?key|secret|passw(?:or)?d|passphrase|passwd|credentials?|signature)"
_ENDS = r"(?:[_.-]?(?:access|key|id|base|value|string|hash|token)s?){0,3}"
"""What says of a value that it is a secret, whatever it looks like."""

# The marks of a tokenizer are called tokens, and so are the words that a model guesses.
_MARKS = "mask|pad|unk|unknown|cls|sep|bos|eos|next|prev|previous|first|last|special|image|start|end"
_TOKEN = rf"{_BEGIN}(?![\w.-]*(?:{_MARKS})[_.-]?token\b)[\w.-]{{0,60}}token"
_LIKE_ONE = rf"{_NEW}(?={_SIGN}*\d|{_SIGN}{{16}}){_SIGN}{{8,}}"

_SECRETS = (
    # Known by how they begin: Hugging Face, GitHub, GitLab, OpenAI, AWS, Google, Slack, Stripe and others.
    re.compile(
        r"()\b(?:(?:hf|api_org)_(?=[A-Za-z]*\d|[A-Za-z]{20})[A-Za-z0-9]{6,}"
        r"|(?:gh[oprsu]|github_pat|npm|dckr_pat|r8|[sr]k_(?:live|test)|dop_v1)_\w{6,}"
        r"|(?:sk|glpat|gldt|glrt|pypi|xox[abeoprs]|xapp)-[\w-]{12,}|A[KS]IA[A-Z0-9]{12,}|AIza[\w-]{30,}|ya29\.[\w-]{10,}"
        r"|SG\.[\w-]{10,}\.[\w-]{10,}|hv[sb]\.\w{12,}|dapi[0-9a-f]{24,}|AGE-SECRET-KEY-1\w{20,}|\d{8,10}:[\w-]{35}\b)"
    ),
    # JSON Web Tokens, and private keys over many lines.
    re.compile(r"()\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"),
    re.compile(rf"(-----BEGIN [A-Z ]{{0,40}}PRIVATE KEY-----){_NEW}.*?(?=-----END|\Z)", re.DOTALL),
    # Headers, which go on to the end of the line.
    re.compile(rf"(?i)(authorization{_IS}(?:(?:bearer|basic|token|digest|apikey|negotiate)\s+)?+){_LINE}"),
    re.compile(rf"(?i)(cookie{_IS})(?=[^\"'\n]*=){_LINE}"),
    re.compile(rf"(?i)\b(bearer\s+){_NEW}[\w+/.~=-]{{8,}}"),
    re.compile(rf"(?i)\b(basic\s+){_NEW}(?=[\w+/=]*[\d=+/])[\w+/=]{{8,}}"),
    # name=value, "name": "value", --name value
    re.compile(rf"(?i)({_BEGIN}[\w.-]{{0,60}}{_NAMES}{_ENDS}{_IS}){_VALUE}"),
    re.compile(rf"(?i)((?<![\w-])--[\w.-]{{0,40}}(?:{_NAMES}|token){_ENDS}\s+{_QUOTE}){_VALUE}"),
    re.compile(rf"(?i)({_TOKEN}\s*=\s*{_QUOTE}){_NEW}(?!(?:none|true|false|null)\b){_SIGN}{{6,}}"),
    re.compile(rf"(?i)({_TOKEN}{_IS}){_LIKE_ONE}"),
    re.compile(rf"(?i)\b(key\s*=\s*{_QUOTE}){_VALUE}"),
    re.compile(rf"(?i)\b(key{_IS})[0-9a-f]{{16,}}"),
    re.compile(rf"(?i)(\b(?:pwd|pass)\s*=\s*{_QUOTE})(?!/){_VALUE}"),
    re.compile(rf"(?i)([?&](?:sig|code|auth|jwt|sid|session|x-amz-[a-z-]{{1,40}})=){_NEW}[^\s\"'&]{{4,}}"),
    re.compile(rf"(?i)(\blogin\s+\S+\s+password\s+){_NEW}\S+"),
    # https://name:password@host, https://token@host, https://hooks.slack.com/services/…
    re.compile(rf"(://){_NEW}[^/\s:@]*:[^/\s]+(?=@)"),
    re.compile(rf"(://){_NEW}[^/\s:@]{{12,}}(?=@)"),
    re.compile(rf"(?i)(://(?:hooks\.slack\.com/services|(?:\w+\.)?discord(?:app)?\.com/api/webhooks)/){_NEW}\S+"),
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
        return {name: _named(name, item) for name, item in value.items()}
    if value is None or isinstance(value, int | float):
        return value
    text = str(value)
    cleaned = redacted(text)
    return value if cleaned == text else cleaned


def _named(name: Any, value: Any) -> Any:
    """A value beside its name, which may say that it is a secret."""
    pair = f"{name}={value}"
    return BLOT if isinstance(value, str) and redacted(pair) != pair and redacted(value) == value else _clean(value)


def _print(error: tuple[Any, Any, Any]) -> None:
    if error[0] is not SystemExit and sys.stderr is not None:
        sys.stderr.write(redacted("".join(traceback.format_exception(*error))))
