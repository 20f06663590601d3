"""`python -m probes records FOLDER`: what stored runs show without running anything."""

from __future__ import annotations

import sys
from json import dumps, loads
from pathlib import Path
from typing import Annotated, Final

import tyro
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dqn_core.checkpoint import STATE
from dqn_core.recipes.schema import Recipe
from probes.stored_runs.curve import CURVE_FILE, findings, read_curve
from reports.command_line import next_command
from reports.schema import SCHEMA_VERSION, ExitCode, Finding, FindingStatus

COLOURS: Final = {
    FindingStatus.GREEN: "green", FindingStatus.RED: "bold red", FindingStatus.SKIP: "dim",
}  # fmt: skip


class StoredRunError(ValueError):
    """A folder that holds no run, or one that cannot be read."""


def show_records(folder: Annotated[Path, tyro.conf.Positional], *, json: bool = False) -> ExitCode:
    """Holds what a run has recorded against its recipe; nothing is trained.

    Args:
        folder: of a run, finished or still running, or of a regression with `seed-*` below it.
        json: print findings as JSON.
    """
    found = {run: list(findings(read_curve(run / CURVE_FILE, stored_recipe(run))))
             for run in runs_in(folder)}  # fmt: skip
    (_print_json if json else _print_tables)(found)
    ran = [each for listed in found.values() for each in listed if each.status != "skip"]
    if not ran:
        return ExitCode.NOTHING_RAN
    red = any(each.status is FindingStatus.RED for each in ran)
    return ExitCode.FAIL if red else ExitCode.OK


def runs_in(folder: Path) -> list[Path]:
    """The run folder itself, or those of the seeds of a regression, by number.

    Raises:
        StoredRunError: if it is neither.
    """
    if (folder / CURVE_FILE).is_file():
        return [folder]
    seeds = [path.parent for path in folder.glob(f"*seed-*/{CURVE_FILE}")]
    if not seeds:
        raise StoredRunError(
            f"{folder}: no run there\n"
            f"  expected  a folder with {CURVE_FILE}, or with such folders named seed-<n> in it\n"
            f"  actual    {'a folder without' if folder.is_dir() else 'no folder of that name'}\n"
            f"  next      name a folder under runs/, or train: {next_command('train')}"
        )
    return sorted(seeds, key=lambda path: (len(path.name), path.name))


def stored_recipe(run: Path) -> Recipe | None:
    """The recipe that a run's newest checkpoint, or its best model, carries; None without any.

    Raises:
        StoredRunError: if it cannot be read.
    """
    stored = [path for kind in ("checkpoints", "best") for path in run.glob(f"{kind}/*/{STATE}")]
    if not stored:
        return None
    try:
        return Recipe.model_validate(loads(stored[0].read_bytes())["recipe"])
    except (OSError, KeyError, TypeError, ValidationError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise StoredRunError(
            f"{stored[0]} holds no recipe of this version: {reason}\n"
            "  next      was the run made by another version? look at it with that one"
        ) from error


def _print_json(found: dict[Path, list[Finding]]) -> None:
    runs = [
        {"folder": str(run), "findings": [each.model_dump(mode="json") for each in listed]}
        for run, listed in found.items()
    ]
    text = dumps({"schema_version": SCHEMA_VERSION, "runs": runs}, indent=1)
    sys.stdout.write(text + "\n")


def _print_tables(found: dict[Path, list[Finding]]) -> None:
    console = Console(width=None if sys.stdout.isatty() else 160)
    for run, listed in found.items():
        console.print(str(run), markup=False, soft_wrap=True)
        table = Table("property", "expected", "actual", "compared", "verdict")
        table.columns[0].no_wrap = True
        for each in listed:
            status = f"[{COLOURS[each.status]}]{each.status}[/]"
            cells = map(escape, (each.check, each.expected, each.actual))
            table.add_row(*cells, f"{each.compared:,}", status)
        console.print(table)
        for each in listed:
            if each.status is FindingStatus.RED:
                console.print(f"{each.check}: {each.hint}", markup=False)
