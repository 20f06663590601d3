"""Checks as tests: all of them in one call, or each as a test of its own.

    from dqn_harness import parametrize_with_checks
    from mypackage.dqn import make

    @parametrize_with_checks(make, expected_failures={"exploration.follows-the-schedule": "#12"})
    def test_dqn(check):
        check()

Every check becomes a test of its own, named by its code. One that needs a capability the subject
lacks is skipped, and so is one that comes to no conclusion; one that is expected to fail turns red
when it starts to pass. After the session the likely components are named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dqn_harness.shadows import require_own_packages

require_own_packages()

from probes.checks.registry import check_named, select  # noqa: E402  # what this module is made of
from probes.diagnosis.diagnose import diagnose, load_dictionary, pattern  # noqa: E402
from probes.running.expected import checked, evidence, held_to, read_expected  # noqa: E402
from probes.running.preflight import Inspection, inspect_subject  # noqa: E402
from probes.running.run_check import run_check  # noqa: E402
from probes.subject import (  # noqa: E402
    Factory,
    Records,
    Settings,
    Transitions,
    Unsupported,
    load_factory,
)
from probes.traits import read_traits  # noqa: E402
from reports.command_line import next_command  # noqa: E402
from reports.schema import Finding, FindingStatus  # noqa: E402

if TYPE_CHECKING:
    import pytest

__all__ = [
    "CheckRun",
    "Records",
    "Settings",
    "Transitions",
    "Unsupported",
    "check_agent",
    "parametrize_with_checks",
    "summary",
]

MOST_SUSPICIONS: Final = 3
FAILURES: Final = (FindingStatus.RED, FindingStatus.ERROR)

Expected = Mapping[str, str] | Path | None


class SubjectUnderTest:
    """A subject whose preflight is made once, before its first check.

    Args:
        factory: of the subject, or its name "module:factory".
        seed: of checks and subject.
        frames: whether any check shows it frames.
    """

    def __init__(self, factory: Factory | str, seed: int, *, frames: bool) -> None:
        self._factory = factory
        self._seed = seed
        self._frames = frames

    @cached_property
    def factory(self) -> Factory:
        """The factory itself."""
        name = self._factory
        return load_factory(name) if isinstance(name, str) else name

    @cached_property
    def inspection(self) -> Inspection:
        """What its preflight found.

        Raises:
            SubjectError: if it is no subject.
        """
        return inspect_subject(self.factory, self._seed, frames=self._frames)

    def finding(self, code: str) -> Finding:
        """What a check finds."""
        found = self.inspection
        traits = read_traits(found.traits)
        check = check_named(code)
        return run_check(check, self.factory, self._seed, found.declined, traits, found.raised)


class CheckRun:
    """A check on a subject, to be called by a test.

    Args:
        code: of the check.
        subject: which one.

    Attributes:
        finding: of the last call; None before the first.
    """

    def __init__(self, code: str, subject: SubjectUnderTest) -> None:
        self.code = code
        self.finding: Finding | None = None
        self._subject = subject

    def __call__(self) -> None:
        """Runs the check.

        Raises:
            AssertionError: if it is red, with expected, actual and likely causes; or if the subject
                raised, with the place.
            SubjectError: if the subject is none.
        """
        import pytest  # noqa: PLC0415  # only who runs tests has it

        documented = self._subject.inspection.expected
        self.finding = finding = held_to(self._subject.finding(self.code), documented)
        if finding.status is FindingStatus.SKIP:
            pytest.skip(finding.actual)
        if finding.status is FindingStatus.INCONCLUSIVE:
            pytest.skip(f"inconclusive: expected {finding.expected}; {finding.actual}")
        if finding.status is FindingStatus.EXPECTED:
            pytest.xfail(finding.hint)
        if finding.status in FAILURES:
            raise AssertionError(_red(finding))

    def __repr__(self) -> str:
        return self.code


def parametrize_with_checks(
    factory: Factory | str,
    *,
    checks: str = "",
    seed: int = 0,
    expected_failures: Expected = None,
) -> pytest.MarkDecorator:
    """Parametrizes a test over the argument `check`, which the test calls.

    Args:
        factory: of the subject, or its name "module:factory".
        checks: only those that this selects, as `-k` of the command line does.
        seed: of checks and subject.
        expected_failures: reasons by code, or a file of them as `--expected` takes it; strict: a
            check that starts to pass is a failure.

    Raises:
        ExpectedError: for a code that is no check's, or no reason.
        UnknownCheckError: for an expression that fits no check.
    """
    import pytest  # noqa: PLC0415  # only who runs tests has it

    reasons = _reasons(expected_failures)
    chosen = select(checks)
    frames = any(check.shows_frames for check in chosen)
    subject = SubjectUnderTest(factory, seed, frames=frames)
    params = [
        pytest.param(
            CheckRun(check.code, subject),
            id=check.code,
            marks=[pytest.mark.xfail(reason=reasons[check.code], strict=True)]
            if check.code in reasons
            else [],
        )
        for check in chosen
    ]
    return pytest.mark.parametrize("check", params)


def check_agent(
    factory: Factory | str,
    *,
    checks: str = "",
    seed: int = 0,
    expected_failures: Expected = None,
) -> list[Finding]:
    """Runs all checks on a subject in this process.

    Args:
        factory: of the subject, or its name "module:factory".
        checks: only those that this selects, as `-k` of the command line does.
        seed: of checks and subject.
        expected_failures: reasons by code, or a file of them as `--expected` takes it.

    Returns:
        All findings.

    Raises:
        AssertionError: if a check is red or an error that was not expected to be, or green that
            was; with all of them and the likely component.
        ExpectedError: for a code that is no check's, or no reason.
        SubjectError: if the subject is none.
        UnknownCheckError: for an expression that fits no check.
    """
    chosen = select(checks)
    frames = any(check.shows_frames for check in chosen)
    subject = SubjectUnderTest(factory, seed, frames=frames)
    documented = subject.inspection.expected | _reasons(expected_failures)
    findings = [held_to(subject.finding(check.code), documented) for check in chosen]
    problems = [_red(finding) for finding in findings if finding.status in FAILURES]
    if problems:
        raise AssertionError("\n".join([*problems, *_suspicions(evidence(findings, documented))]))
    return findings


def _reasons(expected: Expected) -> dict[str, str]:
    if isinstance(expected, Path):
        return read_expected(expected)
    return checked(expected or {}, "expected_failures")


def summary(findings: Sequence[Finding]) -> list[str]:
    """Lines on a session's findings: how many ran, how many are red, and what is likely broken."""
    ran = [finding for finding in findings if finding.status is not FindingStatus.SKIP]
    red = [finding for finding in ran if finding.status is FindingStatus.RED]
    checks = "check" if len(findings) == 1 else "checks"
    counts = f"{len(ran)} of {len(findings)} {checks} ran, {len(red)} red"
    return [counts, *_suspicions(findings)]


def _suspicions(findings: Sequence[Finding]) -> list[str]:
    suspicions, experiment = diagnose(pattern(list(findings)), load_dictionary())
    lines = []
    for rank, suspicion in enumerate(suspicions[:MOST_SUSPICIONS], start=1):
        looks = f", looks like {suspicion.faults[0]}" if suspicion.faults else ""
        lines.append(f"{rank}. {suspicion.component} ({suspicion.probability:.0%}){looks}")
    return [*lines, *([f"next: {experiment}"] if experiment else [])]


def _red(finding: Finding) -> str:
    """A red finding, or an error, in a few lines."""
    lines = [
        f"{finding.check} ({finding.component})",
        f"  expected  {finding.expected}",
        f"  actual    {finding.actual}",
        *([f"  where     {finding.place}"] if finding.place else []),
        *([f"  causes    {finding.hint}"] if finding.hint else []),
        f"  next      {next_command('explain', finding.check)}",
    ]
    return "\n".join(lines)
