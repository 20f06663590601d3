"""`python -m probes`: which component of a DQN is wrong?"""

from __future__ import annotations

import difflib
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from textwrap import shorten
from typing import Annotated

import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from probes.checks.check import Check
from probes.checks.registry import check_named, select
from probes.diagnosis.diagnose import diagnose, load_dictionary, pattern
from probes.diagnosis.docs_pages import write_docs
from probes.diagnosis.fault_matrix import measure
from probes.faults.catalogue import ABSENT, FAULTS, fault_named
from probes.running.isolation import CheckJob, run_jobs
from probes.stored_runs.show_records import show_records
from reports.command_line import Command, report_usage, run_function, with_environment
from reports.schema import (
    SCHEMA_VERSION,
    Dictionary,
    ExitCode,
    Finding,
    FindingStatus,
    ProbeReport,
)

HEARTBEAT_S = 5.0
CORE = "probes.subjects.core:make"
CELL_WIDTH = 40
COLOURS = {FindingStatus.GREEN: "green", FindingStatus.RED: "bold red", FindingStatus.SKIP: "dim"}


def probes(  # noqa: PLR0913  # one for each flag
    agent: Annotated[str, tyro.conf.arg(metavar="MODULE:FACTORY")] = "",
    seed: str = "0",
    checks: Annotated[str, tyro.conf.arg(aliases=["-k"], metavar="EXPRESSION")] = "",
    fault: str = "",
    workers: int = 0,
    *,
    red: bool = False,
    json: bool = False,
    list_checks: Annotated[bool, tyro.conf.arg(name="list")] = False,
    list_faults: bool = False,
) -> ExitCode:
    """Checks a DQN in worlds with solved Q-values, and its parts by contract.

    Args:
        agent: the factory of the agent, in a module or as in dqn.py:make; the bundled core, if not
            given.
        seed: non-negative integer.
        checks: only those meant: patterns of codes, with and, or, not, as in "td and not double".
        fault: plant this fault in the bundled core, to see red checks.
        workers: how many checks run at the same time; one for each core, if not given.
        red: print red checks only, and the summary.
        json: print findings and diagnosis as JSON.
        list_checks: print the codes of the checks that are meant, and what each states.
        list_faults: print the names of the faults.
    """
    if list_checks or list_faults:
        for line in _listed_checks(select(checks)) if list_checks else _listed_faults():
            print(line)
        return ExitCode.OK
    if workers < 0:
        raise ValueError(f"--workers: expected a positive number, got {workers}")
    if not seed.isdecimal():
        raise ValueError(f"--seed: expected a non-negative integer, got {seed!r}")
    if fault and agent:
        raise ValueError("--fault is planted in the bundled core; leave --agent out")
    if fault:
        fault_named(fault)
    chosen = select(checks)
    name = agent or CORE + (f" with {fault}" if fault else "")
    # A pipe has no width of its own; codes of checks must not be cut short there.
    console = Console(width=None if sys.stdout.isatty() else 160, stderr=json)
    console.print(f"{name}: {_counted(len(chosen))}, seed {seed}", markup=False)
    started = time.monotonic()
    jobs = [CheckJob(check, agent or CORE, fault, int(seed)) for check in chosen]
    findings = _run(jobs, workers, console)
    report = _report(name, int(seed), findings, load_dictionary(), time.monotonic() - started)
    if json:
        print(report.model_dump_json(indent=1))
    else:
        _show(report, console, red_only=red)
    ran = [finding for finding in findings if finding.status is not FindingStatus.SKIP]
    if not ran:
        return ExitCode.NOTHING_RAN
    failed = any(finding.status is FindingStatus.RED for finding in ran)
    return ExitCode.FAIL if failed else ExitCode.OK


def _listed_checks(chosen: Sequence[Check]) -> Iterator[str]:
    width = max(len(check.code) for check in chosen)
    for check in chosen:
        yield f"{check.code:{width}}  {check.what}"


def _listed_faults() -> Iterator[str]:
    names = [*(fault.name for fault in FAULTS), *(absent.name for absent in ABSENT)]
    width = max(map(len, names))
    for fault in FAULTS:
        yield f"{fault.name:{width}}  {fault.what}"
    for absent in ABSENT:
        yield f"{absent.name:{width}}  not planted: {absent.reason}"


def _counted(checks: int) -> str:
    return f"{checks} check{'s' * (checks != 1)}"


def _run(jobs: list[CheckJob], workers: int, console: Console) -> list[Finding]:
    """Findings in the order of the jobs; prints progress now and then."""
    # The long ones first, so that no core ends the run alone with one of them.
    urgent = sorted(jobs, key=lambda job: not job.check.code.endswith("frames"))
    found: dict[str, Finding] = {}
    started = last_beat = time.monotonic()
    for job, finding in run_jobs(urgent, workers):
        found[job.check.code] = finding
        now = time.monotonic()
        if now - last_beat > HEARTBEAT_S:
            last_beat = now
            left = (now - started) * (len(jobs) - len(found)) / len(found)
            console.print(f"{len(found)} of {_counted(len(jobs))}, {left:.0f} s left", style="dim")
    return [found[job.check.code] for job in jobs]


