"""`python -m probes`: which component of a DQN is wrong?"""

from __future__ import annotations

import sys
import time
from typing import Annotated

import tyro
from rich.console import Console
from rich.table import Table

from probes.faults import FAULTS, UnknownFaultError, subject_with
from probes.ladder import CHECKS, climb
from reports.command_line import with_environment
from reports.schema import ExitCode, Finding, FindingStatus

HEARTBEAT_S = 5.0
COLOURS = {FindingStatus.GREEN: "green", FindingStatus.RED: "bold red", FindingStatus.SKIP: "dim"}


def probes(
    seed: Annotated[str, tyro.conf.arg(help="non-negative integer")] = "0",
    fault: Annotated[str, tyro.conf.arg(help="plant this fault, to see a red check")] = "",
    *,
    list_faults: Annotated[bool, tyro.conf.arg(help="print the names of the faults")] = False,
) -> ExitCode:
    """Checks the bundled DQN in worlds with solved Q-values, and its parts by contract."""
    # A pipe has no width of its own; codes of checks must not be cut short there.
    console = Console(width=None if sys.stdout.isatty() else 150)
    if list_faults:
        for known in FAULTS:
            console.print(f"{known.name:28} {known.part.__doc__}", markup=False, highlight=False)
        return ExitCode.OK
    if not seed.isdecimal():
        raise ValueError(f"--seed: expected a non-negative integer, got {seed!r}")
    console.print(f"{subject_with(fault).name}: {len(CHECKS)} checks, seed {seed}", markup=False)
    started = last_beat = time.monotonic()
    findings: list[Finding] = []
    for finding in climb(fault, int(seed)):
        findings.append(finding)
        if time.monotonic() - last_beat > HEARTBEAT_S:
            last_beat = time.monotonic()
            console.print(f"{len(findings)} of {len(CHECKS)} checks done", style="dim")
    console.print(_table(findings))
    red = [finding for finding in findings if finding.status is FindingStatus.RED]
    wall = time.monotonic() - started
    console.print(
        f"{len(findings)} of {len(CHECKS)} checks ran, {len(red)} red, {wall:.1f} s",
        style="bold red" if red else "bold green",
    )
    for finding in red:
        console.print(f"{finding.check}: suspect the {finding.component}; {finding.hint}")
    return ExitCode.FAIL if red else ExitCode.OK


def _table(findings: list[Finding]) -> Table:
    table = Table("check", "component", "expected", "actual", "compared", "verdict")
    table.columns[0].no_wrap = True
    for finding in findings:
        status = f"[{COLOURS[finding.status]}]{finding.status}[/]"
        cells = (finding.check, finding.component, finding.expected, finding.actual)
        escaped = [cell.replace("[", r"\[") for cell in cells]
        table.add_row(*escaped, f"{finding.compared:,}", status)
    return table


def main() -> int:
    """Runs the command line; returns the exit code. Flags fall back to HARNESS_* variables."""
    arguments = with_environment(sys.argv[1:], ("seed", "fault"))
    try:
        return tyro.cli(probes, args=arguments, prog="python -m probes")
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except (UnknownFaultError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return ExitCode.USAGE
    except SystemExit as end:  # tyro exits with 2 on bad usage, which here means interrupted
        return ExitCode.USAGE if end.code == 2 else int(end.code or 0)


if __name__ == "__main__":
    sys.exit(main())
