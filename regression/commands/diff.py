"""The command `diff`: where two runs of one recipe and seed part."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from regression.console import say
from regression.divergence.comparison import Comparison
from regression.divergence.diff import compare_folders
from regression.divergence.first_difference import Difference, Flip
from reports.schema import ExitCode


def diff(a: Path, b: Path, *, json: bool = False) -> ExitCode:
    """Says where two runs of one recipe and seed part; exit code 0 if nowhere, 1 if they do.

    Args:
        a: folder of a run, or of a window that `trace` wrote.
        b: folder of the other.
        json: print JSON.
    """
    found = compare_folders(a, b)
    if json:
        sys.stdout.write(found.model_dump_json(indent=1) + "\n")
    else:
        _show(found)
    return ExitCode.OK if found.equal else ExitCode.FAIL


def _show(found: Comparison) -> None:
    say(found.sentence)
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in _rows(found):
        table.add_row(Text(f"  {name}"), Text(value))
    if table.row_count:
        Console().print(table, highlight=False, markup=False)
    for line in (*found.notes, *found.commands):
        say(f"  {line}")


def _rows(found: Comparison) -> list[tuple[str, str]]:
    rows = [(name, f"{x} in A, {y} in B") for name, (x, y) in found.parts.items()]
    if found.row_step is not None:
        rows.append(("trace", f"row of step {found.row_step}: {', '.join(found.row_events)}"))
    if found.difference:
        rows += _about_difference(found.difference)
        rows.append(("suggests", found.suggests))
    if found.flip:
        rows += _about_flip(found.flip)
    names = [f"{name}: {x} in A, {y} in B" for name, (x, y) in found.fingerprint.items()]
    return [*rows, *(("fingerprint", name) for name in names)]


def _about_difference(found: Difference) -> list[tuple[str, str]]:
    rows = []
    if found.shapes[0] != found.shapes[1] or found.dtypes[0] != found.dtypes[1]:
        kinds = zip(found.dtypes, found.shapes, strict=True)
        rows.append(("types", " and ".join(f"{dtype} {shape}" for dtype, shape in kinds)))
    if found.element is not None:
        ulps = "" if found.ulps is None else f", {_ulps(found.ulps)} apart"
        where = f"element {found.element}" if found.element else "value"
        rows.append((where, f"{found.value_a} in A, {found.value_b} in B{ulps}"))
        worst = "" if found.max_ulps is None else f", at most {_ulps(found.max_ulps)} apart"
        rows.append(("differing", f"{found.differing:,} of {found.elements:,}{worst}"))
    return rows


def _about_flip(flip: Flip) -> list[tuple[str, str]]:
    rows = [
        (
            "first action",
            f"step {flip.step}, environment {flip.env}: {flip.action_a} in A, {flip.action_b} in B",
        )
    ]
    if flip.gap_a is None:
        return [*rows, ("Q-gap", "no Q-values were asked for: the actions were random")]
    tie = "a near-tie" if flip.near_tie else "no near-tie"
    greedy = ["greedy" if chosen else "not greedy" for chosen in (flip.greedy_a, flip.greedy_b)]
    return [
        *rows,
        (
            "Q-gap",
            f"{flip.gap_a} ({_ulps(flip.gap_ulps_a)}, {greedy[0]}) in A, {flip.gap_b} "
            f"({_ulps(flip.gap_ulps_b)}, {greedy[1]}) in B; Q-values at most "
            f"{_ulps(flip.distance_ulps)} apart: {tie}",
        ),
    ]


def _ulps(count: int | None) -> str:
    return "1 ulp" if count == 1 else f"{count:,} ulps"
