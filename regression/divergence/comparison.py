"""Where two windows part, as `diff` reports it; they may come from other processes or machines."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import Field

from dqn_core.names import dotted
from dqn_core.processes import own_process
from dqn_core.trace import TraceError
from regression.divergence.causes import suggestion
from regression.divergence.event_windows import EventWindow
from regression.divergence.first_difference import Difference, Flip, first_difference, first_flip
from regression.divergence.rerun import TracedRun
from regression.machine.device_classes import device_class
from reports.schema import Artifact


class DifferentRunsError(ValueError):
    """Two runs that were never meant to be equal."""


class Comparison(Artifact):
    """Where two runs part, and what that suggests."""

    a: str
    b: str
    equal: bool
    sentence: str
    row_step: int | None = None  # end of the first block whose rows in the traces differ
    row_events: list[str] = Field(default_factory=list)  # what differs there
    difference: Difference | None = None
    flip: Flip | None = None
    suggests: str = ""
    parts: dict[str, list[str]] = Field(default_factory=dict)  # classes that differ, of a and b
    fingerprint: dict[str, list[str]] = Field(default_factory=dict)  # fields that differ
    notes: list[str] = Field(default_factory=list)
    commands: list[str] = Field(default_factory=list)  # to be run where the runs can be reproduced


def compare_windows(a: Path, b: Path) -> Comparison:
    """As `compare_folders`, of windows."""
    mine, theirs = EventWindow(a), EventWindow(b)
    require_same(mine.info.run, theirs.info.run)
    spans = [(window.info.from_step, window.info.until_step) for window in (mine, theirs)]
    if spans[0] != spans[1]:
        raise DifferentRunsError(
            f"the windows are of different blocks\n  a  steps {spans[0]}\n  b  steps {spans[1]}\n"
            "  next  trace the same blocks of both"
        )
    notes = [
        f"{name} is a window of a re-run that does not have the digests of its run"
        for name, window in (("A", mine), ("B", theirs))
        if not window.info.reproduced
    ]
    found = first_difference(mine, theirs)
    return Comparison(
        a=str(a),
        b=str(b),
        equal=found is None,
        sentence=describe(found) if found else "The windows are equal.",
        difference=found,
        flip=first_flip(mine, theirs) if found else None,
        suggests=suggestion(found) if found else "",
        parts=differing(mine.info.run["parts"], theirs.info.run["parts"]),
        fingerprint=differing(mine.info.fingerprint, theirs.info.fingerprint),
        notes=notes,
    )


def traced_apart(a: TracedRun, b: TracedRun, last: int) -> Comparison:
    """The block in which two traces differ first, run again in a process of each one's class.

    Args:
        a: a run, of a class whose variables this process was not started with; or else the other.
        b: the other run.
        last: end of that block.
    """
    first = last - a.recipe.loop.block_steps
    with TemporaryDirectory(prefix="windows-") as temporary:
        folders = [Path(temporary) / name for name in ("a", "b")]
        for run, folder in zip((a, b), folders, strict=True):
            words = ["--run", run.folder, "--from-step", first, "--until-step", last]
            process = subprocess.run(  # our own interpreter and module, no shell
                own_process("regression", "trace", *map(str, words), "--into", str(folder)),
                env=os.environ | device_class(run.device_class).environment,
                capture_output=True,
                text=True,
                check=False,
            )
            if process.returncode:
                raise TraceError(f"{run.folder} could not be traced again:\n{process.stderr}")
        return compare_windows(*folders)


def require_same(a: dict[str, Any], b: dict[str, Any]) -> None:
    """Refuses to compare two runs, given the headers of their traces.

    Raises:
        DifferentRunsError: naming every field of recipe and seed that differs.
    """
    mine, theirs = (dotted(run["recipe"]) | {"seed": run["seed"]} for run in (a, b))
    fields = differing(mine, theirs)
    if fields:
        lines = [f"  {name}: {x} in A, {y} in B" for name, (x, y) in fields.items()]
        raise DifferentRunsError(
            "\n".join(["these runs were never meant to be equal; they differ in", *lines])
            + "\n  next      compare runs of one recipe and seed"
        )


def describe(found: Difference) -> str:
    """What a difference is, in one sentence."""
    when = f"step {found.step}" + (f", update {found.update}" if found.update else "")
    if found.kind == "order":
        return f"The runs part at {when}: from '{found.event}' on, events are in another order."
    if found.kind != "values":
        where = found.kind.removeprefix("missing in ").upper()
        return f"The runs part at {when}: '{found.event}' is missing in {where}."
    return f"The runs part at {when}, in '{found.event}'."


def differing(a: dict[str, Any], b: dict[str, Any]) -> dict[str, list[str]]:
    """The fields that differ, and what they are in a and b."""
    return {
        name: [str(a.get(name, "nothing")), str(b.get(name, "nothing"))]
        for name in sorted(a.keys() | b.keys())
        if a.get(name) != b.get(name)
    }