def _report(
    name: str, seed: int, findings: list[Finding], dictionary: Dictionary, wall_s: float
) -> ProbeReport:
    suspicions, experiment = diagnose(pattern(findings), dictionary)
    return ProbeReport(
        schema_version=SCHEMA_VERSION,
        subject=name,
        seed=seed,
        findings=findings,
        suspicions=suspicions,
        experiment=experiment,
        wall_s=wall_s,
    )


def _show(report: ProbeReport, console: Console, *, red_only: bool) -> None:
    red = [finding for finding in report.findings if finding.status is FindingStatus.RED]
    table = Table("check", "expected", "actual", "compared", "verdict")
    table.columns[0].no_wrap = True
    for finding in red if red_only else report.findings:
        status = f"[{COLOURS[finding.status]}]{finding.status}[/]"
        # Red findings are shown in full; for the others a line is enough.
        width = 1_000 if finding.status is FindingStatus.RED else CELL_WIDTH
        words = (
            shorten(text, width, placeholder=" ...") for text in (finding.expected, finding.actual)
        )
        cells = map(escape, (finding.check, *words))
        table.add_row(*cells, f"{finding.compared:,}", status)
    if table.rows:
        console.print(table)
    count = Counter(finding.status for finding in report.findings)
    ran = len(report.findings) - count[FindingStatus.SKIP]
    console.print(
        f"{ran} of {_counted(len(report.findings))} ran, {len(red)} red, {report.wall_s:.1f} s",
        style="bold red" if red else "bold green",
    )
    skipped = [f.actual for f in report.findings if f.status is FindingStatus.SKIP]
    for reason, number in Counter(skipped).most_common():
        console.print(f"{number} skipped: {reason}", style="dim", markup=False)
    # What is red elsewhere follows, as a rule, from the component that is broken.
    first = report.suspicions[0].component if report.suspicions else ""
    for finding in [finding for finding in red if finding.component == first] or red:
        console.print(f"{finding.check}: {finding.hint}", markup=False)
    for rank, suspicion in enumerate(report.suspicions[:3], start=1):
        looks = f", looks like {', '.join(suspicion.faults[:2])}" if suspicion.faults else ""
        console.print(
            f"{rank}. {suspicion.component} ({suspicion.probability:.0%}){looks}", markup=False
        )
    if report.experiment:
        console.print(f"next: {report.experiment}", markup=False)


def explain(code: Annotated[str, tyro.conf.Positional]) -> ExitCode:
    """Explains a check: what, why, likely causes, where it was seen, and what to try next."""
    check = check_named(code)
    caught = [fault.name for fault in FAULTS if code in fault.caught_by]
    lines = [
        f"{check.code}  (version {check.version}, component: {check.component})",
        f"\n  {check.what}\n\nwhy\n  {check.why}\n\nlikely causes",
        *(f"  - {cause}" for cause in check.causes),
        *(["\nseen in"] if check.seen else []),
        *(f"  - {place}" for place in check.seen),
        f"\nnext experiment\n  {check.experiment}",
        f"\nneeds       {', '.join(('train', 'q_values', *check.needs))}",
        f"proven by   {', '.join(caught)}",
    ]
    print("\n".join(lines))
    return ExitCode.OK


def main(words: Sequence[str] | None = None, called: str = "") -> int:
    """Runs a command line; returns the exit code.

    Args:
        words: of the command line, which may begin with explain, records, faults or docs; those of
            this process, if None.
        called: how the command is called, if not by `python -m probes`.
    """
    words = sys.argv[1:] if words is None else words
    try:
        return _command(words, called)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return ExitCode.USAGE


def _command(words: Sequence[str], called: str) -> ExitCode:
    named: dict[str, Command] = {
        "explain": explain,
        "records": show_records,
        "faults": measure,
        "docs": write_docs,
    }
    if words and words[0] in named:
        prog = called or f"python -m probes {words[0]}"
        return run_function(named[words[0]], words[1:], prog)
    prog = called or "python -m probes"
    if words and not words[0].startswith("-"):
        nearest = ", ".join(difflib.get_close_matches(words[0], named, n=3, cutoff=0.0))
        return report_usage(f"unknown command {words[0]!r}\n  nearest   {nearest}", prog)
    words = with_environment(words, ("agent", "seed", "checks", "fault"))
    return run_function(probes, words, prog)


if __name__ == "__main__":
    sys.exit(main())
