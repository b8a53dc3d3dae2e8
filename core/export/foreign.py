"""Text that somebody else wrote, for files that others will open: names, sentences, notes, column names.

On a page that is the work of `pages/ui/text.py`; here it ends up in markdown, YAML and HTML.
"""

from __future__ import annotations

import re
from html import escape
from pathlib import PurePosixPath, PureWindowsPath

from core.config import Settings

# Control characters, direction overrides, half characters, and what YAML and XML do not allow.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufffe\uffff]"
)
# Any white space but the thin one that keeps a number and its unit together.
_SPACES = re.compile(r"[^\S\u202f]+")
# What begins something anywhere in a line; what does so before other signs; and what does so at the start of a line.
_MARKDOWN = re.compile(
    r"([\\`*_\[\]<>&|~$#@{}]|:(?=\S)|(?<=www)\.|^[-+=](?=\s|[-=])|(?<=^\d)[.)](?=\s))", re.IGNORECASE
)


def one_line(text: str, longest: int = 300) -> str:
    """The text on one line, cut to length, with what nobody can see shown as \ufffd."""
    line = _UNPRINTABLE.sub("\ufffd", _SPACES.sub(" ", text)).strip()
    return line if len(line) <= longest else line[: longest - 1] + "…"


def in_markdown(text: str, longest: int = 300) -> str:
    """One line that stays plain text in markdown, in a table too: no links, images, HTML, formulas or mentions."""
    return _MARKDOWN.sub(r"\\\1", one_line(text, longest))


def in_html(text: str, longest: int = 2_000) -> str:
    """One line that stays plain text in HTML, in attributes too."""
    return escape(one_line(text, longest), quote=True)


def last_name(path: str) -> str:
    """The name of a file or folder without where it lies, whichever system the path is from."""
    return PureWindowsPath(PurePosixPath(path.strip()).name).name


def without_paths(text: str, settings: Settings) -> str:
    """A sentence in which the paths of the settings, which say how a machine is arranged, are only names."""
    for path in filter(None, (settings.data.path.strip(), settings.teacher.path.strip())):
        text = text.replace(path, last_name(path))
    return text
