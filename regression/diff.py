"""`python -m regression diff`: same seed, same code, different fate: where did two runs part?

The traces of the two are compared row by row. From the last checkpoint that both have in common, or
from the start, both are run again up to the first differing row, and the block in which their
states part first is run once more with everything written down.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
from pydantic import Field

from dqn_core.digests import BLOCK_EVENTS
from dqn_core.trace import TRACE_FILE
from regression.causes import suggestion
from regression.divergence import Difference, Flip, first_difference, first_flip
from regression.tracing import DIGESTS, Rerun, TracedRun, checkpoints, read_run, write_window
from regression.windows import WINDOW_FILE, Window
from reports.schema import Artifact

MANIFEST_FILE: Final = "manifest.json"


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


@dataclass
class _Findings:
    notes: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)


def compare_folders(a: Path, b: Path) -> Comparison:
    """Compares two runs, or two windows.

    Args:
        a: folder of a run of one seed, of a regression of several, or of a window.
        b: likewise; of several seeds, the first that parts is told.

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


def compare_windows(a: Path, b: Path) -> Comparison:
    """As `compare_folders`, of windows."""
    mine, theirs = Window(a), Window(b)
    _require_same(mine.info.run, theirs.info.run)
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
        sentence=_sentence(found) if found else "The windows are equal.",
        difference=found,
        flip=first_flip(mine, theirs) if found else None,
        suggests=suggestion(found) if found else "",
        parts=_differing(mine.info.run["parts"], theirs.info.run["parts"]),
        fingerprint=_differing(mine.info.fingerprint, theirs.info.fingerprint),
        notes=notes,
    )


def compare_runs(a: TracedRun, b: TracedRun) -> Comparison:
    """As `compare_folders`, of runs."""
    _require_same(a.trace.header, b.trace.header)
    notes = [
        f"the trace of {name} ends in a torn row of {run.trace.torn_bytes} bytes, left out"
        for name, run in (("A", a), ("B", b))
        if run.trace.torn_bytes
    ]
    common: dict[str, Any] = {
        "a": str(a.folder),
        "b": str(b.folder),
        "parts": _differing(a.trace.header["parts"], b.trace.header["parts"]),
        "fingerprint": _differing(a.fingerprint, b.fingerprint),
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
        windows = [Window(folder) for folder in folders]
        found, flip = first_difference(*windows), first_flip(*windows)
    if found is None:
        sentence = f"The runs part in the block that begins at step {parted}, in no traced event."
        return Comparison(sentence=sentence, notes=notes, **common)
    return Comparison(
        sentence=_sentence(found),
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
    names = [{path.parent.name for path in run.glob(f"*/{TRACE_FILE}")} for run in (a, b)]
    return [(a / name, b / name) for name in sorted(names[0] & names[1])] or [(a, b)]


def _require_same(a: dict[str, Any], b: dict[str, Any]) -> None:
    mine, theirs = (_flat(run["recipe"]) | {"seed": str(run["seed"])} for run in (a, b))
    differing = _differing(mine, theirs)
    if differing:
        lines = [f"  {name}: {x} in A, {y} in B" for name, (x, y) in differing.items()]
        raise DifferentRunsError(
            "\n".join(["these runs were never meant to be equal; they differ in", *lines])
            + "\n  next      compare runs of one recipe and seed"
        )


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
            found = _elsewhere(a, b, failed, x.step - a.recipe.loop.block_steps, last)
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
    a: TracedRun, b: TracedRun, failed: list[tuple[str, TracedRun]], step: int, last: int
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
        found.commands.append(
            f"python -m regression trace --run {run.folder} --from-step {step} --until-step {last} "
            f"--into window-{name}"
        )
    found.commands.append("python -m regression diff --a window-a --b window-b")
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


def _sentence(found: Difference) -> str:
    when = f"step {found.step}" + (f", update {found.update}" if found.update else "")
    if found.kind == "order":
        return f"The runs part at {when}: from '{found.event}' on, events are in another order."
    if found.kind != "values":
        where = found.kind.removeprefix("missing in ").upper()
        return f"The runs part at {when}: '{found.event}' is missing in {where}."
    return f"The runs part at {when}, in '{found.event}'."


def _differing(a: dict[str, str], b: dict[str, str]) -> dict[str, list[str]]:
    return {
        name: [str(a.get(name, "nothing")), str(b.get(name, "nothing"))]
        for name in sorted(a.keys() | b.keys())
        if a.get(name) != b.get(name)
    }


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        flat |= _flat(value, f"{name}.") if isinstance(value, dict) else {name: str(value)}
    return flat
