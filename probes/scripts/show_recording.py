"""What a recording shows, on the screen: the table, what was asked for, and how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.table import Table

from probes.recordings.asked import surprises
from probes.recordings.facts import Facts
from probes.recordings.reading import Reading
from probes.recordings.readings import readings
from probes.recordings.recording import Recording
from probes.scripts.observed import ELSEWHERE, Script
from probes.scripts.settings import settings_of

AT_THE_BUDGET: Final = "at the budget"
ENOUGH: Final = (AT_THE_BUDGET, "by itself")
# Whole numbers that may be what a script waits for.
FEWEST_HIDING: Final = 400
MOST_HIDING: Final = 200_000


def show_recording(facts: Facts, name: str, console: Console) -> None:
    """Prints what was read off a recording, what was asked for, and what could not be seen.

    Args:
        facts: of the recording.
        name: of the script.
        console: where to print.
    """
    recording = facts.recording
    console.print(_table(name, readings(facts)))
    for surprise in surprises(recording):
        console.print(f"asked for: {surprise}", markup=False)
    for note in recording.meta.notes:
        console.print(f"note: {note}", markup=False, style="dim")
    meta = recording.meta
    took = f"{meta.steps:,} steps and {len(meta.optimizer_steps):,} updates"
    console.print(f"{took}, {meta.processor_s:.1f} s; ended {meta.ended}", markup=False)


def _table(name: str, found: Sequence[Reading]) -> Table:
    table = Table(f"{name} does", "as observed", "Mnih et al. 2015")
    for reading in found:
        table.add_row(reading.name, reading.found, reading.published,
                      style=None if reading.seen else "yellow")  # fmt: skip
    return table


def show_failure(script: Script, recording: Recording, console: Console) -> None:
    """Prints why a script did not train, and what its owner can do, if it did not."""
    meta = recording.meta
    name, where = script.path.name, f" at {meta.place}" if meta.place else ""
    if meta.ended not in ENOUGH and not meta.ended.startswith("after"):
        versions = ", ".join(f"{name} {version}" for name, version in meta.versions.items())
        words = (
            f"{name} broke{where}: {meta.ended}\n  with      {versions}\n"
            "  next      run it by itself; name the interpreter that it is written for by --python"
        )
    elif not meta.environments:
        elsewhere = ELSEWHERE in meta.notes
        words = f"{name} made no environment by gymnasium.make or gym.make"
        words += " in its own process" if elsewhere else ""
        words += "\n  next      give it the arguments with which it trains, after --"
        words += ", and no other processes" if elsewhere else ""
    elif not meta.optimizer_steps:
        large = dict.fromkeys(
            f"{one.argument or one.name} {one.value:,} ({one.place})"
            for one in settings_of(script)
            if FEWEST_HIDING <= one.value <= MOST_HIDING
        )
        words = f"{name} took {meta.steps:,} steps, and none of an optimizer of torch"
        words += f"\n  has       {', '.join(list(large)[:8])}" if large else ""
        words += (
            "\n  next      a smaller warm-up, by its own arguments after --, by --set NAME=VALUE, "
            "or more --steps"
        )
    else:
        return
    console.print(words, markup=False, style="red")
