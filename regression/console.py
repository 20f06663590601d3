"""What commands say to a person: words as they are, whatever brackets or width they have."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from reports.schema import PAGE_FILE, Verdict


def say(text: str, console: Console | None = None) -> None:
    """Prints text without markup, colours of its own or line breaks at the width of a terminal.

    Args:
        text: of one line or several.
        console: where to print; standard output, if None.
    """
    (console or Console()).print(text, highlight=False, markup=False, soft_wrap=True)


def say_verdict(verdict: Verdict, folder: Path, console: Console | None = None) -> None:
    """Prints the verdict on a run, in a sentence, and where its page is."""
    say(f"{verdict.verdict}: {verdict.sentence}\n{folder / PAGE_FILE}", console)
