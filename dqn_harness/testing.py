"""Checks as tests: all of them in one call, or each as a test of its own.

    from dqn_harness import parametrize_with_checks
    from mypackage.dqn import make

    @parametrize_with_checks(make, expected_failures={"exploration.follows-the-schedule": "#12"})
    def test_dqn(check):
        check()

Every check becomes a test of its own, named by its code. One that needs a capability the subject
lacks is skipped; one that is expected to fail turns red when it starts to pass. After the session
the likely components are named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from dqn_harness.shadows import require_own_packages

require_own_packages()

from probes.checks.registry import check_named, select  # noqa: E402  # what this module is made of
from probes.diagnosis.diagnose import diagnose, load_dictionary, pattern  # noqa: E402
from probes.running.run_check import run_check  # noqa: E402
from probes.subject import (  # noqa: E402
    Factory,
    Records,
    Settings,
    Transitions,
    Unsupported,
    load_factory,
)
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


class CheckRun:
    """A check on a subject, to be called by a test.

    Args:
        code: of the check.
        factory: of the subject, or its name "module:factory".
        seed: of check and subject.

    Attributes:
        finding: of the last call; None before the first.
    """

    def __init__(self, code: str, factory: Factory | str, seed: int) -> None:
        self.code = code
        self.finding: Finding | None = None
        self._factory = factory
        self._seed = seed

    def __call__(self) -> None:
        """Runs the check.

        Raises:
            AssertionError: if it is red, with expected, actual and likely causes.
        """
        name = self._factory
        factory = load_factory(name) if isinstance(name, str) else name
        self.finding = finding = run_check(check_named(self.code), factory, self._seed)
        if finding.status is FindingStatus.SKIP:
            import pytest  # noqa: PLC0415  # only who runs tests has it

            pytest.skip(finding.actual)
        if finding.status is FindingStatus.RED:
            raise AssertionError(_red(finding))

    def __repr__(self) -> str:
        return self.code


def parametrize_with_checks(
    factory: Factory | str,
    *,
    checks: str = "",
    seed: int = 0,
    expected_failures: Mapping[str, str] | None = None,
) -> pytest.MarkDecorator:
    """Parametrizes a test over the argument `check`, which the test calls.

    Args:
        factory: of the subject, or its name "module:factory".
        checks: only those that this selects, as `-k` of the command line does.
        seed: of checks and subject.
        expected_failures: reasons by code; strict: a check that starts to pass is a failure.

    Raises:
        UnknownCheckError: for a code or expression that fits no check.
    """
    import pytest  # noqa: PLC0415  # only who runs tests has it

    reasons = dict(expected_failures or {})
    for code in reasons:
        check_named(code)
    params = [
        pytest.param(
            CheckRun(check.code, factory, seed),
            id=check.code,
            marks=[pytest.mark.xfail(reason=reasons[check.code], strict=True)]
            if check.code in reasons
            else [],
        )
        for check in select(checks)
    ]
    return pytest.mark.parametrize("check", params)


def check_agent(
    factory: Factory | str,
    *,
    checks: str = "",
    seed: int = 0,
    expected_failures: Mapping[str, str] | None = None,
) -> list[Finding]:
    """Runs all checks on a subject in this process.

    Args:
        factory: of the subject, or its name "module:factory".
        checks: only those that this selects, as `-k` of the command line does.
        seed: of checks and subject.
        expected_failures: reasons by code.

    Returns:
        All findings.

    Raises:
        AssertionError: if a check is red that was not expected to be, or green that was; with all
            of them and the likely component.
        UnknownCheckError: for a code or expression that fits no check.
    """
    expected = dict(expected_failures or {})
    for code in expected:
        check_named(code)
    made = load_factory(factory) if isinstance(factory, str) else factory
    findings = [run_check(check, made, seed) for check in select(checks)]
    problems = [
        _red(finding)
        for finding in findings
        if finding.status is FindingStatus.RED and finding.check not in expected
    ]
    problems += [
        f"{finding.check} passes, though it was expected to fail: {expected[finding.check]}"
        for finding in findings
        if finding.status is FindingStatus.GREEN and finding.check in expected
    ]
    if problems:
        raise AssertionError("\n".join([*problems, *_suspicions(findings)]))
    return findings


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
    """A red finding in a few lines."""
    return (
        f"{finding.check} ({finding.component})\n"
        f"  expected  {finding.expected}\n"
        f"  actual    {finding.actual}\n"
        f"  causes    {finding.hint}\n"
        f"  next      {next_command('explain', finding.check)}"
    )
