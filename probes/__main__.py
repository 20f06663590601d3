"""`python -m probes`: which component of a DQN is wrong?"""

from __future__ import annotations

import difflib
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from probes.checks.check import Check
from probes.checks.registry import check_named, select
from probes.diagnosis.diagnose import diagnose, load_dictionary, pattern
from probes.diagnosis.docs_pages import write_docs
from probes.diagnosis.fault_matrix import measure
from probes.diagnosis.show_report import exit_code, number_of_checks, show_report
from probes.faults.catalogue import ABSENT, FAULTS, fault_named
from probes.running.expected import evidence, held_to, read_expected
from probes.running.isolation import CheckJob, Loaded, run_jobs
from probes.running.preflight import Inspection
from probes.scripts.command import main as script_main
from probes.stored_runs.show_records import show_records
from reports.command_line import Command, report_usage, run_function, with_environment
from reports.schema import (
    SCHEMA_VERSION,
    ExitCode,
    Finding,
    ProbeReport,
)

HEARTBEAT_S = 5.0
CORE = "probes.subjects.core:make"


def probes(  # noqa: PLR0913  # one for each flag
    agent: Annotated[str, tyro.conf.arg(metavar="MODULE:FACTORY")] = "",
    seed: str = "0",
    checks: Annotated[str, tyro.conf.arg(aliases=["-k"], metavar="EXPRESSION")] = "",
    fault: str = "",
    workers: int = 0,
    expected: Path | None = None,
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
        expected: a file of TOML with reasons by check: reds that are known, and count for nothing.
        red: print checks that are red, inconclusive or advice only, and the summary.
        json: print findings and diagnosis as JSON.
        list_checks: print the codes of the checks that are meant, and what each states.
        list_faults: print the names of the faults.
    """
    if list_checks or list_faults:
        for line in _listed_checks(select(checks)) if list_checks else _listed_faults():
            print(line)
        return ExitCode.OK
    _require_usable(agent, seed, fault, workers)
    chosen = select(checks)
    documented = read_expected(expected) if expected else {}
    name = agent or CORE + (f" with {fault}" if fault else "")
    # A pipe has no width of its own; codes of checks must not be cut short there.
    console = Console(width=None if sys.stdout.isatty() else 160, stderr=json)
    console.print(f"{name}: {number_of_checks(len(chosen))}, seed {seed}", markup=False)
    started = time.monotonic()
    jobs = [CheckJob(check, agent or CORE, fault, int(seed)) for check in chosen]
    found, inspection = _run(jobs, workers, console)
    documented = inspection.expected | documented
    findings = [held_to(finding, documented) for finding in found]
    report = _report(name, int(seed), findings, inspection, documented)
    report = report.model_copy(update={"wall_s": time.monotonic() - started})
    if json:
        print(report.model_dump_json(indent=1))
    else:
        show_report(report, console, news_only=red)
    return exit_code(findings)


def _require_usable(agent: str, seed: str, fault: str, workers: int) -> None:
    """Refuses what cannot be meant.

    Raises:
        ValueError: naming the flag.
    """
    if workers < 0:
        raise ValueError(f"--workers: expected a positive number, got {workers}")
    if not seed.isdecimal():
        raise ValueError(f"--seed: expected a non-negative integer, got {seed!r}")
    if fault and agent:
        raise ValueError("--fault is planted in the bundled core; leave --agent out")
    if fault:
        fault_named(fault)


def _report(
    name: str,
    seed: int,
    findings: list[Finding],
    inspection: Inspection,
    documented: Mapping[str, str],
) -> ProbeReport:
    suspicions, experiment = diagnose(
        pattern(evidence(findings, documented)),
        load_dictionary(),
        tried=[finding.check for finding in findings],
    )
    return ProbeReport(
        schema_version=SCHEMA_VERSION,
        subject=name,
        seed=seed,
        declined=inspection.declined,
        unread=inspection.unread,
        traits=inspection.traits,
        findings=findings,
        suspicions=suspicions,
        experiment=experiment,
        wall_s=0.0,
    )


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


def _run(jobs: list[CheckJob], workers: int, console: Console) -> tuple[list[Finding], Inspection]:
    """Findings in the order of the jobs, and those of the preflight; prints progress."""
    # The long ones first, so that no core ends the run alone with one of them.
    urgent = sorted(jobs, key=lambda job: not job.check.shows_frames)
    found: dict[str, Finding] = {}
    inspection: Inspection | None = None
    started = last_beat = time.monotonic()
    for result in run_jobs(urgent, workers):
        if isinstance(result, Loaded):
            if inspection is None:
                inspection = result.found
                for name, reason in inspection.declined.items():
                    console.print(f"declined: {name}: {reason}", markup=False, style="yellow")
                if inspection.raised:
                    console.print(
                        f"checks of {', '.join(inspection.raised)} are inconclusive: mend what "
                        "raised, or name in `offers` what the agent has for them",
                        markup=False,
                    )
                if inspection.unread:
                    names = ", ".join(inspection.unread)
                    console.print(f"settings never read: {names}", markup=False, style="yellow")
                if inspection.traits:
                    words = ", ".join(
                        f"{name} {value}" for name, value in inspection.traits.items()
                    )
                    console.print(f"traits: {words}", markup=False)
            continue
        job, finding = result
        found[job.check.code] = finding
        now = time.monotonic()
        if now - last_beat > HEARTBEAT_S:
            last_beat = now
            left = (now - started) * (len(jobs) - len(found)) / len(found)
            console.print(
                f"{len(found)} of {number_of_checks(len(jobs))}, {left:.0f} s left", style="dim"
            )
    return [found[job.check.code] for job in jobs], inspection or Inspection()


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
        words: of the command line, which may begin with explain, records, script, faults or docs;
            those of this process, if None.
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
    if words and words[0] == "script":
        return script_main(words[1:], called or "python -m probes script")
    if words and words[0] in named:
        prog = called or f"python -m probes {words[0]}"
        return run_function(named[words[0]], words[1:], prog)
    prog = called or "python -m probes"
    if words and not words[0].startswith("-"):
        known = [*named, "script"]
        nearest = ", ".join(difflib.get_close_matches(words[0], known, n=3, cutoff=0.0))
        return report_usage(f"unknown command {words[0]!r}\n  nearest   {nearest}", prog)
    words = with_environment(words, ("agent", "expected", "seed", "checks", "fault"))
    return run_function(probes, words, prog)


if __name__ == "__main__":
    sys.exit(main())
