"""`python -m probes`: which component of a DQN is wrong?"""

from __future__ import annotations

import sys
import time
from collections import Counter
from textwrap import shorten
from typing import Annotated

import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from probes.checks.registry import UnknownCheckError, check_named, select
from probes.diagnosis.diagnose import diagnose, load_dictionary, pattern
from probes.diagnosis.docs_pages import write_docs
from probes.diagnosis.fault_matrix import measure
from probes.faults.catalogue import ABSENT, FAULTS, UnknownFaultError, fault_named
from probes.running.isolation import CheckJob, run_jobs
from probes.stored_runs.show_records import show_records
from probes.subject import SubjectError
from reports.command_line import with_environment
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


def probes(
    agent: str = "",
    seed: str = "0",
    checks: Annotated[str, tyro.conf.arg(aliases=["-k"])] = "",
    fault: str = "",
    *,
    json: bool = False,
    list_faults: bool = False,
) -> ExitCode:
    """Checks a DQN in worlds with solved Q-values, and its parts by contract.

    `python -m probes explain CODE` explains a check; `python -m probes records FOLDER` looks at
    what a stored run has recorded of itself; `python -m probes faults` plants all faults and stores
    which checks they turn red; `python -m probes docs` writes the pages of checks and faults.

    Args:
        agent: subject, "module:factory"; the bundled core, if not given.
        seed: non-negative integer.
        checks: only those whose code contains or matches this.
        fault: plant this fault in the bundled core, to see red checks.
        json: print findings and diagnosis as JSON.
        list_faults: print the names of the faults.
    """
    if list_faults:
        for known in FAULTS:
            print(f"{known.name:36} {known.what}")
        for absent in ABSENT:
            print(f"{absent.name:36} (not planted) {absent.what} {absent.reason}")
        return ExitCode.OK
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
    console.print(f"{name}: {len(chosen)} checks, seed {seed}", markup=False)
    started = time.monotonic()
    jobs = [CheckJob(check, agent or CORE, fault, int(seed)) for check in chosen]
    findings = _run(jobs, console)
    report = _report(name, int(seed), findings, load_dictionary(), time.monotonic() - started)
    if json:
        print(report.model_dump_json(indent=1))
    else:
        _show(report, console)
    ran = [finding for finding in findings if finding.status is not FindingStatus.SKIP]
    if not ran:
        return ExitCode.NOTHING_RAN
    red = any(finding.status is FindingStatus.RED for finding in ran)
    return ExitCode.FAIL if red else ExitCode.OK


def _run(jobs: list[CheckJob], console: Console) -> list[Finding]:
    """Findings in the order of the jobs; says how far it is now and then."""
    # The long ones first, so that no core ends the run alone with one of them.
    urgent = sorted(jobs, key=lambda job: not job.check.code.endswith("frames"))
    found: dict[str, Finding] = {}
    started = last_beat = time.monotonic()
    for job, finding in run_jobs(urgent):
        found[job.check.code] = finding
        now = time.monotonic()
        if now - last_beat > HEARTBEAT_S:
            last_beat = now
            left = (now - started) * (len(jobs) - len(found)) / len(found)
            console.print(f"{len(found)} of {len(jobs)} checks, {left:.0f} s left", style="dim")
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


def _show(report: ProbeReport, console: Console) -> None:
    table = Table("check", "expected", "actual", "compared", "verdict")
    table.columns[0].no_wrap = True
    for finding in report.findings:
        status = f"[{COLOURS[finding.status]}]{finding.status}[/]"
        # What is red is told in full; of the rest a line is enough.
        width = 1_000 if finding.status is FindingStatus.RED else CELL_WIDTH
        words = (
            shorten(text, width, placeholder=" ...") for text in (finding.expected, finding.actual)
        )
        cells = map(escape, (finding.check, *words))
        table.add_row(*cells, f"{finding.compared:,}", status)
    console.print(table)
    count = Counter(finding.status for finding in report.findings)
    ran = len(report.findings) - count[FindingStatus.SKIP]
    red = [finding for finding in report.findings if finding.status is FindingStatus.RED]
    console.print(
        f"{ran} of {len(report.findings)} checks ran, {len(red)} red, {report.wall_s:.1f} s",
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


def main() -> int:
    """Runs the command line; returns the exit code. Flags fall back to HARNESS_* variables."""
    try:
        return _command(sys.argv[1:])
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except (SubjectError, UnknownCheckError, UnknownFaultError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return ExitCode.USAGE
    except SystemExit as end:  # tyro exits with 2 on bad usage, which here means interrupted
        return ExitCode.USAGE if end.code == 2 else int(end.code or 0)


def _command(words: list[str]) -> ExitCode:
    if words[:1] == ["explain"]:
        return tyro.cli(explain, args=words[1:], prog="python -m probes explain")
    if words[:1] == ["faults"]:
        return tyro.cli(measure, args=words[1:], prog="python -m probes faults")
    if words[:1] == ["docs"]:
        return tyro.cli(write_docs, args=words[1:], prog="python -m probes docs")
    if words[:1] == ["records"]:
        return tyro.cli(show_records, args=words[1:], prog="python -m probes records")
    words = with_environment(words, ("agent", "seed", "checks", "fault"))
    return tyro.cli(probes, args=words, prog="python -m probes")


if __name__ == "__main__":
    sys.exit(main())
