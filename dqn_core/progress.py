"""Progress of long work: a live line on a terminal, a heartbeat line in a pipe.

Not a `rich.progress.Progress`: in a pipe it says nothing until the end, and it shows a speed from
the second update on, which may come after minutes. Here one line serves both places, from the first
update on.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.text import Text

HEARTBEAT_S: Final = 15.0


class Progress:
    """Shows what is being done, how fast, and how long it will take.

    Args:
        total_steps: when the work is finished.
        first_step: where it starts, when resuming.
        console: where to print.
    """

    def __init__(self, total_steps: int, first_step: int, console: Console) -> None:
        self._total = total_steps
        self._first = first_step
        self._console = console
        self._started = time.monotonic()
        self._last_beat = self._started
        self._live = Live(console=console, transient=True) if console.is_terminal else None

    def __enter__(self) -> Progress:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()

    def show(self, step: int, note: str) -> None:
        """Reports that `step` agent steps are over; `note` says how it goes."""
        now = time.monotonic()
        rate = (step - self._first) / max(now - self._started, 1e-9)
        left = (self._total - step) / max(rate, 1e-9)
        line = (
            f"{step:>10,} / {self._total:,} steps  {100 * step // self._total:3d} %  "
            f"{rate:7,.0f} steps/s  {_clock(left)} left  {note}"
        )
        if self._live:
            self._live.update(Text(line, no_wrap=True, overflow="ellipsis"))
        elif now - self._last_beat >= HEARTBEAT_S or step == self._total:
            self._last_beat = now
            self._console.print(Text(line), soft_wrap=True)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:d}:{minutes:02d}:{rest:02d}"
