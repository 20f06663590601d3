"""`python -m regression diff`: same seed, same code, other results: where did two runs part?

The traces of the two are compared row by row. From the last checkpoint that both have in common, or
from the start, both are run again up to the first differing row, and the block in which their
states part first is run once more with everything written down.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np

from dqn_core.digests import BLOCK_EVENTS
from dqn_core.trace import TRACE_FILE
from regression.divergence.causes import suggestion
from regression.divergence.comparison import (
    Comparison,
    compare_windows,
    describe,
    differing,
    require_same,
    traced_apart,
)
from regression.divergence.event_windows import WINDOW_FILE, EventWindow
from regression.divergence.first_difference import first_difference, first_flip
from regression.divergence.rerun import (
    DIGESTS,
    Rerun,
    TracedRun,
    checkpoints,
    read_run,
    unit_fields,
    write_window,
)
from regression.machine.device_classes import lacking
from reports.command_line import next_command

MANIFEST_FILE: Final = "manifest.json"


@dataclass
class _Findings:
    notes: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)


def compare_folders(a: Path, b: Path) -> Comparison:
    """Compares two runs, or two windows.

    Args:
        a: folder of a run of one seed, of a regression of several, or of a window.
        b: folder of the other; of several seeds, the first that parts is reported.

    Raises:
        DifferentRunsError: if recipe or seed differ.
        TraceError: if a folder is of neither kind, or is damaged.
        OSError: if there is no room to write the windows.
    """
    if (a / WINDOW_FILE).exists() and (b / WINDOW_FILE).exists():
        return compare_windows(a, b)
    comparisons = (compare_runs(read_run(x), read_run(y)) for x, y in _paired(a, b))
    first = next(comparisons)
    return first if not first.equal else next((c for c in comparisons if not c.equal), first)


def compare_runs(a: TracedRun, b: TracedRun) -> Comparison:
    """As `compare_folders`, of runs."""
    require_same(a.trace.header, b.trace.header)
    notes = [
        f"the trace of {name} ends in a torn row of {run.trace.torn_bytes} bytes, left out"
        for name, run in (("A", a), ("B", b))
        if run.trace.torn_bytes
    ]
    common: dict[str, Any] = {
        "a": str(a.folder),
        "b": str(b.folder),
        "parts": differing(a.trace.header["parts"], b.trace.header["parts"]),
        "fingerprint": differing(a.fingerprint, b.fingerprint),
    }
    row = first_differing_row(a, b)
    if row is None:
        ends = [int(run.trace.column("step")[-1]) if len(run.trace.rows) else 0 for run in (a, b)]
        upto = f" as far as both go, step {min(ends)} (A {ends[0]}, B {ends[1]})"
        sentence = f"The runs are equal{upto if ends[0] != ends[1] else f', step {ends[0]}'}."
        return Comparison(equal=True, sentence=sentence, notes=notes, **common)
    step = int(a.trace.column("step")[row])
    mine, theirs = a.trace.rows[row, DIGESTS], b.trace.rows[row, DIGESTS]
    common |= {
        "equal": False,
        "row_step": step,
        "row_events": [n for n, x, y in zip(BLOCK_EVENTS, mine, theirs, strict=True) if x != y],
    }
    if any(lacking(run.device_class, os.environ) for run in (a, b)):
        seen = traced_apart(a, b, step)
        notes += [*seen.notes, *([] if seen.flip else _about_actions(a, b))]
        details = {name: getattr(seen, name) for name in ("difference", "flip", "suggests")}
        return Comparison(sentence=seen.sentence, notes=notes, **common, **details)
    begin = _common_checkpoint(a, b, step - a.recipe.loop.block_steps)
    parted = _parted_block(a, b, step, begin)
    if isinstance(parted, _Findings):
        sentence = f"The runs part in the {a.recipe.loop.block_steps} steps before step {step}."
        notes += parted.notes
        return Comparison(sentence=sentence, notes=notes, commands=parted.commands, **common)
    blocks = [parted, *_flip_block(a, b, row, parted)]
    with TemporaryDirectory(prefix="windows-") as temporary:
        folders = [Path(temporary) / name for name in ("a", "b")]
        for run, folder, checkpoint in zip((a, b), folders, begin, strict=True):
            write_window(run, folder, blocks, checkpoint)
        windows = [EventWindow(folder) for folder in folders]
        found, flip = first_difference(*windows), first_flip(*windows)
    if found is None:
        sentence = f"The runs part in the block that begins at step {parted}, in no traced event."
        return Comparison(sentence=sentence, notes=notes, **common)
    return Comparison(
        sentence=describe(found),
        difference=found,
        flip=flip,
        suggests=suggestion(found),
        notes=notes + ([] if flip else _about_actions(a, b)),
        **common,
    )


def first_differing_row(a: TracedRun, b: TracedRun) -> int | None:
    """The first row in which two traces differ, as far as both go."""
    shared = min(len(a.trace.rows), len(b.trace.rows))
    differ = (a.trace.rows[:shared, :-1] != b.trace.rows[:shared, :-1]).any(axis=1)
    return int(differ.argmax()) if differ.any() else None


def _paired(a: Path, b: Path) -> list[tuple[Path, Path]]:
    """The folders that hold traces: a and b themselves, or units of one name in both."""
    if (a / TRACE_FILE).exists() or (b / TRACE_FILE).exists():
        return [(a, b)]
    mine, theirs = (
        {_whose(path.parent): path.parent for path in sorted(run.glob(f"*/{TRACE_FILE}"))}
        for run in (a, b)
    )
    return [(mine[name], theirs[name]) for name in mine if name in theirs] or [(a, b)]


def _whose(unit: Path) -> tuple[str, ...]:
    """Recipe, seed and fault of a unit, on whatever device it ran."""
    key = unit_fields(unit).get("key", {})
    names = ("recipe", "seed", "fault")
    return tuple(str(key[name]) for name in names) if key.keys() >= set(names) else (unit.name,)


def _common_checkpoint(a: TracedRun, b: TracedRun, last: int) -> tuple[Path | None, Path | None]:
    """The newest checkpoints of both with equal contents, up to a step."""
    mine, theirs = checkpoints(a), checkpoints(b)
    for step in sorted(mine.keys() & theirs.keys(), reverse=True):
        contents = [(found[step] / MANIFEST_FILE).read_bytes() for found in (mine, theirs)]
        if step <= last and contents[0] == contents[1]:
            return mine[step], theirs[step]
    return None, None


def _parted_block(
    a: TracedRun, b: TracedRun, last: int, begin: tuple[Path | None, Path | None]
) -> int | _Findings:
    """The step at which the first block begins after which the states of two runs differ.

    Args:
        a: a run.
        b: the other.
        last: end of the first block whose rows in the traces differ.
        begin: checkpoints to begin from.

    Returns:
        The step; or what to do instead, where the runs cannot be reproduced here.
    """
    mine, theirs = (Rerun(run, path) for run, path in zip((a, b), begin, strict=True))
    parted: int | None = None
    for x, y in zip(mine.blocks(), theirs.blocks(), strict=True):
        failed = [
            (name, run)
            for name, run, again, block in (("A", a, mine, x), ("B", b, theirs, y))
            if not again.reproduced(block)
        ]
        if failed:
            found = _elsewhere(
                a, b, failed=failed, step=x.step - a.recipe.loop.block_steps, last=last
            )
            if np.array_equal(x.digests, y.digests):
                found.notes.append(
                    "Run again here, both go the same way: what parted them is not in recipe, seed "
                    "or this code, but in where, when or with what they ran."
                )
            return found
        if parted is None and (
            mine.state_digest() != theirs.state_digest() or not np.array_equal(x.digests, y.digests)
        ):
            parted = x.step - a.recipe.loop.block_steps
        if x.step >= last:
            break
    assert parted is not None, "both were reproduced, so their rows differ by now"
    return parted


def _elsewhere(
    a: TracedRun, b: TracedRun, *, failed: list[tuple[str, TracedRun]], step: int, last: int
) -> _Findings:
    """What to say where a run cannot be reproduced here."""
    names = " and ".join(name for name, _ in failed)
    found = _Findings(
        notes=[
            f"{names} cannot be reproduced here: from step {step} on this machine and this code "
            "give other digests. Trace each run where it came from, then compare the windows."
        ]
    )
    for name, run in (("a", a), ("b", b)):
        steps = {"from_step": str(step), "until_step": str(last)}
        flags = {"run": str(run.folder), **steps, "into": f"window-{name}"}
        found.commands.append(next_command("trace", **flags))
    found.commands.append(next_command("diff", a="window-a", b="window-b"))
    return found


def _flip_block(a: TracedRun, b: TracedRun, row: int, parted: int) -> list[int]:
    """Where the block begins with the first action that differs, if it is not far."""
    shared = min(len(a.trace.rows), len(b.trace.rows))
    differ = a.trace.column("action")[row:shared] != b.trace.column("action")[row:shared]
    if not differ.any():
        return []
    begin = int(a.trace.column("step")[row + int(differ.argmax())]) - a.recipe.loop.block_steps
    return [begin] if parted < begin <= parted + a.recipe.loop.segment_steps else []


def _about_actions(a: TracedRun, b: TracedRun) -> list[str]:
    shared = min(len(a.trace.rows), len(b.trace.rows))
    differ = a.trace.column("action")[:shared] != b.trace.column("action")[:shared]
    if not differ.any():
        return ["no action differs, as far as both traces go"]
    step = int(a.trace.column("step")[int(differ.argmax())])
    return [f"the first action that differs lies before step {step}; it was not run again"]
