"""Turns names and messages that others wrote into harmless text.

HTML needs nothing from here: the page's templates escape by themselves.
"""

from __future__ import annotations

import re
from typing import Final

_MARKDOWN: Final = re.compile(r"[\\`*_{}\[\]<>|~$#:!&]")


def visible(text: str) -> str:
    """Replaces control characters and invisible marks, except for line feed and tab.

    Terminal escapes and right-to-left overrides can make a report say something else than what
    is stored.
    """
    return "".join(char if char.isprintable() or char in "\n\t" else "\ufffd" for char in text)


def one_line(text: str, limit: int = 300) -> str:
    """`text` on a single line of at most `limit` visible characters; a cut shows as an ellipsis."""
    line = visible(" ".join(text.split()))
    return line if len(line) <= limit else line[: limit - 1] + "…"


def markdown(text: str) -> str:
    """`text` as one line of GitHub Markdown that renders as itself.

    The colon is among what is escaped because of workflow commands (`::error`). A mention is
    recognised after unescaping, so only a zero-width space keeps it from notifying people.
    """
    return _MARKDOWN.sub(r"\\\g<0>", one_line(text)).replace("@", "@&#8203;")
