"""Progress, in a pipe and on a terminal."""

from __future__ import annotations

from dqn_core.progress import Progress


def test_progress_in_a_pipe_is_a_heartbeat_and_on_a_terminal_a_live_line(monkeypatch):
    from io import StringIO

    from rich.console import Console

    clock = iter(range(0, 1_000, 4))
    monkeypatch.setattr("dqn_core.progress.time.monotonic", lambda: next(clock))
    pipe = StringIO()
    with Progress(100, 0, Console(file=pipe, width=120)) as progress:
        for step in range(10, 101, 10):
            progress.show(step, "fine")
    lines = pipe.getvalue().splitlines()
    # One every 15 seconds of the fake clock, and the last one.
    assert len(lines) == 3
    assert "100 / 100 steps  100 %" in lines[-1]
    terminal = StringIO()
    console = Console(file=terminal, force_terminal=True, width=120)
    with Progress(100, 0, console) as progress:
        progress.show(50, "fine")
    assert "50 / 100 steps" in terminal.getvalue()
