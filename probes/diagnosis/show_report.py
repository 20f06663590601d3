"""A report on the screen, and what it comes to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from textwrap import shorten
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from reports.schema import ExitCode, Finding, FindingStatus, ProbeReport

CELL_WIDTH: Final = 40
COLOURS: Final = {
    FindingStatus.GREEN: "green",
    FindingStatus.RED: "bold red",
    FindingStatus.ADVICE: "cyan",
    FindingStatus.INCONCLUSIVE: "yellow",
    FindingStatus.ERROR: "magenta",
    FindingStatus.EXPECTED: "dim red",
    FindingStatus.SKIP: "dim",
}
# What a reader may have to do something about; errors are gathered above the table.
NEWS: Final = (FindingStatus.RED, FindingStatus.ADVICE, FindingStatus.INCONCLUSIVE)


def exit_code(findings: Sequence[Finding]) -> ExitCode:
    """What findings come to.

    Args:
        findings: after a look at what is documented.
    """
    seen = {finding.status for finding in findings} - {FindingStatus.SKIP}
    if not seen:
        return ExitCode.NOTHING_RAN
    if seen == {FindingStatus.ERROR}:  # nothing could be judged
        return ExitCode.USAGE
    if seen & {FindingStatus.RED, FindingStatus.ERROR}:
        return ExitCode.FAIL
    return ExitCode.INCONCLUSIVE if FindingStatus.INCONCLUSIVE in seen else ExitCode.OK


def show_report(report: ProbeReport, console: Console, *, news_only: bool) -> None:
    """Prints what the checks found: first what kept them from finding anything, last the diagnosis.

    Args:
        report: all of it.
        console: where to print.
        news_only: whether green checks, skipped and documented ones are left out of the table.
    """
    for line in _unjudged(report.findings):
        console.print(line, markup=False, style=COLOURS[FindingStatus.ERROR])
    red = [finding for finding in report.findings if finding.status is FindingStatus.RED]
    table = Table("check", "expected", "actual", "compared", "verdict")
    table.columns[0].no_wrap = True
    for finding in report.findings:
        if news_only and finding.status not in NEWS:
            continue
        status = f"[{COLOURS[finding.status]}]{finding.status}[/]"
        # What is news is shown in full; for the others a line is enough.
        width = 1_000 if finding.status in NEWS else CELL_WIDTH
        words = (
            shorten(text, width, placeholder=" ...") for text in (finding.expected, finding.actual)
        )
        cells = map(escape, (finding.check, *words))
        table.add_row(*cells, f"{finding.compared:,}", status)
    if table.rows:
        console.print(table)
    console.print(
        f"{counted(report.findings)}, {report.wall_s:.1f} s",
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


def counted(findings: Sequence[Finding]) -> str:
    """How many checks ran, and how many of them were no good."""
    count = Counter(finding.status for finding in findings)
    ran = len(findings) - count[FindingStatus.SKIP]
    words = {
        FindingStatus.RED: "red",
        FindingStatus.INCONCLUSIVE: "inconclusive",
        FindingStatus.ADVICE: "advised",
        FindingStatus.ERROR: "could not be judged",
        FindingStatus.EXPECTED: "red as documented",
    }
    others = [f"{count[s]} {word}" for s, word in words.items() if count[s] or word == "red"]
    return ", ".join([f"{ran} of {number_of_checks(len(findings))} ran", *others])


def _unjudged(findings: Sequence[Finding]) -> Iterator[str]:
    """Each reason why checks could not be judged, once, with the place in the subject's code."""
    checks: dict[tuple[str, str, str], list[str]] = {}
    for finding in findings:
        if finding.status is FindingStatus.ERROR:
            reason = (finding.expected, finding.actual, finding.place)
            checks.setdefault(reason, []).append(finding.check)
    for (expected, actual, place), codes in sorted(checks.items(), key=lambda one: -len(one[1])):
        more = f" and {len(codes) - 2} more" if codes[2:] else ""
        wanted = "" if expected == "no exception" else f"expected {expected}; "
        at = f"\n  where     {place}" if place else ""
        yield (
            f"{number_of_checks(len(codes))} could not be judged: {wanted}{actual}{at}"
            f"\n  checks    {', '.join(codes[:2])}{more}"
        )


def number_of_checks(checks: int) -> str:
    """Such as "3 checks"."""
    return f"{checks} check{'s' * (checks != 1)}"
